"""What the reference does with a batch: its data and its layers."""

import numpy as np
import pytest
from problems import make_problem

from fastmlp.reference.batch import backward, forward, load_batch
from fastmlp.reference.memory import layers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x_dtype", [np.uint8, np.float32, np.float64])
def test_a_batch_is_converted_then_scaled_then_shifted(dtype, x_dtype):
    x = np.array([[0, 3], [255, 7]], x_dtype)
    out = np.empty((2, 2), dtype)
    load_batch(x, dtype(1 / 255), np.empty(0, dtype), out)
    scaled = x.astype(dtype) * dtype(1 / 255)
    assert np.array_equal(out, scaled)
    load_batch(x, dtype(1 / 255), np.array([0.5, -2], dtype), out)
    assert np.array_equal(out, scaled + np.array([0.5, -2], dtype))


def test_layers_run_forward_and_backward():
    arena, table, x, _ = make_problem((3, 4, 2), 5)
    first, last = views = layers(arena, table, 5)
    load_batch(x, 1.0, np.empty(0), first.x)
    nothing_dropped = ((0, 0), 0, 0)
    forward(views, nothing_dropped)
    assert np.array_equal(first.y, np.maximum(x @ first.w + first.b, 0))
    assert np.array_equal(last.y, first.y @ last.w + last.b)
    last.dy[...] = np.arange(10).reshape(5, 2)
    dz = np.where(first.y > 0, last.dy @ last.w.T, 0)
    (dw, db), (dw_last, db_last) = backward(views, nothing_dropped)
    assert np.array_equal(dw_last, first.y.T @ last.dy)
    assert np.array_equal(db_last, last.dy.sum(axis=0))
    assert np.array_equal(dw, x.T @ dz)
    assert np.array_equal(db, dz.sum(axis=0))


def test_what_dropout_takes_moves_nothing():
    arena, table, x, _ = make_problem((3, 40, 2), 5)
    first, last = views = layers(arena, table, 5)
    load_batch(x, 1.0, np.empty(0), first.x)
    drawn = np.array([0.0, 0.5]), 1, 2
    forward(views, drawn)
    gone = first.y == 0
    assert 0.3 < gone.mean() < 0.9 and np.array_equal(first.y[~gone], 2 * first.z[~gone])
    last.dy[...] = 1
    (dw, db), (dw_last, _) = backward(views, drawn)
    assert not dw_last[gone.all(axis=0)].any() and not db[gone.all(axis=0)].any()
    assert np.array_equal(first.dy, np.where(gone, 0, 2 * (last.dy @ last.w.T)))
    assert np.array_equal(dw, x.T @ first.dy)
