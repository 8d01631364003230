"""Linear layers of the reference against finite differences."""

import numpy as np
import pytest
from problems import finite_differences, relative_error

from fastmlp import reference


@pytest.mark.parametrize("relu", [False, True], ids=["linear", "linear_relu"])
def test_backward_passes_are_the_finite_differences_of_forward_passes(relu):
    rng = np.random.default_rng(1)
    x, w, b = rng.standard_normal((6, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)
    y, weighting = np.empty((6, 3)), rng.standard_normal((6, 3))
    forward = reference.linear_relu_forward if relu else reference.linear_forward

    def f():
        forward(x, w, b, y)
        return (y * weighting).sum()

    expected = [finite_differences(f, a.reshape(-1)) for a in (x, w, b)]
    f()
    dx, dw, db = np.empty_like(x), np.empty_like(w), np.empty_like(b)
    if relu:
        reference.linear_relu_backward(x, w, y, weighting, dx, dw, db)
        assert np.array_equal(weighting != 0, y > 0)  # consumed: it holds dz
    else:
        reference.linear_backward(x, w, weighting, dx, dw, db)
    for got, e in zip((dx, dw, db), expected, strict=True):
        assert relative_error(got.ravel(), e) < 1e-6


def test_relu_passes_nothing_at_zero_and_keeps_nan():
    one, y, dx = np.ones((1, 1)), np.empty((1, 1)), np.empty((1, 1))
    reference.linear_relu_forward(one, one, -np.ones(1), y)
    dy = np.ones((1, 1))
    reference.linear_relu_backward(one, one, y, dy, dx, np.empty((1, 1)), np.empty(1))
    assert y == 0 and dy == 0 and dx == 0
    reference.linear_relu_forward(np.array([[np.nan]]), one, np.zeros(1), y)
    assert np.isnan(y)


def test_dx_none_is_not_computed():
    x, w, dy = np.ones((2, 3)), np.ones((3, 4)), np.ones((2, 4))
    dw, db = np.empty((3, 4)), np.empty(4)
    reference.linear_backward(x, w, dy, None, dw, db)
    assert np.all(dw == 2) and np.all(db == 2)


def test_add_outer_completes_the_gradient_of_shifted_inputs():
    rng = np.random.default_rng(0)
    x, dy, shift = rng.standard_normal((7, 5)), rng.standard_normal((7, 3)), rng.standard_normal(5)
    w, db = np.ones((5, 3)), np.empty(3)
    got, expected = np.empty((5, 3)), np.empty((5, 3))
    reference.linear_backward(x + shift, w, dy, None, expected, np.empty(3))
    reference.linear_backward(x, w, dy, None, got, db)
    reference.add_outer(got, shift, db)
    assert np.allclose(got, expected, rtol=1e-13, atol=1e-14)
