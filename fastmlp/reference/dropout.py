"""Dropout: some units of a batch are 0, drawn by counting."""

import numpy as np

from .quiet import quiet

_GOLDEN = 0x9E3779B97F4A7C15
_MIX = (30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)
_MIX_32 = (16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)


def drop_threshold(rate):
    """The share of 2**32 whole numbers that is dropped."""
    return round(rate * 2**32)


def _mixed(x, shifts):
    for shift, factor in shifts:
        x = (x ^ (x >> x.dtype.type(shift))) * x.dtype.type(factor)
    return x


@quiet
def _next_key(key, numbers):
    counted = (np.atleast_1d(np.asarray(numbers)).astype(np.uint64) + np.uint64(1)) * np.uint64(_GOLDEN)
    return _mixed(key + counted, _MIX)


@quiet
def dropout(x, y, rate, seed, step, layer):
    """y = x / (1 - rate) where the number drawn is not below the rate, else 0.

    It is drawn for seed, step, layer, row and column: keys of 64 bits by SplitMix64, the last number by the
    finalizer of MurmurHash3.
    """
    drop, key = drop_threshold(rate), np.zeros(1, np.uint64)
    for number in (seed, step, layer, np.arange(len(x))):
        key = _next_key(key, number)
    low, high = (part.astype(np.uint32)[:, None] for part in (key, key >> np.uint64(32)))
    drawn = np.arange(x.shape[1], dtype=np.uint32) * np.uint32(0x9E3779B1) + low
    kept = (_mixed(drawn, _MIX_32) ^ high) >= np.uint32(drop)
    y[...] = np.where(kept, x * x.dtype.type(2.0**32 / (2**32 - drop)), 0)
