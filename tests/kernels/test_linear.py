"""Linear layers, with and without ReLU: against the float64 reference, and as chains to the last bit."""

import numpy as np
import pytest
from bounds import assert_margins_untouched, assert_within, framed, framed_output, fused_chain, gamma, product

from fastmlp import kernels, reference

# batch, n_in, n_out: ones, primes, a tile's rows and lanes, and a vector's, plus and minus one, the
# notebook's, and inner dimensions on both sides of the blocks of 1024 (forward), 512 (gradient of the
# input) and 256 (gradient of the weights)
SHAPES = [
    (1, 1, 1), (1, 2, 1), (2, 3, 5), (3, 5, 3), (7, 11, 13), (31, 37, 41),
    (7, 15, 31), (8, 16, 32), (9, 17, 33), (15, 7, 7), (16, 8, 8), (17, 9, 9), (65, 31, 63),
    (5, 63, 127), (6, 64, 64), (7, 65, 65),
    (128, 784, 10), (128, 784, 128),
    (5, 1023, 17), (9, 1024, 16), (6, 1025, 9), (3, 2500, 4),
    (5, 7, 511), (17, 8, 512), (5, 9, 513), (33, 17, 1100), (2, 1030, 1025),
    (255, 17, 9), (256, 9, 33), (257, 8, 17), (600, 21, 10),
]  # fmt: skip
CHAINS = [(1, 1, 1), (9, 17, 33), (13, 40, 7), (3, 1029, 21), (35, 9, 517), (515, 9, 10)]
RELU = pytest.mark.parametrize("relu", [False, True], ids=["linear", "linear_relu"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draw(*shape, dtype, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def forward(ops, relu):
    return ops.linear_relu_forward if relu else ops.linear_forward


def backward(ops, relu, x, w, y, dy, dx, dw, db):
    if relu:
        ops.linear_relu_backward(x, w, y, dy, dx, dw, db)
    else:
        ops.linear_backward(x, w, dy, dx, dw, db)


def doubled(*arrays):
    return [a.astype(np.float64) for a in arrays]


@RELU
@DTYPES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward(shape, dtype, relu):
    batch, n_in, n_out = shape
    x, w, b = (framed(draw(*s, dtype=dtype)) for s in ((batch, n_in), (n_in, n_out), (n_out,)))
    kept = [a.copy() for a in (x, w, b)]
    got, expected = framed_output((batch, n_out), dtype), np.empty((batch, n_out))
    forward(kernels, relu)(x, w, b, got)
    forward(reference, relu)(*doubled(x, w, b), expected)
    assert_within(got, expected, product(x, w, b))
    assert_margins_untouched(got)
    assert all(np.array_equal(a, k) for a, k in zip((x, w, b), kept, strict=True))


@RELU
@DTYPES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backward(shape, dtype, relu):
    batch, n_in, n_out = shape
    x, w, y = (framed(draw(*s, dtype=dtype)) for s in ((batch, n_in), (n_in, n_out), (batch, n_out)))
    dy = framed_output(draw(batch, n_out, dtype=dtype, seed=1), dtype)
    kept = [a.copy() for a in (x, w, y)]
    expected = [np.empty(s) for s in (x.shape, w.shape, (n_out,))]
    expected_dz = dy.astype(np.float64)
    backward(reference, relu, *doubled(x, w, y), expected_dz, *expected)
    outputs = [framed_output(e.shape, dtype) for e in expected]
    backward(kernels, relu, x, w, y, dy, *outputs)
    assert np.array_equal(dy, expected_dz)  # dz on return with ReLU, unchanged without
    sums = product(dy, w.T), product(x.T, dy), product(np.ones((1, batch), dtype), dy)[0]
    for got, e, bound in zip(outputs, expected, sums, strict=True):
        assert_within(got, e, bound)
    assert_margins_untouched(dy, *outputs)
    assert all(np.array_equal(a, k) for a, k in zip((x, w, y), kept, strict=True))


@pytest.mark.parametrize("shape", CHAINS, ids=str)
def test_every_output_is_one_chain_of_fused_multiply_adds(shape):
    batch, n_in, n_out = shape
    x, w, b, dy = (
        draw(*s, dtype=np.float32) for s in ((batch, n_in), (n_in, n_out), (n_out,), (batch, n_out))
    )
    y, dx, dw, db = (np.empty_like(a) for a in (dy, x, w, b))
    kernels.linear_forward(x, w, b, y)
    assert np.array_equal(y, fused_chain(x, w, b))
    kernels.linear_backward(x, w, dy, dx, dw, db)
    assert np.array_equal(dx, fused_chain(dy, w.T, 0))
    assert np.array_equal(dw, fused_chain(x.T, dy, 0))
    assert np.array_equal(db, fused_chain(np.ones((1, batch)), dy, 0)[0])


@DTYPES
def test_relu_passes_nothing_where_its_output_is_zero(dtype):
    y = np.array([[0.0, -0.0, -1.0, np.finfo(dtype).tiny, 1.0, np.nan, np.inf]], dtype)
    dz = np.ones_like(y)
    x, w, db = np.ones((1, 1), dtype), np.ones((1, 7), dtype), np.empty(7, dtype)
    kernels.linear_relu_backward(x, w, y, dz, None, np.empty_like(w), db)
    assert dz.tolist() == [[0, 0, 0, 1, 1, 0, 1]]
    assert db.tolist() == dz[0].tolist()


@RELU
@DTYPES
def test_nan_stays_nan(dtype, relu):
    x, w, b = draw(9, 5, dtype=dtype), draw(5, 35, dtype=dtype), draw(35, dtype=dtype)
    x[7, 2] = w[3, 20] = b[33] = np.nan
    y = np.zeros((9, 35), dtype)
    forward(kernels, relu)(x, w, b, y)
    expected = np.zeros(y.shape, bool)
    expected[7] = expected[:, [20, 33]] = True
    assert np.array_equal(np.isnan(y), expected)


@RELU
@DTYPES
def test_without_dx_the_other_gradients_are_the_same(dtype, relu):
    x, w, dy = draw(9, 17, dtype=dtype), draw(17, 33, dtype=dtype), draw(9, 33, dtype=dtype)
    y = draw(9, 33, dtype=dtype, seed=1)
    dx, dw, db = np.empty_like(x), np.empty_like(w), np.empty(33, dtype)
    backward(kernels, relu, x, w, y, dy.copy(), dx, dw, db)
    other_dw, other_db = np.empty_like(dw), np.empty_like(db)
    backward(kernels, relu, x, w, y, dy.copy(), None, other_dw, other_db)
    assert np.array_equal(dw, other_dw) and np.array_equal(db, other_db)


@pytest.mark.parametrize("with_dx", [True, False])
def test_inputs_may_be_read_only(with_dx):
    x, w, b, dy = (draw(*s, dtype=np.float32) for s in ((3, 2), (2, 5), (5,), (3, 5)))
    dx, dw, db = np.empty_like(x) if with_dx else None, np.empty_like(w), np.empty_like(b)
    for array in (x, w, b, dy):
        array.flags.writeable = False
    kernels.linear_relu_forward(x, w, b, np.empty_like(dy))
    kernels.linear_relu_backward(x, w, dy, dy.copy(), dx, dw, db)
    kernels.linear_backward(x, w, dy, dx, dw, db)
    assert np.array_equal(dw, fused_chain(x.T, dy, 0))


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (8, 16), (9, 17), (31, 33), (784, 128)], ids=str)
def test_add_outer_rounds_once(shape):
    dw = framed_output(draw(*shape, dtype=np.float32), np.float32)
    shift, db = draw(shape[0], dtype=np.float32), draw(shape[1], dtype=np.float32)
    kept = shift.copy(), db.copy()
    expected = fused_chain(shift[:, None], db[None], dw)
    kernels.add_outer(dw, shift, db)
    assert np.array_equal(dw, expected)
    assert_margins_untouched(dw)
    assert np.array_equal(shift, kept[0]) and np.array_equal(db, kept[1])


def test_add_outer_in_float64():
    dw, shift, db = draw(9, 17, dtype=np.float64), draw(9, dtype=np.float64), draw(17, dtype=np.float64)
    got, expected = dw.copy(), dw.copy()
    kernels.add_outer(got, shift, db)
    reference.add_outer(expected, shift, db)
    assert_within(got, expected, gamma(2, np.float64) * (np.abs(dw) + np.abs(np.outer(shift, db))))
