"""Activations and their derivatives."""

import math

import numpy as np

from .quiet import quiet

ACTIVATIONS = ("identity", "relu", "tanh", "logistic", "leaky_relu", "selu", "silu", "gelu", "mish")
KEEP_Z = ("silu", "gelu", "mish")  # have their derivative from z, the others from y
LEAK = 0.01
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
FAR = 1000  # beyond it a gate is 0 or 1; infinity times 0 would be NaN

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _logistic(z):
    return 1 / (1 + np.exp(-z))


def _normal(z):
    return (0.5 * (1 + _erf(z / math.sqrt(2)))).astype(z.dtype)


def _softplus(z):
    return np.logaddexp(z, 0)


@quiet
def activation(name, z):
    """f(z), in z's dtype; NaN stays NaN."""
    low = np.maximum(z, -FAR)
    return {
        "identity": lambda: z.copy(),
        "relu": lambda: np.maximum(z, 0),
        "tanh": lambda: np.tanh(z),
        "logistic": lambda: _logistic(z),
        "leaky_relu": lambda: np.maximum(z, LEAK * z),
        "selu": lambda: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0))),
        "silu": lambda: low * _logistic(z),
        "gelu": lambda: low * _normal(z),
        "mish": lambda: low * np.tanh(_softplus(z)),
    }[name]()


@quiet
def activation_gradient(name, saved, dy):
    """dy * f', where `saved` is z for silu, gelu and mish, and y = f(z) for the others."""
    y, z = saved, np.clip(saved, -FAR, FAR)
    return {
        "identity": lambda: dy.copy(),
        "relu": lambda: np.where(y > 0, dy, 0),
        "tanh": lambda: dy * (1 - y * y),
        "logistic": lambda: dy * (y * (1 - y)),
        "leaky_relu": lambda: dy * np.where(y > 0, 1, LEAK).astype(y.dtype),
        "selu": lambda: dy * np.where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA).astype(y.dtype),
        "silu": lambda: dy * (_logistic(z) * (1 + z * _logistic(-z))),
        "gelu": lambda: dy * (_normal(z) + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)),
        "mish": lambda: dy * (np.tanh(_softplus(z)) + z * _logistic(z) / np.cosh(_softplus(z)) ** 2),
    }[name]()
