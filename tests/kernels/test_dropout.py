"""Dropout: drawn by counting, as its twin does, and at random enough."""

import numpy as np
import pytest
from bounds import assert_margins_untouched, framed, framed_output

from fastmlp import kernels, reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def kept(shape=(400, 500), rate=0.5, seed=1, step=0, layer=0):
    x = np.ones(shape, np.float32)
    y = np.empty_like(x)
    kernels.dropout(x, y, rate, seed, step, layer)
    return y > 0


@DTYPES
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (9, 33), (40, 130)], ids=str)
def test_the_bits_are_the_twins(shape, rate, dtype):
    x = framed(np.random.default_rng(shape).standard_normal(shape), dtype)
    y, expected = framed_output(shape, dtype), np.empty(shape, dtype)
    for place in (0, 0, 0), (2**62 + 5, 12_345_678_901, 3):
        kernels.dropout(x, y, rate, *place)
        reference.dropout(x, expected, rate, *place)
        assert np.array_equal(y, expected)
        assert_margins_untouched(y)


def test_the_same_units_in_either_dtype_in_place_and_on_any_threads(threads):
    found = set()
    for n in (1, 2, 4):
        threads(n)
        for dtype in (np.float32, np.float64):
            x = np.ones((300, 301), dtype)
            kernels.dropout(x, x, 0.5, 1, 2, 3)
            found.add((x > 0).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_share_kept_and_its_factor(rate):
    x = np.full((500, 1000), 3.0)
    y = np.empty_like(x)
    kernels.dropout(x, y, rate, 7, 8, 9)
    assert set(np.unique(y)) <= {0.0, 3.0 / (1 - rate), np.unique(y)[-1]}
    assert np.unique(y)[-1] == pytest.approx(3 / (1 - rate), rel=1e-9)
    deviation = np.sqrt(rate * (1 - rate) / x.size)
    assert abs((y == 0).mean() - rate) < 5 * deviation
    # each unit and each row by itself
    for axis in (0, 1):
        scaled = ((y == 0).mean(axis=axis) - rate) / np.sqrt(rate * (1 - rate) / x.shape[axis])
        assert abs(scaled.std() - 1) < 0.1 and np.abs(scaled).max() < 5.5


def test_what_is_next_to_each_other_has_nothing_in_common():
    drawn, limit = kept(), 5 / np.sqrt(400 * 500)
    others = [drawn[1:], drawn[:, 1:], drawn[:, 16:], kept(seed=2), kept(step=1), kept(layer=1)]
    for other in others:
        rows, columns = other.shape
        assert abs(np.corrcoef(drawn[:rows, :columns].ravel(), other.ravel())[0, 1]) < limit
    # nor does a pattern return, shifted, in another row
    rows = kept((64, 4096)).astype(np.float64) * 2 - 1
    spectra = np.fft.fft(rows)
    shifted = np.fft.ifft(spectra[1:] * spectra[:-1].conj()).real / rows.shape[1]
    assert np.abs(shifted).max() < 6 / np.sqrt(rows.shape[1])


@DTYPES
def test_nothing_is_left_of_nan_that_is_dropped(dtype):
    x = np.full((2, 64), np.nan, dtype)
    y = np.empty_like(x)
    kernels.dropout(x, y, 0.5, 0, 0, 0)
    assert {*np.isnan(y).ravel()} == {True, False} and np.all(y[~np.isnan(y)] == 0)
