"""The layout of an arena: everything once, on its boundary, parameters first."""

import numpy as np
import pytest
from arenas import FIELDS, views

from fastmlp import kernels, reference
from fastmlp.kernels.core import memory, tile
from fastmlp.kernels.core.jit import callable_kernel
from fastmlp.kernels.core.matrix import address

SIZES = [
    (1, 1), (784, 10), (784, 128, 10), (5, 70, 1, 17), (3, 1024, 2048, 4), (1025, 511, 512, 513, 10),
    (9, 97, 100, 530, 113),
]  # fmt: skip
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
        for array in (*layer.panels, layer.b, layer.y, layer.dy):
            array += 1
    layers[0].x[:] += 1
    assert owners.max() == 1
    assert np.array_equal(table[["x", "x_row"]][1:].tolist(), table[["y", "y_row"]][:-1].tolist())
    assert set(table["widest"]) == {max(*table["x_row"], *table["y_row"])}
    assert max(table["dy"]) + batch * table["y_row"][-1] <= table["panels"][0]
    depth = min(memory.PANEL_ROWS, max(sizes[2:], default=0))
    panels = min(-(-batch // memory.SHARE_UNIT), memory.MOST_THREADS) * table["panel_size"][0]
    assert table["panel_size"][0] * np.dtype(dtype).itemsize >= tile.WIDE * 64 * depth
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
    n_in, n_out, w, w_row, b, x, x_ld, y, y_ld, dy = (
        table[name] * np.dtype(dtype).itemsize for name in FIELDS
    )
    for offsets in (w, b, x, y, dy, w_row):
        assert np.all(offsets % 64 == 0)
    for width, ld in ((n_in, x_ld), (n_out, y_ld)):
        assert np.all(ld >= width) and np.all(ld < width + 128)
        assert np.all(ld % 64 == 0) and np.all(ld % 4096 != 0)


# by the cache lines of a row of w: how many panels there are, and the lines of a row of each
PANELS = {
    1: (1, 1), 2: (1, 3), 5: (1, 5), 6: (1, 7), 7: (1, 7), 8: (2, 4), 9: (2, 5), 13: (2, 7), 14: (2, 7),
    15: (2, 8), 16: (4, 4), 25: (4, 7), 31: (4, 8), 32: (8, 4), 33: (7, 5), 34: (7, 5), 35: (7, 5),
    36: (8, 5), 63: (8, 8), 64: (16, 4), 65: (13, 5), 128: (32, 4), 129: (26, 5),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_panels_of_weights(dtype):
    unit = 64 // np.dtype(dtype).itemsize
    for lines, expected in PANELS.items():
        for n_out in (unit * (lines - 1) + 1, unit * lines):
            table, _ = kernels.plan((3, n_out, 1), 2, dtype)
            _, n_out, w, w_row, b = table[["n_in", "n_out", "w", "w_row", "b"]][0].tolist()
            assert (-(-n_out // w_row), w_row) == (expected[0], expected[1] * unit), n_out
            assert b - w == 3 * expected[0] * w_row  # one behind the other, and nothing else


@callable_kernel
def _columns(arena, table, group, n_groups):
    return memory.columns_of(address(arena, 0, 0), table[0], group, n_groups)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_groups_have_all_columns_once_in_whole_lines_as_evenly_as_can_be(dtype):
    unit, arena = 64 // np.dtype(dtype).itemsize, np.zeros(1, dtype)
    for n_out in sorted(
        {unit * lines + more for lines in (*range(1, 16), 33, 64, 129) for more in (-1, 0, 1)}
    ):
        table, lines = kernels.plan((1, n_out), 1, dtype)[0], -(-n_out // unit)
        for n_groups in range(1, 9):
            end = 0
            for group in range(n_groups):
                first, columns = _columns(arena, table, group, n_groups)
                assert first == end and first % unit == columns % unit == 0 <= columns
                assert abs(first / unit - lines * group / n_groups) <= 0.5
                end = first + columns
            assert end == lines * unit


def test_the_groups_of_a_layer_have_four_lines_or_more_and_are_nearly_even():
    widths = (112, 128, 129, 192, 193, 256, 257, 320, 528, 2048)  # 7, 8, 9, 12, 13, 16, 17, 20, 33, 128 lines
    table, _ = kernels.plan((1, *widths, 528), 1, np.float32)
    assert table["column_groups"].tolist() == [1, 2, 1, 2, 1, 4, 2, 4, 4, 8, 1]


@CASES
def test_there_is_room_for_the_squares_of_each_share_of_every_panel(sizes, dtype, batch):
    table, _ = kernels.plan(sizes, batch, dtype)
    line, ends = 64 // np.dtype(dtype).itemsize, [*table["squares"][1:], table["losses"][0]]
    for (n_in, n_out, w_row, first), end in zip(
        table[["n_in", "n_out", "w_row", "squares"]].tolist(), ends, strict=True
    ):
        sums = -(-n_in // memory.SHARE_UNIT) * -(-n_out // w_row)  # float64
        assert end - first == -(-sums // 8) * line


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
