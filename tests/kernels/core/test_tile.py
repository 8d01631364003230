"""Vectors and the tile: primitives lane by lane, the exponential, the transpose and products of odd sizes."""

import numpy as np
import pytest
from bounds import assert_margins_untouched, framed, framed_output, fused_chain, unit

from fastmlp.kernels.core import simd, tile
from fastmlp.kernels.core.jit import kernel

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SIDES = pytest.mark.parametrize(
    ("dtype", "side"),
    [(d, simd.VECTOR_BYTES // np.dtype(d).itemsize) for d in (np.float32, np.float64)],
    ids=str,
)


@kernel
def _primitives(a, b, count, out):
    place = [simd.address(a, 0, 0), simd.address(b, 0, 0)]
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
        simd.store(result, simd.address(out, row, 0), lanes)
        row += 1
    simd.store(vb, simd.address(out, row, 0), count)


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


@kernel
def _exp(x, y):
    start, target = simd.address(x, 0, 0), simd.address(y, 0, 0)
    for i in range(0, x.size, simd.lanes(start)):
        simd.store(simd.exp(simd.load(simd.at(start, i), x.size - i)), simd.at(target, i), x.size - i)


def exp(x):
    y = np.full_like(x, np.nan)
    _exp(x, y)
    return y


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


@kernel
def _transpose(source, rows, columns, target):
    start, row = simd.rows_of(source, 0)
    end, end_row = simd.rows_of(target, 0)
    tile.transpose_block(start, row, rows, columns, end, end_row)


@SIDES
def test_transpose_of_a_part_of_a_block_reads_and_writes_nothing_else(dtype, side):
    for rows in range(side + 1):
        for columns in range(0, side + 1, 1 + side // 8):
            source = framed(np.arange(1, rows * columns + 1).reshape(rows, columns), dtype)
            target = framed_output((side, side), dtype)
            _transpose(source, rows, columns, target)
            expected = np.zeros((side, side))
            expected[:columns, :rows] = source.T
            assert np.array_equal(target, expected)
            assert_margins_untouched(target)


def kernel_of(product):
    """Compile c = floor or step of a @ b + start."""

    @kernel
    def call(a, b, start, c, scalar):
        a_now, a_row = simd.rows_of(a, 0)
        b_now, b_k = simd.rows_of(b, 0)
        c_now, c_row = simd.rows_of(c, 0)
        start_now = simd.address(start, 0, 0)
        rows, columns = c.shape
        product(
            a_now, a_row, 1, b_now, b_k, a.shape[1], start_now, 0, 1, c_now, c_row, scalar, rows, columns, ()
        )

    return call


def picking_kernel_of(product, turned):
    """Compile c = floor or step of a[numbers] @ b, or of a[numbers].T @ b; bytes of a stand for values."""

    @kernel
    def call(a, numbers, values, b, start, c, scalar):
        a_now, a_row = simd.rows_of(a, 0)
        b_now, b_k = simd.rows_of(b, 0)
        c_now, c_row = simd.rows_of(c, 0)
        start_now = simd.address(start, 0, 0)
        picks = simd.address(numbers, 0, 0), simd.address(values, 0, 0)
        a_row, a_k = (1, a_row) if turned else (a_row, 1)
        rows, columns = c.shape
        n_k = b.shape[0]
        product(
            a_now, a_row, a_k, b_now, b_k, n_k, start_now, 0, 1, c_now, c_row, scalar, rows, columns, picks
        )

    return call


ODD = [
    (1, 1, 1),
    (2, 3, 5),
    (3, 1, 7),
    (5, 9, 31),
    (7, 2, 32),
    (8, 5, 33),
    (9, 4, 47),
    (15, 3, 48),
    (17, 6, 65),
]


@pytest.fixture(scope="module", params=["floor", "step"])
def made(request):
    """A kernel of products with this end, and what the end makes of a float32 chain."""
    end = request.param

    def expected(chain, scalar, c):
        if end == "floor":
            return np.maximum(chain, scalar)
        return fused_chain(chain.reshape(-1, 1), np.full((1, 1), -scalar), c.reshape(-1, 1)).reshape(c.shape)

    return kernel_of(tile.make_product(end)), expected


@pytest.mark.parametrize("shape", ODD, ids=str)
def test_product_of_odd_sizes(shape, made):
    rows, n_k, columns = shape
    rng = np.random.default_rng(shape)
    a, b, start = (
        framed(rng.standard_normal(s), np.float32) for s in ((rows, n_k), (n_k, columns), (columns,))
    )
    c = framed_output(rng.standard_normal((rows, columns)), np.float32)
    call, end = made
    scalar = np.float32(0.25)
    expected = end(fused_chain(a, b, start), scalar, c)
    call(a, b, start, c, scalar)
    assert np.array_equal(c, expected)
    assert_margins_untouched(c)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 40, 33), (130, 700, 16)], ids=str)
@pytest.mark.parametrize("end", ["floor", "step"])
def test_a_product_reads_picked_rows_and_what_bytes_stand_for(end, shape, dtype):
    rows, n_k, columns = shape  # the last is more than a block of rows
    rng = np.random.default_rng(shape)
    turned = end == "step"
    n_picked, width = (n_k, rows) if turned else (rows, n_k)
    data = rng.integers(0, 256, (n_picked + 20, width)).astype(dtype)
    numbers = rng.permutation(len(data))[:n_picked]
    values = rng.standard_normal(256).astype(np.float32)
    picked = values[data[numbers]] if dtype == np.uint8 else data[numbers]
    a = np.ascontiguousarray(picked.T if turned else picked)
    b, start, c = (
        rng.standard_normal(s).astype(np.float32) for s in ((n_k, columns), (columns,), (rows, columns))
    )
    expected = c.copy()
    product = tile.make_product(end)
    kernel_of(product)(a, b, start, expected, np.float32(0.25))
    picking_kernel_of(product, turned)(data, numbers, values, b, start, c, np.float32(0.25))
    assert np.array_equal(c, expected)


def test_a_floor_keeps_nan():
    a, c = np.array([[np.nan]], np.float32), np.zeros((1, 1), np.float32)
    kernel_of(tile.product)(a, np.ones_like(a), np.zeros(1, np.float32), c, np.float32(0))
    assert np.isnan(c)
