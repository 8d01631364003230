"""One pass over a data set: finite, largest magnitude, density; and masks of what is not zero."""

import numpy as np


def scan(x):
    """Return (all elements are finite, the largest |x|, the share of elements that are not 0).

    The largest is infinite where not all are finite.
    """
    finite = bool(np.isfinite(x).all())
    largest = float(np.abs(x).max(initial=0)) if finite else np.inf
    return finite, largest, float(np.count_nonzero(x) / max(x.size, 1))


def zero_masks(x, masks):
    """Set bit j % 64 of masks[i, j // 64], uint64, where x[i, j] != 0; NaN counts as not 0."""
    bits = np.zeros((len(x), 64 * masks.shape[1]), bool)
    bits[:, : x.shape[1]] = x != 0
    masks[...] = np.packbits(bits, axis=1, bitorder="little").view("<u8")
