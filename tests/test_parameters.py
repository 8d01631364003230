"""The arena: its pads, what workspaces take, and weights that come in and go out."""

import itertools
import tracemalloc

import numpy as np
import pytest
from models import X_GOOD, Y_GOOD, bits, make_data, make_model, train_by_steps
from numba.core.runtime import _nrt_python, rtsys

from fastmlp import SGD, Adam, DataLoader, fit, kernels, train_epoch

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
    for parts in itertools.chain(*model._arena.pieces(rest)):
        for array in parts:
            array[...] = 0
    return rest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(17, 19, 5, 3), (17, 97, 529, 113, 3)], ids=str)
def test_pads_stay_zero(sizes, dtype):
    """Rows of parameters and activations are padded; what lies there would count if it were not zero."""
    model = make_model(kernels, sizes, dtype=dtype)
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
    model._arena.fill(model._arena.block, kept)
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


# --- weights in panels -----------------------------------------------------------------------------------

IN_PANELS = pytest.mark.parametrize(
    ("sizes", "dtype", "n_panels"),
    [((6, 112, 113, 3), np.float32, [1, 2, 1]), ((6, 241, 529, 113), np.float32, [4, 7, 2])]
    + [((6, 56, 57, 3), np.float64, [1, 2, 1]), ((6, 100, 257, 57), np.float64, [2, 7, 2])],
    ids=str,
)


@IN_PANELS
def test_weights_lie_in_panels_and_are_read_as_they_were_filled_in(sizes, dtype, n_panels):
    arena, rng = make_model(kernels, sizes, dtype=dtype)._arena, np.random.default_rng(0)
    weights = [rng.standard_normal(shape).astype(dtype) for shape in arena.shapes]
    block = np.full_like(arena.block, np.nan)
    arena.fill(block, weights)
    for got, expected in zip(arena.read(block), weights, strict=True):
        assert got.tobytes() == expected.tobytes() and got.shape == expected.shape
        assert got.flags.c_contiguous and got.flags.owndata
    assert [len(panels) for panels, _ in arena.pieces(block)] == n_panels
    for (panels, (b,)), (n_in, n_out, w, w_row) in zip(
        arena.pieces(block), arena.table[["n_in", "n_out", "w", "w_row"]].tolist(), strict=True
    ):
        for place, panel in enumerate(panels):  # where compiled code looks for them
            first = w + place * n_in * w_row
            assert panel.shape == (n_in, min(w_row, n_out - place * w_row))
            assert panel[1].tobytes() == block[first + w_row :][: panel.shape[1]].tobytes()
        assert b.shape == (n_out,)
    numbers = sum(array.size for array in weights)
    assert np.isfinite(block).sum() == numbers  # pads are left alone, and nothing is written twice
    arena.block[...] = np.nan
    arena.write(weights)
    assert np.count_nonzero(arena.block) == numbers and np.isfinite(arena.block).all()


@IN_PANELS
def test_kernels_take_the_panels_of_a_layer_where_they_lie(sizes, dtype, n_panels):
    """And give the bits that they give with a plain matrix."""
    model, x = make_model(kernels, sizes, dtype=dtype), np.random.default_rng(0).random((9, 6)).astype(dtype)
    for layer, w, n in zip(model._arena.layers(1), model.get_weights()[::2], n_panels, strict=True):
        assert layer.w.ndim == (2 if n == 1 else 3) and np.shares_memory(layer.w, model._arena.memory)
        y, dx, dw = np.zeros((2, 9, w.shape[1]), dtype), np.zeros_like(x), np.zeros_like(w)
        in_panels, other, db = np.zeros_like(layer.w), np.zeros_like(x), np.zeros_like(layer.b)
        for weights, target in zip((w, layer.w), y, strict=True):
            kernels.linear_relu_forward(x, weights, layer.b, target)
        kernels.linear_backward(x, w, y[0], dx, dw, db)
        kernels.linear_backward(x, layer.w, y[1], other, in_panels, db)
        joined = in_panels if n == 1 else np.concatenate(list(in_panels), axis=1)[:, : w.shape[1]]
        assert y[0].any() and y[0].tobytes() == y[1].tobytes() and dx.tobytes() == other.tobytes()
        assert dw.any() and dw.tobytes() == joined.tobytes()
        assert np.count_nonzero(in_panels) == np.count_nonzero(dw)  # pads stay 0
        x = y[0]


@IN_PANELS
@pytest.mark.parametrize("optimizer", [SGD(0.01, momentum=0.9), Adam(0.01)], ids=repr)
def test_what_an_optimizer_keeps_lies_likewise(sizes, dtype, n_panels, optimizer):
    """The model trains on to the same bits from a copy of it, and its pads stay 0."""
    model, other = (make_model(kernels, sizes, dtype=dtype) for _ in range(2))
    X, y = make_data(sizes, 200)
    train_epoch(model, X, y, optimizer=optimizer, batch_size=64, ema=0.9)
    other.set_state(model.get_state())
    assert bits(other) == bits(model)
    for m in (model, other):
        train_epoch(m, X, y, optimizer=optimizer, batch_size=64, seed=0, ema=0.9)
        for row in m._kept.rows:
            rest = row.copy()
            for part in itertools.chain.from_iterable(itertools.chain(*m._arena.pieces(rest))):
                part[...] = 0
            assert row.any() and not rest.any()
    states = [m.get_state() for m in (model, other)]
    for one, another in zip(*([*s["weights"], *s["state"][0], *s["average"]] for s in states), strict=True):
        assert one.tobytes() == another.tobytes()
