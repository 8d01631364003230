"""The layout of an arena: everything once, on its boundary, parameters first."""

import numpy as np
import pytest
from arenas import views

from fastmlp import kernels, reference

SIZES = [(1, 1), (784, 10), (784, 128, 10), (5, 70, 1, 17), (3, 1024, 2048, 4), (1025, 511, 512, 513, 10)]
CASES = pytest.mark.parametrize(
    ("sizes", "dtype", "batch"),
    [(s, d, n) for s in SIZES for d in (np.float32, np.float64) for n in (1, 128)],
    ids=str,
)


@CASES
def test_nothing_overlaps(sizes, dtype, batch):
    table, size = kernels.plan(sizes, batch, dtype)
    owners = np.zeros(size, np.int8)
    layers = views(owners, table, batch)
    for layer in layers:
        for array in (layer.w, layer.b, layer.y, layer.dy):
            array += 1
    layers[0].x[:] += 1
    assert owners.max() == 1
    assert np.array_equal(table[1:, 5:7], table[:-1, 7:9])  # a layer's x is the y below


@CASES
def test_rows_start_on_cache_lines_and_never_4_kib_apart(sizes, dtype, batch):
    table, _ = kernels.plan(sizes, batch, dtype)
    n_in, n_out, w, w_ld, b, x, x_ld, y, y_ld, dy = table[:, :10].T * np.dtype(dtype).itemsize
    for offsets in (w, b, x, y, dy):
        assert np.all(offsets % 64 == 0)
    for width, ld in ((n_out, w_ld), (n_in, x_ld), (n_out, y_ld)):
        assert np.all(ld >= width) and np.all(ld < width + 128)
        assert np.all(ld % 64 == 0) and np.all(ld % 4096 != 0)


@CASES
def test_every_team_has_its_own_copy_of_a_batch(sizes, dtype, batch):
    table, size = kernels.plan(sizes, batch, dtype)
    x, teams, copy, losses, numbers, feature_lists, _, sample_lists = table[
        0, [5, 10, 11, 12, 13, 14, 15, 16]
    ]
    assert x < numbers < feature_lists < sample_lists < x + copy
    assert x + teams * copy == losses
    assert copy * np.dtype(dtype).itemsize % 64 == 0
    assert table[-1, 10] == 1 and np.all(table[1:, 11] == 0)


@CASES
def test_parameters_come_first_and_do_not_depend_on_the_batch(sizes, dtype, batch):
    table, size = kernels.plan(sizes, batch, dtype)
    assert table.dtype == np.int64 and isinstance(size, int)
    assert np.all(table[:, [2, 4]] < table[0, 5]) and table[0, 5] < size
    assert table[0, 5] >= sum((n_in + 1) * n_out for n_in, n_out in table[:, :2])
    other, _ = kernels.plan(sizes, batch + 5, dtype)
    assert np.array_equal(table[:, :5], other[:, :5]) and table[0, 5] == other[0, 5]
    assert np.array_equal(table[:, :2], reference.plan(sizes, batch, dtype)[0][:, :2])
