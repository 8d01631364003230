"""Activations and their derivatives."""

import math

from .core.jit import kernel
from .core.math import erf, exp, expm1, logistic, tanh
from .core.matrix import offset, row_of
from .core.memory import ACTIVATIONS
from .core.simd import add, choose, div, filled, fma, lanes, larger, load, mul, smaller, store, sub
from .core.simd import where_positive as relu_slope

# the number of an activation is its place in ACTIVATIONS
IDENTITY, RELU, TANH, LOGISTIC, LEAKY_RELU, SELU, SILU, GELU, MISH = range(len(ACTIVATIONS))

LEAK = 0.01
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al., 2017
FAR = 1000.0  # from here on a gate is 0 or 1 in every dtype; infinity times 0 would be NaN


# --- the functions, of vectors ---------------------------------------------------------------------------


@kernel
def _times_gate(z, gate):
    return mul(larger(z, filled(z, -FAR)), gate)


@kernel
def _near(z, highest):
    return smaller(larger(z, filled(z, -FAR)), filled(z, highest))


@kernel
def _selu(z):
    zero = filled(z, 0.0)
    negative = mul(filled(z, SELU_SCALE * SELU_ALPHA), expm1(smaller(z, zero)))
    return choose(z, mul(filled(z, SELU_SCALE), z), negative)


@kernel
def _normal(z):
    """Distribution function of the normal distribution, within 4 u absolutely."""
    half = filled(z, 0.5)
    return fma(erf(mul(z, filled(z, math.sqrt(0.5)))), half, half)


@kernel
def _mish_parts(z):
    """e = exp(z) and n = e (e + 2), tanh(log(1 + e)) being n / (n + 2): without a logarithm."""
    e = exp(z)
    return e, mul(e, add(e, filled(z, 2.0)))


@kernel
def _mish(z):
    _, n = _mish_parts(_near(z, 25.0))  # from there on n / (n + 2) rounds to 1
    return _times_gate(z, div(n, add(n, filled(z, 2.0))))


@kernel
def _silu_slope(z):
    """s + z s (1 - s), where s and 1 - s are g and e g in the one order or the other: nothing cancels."""
    z, one = _near(z, FAR), filled(z, 1.0)
    e = exp(smaller(z, sub(filled(z, 0.0), z)))
    g = div(one, add(one, e))
    other = mul(e, g)
    return fma(z, mul(g, other), choose(z, g, other))


@kernel
def _gelu_slope(z):
    z = _near(z, FAR)
    density = mul(exp(mul(mul(z, filled(z, -0.5)), z)), filled(z, 1 / math.sqrt(2 * math.pi)))
    return fma(z, density, _normal(z))


@kernel
def _mish_slope(z):
    """t + z (1 - t**2) logistic(z), with t = n / (n + 2): t + 4 z e (1 + e) / (n + 2)**2."""
    z = _near(z, 25.0)
    e, n = _mish_parts(z)
    g = div(filled(z, 1.0), add(n, filled(z, 2.0)))
    second = mul(mul(filled(z, 4.0), g), mul(mul(e, add(e, filled(z, 1.0))), g))
    return fma(z, second, mul(n, g))


@kernel
def _value(kind, z):
    if kind == RELU:
        return larger(z, filled(z, 0.0))
    if kind == TANH:
        return tanh(z)
    if kind == LOGISTIC:
        return logistic(z)
    if kind == LEAKY_RELU:
        return larger(z, mul(z, filled(z, LEAK)))
    if kind == SELU:
        return _selu(z)
    if kind == SILU:
        return _times_gate(z, logistic(z))
    if kind == GELU:
        return _times_gate(z, _normal(z))
    if kind == MISH:
        return _mish(z)
    return z


@kernel
def _slope(kind, saved):
    if kind == TANH:
        return fma(sub(filled(saved, 0.0), saved), saved, filled(saved, 1.0))
    if kind == LOGISTIC:
        return fma(sub(filled(saved, 0.0), saved), saved, saved)
    if kind == LEAKY_RELU:
        return choose(saved, filled(saved, 1.0), filled(saved, LEAK))
    if kind == SELU:
        return choose(saved, filled(saved, SELU_SCALE), add(saved, filled(saved, SELU_SCALE * SELU_ALPHA)))
    if kind == SILU:
        return _silu_slope(saved)
    if kind == GELU:
        return _gelu_slope(saved)
    return _mish_slope(saved)


# --- the kernels -----------------------------------------------------------------------------------------


@kernel
def activate(kind, z, y, n_rows, n_columns):
    """y = f(z) in the first columns; y may be z. `kind` is the place in ACTIVATIONS; NaN stays NaN."""
    width = lanes(y.pointer)
    for row in range(n_rows):
        z_now, y_now = row_of(z, row), row_of(y, row)
        for column in range(0, n_columns, width):
            left = n_columns - column
            store(_value(kind, load(offset(z_now, column), left)), offset(y_now, column), left)


@kernel
def activation_gradient(kind, saved, dy, n_rows, n_columns):
    """dy *= f'(.) in the first columns; `saved` is z for silu, gelu and mish, and y for the others.

    ReLU's is 0 where y is not above 0; the identity leaves dy alone.
    """
    if kind == IDENTITY:
        return
    width = lanes(dy.pointer)
    for row in range(n_rows):
        saved_now, dy_now = row_of(saved, row), row_of(dy, row)
        for column in range(0, n_columns, width):
            left = n_columns - column
            here, dz = load(offset(saved_now, column), left), load(offset(dy_now, column), left)
            if kind == RELU:
                dz = relu_slope(here, dz)
            else:
                dz = mul(_slope(kind, here), dz)
            store(dz, offset(dy_now, column), left)
