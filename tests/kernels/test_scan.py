"""The facts of a data set and the masks of its zeros, for any dtype and layout."""

import numpy as np
import pytest
from bounds import PAD

from fastmlp import kernels, reference, set_num_threads

DTYPES = pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
SHAPES = [(1, 1), (3, 5), (7, 63), (8, 64), (9, 65), (2, 128), (4, 129), (50, 784)]


def draw(shape, dtype):
    """Integers of both signs where the dtype has them, four fifths of them zero."""
    rng = np.random.default_rng(shape)
    values = rng.integers(1, 256, shape) * (rng.random(shape) < 0.2)
    return values.astype(dtype) if dtype == np.uint8 else (values * rng.choice([-1, 1], shape)).astype(dtype)


def layouts(x):
    wide = np.zeros((2 * x.shape[0], 3 * x.shape[1]), x.dtype)
    wide[::2, ::3] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    return [x, np.asfortranarray(x), wide[::2, ::3], read_only, x[::-1, ::-1].copy()[::-1, ::-1]]


@DTYPES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_scan_of_any_layout(shape, dtype):
    for x in layouts(draw(shape, dtype)):
        got = kernels.scan(x)
        assert got == reference.scan(x)
        assert [type(fact) for fact in got] == [bool, float, float]


@DTYPES
def test_scan_of_nothing(dtype):
    for shape in (0, 4), (4, 0), (0, 0):
        assert kernels.scan(np.empty(shape, dtype)) == (True, 0.0, 0.0)


def test_scan_knows_every_byte():
    for value in range(256):
        assert kernels.scan(np.array([[0, value]], np.uint8)) == (True, value, 0.5 * (value > 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scan_of_the_edges_of_floats(dtype):
    info = np.finfo(dtype)
    for value in (info.max, info.tiny, info.smallest_subnormal):
        x = np.array([[0.0, -0.0, -value]], dtype)
        assert kernels.scan(x) == (True, float(value), pytest.approx(1 / 3))
    for bad in (np.nan, -np.nan, np.inf, -np.inf):
        for place in range(21):
            x = np.ones((3, 7), dtype)
            x.flat[place] = bad
            assert kernels.scan(x) == reference.scan(x) == (False, np.inf, 1.0)


@DTYPES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_zero_masks(shape, dtype):
    rows, words = shape[0], -(-shape[1] // 64)
    filler = np.uint64(0xA5A5A5A5A5A5A5A5)
    for x in layouts(draw(shape, dtype)):
        buffer = np.full((rows + 2, words + 2 * PAD), filler)
        got, expected = buffer[1:-1, PAD:-PAD], np.empty((rows, words), np.uint64)
        kernels.zero_masks(x, got)
        reference.zero_masks(x, expected)
        assert np.array_equal(got, expected)
        got[:] = filler
        assert np.all(buffer == filler)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_counts_as_not_zero_and_minus_zero_as_zero(dtype):
    x = np.zeros((1, 70), dtype)
    x[0, [1, 65]] = np.nan
    x[0, [2, 66]] = -0.0
    masks = np.empty((1, 2), np.uint64)
    kernels.zero_masks(x, masks)
    assert masks.tolist() == [[2, 2]]


CODED = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def coded(ops, x):
    """What an operation makes of x: whether there are codes, then masks, codes and values."""
    masks = np.full((len(x), -(-x.shape[1] // 64)), 1, np.uint64)
    codes, values = np.zeros(x.shape, np.uint8), np.zeros(256, x.dtype)
    return ops.byte_codes(x, masks, codes, values), masks, codes, values


@CODED
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_byte_codes_of_any_layout(shape, dtype):
    for x in layouts(draw(shape, dtype) % 128 / dtype(255)):
        made, *arrays = coded(kernels, x)
        expected, *others = coded(reference, x)
        assert made is expected is True
        for array, other in zip(arrays, others, strict=True):
            np.testing.assert_array_equal(array, other, strict=True)
        assert np.array_equal(arrays[2][arrays[1]], x)


@CODED
@pytest.mark.parametrize("n_values", [255, 256, 257, 10_000])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_there_are_codes_of_up_to_256_values(n_values, n_threads, dtype):
    x = np.zeros((9000, 70), dtype)
    places = np.random.default_rng(n_values).permutation(x.size)[:20_000]
    x.flat[places] = np.arange(20_000) % n_values * 0.1 + 1
    set_num_threads(n_threads)
    try:
        made, masks, codes, values = coded(kernels, x)
    finally:
        set_num_threads(None)
    assert made is coded(reference, x)[0] is (n_values < 256)
    np.testing.assert_array_equal(masks, coded(reference, x)[1])
    if made:
        assert np.array_equal(values[codes], x) and np.array_equal(values, coded(reference, x)[3])


@CODED
def test_a_value_may_come_late(dtype):
    x = np.zeros((9000, 64), dtype)
    x[:, 0], x[8999, 63] = np.arange(9000) % 200, -7
    set_num_threads(2)
    try:
        made, masks, codes, values = coded(kernels, x)
    finally:
        set_num_threads(None)
    assert made and values[200] == -7 and codes[8999, 63] == 200 and codes[8999, 0] == 199
    assert np.array_equal(values[codes], x) and masks[8999, 0] == 1 | 1 << 63


@CODED
def test_zeros_with_a_sign_have_no_code(dtype):
    x = np.array([[0.0, 1.0, -0.0]], dtype)
    for ops in kernels, reference:
        made, masks, *_ = coded(ops, x)
        assert made is False and masks.tolist() == [[2]]


@CODED
def test_codes_of_the_edges_of_floats(dtype):
    info = np.finfo(dtype)
    x = np.array([[info.max, info.tiny, info.smallest_subnormal, -info.smallest_subnormal, 0]], dtype)
    for ops in kernels, reference:
        made, masks, codes, values = coded(ops, x)
        assert made is True and masks.tolist() == [[15]] and codes.tolist() == [[1, 2, 3, 4, 0]]
        assert values[:5].tolist() == [0, *x[0, :4]]
