"""The arena: its pads, what workspaces take, and weights that come in and go out."""

import tracemalloc

import numpy as np
import pytest
from models import X_GOOD, Y_GOOD, bits, make_data, make_model, train_by_steps
from numba.core.runtime import _nrt_python, rtsys

from fastmlp import DataLoader, fit, kernels, train_epoch

# --- memory ----------------------------------------------------------------------------------------------


def test_workspaces_grow_and_keep_the_weights(ops):
    model, twin = make_model(ops), make_model(ops)
    X, y = make_data(model.sizes, 100)
    before = bits(model)
    twin.forward(X, y)
    for n in (1, 3, 100, 2):
        model.forward(X[:n], y[:n])
        assert bits(model) == before
    for n in (100, 1, 50):
        for m in (model, twin):
            m.forward(X[:n], y[:n])
            m.backward()
            m.step(0.1)
    assert bits(model) == bits(twin) != before


@pytest.fixture
def numba_statistics():
    """Numba's counts of allocations, which it takes only when told to."""
    train_epoch(make_model(kernels), X_GOOD, Y_GOOD)  # Numba counts from its first compiled code on
    _nrt_python.memsys_enable_stats()
    yield rtsys.get_allocation_stats
    _nrt_python.memsys_disable_stats()


def unreturned(statistics):
    found = statistics()
    return found.alloc - found.free, found.mi_alloc - found.mi_free


@pytest.mark.parametrize("x_dtype", [np.uint8, np.float32, np.float64])
def test_a_thousand_steps_keep_nothing(numba_statistics, x_dtype):
    model = make_model(kernels, (50, 40, 3), scale=0.01)
    X, y = make_data(model.sizes, 2000)
    X = np.abs(X * 50).astype(x_dtype)
    train_by_steps(model, X, y, 100, 1e-3)  # workspaces, and what Python makes once
    tracemalloc.start()
    try:
        for _ in range(110):  # Python keeps 2,000 used tuples of a length for later ones, and no more
            train_by_steps(model, X, y, 100, 1e-3)
        before, numbas = tracemalloc.get_traced_memory()[0], unreturned(numba_statistics)
        tracemalloc.reset_peak()
        for _ in range(50):
            train_by_steps(model, X, y, 100, 1e-3)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2000  # bytes
    assert peak - before < 14_000  # a workspace of the inputs alone would be 20,000
    assert unreturned(numba_statistics) == numbas


def test_an_epoch_allocates_no_more_for_more_batches(numba_statistics):
    model = make_model(kernels, (50, 40, 3))
    X, y = make_data(model.sizes, 5000)
    loader = DataLoader(X, y, 5)

    def run(n_batches):
        order, losses = np.arange(5 * n_batches), np.zeros(n_batches)
        tracemalloc.start()
        try:
            at_first, start = numba_statistics(), tracemalloc.get_traced_memory()[0]
            model.run_epoch(loader, order, 1e-3, losses)
            at_last, peak = numba_statistics(), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        return np.subtract(at_last, at_first), peak - start

    run(1000)
    few, _ = run(1)
    many, peak = run(1000)
    np.testing.assert_array_equal(many, few)
    assert many[0] == many[1] and many[2] == many[3]  # all returned
    assert peak < 64_000


def without_parameters(model):
    """The block of parameters with 0 in place of each of them: its pads."""
    rest = model._arena.block.copy()
    for pair in model._arena.pairs(rest):
        for array in pair:
            array[...] = 0
    return rest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pads_stay_zero(dtype):
    """Rows of parameters and activations are padded; what lies there would count if it were not zero."""
    model = make_model(kernels, (17, 19, 5, 3), dtype=dtype)
    X, y = make_data(model.sizes, 70)
    fit(model, X, y, epochs=3, batch_size=32, lr=0.1)
    model.forward(X, y)
    model.backward()
    model.step(0.1)
    assert not without_parameters(model).any()
    assert model._arena.block.any() and len(model._arena.block) > model.n_parameters
    for n_in, x, row in model._arena.table[["n_in", "x", "x_row"]].tolist():
        assert not model._arena.memory[x : x + 70 * row].reshape(70, row)[:, n_in:].any()


# --- what an overflow leaves behind ----------------------------------------------------------------------


def train_until_weights_are_bad(dtype):
    """A hidden unit becomes infinite and dies in the next layer: the loss is finite, and a step is taken."""
    model = make_model(kernels, (5, 3, 3, 3), dtype=dtype)
    w1, b1, w2, *others = model.get_weights()
    model.set_weights([np.full_like(w1, np.finfo(dtype).max), b1, np.full_like(w2, -1), *others])
    X, y = np.full((4, 5), 2, dtype), np.arange(4) % 3
    with pytest.raises(FloatingPointError, match="after batch 0: weights are not finite"):
        train_epoch(model, X, y, lr=0.1)
    return model


def spoil_pads(dtype):
    """Every pad that an overflow can reach holds NaN, and the weights do not."""
    model = make_model(kernels, (5, 3, 3, 3), dtype=dtype)
    model._arena.reserve(4)
    kept, memory = model.get_weights(), model._arena.memory
    model._arena.block[...] = np.nan
    for pair, w, b in zip(model._arena.parameters(), kept[::2], kept[1::2], strict=True):
        pair[0][...], pair[1][...] = w, b
    for n_out, y, row in model._arena.table[["n_out", "y", "y_row"]].tolist():
        memory[y : y + 4 * row].reshape(4, row)[:, n_out:] = np.nan
    return model


HEALED_BY = {
    "set_weights": lambda model, weights: model.set_weights(weights),
    "setstate": lambda model, weights: model.__setstate__(
        {
            **model.__getstate__(),
            "state": {**make_model(kernels, (5, 3, 3, 3)).get_state(), "weights": weights},
        }
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spoil", [train_until_weights_are_bad, spoil_pads])
@pytest.mark.parametrize("heal", HEALED_BY.values(), ids=HEALED_BY)
def test_new_weights_heal_a_model_pads_included(dtype, spoil, heal):
    model, fresh = spoil(dtype), make_model(kernels, (5, 3, 3, 3), dtype=dtype)
    assert np.isnan(without_parameters(model)).any()
    heal(model, fresh.get_weights())
    assert not without_parameters(model).any()
    X, y = make_data(model.sizes, 30)
    sums = [train_epoch(m, X, y, lr=0.1, batch_size=4, seed=0) for m in (model, fresh)]
    assert sums[0] == sums[1] and bits(model) == bits(fresh)


# --- weights in and out ----------------------------------------------------------------------------------


def test_weights_are_copied_in_and_out(ops):
    model = make_model(ops)
    before = bits(model)
    for w in model.get_weights():
        w[...] = 7
    assert bits(model) == before
    mine = make_model(ops, seed=9).get_weights()
    model.set_weights(mine)
    expected = b"".join(w.tobytes() for w in mine)
    for w in mine:
        w[...] = 7
    assert bits(model) == expected != before
    assert [w.shape for w in model.get_weights()] == [(6, 5), (5,), (5, 3), (3,)]
    model.set_weights([w.tolist() for w in model.get_weights()])
    assert bits(model) == expected
