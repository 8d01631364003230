"""The step in place: on every shape, within its bound, with one rounding."""

import numpy as np
import pytest
from bounds import assert_margins_untouched, assert_within, framed, framed_output, step

from fastmlp import kernels

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@DTYPES
@pytest.mark.parametrize("shape", [(1,), (7,), (33,), (1, 1), (3, 5), (8, 16), (9, 17), (784, 128)], ids=str)
def test_sgd_step(shape, dtype):
    rng = np.random.default_rng(shape)
    w, dw = framed_output(rng.standard_normal(shape), dtype), framed(rng.standard_normal(shape), dtype)
    lr, kept = dtype(0.3), dw.copy()
    expected = w - float(lr) * dw.astype(np.float64)
    kernels.sgd_step(w, dw, lr)
    assert_within(w, expected, step(expected, lr, dw, dtype=dtype))
    assert_margins_untouched(w)
    assert np.array_equal(dw, kept)


def test_sgd_step_rounds_once():
    w, dw = np.float32([1 + 2**-12]), np.float32([1 + 2**-12])
    kernels.sgd_step(w, dw, np.float32(1 + 2**-12))
    assert w[0] == np.float32(-(2.0**-12) - 2.0**-24)
