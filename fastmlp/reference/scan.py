"""One pass over a data set: finite, largest magnitude, density; masks of zeros; bytes for its values."""

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


def byte_codes(x, masks, codes, values):
    """Write the masks of `zero_masks`, and x = values[codes], if it has at most 256 values and no -0.

    The values are 0, then all others in the order in which they first come. Returns whether there are codes.
    """
    zero_masks(x, masks)
    flat = x.ravel()
    found, first, numbers = np.unique(
        np.append(flat.dtype.type(0), flat), return_index=True, return_inverse=True
    )
    if len(found) > len(values) or (np.signbit(flat) & (flat == 0)).any():
        return False
    order = np.argsort(first)
    values[: len(found)] = found[order]
    codes[...] = np.argsort(order)[numbers[1:]].reshape(x.shape)
    return True
