"""An epoch of the reference: against finite differences, and against itself step by step."""

import numpy as np
import pytest
from problems import ARCHITECTURES, finite_differences, loss_of, make_problem, relative_error, run


@pytest.mark.parametrize("rows", [False, True], ids=["integers", "rows"])
@pytest.mark.parametrize("sizes", ARCHITECTURES, ids=str)
def test_an_epoch_of_one_batch_steps_along_the_finite_differences(sizes, rows):
    arena, table, x, labels = make_problem(sizes, 5, rows=rows)
    parameters = arena[: table[0]["x"]]
    expected = finite_differences(lambda: loss_of(arena, table, x, labels), parameters)
    before = parameters.copy()
    done, losses = run(arena, table, x, labels, np.arange(5), 5, lr=1.0)
    assert done == 1
    assert losses[0] == pytest.approx(loss_of(np.append(before, arena), table, x, labels), rel=1e-14)
    assert relative_error(before - parameters, expected) < 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x_dtype", [np.uint8, np.float32, np.float64])
def test_an_epoch_is_its_steps_one_by_one(dtype, x_dtype):
    sizes, n, batch_size, lr, scale = (6, 5, 4, 3), 23, 5, 0.05, 1 / 255
    arena, table, _, labels = make_problem(sizes, batch_size, dtype)
    rng = np.random.default_rng(3)
    x = (255 * rng.random((n, 6))).astype(x_dtype)
    labels, order = rng.integers(3, size=n), rng.permutation(n)
    stepped = arena.copy()
    done, losses = run(arena, table, x, labels, order, batch_size, lr, scale)
    expected = []
    for start in range(0, n, batch_size):
        batch = order[start : start + batch_size]
        inputs = stepped, table, x[batch], labels[batch], np.arange(len(batch))
        one_done, loss = run(*inputs, batch_size, lr, scale)
        assert one_done == 1
        expected.append(loss[0])
    assert done == 5
    assert np.array_equal(losses, expected)
    assert np.array_equal(arena, stepped, equal_nan=True)  # what no batch has written is NaN


def test_the_stop_flag_ends_an_epoch_before_its_next_batch():
    arena, table, x, labels = make_problem((3, 2), 4)
    before = arena.copy()
    done, losses = run(arena, table, x, labels, np.arange(4), 2, stop=1)
    assert done == 0 and np.all(np.isnan(losses))
    assert np.array_equal(arena, before, equal_nan=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_batch_that_diverges_takes_no_step(bad):
    arena, table, x, labels = make_problem((3, 4, 2), 6)
    parameters = arena[: table[0]["x"]]
    x[4] = bad
    done, losses = run(arena, table, x, labels, np.arange(6), 2)
    assert done == 2 and np.all(np.isfinite(losses[:2])) and not np.isfinite(losses[2])
    twin = make_problem((3, 4, 2), 6)
    assert run(twin[0], twin[1], twin[2], twin[3], np.arange(4), 2)[0] == 2
    assert np.array_equal(parameters, twin[0][: table[0]["x"]])
