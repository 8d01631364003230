"""The reference's steps."""

import numpy as np
import pytest

from fastmlp import reference


@pytest.mark.parametrize("shape", [(3, 2), (4,)])
def test_sgd_step_is_in_place(shape):
    w, dw = np.arange(8.0)[: np.prod(shape)].reshape(shape), np.full(shape, 2.0)
    before = w.copy()
    reference.sgd_step(w, dw, 0.25)
    assert np.array_equal(w, before - 0.5) and np.all(dw == 2)


def test_a_step_that_overflows_warns_of_nothing():
    w = np.array([3e38], np.float32)
    reference.sgd_step(w, -w, np.float32(1))
    assert np.isinf(w).all()
