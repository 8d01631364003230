"""A run that diverges is reported by its loss, not by NumPy's warnings."""

import numpy as np

quiet = np.errstate(all="ignore")
