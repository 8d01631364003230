"""The activations' twin: known values, and derivatives by finite differences."""

import numpy as np
import pytest

from fastmlp.reference import activations

EACH = pytest.mark.parametrize("name", activations.ACTIVATIONS)
KNOWN = {  # at -1 and 2
    "identity": (-1, 2),
    "relu": (0, 2),
    "tanh": (-0.7615941559557649, 0.9640275800758169),
    "logistic": (0.2689414213699951, 0.8807970779778823),
    "leaky_relu": (-0.01, 2),
    "selu": (-1.1113307378125628, 2.101401974710961),
    "silu": (-0.2689414213699951, 1.7615941559557646),
    "gelu": (-0.15865525393145707, 1.9544997361036416),
    "mish": (-0.3034014613741755, 1.943958967952936),
}


@EACH
def test_known_values(name):
    got = activations.activation(name, np.array([[-1.0, 2.0]]))
    np.testing.assert_allclose(got, [KNOWN[name]], rtol=1e-7)


@EACH
def test_gradients_are_those_of_finite_differences(name):
    z = np.linspace(-6, 6, 40).reshape(4, 10)  # without the corner at 0
    dy = np.random.default_rng(0).standard_normal(z.shape)
    h = 1e-5
    difference = (activations.activation(name, z + h) - activations.activation(name, z - h)) / (2 * h)
    saved = z if name in activations.KEEP_Z else activations.activation(name, z)
    got = activations.activation_gradient(name, saved, dy)
    np.testing.assert_allclose(got, dy * difference, rtol=1e-7, atol=1e-9)


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays_and_so_does_nan(name, dtype):
    z = np.array([[np.nan, 1.0]], dtype)
    got = activations.activation(name, z)
    assert got.dtype == dtype and np.isnan(got).tolist() == [[True, False]]
    assert activations.activation_gradient(name, z, np.ones_like(z)).dtype == dtype
