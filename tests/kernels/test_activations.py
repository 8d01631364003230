"""Activations and their derivatives: against the reference, at the edges, inside their margins."""

import numpy as np
import pytest
from bounds import (
    assert_margins_untouched,
    assert_within,
    bound_of_slopes,
    bound_of_values,
    framed,
    framed_output,
    magnitude,
    unit,
)

from fastmlp.kernels import activations
from fastmlp.kernels.core import memory
from fastmlp.kernels.core.jit import entry
from fastmlp.kernels.core.matrix import rows_of
from fastmlp.reference import activations as reference

NAMES = activations.ACTIVATIONS
FROM_Z = reference.KEEP_Z
EACH = pytest.mark.parametrize("name", NAMES)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SHAPES = [(1, 1), (2, 3), (1, 7), (7, 13), (3, 8), (8, 16), (5, 17), (9, 33), (128, 130)]


@entry("y")
def _activate(kind, z, y):
    activations.activate(kind, rows_of(z, 0), rows_of(y, 0), *z.shape)


@entry("dy")
def _gradient(kind, saved, dy):
    activations.activation_gradient(kind, rows_of(saved, 0), rows_of(dy, 0), *dy.shape)


def activate(name, z, y):
    _activate(NAMES.index(name), z, y)


def gradient(name, saved, dy):
    _gradient(NAMES.index(name), saved, dy)


def units(dtype):
    """Of the kernel and of its reference."""
    return unit(dtype) + unit(np.float64)


def draw(*shape, dtype, seed=0):
    return 3 * np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def edges(dtype):
    far = [50, 90, 800, 1e4, np.finfo(dtype).max, np.inf]
    small = [0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny, 1e-5, 0.5]
    return np.array([[*far, *small, *(-x for x in far), *(-x for x in small), np.nan]], dtype)


@EACH
@DTYPES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values(shape, dtype, name):
    z = framed(draw(*shape, dtype=dtype))
    kept, got = z.copy(), framed_output(shape, dtype)
    activate(name, z, got)
    expected = reference.activation(name, z.astype(np.float64))
    assert_within(got, expected, bound_of_values(name, z, expected, dtype))
    assert_margins_untouched(got)
    assert np.array_equal(z, kept)
    in_place = framed_output(z, dtype)
    activate(name, in_place, in_place)
    assert np.array_equal(in_place, got)
    assert_margins_untouched(in_place)


@EACH
@DTYPES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients(shape, dtype, name):
    z = draw(*shape, dtype=dtype)
    saved = framed(z if name in FROM_Z else reference.activation(name, z).astype(dtype))
    dy = draw(*shape, dtype=dtype, seed=1)
    kept, got = saved.copy(), framed_output(dy, dtype)
    gradient(name, saved, got)
    expected = reference.activation_gradient(name, saved.astype(np.float64), dy.astype(np.float64))
    assert_within(got, expected, bound_of_slopes(name, saved, dtype) * magnitude(dy))
    assert_margins_untouched(got)
    assert np.array_equal(saved, kept)


@EACH
@DTYPES
@np.errstate(over="ignore", invalid="ignore")  # of what is infinite
def test_edges(dtype, name):
    z = edges(dtype)
    got, dz = np.empty_like(z), np.ones_like(z)
    activate(name, z, got)
    expected = reference.activation(name, z.astype(np.float64))
    real = np.isfinite(expected) & (np.abs(expected) <= np.finfo(dtype).max)
    assert_within(got[real], expected[real], bound_of_values(name, z, expected, dtype)[real])
    assert np.array_equal(got[~real], expected[~real].astype(dtype), equal_nan=True)
    saved = z if name in FROM_Z else got
    gradient(name, saved, dz)
    wide = saved.astype(np.float64)
    expected = reference.activation_gradient(name, wide, np.ones_like(wide))
    real = np.isfinite(wide)
    bound = np.broadcast_to(bound_of_slopes(name, saved, dtype), z.shape)
    assert_within(dz[real], expected[real], bound[real])
    if name not in ("identity", "relu", "leaky_relu"):
        assert np.isnan(dz[0, -1])


@pytest.mark.parametrize("name", FROM_Z)
@DTYPES
def test_far_from_0_values_and_slopes_are_their_limits(dtype, name):
    z = np.array([[1e4, np.finfo(dtype).max, np.inf], [-1e4, -np.finfo(dtype).max, -np.inf]], dtype)
    y, dz = np.empty_like(z), np.ones_like(z)
    activate(name, z, y)
    gradient(name, z, dz)
    assert y.tolist() == [z[0].tolist(), [0, 0, 0]]
    assert dz.tolist() == [[1, 1, 1], [0, 0, 0]]


@DTYPES
def test_selu_does_not_cancel_near_0(dtype):
    z = -np.geomspace(np.finfo(dtype).tiny * 4, 1, 10_000)[None].astype(dtype)
    got = np.empty_like(z)
    activate("selu", z, got)
    expected = reference.activation("selu", z.astype(np.float64))
    assert_within(got, expected, 6 * units(dtype) * magnitude(expected))


@DTYPES
def test_relu_passes_nothing_where_its_output_is_zero(dtype):
    info = np.finfo(dtype)
    y = np.array([[0.0, -0.0, -1.0, info.smallest_subnormal, info.tiny, 1.0, np.nan, np.inf]], dtype)
    dy = np.ones_like(y)
    gradient("relu", y, dy)
    assert dy.tolist() == [[0, 0, 0, 0, 1, 1, 0, 1]]
    dy[...] = np.nan
    gradient("relu", y, dy)
    assert np.isnan(dy).tolist() == [[False, False, False, False, True, True, False, True]]


def test_identity_leaves_gradients_alone():
    dy = np.array([[1.0, -0.0, np.nan]])
    gradient("identity", np.full((1, 3), np.nan), dy)
    assert np.array_equal(dy, [[1, 0, np.nan]], equal_nan=True) and np.signbit(dy[0, 1])


def test_the_twins_have_the_same_activations():
    assert (reference.ACTIVATIONS, reference.KEEP_Z) == (memory.ACTIVATIONS, memory.KEEP_Z)
    assert [getattr(activations, name.upper()) for name in NAMES[1:]] == [*range(1, len(NAMES))]
