"""Initial weights: their distributions, and the bits of those that were drawn before there was a choice."""

import numpy as np
import pytest

from fastmlp import MLP, kernels
from fastmlp.init import INITS, initial_weights

SHAPE = (300, 200)
VARIANCES = {
    "he_normal": 2 / 300,
    "he_uniform": 2 / 300,
    "glorot_normal": 2 / 500,
    "glorot_uniform": 2 / 500,
    "lecun_normal": 1 / 300,
}
BOUNDS = {"he_uniform": np.sqrt(6 / 300), "glorot_uniform": np.sqrt(6 / 500)}  # of Glorot's equation 16


def test_every_name_is_tested():
    assert set(INITS) == set(VARIANCES)


@pytest.mark.parametrize("init", INITS)
def test_weights_have_the_mean_the_variance_and_the_bounds_of_the_formulas(init):
    w = initial_weights(init, SHAPE, np.random.default_rng(0))
    assert w.dtype == np.float64 and w.shape == SHAPE
    # five standard errors: of a variance's estimate sqrt((kurtosis - 1) / n), and a normal's kurtosis is 3
    variance, error = VARIANCES[init], 5 / np.sqrt(w.size)
    assert abs(w.mean()) < error * np.sqrt(variance)
    assert w.var() == pytest.approx(variance, rel=error * np.sqrt(2))
    largest = np.abs(w).max()
    if init in BOUNDS:
        assert BOUNDS[init] * 0.999 < largest <= BOUNDS[init]
        assert abs((w < 0).mean() - 0.5) < error / 2
        assert abs((np.abs(w) < BOUNDS[init] / 2).mean() - 0.5) < error / 2  # as many in the inner half
    else:
        assert largest > 3 * np.sqrt(variance)  # of 60,000 numbers 162 lie there
        assert abs((np.abs(w) < np.sqrt(variance)).mean() - 0.6827) < error / 2


@pytest.mark.parametrize("options", [{}, {"init": "he_normal"}, {"activation": "tanh"}])
def test_he_normal_has_the_bits_it_always_had(options):
    got = MLP([7, 5, 3], seed=3, dtype=np.float64, ops=kernels, **options).get_weights()
    rng = np.random.default_rng(3)
    expected = [rng.standard_normal(shape) * np.sqrt(2 / shape[0]) for shape in ((7, 5), (5, 3))]
    assert got[0].tobytes() == expected[0].tobytes() and got[2].tobytes() == expected[1].tobytes()


@pytest.mark.parametrize("init", INITS)
def test_models_start_with_these_weights_and_biases_of_zero(ops, init):
    w1, b1, w2, b2 = MLP([7, 5, 3], init=init, seed=3, ops=ops).get_weights()
    rng = np.random.default_rng(3)
    for w in (w1, w2):
        assert w.tobytes() == initial_weights(init, w.shape, rng).astype(np.float32).tobytes()
    assert not b1.any() and not b2.any()
