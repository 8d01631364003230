"""Starting, each time in a fresh process: the import, and a first epoch with an empty and a full cache."""

import subprocess
import sys

from ._timing import Timed

IMPORT = "import fastmlp"
FIRST_EPOCH = """
import math
import fastmlp
X, y, *_ = fastmlp.load_mnist()
loader = fastmlp.DataLoader(X[:5120], y[:5120], shuffle=True, seed=0)
loss = fastmlp.train_epoch(fastmlp.DigitsClassifier(seed=0), loader)
assert math.isfinite(loss) and loss > 0, loss
"""
IN_AN_EMPTY_CACHE = """
import os, tempfile
with tempfile.TemporaryDirectory() as folder:
    os.environ["FASTMLP_CACHE"] = folder
"""


class Startup(Timed):
    repeat = 5

    def setup(self):
        subprocess.run([sys.executable, "-c", FIRST_EPOCH], check=True)  # compiles, and unpacks the digits

    def timeraw_import(self):
        return IMPORT

    def timeraw_first_epoch_warm(self):
        return FIRST_EPOCH


class ColdStartup(Timed):
    repeat = 2  # some seconds each

    def timeraw_first_epoch_cold(self):
        return IN_AN_EMPTY_CACHE + FIRST_EPOCH.replace("\n", "\n    ")
