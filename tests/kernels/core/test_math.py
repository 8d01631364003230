"""The elementary functions, within their stated bounds."""

import os
import subprocess
import sys

import numpy as np
import pytest
from bounds import unit

from fastmlp.kernels.core import math, matrix, simd
from fastmlp.kernels.core.jit import callable_kernel

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def over(function):
    """The function of vectors, over an array of one dimension."""

    @callable_kernel
    def loop(x, y):
        start, target = matrix.address(x, 0, 0), matrix.address(y, 0, 0)
        for i in range(0, x.size, simd.lanes(start)):
            left = x.size - i
            simd.store(function(simd.load(matrix.offset(start, i), left)), matrix.offset(target, i), left)

    def call(x):
        y = np.full_like(x, np.nan)
        loop(x, y)
        return y

    return call


exp, expm1, tanh, logistic, erf, log1p = (
    over(f) for f in (math.exp, math.expm1, math.tanh, math.logistic, math.erf, math.log1p)
)
ODD = pytest.mark.parametrize("function", [tanh, erf], ids=["tanh", "erf"])


def true_erf(x):
    """By its series without alternating signs (Abramowitz and Stegun, 7.1.6), in extended precision."""
    term = total = x
    for n in range(1, 180):
        term = term * (2 * x * x) / (2 * n + 1)
        total = total + term
    return 2 / np.sqrt(np.arccos(np.longdouble(-1))) * np.exp(-x * x) * total


def units(n, true, x):
    """So many u of the true values, and what these may be off."""
    return (n * unit(x.dtype) + 8 * float(np.finfo(np.longdouble).eps)) * np.abs(true)


def ulps(n, true, x):
    """So many times the distance of floats at the true values, which is 1 to 2 u of them."""
    return n * np.spacing(np.abs(true).astype(x.dtype)) + units(0, true, x)


# function, true one, its bound, the range for either dtype
BOUNDED = [
    (exp, np.exp, (2, units), {4: (-87.3, 88.7), 8: (-708.3, 709.7)}),
    (expm1, np.expm1, (3, units), {4: (-50, 50), 8: (-50, 50)}),
    (tanh, np.tanh, (2, ulps), {4: (-22, 22), 8: (-22, 22)}),
    (logistic, lambda x: 1 / (1 + np.exp(-x)), (2, ulps), {4: (-87.3, 40), 8: (-708.3, 40)}),
    (erf, true_erf, (4, ulps), {4: (-6.2, 6.2), 8: (-6.2, 6.2)}),
    (log1p, np.log1p, (4, units), {4: (0, 1), 8: (0, 1)}),
]
NAMES = ["exp", "expm1", "tanh", "logistic", "erf", "log1p"]
EACH = pytest.mark.parametrize(("function", "true", "bound", "ranges"), BOUNDED, ids=NAMES)


def assert_bounded(function, true, bound, x):
    expected, (n, measure) = true(x.astype(np.longdouble)), bound
    assert np.all(np.abs(function(x) - expected) <= measure(n, expected, x))


@DTYPES
@EACH
def test_functions_are_within_their_bounds_of_the_true_value(function, true, bound, ranges, dtype):
    rng = np.random.default_rng(0)
    low, high = ranges[np.dtype(dtype).itemsize]
    halves = np.arange(-130, 130) * np.log(2) / 4  # where a reduction changes its mind, of x and of 2 x
    near = np.concatenate([halves * (1 + shift * unit(dtype)) for shift in range(-4, 5)])
    small = np.geomspace(8 * float(np.finfo(dtype).tiny), 4, 40_000)
    x = np.concatenate([rng.uniform(low, high, 100_000), rng.uniform(-3, 3, 100_000), small, -small, near])
    x = x.astype(dtype)
    assert_bounded(function, true, bound, x[(x >= low) & (x <= high)])


@EACH
def test_functions_of_every_999th_float32(function, true, bound, ranges):
    low, high = ranges[4]
    last = np.float32(max(-low, high)).view(np.int32)
    magnitudes = np.arange(np.float32(2**-10).view(np.int32), last, 999, np.int32).view(np.float32)
    x = np.concatenate([magnitudes, -magnitudes])
    assert_bounded(function, true, bound, x[(x >= low) & (x <= high)])


@DTYPES
@ODD
def test_odd_functions_have_their_limits_and_signs(function, dtype):
    info = np.finfo(dtype)
    x = np.array([0.0, info.smallest_subnormal, info.tiny, 20, 21, 1e5, 1e30, info.max, np.inf], dtype)
    y = function(x)
    assert [*y[:2], *y[3:]] == [0.0, 0.0, *[1] * 6] and info.tiny <= y[2] <= 1.13 * info.tiny
    assert np.array_equal(function(-x).view(f"u{x.itemsize}"), (-function(x)).view(f"u{x.itemsize}"))
    assert np.isnan(function(np.array([np.nan, -np.nan], dtype))).all()


@DTYPES
def test_logistic_and_expm1_have_their_limits(dtype):
    far = np.array([1e3, 1e30, np.finfo(dtype).max, np.inf], dtype)
    assert logistic(far).tolist() == [1] * 4
    assert logistic(-far).tolist() == [0] * 4
    assert expm1(-far).tolist() == [-1] * 4
    assert logistic(np.array([0.0, -0.0], dtype)).tolist() == [0.5, 0.5]
    assert np.isnan([*logistic(np.array([np.nan], dtype)), *expm1(np.array([np.nan], dtype))]).all()


@DTYPES
def test_exp_of_large_arguments_ends_in_infinity(dtype):
    largest = np.log(np.finfo(dtype).max.astype(np.float64))
    got = exp(np.array([largest * (1 - 1e-6), largest * (1 + 1e-6), 1e5, np.inf], dtype))
    assert np.finfo(dtype).max / 2 < got[0] < np.inf
    assert got[1:].tolist() == [np.inf] * 3
    payloads = np.arange(1, 4000, dtype=f"u{got.itemsize}") | np.array([np.nan], dtype).view(
        f"u{got.itemsize}"
    )
    assert np.isnan(exp(payloads.view(dtype))).all()


WIDTHS = """
import hashlib, sys
import numpy as np
from fastmlp.kernels import activations
from fastmlp.kernels.core.jit import entry
from fastmlp.kernels.core.matrix import rows_of

@entry("y", "dy")
def both(kind, z, y, dy):
    activations.activate(kind, rows_of(z, 0), rows_of(y, 0), *z.shape)
    activations.activation_gradient(kind, rows_of(z, 0), rows_of(dy, 0), *z.shape)

found = hashlib.sha256()
for dtype in (np.float32, np.float64):
    z = 4 * np.random.default_rng(0).standard_normal((30, 37)).astype(dtype)
    for kind in range(len(activations.ACTIVATIONS)):
        y, dy = np.empty_like(z), np.ones_like(z)
        both(kind, z, y, dy)
        found.update(y.tobytes() + dy.tobytes())
print(found.hexdigest())
"""


def test_the_width_of_vectors_changes_no_bit():
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WIDTHS],
            env=os.environ | {"FASTMLP_VECTOR_BYTES": width},
            stdout=subprocess.PIPE,
        )
        for width in ("64", "32", "16")
    ]
    found = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len(set(found)) == 1


@DTYPES
def test_exp_is_within_2_units_of_the_true_value(dtype):
    rng = np.random.default_rng(0)
    lowest = np.log(np.finfo(dtype).tiny)
    halves = (np.arange(0, 120) - 0.5) * -np.log(2)  # where the reduction changes its mind
    near_halves = np.concatenate([halves * (1 + shift * unit(dtype)) for shift in range(-4, 5)])
    x = np.concatenate([rng.uniform(lowest, 0, 200_000), -np.geomspace(1e-30, 80, 50_000), near_halves])
    x = x.astype(dtype)
    x = x[(x <= 0) & (x >= lowest)]
    expected = np.exp(x.astype(np.longdouble))
    allowed = 2 * unit(dtype) + 2 * float(np.finfo(np.longdouble).eps)
    assert np.all(np.abs(exp(x) - expected) <= allowed * expected)


@DTYPES
def test_exp_of_the_edges(dtype):
    lowest = np.log(np.finfo(dtype).tiny.astype(np.float64))
    far = [-np.inf, -np.finfo(dtype).max, -1e5, 1.01 * lowest]
    got = exp(
        np.array(
            [np.nan, 0.0, -0.0, -np.finfo(dtype).smallest_subnormal, *far, 0.999 * lowest, np.nan], dtype
        )
    )
    assert np.isnan(got[[0, -1]]).all()
    assert got[1:4].tolist() == [1, 1, 1]
    assert got[4:8].tolist() == [0, 0, 0, 0]
    assert 0 < got[8] < 2 * np.exp(0.999 * lowest)


@callable_kernel
def _log(x, y):
    for i in range(x.size):
        y[i] = math.log(x[i])


def test_log_is_within_4_units_of_the_true_value():
    rng = np.random.default_rng(0)
    near_one = 1 + rng.uniform(-1e-3, 1e-3, 50_000)
    x = np.concatenate([np.exp(rng.uniform(-700, 700, 200_000)), near_one, 2.0 ** np.arange(-1000, 1000)])
    got = np.full_like(x, np.nan)
    _log(x, got)
    expected = np.log(x.astype(np.longdouble))
    assert np.all(np.abs(got - expected) <= 4 * unit(np.float64) * np.abs(expected))
    assert np.array_equal(over(math.log)(x), got)  # of vectors, to the bit
    _log(np.array([np.nan]), got)
    assert np.isnan(got[0])


def test_a_lane_that_log_takes_not_leaves_the_others_alone():
    x = np.array([2.0, 0.0, 2.0, -1.0, 2.0, np.inf, 2.0, np.nan])
    got = over(math.log)(x)
    assert np.all(got[::2] == got[0]) and np.isnan(got[-1])
