"""The layout of an arena: everything once, on its boundary, parameters first."""

import numpy as np
import pytest
from arenas import FIELDS, views

from fastmlp import kernels, reference
from fastmlp.kernels.core import memory

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
    assert np.array_equal(table[["x", "x_row"]][1:].tolist(), table[["y", "y_row"]][:-1].tolist())
    assert set(table["widest"]) == {max(*table["x_row"], *table["y_row"])}
    assert max(table["dy"]) + batch * table["y_row"][-1] <= table["panels"][0]
    depth = min(memory.PANEL_ROWS, max(sizes[2:], default=0))
    panels = min(-(-batch // memory.SHARE_UNIT), memory.MOST_THREADS) * table["panel_size"][0]
    assert table["panel_size"][0] * np.dtype(dtype).itemsize >= 2 * 64 * depth
    room = memory.GRADIENT_ROWS * memory.GRADIENT_VECTORS * 64 // np.dtype(dtype).itemsize
    assert table["panels"][0] + panels == table["gradients"][0] and set(table["gradients_size"]) == {room}
    for n_in, groups, first, end in zip(
        table["n_in"],
        table["column_groups"],
        table["gradients"],
        [*table["gradients"][1:], size],
        strict=True,
    ):
        rooms = groups + min(-(-n_in // memory.SHARE_UNIT) * groups, memory.MOST_THREADS)
        assert end - first == room * rooms


@CASES
def test_a_centered_plan_has_room_for_biases_of_every_thread_and_nothing_else_moves(sizes, dtype, batch):
    plain, size = kernels.plan(sizes, batch, dtype)
    table, centered_size = kernels.plan(sizes, batch, dtype, centered=True)
    rooms = min(-(-batch // memory.SHARE_UNIT), memory.MOST_THREADS) * table["y_row"][0]
    groups = table["column_groups"][0]
    sums = groups + min(-(-sizes[0] // memory.SHARE_UNIT) * groups, memory.MOST_THREADS)
    assert centered_size - size == rooms + sums * table["y_row"][0]
    assert table["squares"][0] < min(table["losses"])
    assert set(table["shifted"]) == {plain["losses"][0] + _losses(batch, dtype)}
    assert table["y"][0] == table["shifted"][0] + rooms
    assert np.all(table["shifted"] * np.dtype(dtype).itemsize % 64 == 0)
    parameters = ["n_in", "n_out", "w", "w_row", "b", "x"]
    assert np.array_equal(table[parameters[:-1]], plain[parameters[:-1]]) and table["x"][0] == plain["x"][0]


def _losses(batch, dtype):
    return -(-batch * 8 // 64) * 64 // np.dtype(dtype).itemsize


@CASES
def test_rows_start_on_cache_lines_and_never_4_kib_apart(sizes, dtype, batch):
    table, _ = kernels.plan(sizes, batch, dtype)
    n_in, n_out, w, w_ld, b, x, x_ld, y, y_ld, dy = (
        table[name] * np.dtype(dtype).itemsize for name in FIELDS
    )
    for offsets in (w, b, x, y, dy):
        assert np.all(offsets % 64 == 0)
    for width, ld in ((n_out, w_ld), (n_in, x_ld), (n_out, y_ld)):
        assert np.all(ld >= width) and np.all(ld < width + 128)
        assert np.all(ld % 64 == 0) and np.all(ld % 4096 != 0)


@CASES
def test_every_group_of_threads_has_its_own_copy_of_a_batch(sizes, dtype, batch):
    table, _ = kernels.plan(sizes, batch, dtype)
    x, rows, features, samples, stride, groups, squares = (
        table[0][
            [
                "x",
                "row_indices",
                "feature_indices",
                "sample_indices",
                "group_stride",
                "column_groups",
                "squares",
            ]
        ]
    ).item()
    assert x < rows < features < samples < x + stride
    assert x + groups * stride == squares
    assert stride * np.dtype(dtype).itemsize % 64 == 0
    assert table["column_groups"][-1] == 1


@CASES
def test_parameters_come_first_and_do_not_depend_on_the_batch(sizes, dtype, batch):
    table, size = kernels.plan(sizes, batch, dtype)
    assert table.dtype == memory.LAYER and isinstance(size, int)
    end = table[0]["x"]
    assert max(table["w"].max(), table["b"].max()) < end < size
    assert end >= ((table["n_in"] + 1) * table["n_out"]).sum()
    other, _ = kernels.plan(sizes, batch + 5, dtype)
    parameters = ["n_in", "n_out", "w", "w_row", "b"]
    assert np.array_equal(table[parameters], other[parameters]) and end == other[0]["x"]
    twin, _ = reference.plan(sizes, batch, dtype)
    assert twin[["n_in", "n_out"]].tolist() == table[["n_in", "n_out"]].tolist()
