"""The tile: the transpose, and products of odd sizes to the last bit."""

import numpy as np
import pytest
from bounds import assert_margins_untouched, framed, framed_output, fused_chain
from products import gathering_kernel_of, kernel_of

from fastmlp.kernels.core import matrix, simd, tile
from fastmlp.kernels.core.jit import callable_kernel

SIDES = pytest.mark.parametrize(
    ("dtype", "side"),
    [(d, simd.VECTOR_BYTES // np.dtype(d).itemsize) for d in (np.float32, np.float64)],
    ids=str,
)


@callable_kernel
def _transpose(source, rows, columns, target):
    tile.transpose_block(matrix.rows_of(source, 0), rows, columns, matrix.rows_of(target, 0))


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
    (11, 3, 129),
]


@pytest.fixture(scope="module", params=["clamp", "step"])
def made(request):
    """A kernel of products with this epilogue, and what that makes of a float32 chain."""
    epilogue = request.param

    def expected(chain, scalar, c):
        if epilogue == "clamp":
            return np.maximum(chain, scalar)
        return fused_chain(chain.reshape(-1, 1), np.full((1, 1), -scalar), c.reshape(-1, 1)).reshape(c.shape)

    return kernel_of(tile.make_product(epilogue)), expected


@pytest.mark.parametrize("shape", ODD, ids=str)
def test_product_of_odd_sizes(shape, made):
    rows, n_k, columns = shape
    rng = np.random.default_rng(shape)
    a, b, start = (
        framed(rng.standard_normal(s), np.float32) for s in ((rows, n_k), (n_k, columns), (columns,))
    )
    c = framed_output(rng.standard_normal((rows, columns)), np.float32)
    call, epilogue = made
    scalar = np.float32(0.25)
    expected = epilogue(fused_chain(a, b, start), scalar, c)
    call(a, b, start, c, scalar)
    assert np.array_equal(c, expected)
    assert_margins_untouched(c)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 40, 33), (130, 700, 80)], ids=str)
@pytest.mark.parametrize("epilogue", ["clamp", "step"])
def test_a_product_reads_gathered_rows_and_what_bytes_stand_for(epilogue, shape, dtype):
    rows, n_k, columns = shape  # the last is wider than a tile
    rng = np.random.default_rng(shape)
    transposed = epilogue == "step"
    n_picked, width = (n_k, rows) if transposed else (rows, n_k)
    data = rng.integers(0, 256, (n_picked + 20, width)).astype(dtype)
    indices = rng.permutation(len(data))[:n_picked]
    values = rng.standard_normal(256).astype(np.float32)
    picked = values[data[indices]] if dtype == np.uint8 else data[indices]
    a = np.ascontiguousarray(picked.T if transposed else picked)
    b, start, c = (
        rng.standard_normal(s).astype(np.float32) for s in ((n_k, columns), (columns,), (rows, columns))
    )
    expected = c.copy()
    product = tile.make_product(epilogue)
    kernel_of(product)(a, b, start, expected, np.float32(0.25))
    gathering_kernel_of(product, transposed)(data, indices, values, b, start, c, np.float32(0.25))
    assert np.array_equal(c, expected)


def test_a_clamp_keeps_nan():
    a, c = np.array([[np.nan]], np.float32), np.zeros((1, 1), np.float32)
    kernel_of(tile.product)(a, np.ones_like(a), np.zeros(1, np.float32), c, np.float32(0))
    assert np.isnan(c)
