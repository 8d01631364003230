"""The reference's plan: no gaps, no overlaps; and the views of its layers."""

import itertools

import numpy as np
import pytest
from problems import ARCHITECTURES

from fastmlp import kernels, reference
from fastmlp.reference.memory import LAYER, layers


@pytest.mark.parametrize("sizes", ARCHITECTURES, ids=str)
def test_plan_packs_every_array_once(sizes):
    batch = 3
    table, size = reference.plan(sizes, batch, np.float32)
    assert table.dtype == LAYER and table.shape == (len(sizes) - 1,)
    owners = np.zeros(size, int)
    for n_in, n_out, w, w_row, b, _, x_row, y, y_row, dy, z, *_ in table.tolist():
        assert (w_row, x_row, y_row) == (n_out, n_in, n_out)
        counts = batch * n_out
        for offset, count in (w, n_in * n_out), (b, n_out), (y, counts), (dy, counts), (z, counts):
            owners[offset : offset + count] += 1
    first_x = table[0]["x"]
    owners[first_x : first_x + batch * sizes[0]] += 1
    assert np.all(owners == 1)
    assert table[1:][["x", "x_row"]].tolist() == table[:-1][["y", "y_row"]].tolist()
    assert first_x == sum((n_in + 1) * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False))
    parameters = ["n_in", "n_out", "w", "w_row", "b"]
    assert np.array_equal(table[parameters], reference.plan(sizes, 100, np.float32)[0][parameters])


@pytest.mark.parametrize("ops", [reference, kernels], ids=["own plan", "kernels' plan"])
def test_layers_are_views_that_chain(ops):
    table, size = ops.plan((5, 4, 3, 2), 6, np.float64)
    arena = np.zeros(size)
    views = layers(arena, table, 6)
    for number, layer in enumerate(views):
        for array in layer[:-1]:
            assert np.shares_memory(array, arena)
            array[...] = number + 1
    assert [layer.w.shape for layer in views] == [(5, 4), (4, 3), (3, 2)]
    assert [layer.x.shape for layer in views] == [(6, 5), (6, 4), (6, 3)]
    assert all(np.shares_memory(above.x, layer.y) for layer, above in itertools.pairwise(views))
    assert [int(layer.w[0, 0]) for layer in views] == [1, 2, 3]  # none overwrites another's
