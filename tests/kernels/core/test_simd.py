"""Vectors: primitives lane by lane."""

import numpy as np
import pytest
from bounds import assert_margins_untouched, framed, framed_output, unit

from fastmlp.kernels.core import matrix, simd
from fastmlp.kernels.core.jit import callable_kernel

SIDES = pytest.mark.parametrize(
    ("dtype", "side"),
    [(d, simd.VECTOR_BYTES // np.dtype(d).itemsize) for d in (np.float32, np.float64)],
    ids=str,
)


@callable_kernel
def _primitives(a, b, count, out):
    place = matrix.address(a, 0, 0), matrix.address(b, 0, 0)
    va, vb = simd.load(place[0], count), simd.load(place[1], count)
    lanes = simd.lanes(place[0])
    results = (
        va,
        simd.sub(va, vb),
        simd.div(va, vb),
        simd.larger(va, vb),
        simd.where_positive(va, vb),
        simd.fma(va, vb, vb),
        simd.splat(b[0]),
        simd.keep_first(simd.splat(b[0]), count, a[0]),
        simd.splat(simd.largest_lane(va)),
    )
    row = 0
    for result in results:
        simd.store(result, matrix.address(out, row, 0), lanes)
        row += 1
    simd.store(vb, matrix.address(out, row, 0), count)


@SIDES
def test_primitives(dtype, side):
    rng = np.random.default_rng(0)
    for count in (-1, 0, 1, side - 1, side, side + 1, 100 * side):
        a, b, out = (
            framed(rng.standard_normal(side), dtype),
            framed(rng.standard_normal(side), dtype),
            framed_output((10, side), dtype),
        )
        _primitives(a, b, count, out)
        there = np.arange(side) < count
        va, vb = np.where(there, a, 0), np.where(there, b, 0)
        with np.errstate(invalid="ignore"):
            exact = [va, va - vb, va / vb, np.maximum(va, vb), np.where(va > 0, vb, 0)]
        for got, expected in zip(out, exact, strict=False):
            assert np.array_equal(got, expected, equal_nan=True)
        # the product is exact in long double or nearly so, and the sum is rounded once more
        fused = va.astype(np.longdouble) * vb + vb
        assert np.all(np.abs(out[5] - fused) <= (1 + 1e-3) * unit(dtype) * np.abs(fused))
        assert np.all(out[6] == b[0])
        assert np.array_equal(out[7], np.where(there, b[0], a[0]))
        assert np.all(out[8] == va.max())
        assert np.array_equal(out[9], np.where(there, b, np.nan), equal_nan=True)
        assert_margins_untouched(out)


@callable_kernel
def _eights(a, b, count, out, others):
    va, vb = simd.load_eight(matrix.address(a, 0, 0), count), simd.load_eight(matrix.address(b, 0, 0), count)
    target = matrix.address(out, 0, 0)
    simd.store(simd.at_least(va, vb), target, 8)
    simd.store(simd.keep_first(simd.eight(b[0]), count, a[0]), matrix.offset(target, 8), 8)
    simd.store(simd.eight(simd.sum_of_lanes(va)), matrix.offset(target, 16), 8)
    simd.store(simd.rounded(va, others[0]), matrix.address(others, 0, 0), 8)


@pytest.mark.parametrize("other", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_eight_lanes_whatever_the_vectors_width(dtype, other):
    rng = np.random.default_rng(1)
    for count in (-1, 0, 1, 5, 7, 8, 9, 800):
        a, b = (framed(rng.standard_normal(8), dtype) for _ in range(2))
        out, others = framed_output(24, dtype), framed_output(8, other)
        b[3] = a[3]
        _eights(a, b, count, out, others)
        there = np.arange(8) < count
        va, vb = np.where(there, a, 0), np.where(there, b, 0)
        assert np.array_equal(out[:8], np.where(va >= vb, va, 0))
        assert np.array_equal(out[8:16], np.where(there, b[0], a[0]))
        halves = va[:4] + va[4:]
        assert np.all(out[16:] == (halves[0] + halves[2]) + (halves[1] + halves[3]))
        assert np.array_equal(others, va.astype(other))
        assert_margins_untouched(out, others)


@SIDES
def test_comparisons_of_nan_and_zero(dtype, side):
    a, b, out = np.ones(side, dtype), np.full(side, 2, dtype), np.empty((10, side), dtype)
    for first, second, larger, chosen in (
        (np.nan, 2, np.nan, 0), (1, np.nan, 1, np.nan), (0.0, 2, 2, 0), (-0.0, -0.0, -0.0, 0),
        (np.inf, 2, np.inf, 2),
    ):  # fmt: skip
        a[1], b[1] = first, second
        _primitives(a, b, side, out)
        assert out[[3, 4], 1].tolist() == pytest.approx([larger, chosen], nan_ok=True)
