"""Epochs: in which order samples come, and what goes with a loader."""

import numpy as np
import pytest
from models import bits
from runs import losses_of, make_samples, make_small

from fastmlp import DataLoader, fit, kernels, train_epoch
from fastmlp.data import epoch_order


@pytest.fixture
def data():
    return make_samples()


def by_epochs(model, X, y, epochs, seed):
    return [train_epoch(model, X, y, lr=0.1, batch_size=16, seed=[seed, e]) for e in range(epochs)]


def by_loader(model, X, y, epochs, seed):
    loader = DataLoader(X, y, 16, shuffle=True, seed=seed)
    return [train_epoch(model, loader, lr=0.1) for _ in range(epochs)]


def by_fit(model, X, y, epochs, seed):
    return losses_of(fit(model, X, y, epochs=epochs, lr=0.1, batch_size=16, seed=seed))


def by_fit_on_a_loader(model, X, y, epochs, seed):
    loader = DataLoader(X, y, 16, shuffle=True, seed=seed)
    first = losses_of(fit(model, loader, epochs=1, lr=0.1))
    return first + losses_of(fit(model, loader, epochs=epochs - 1, lr=0.1))


def by_hand(model, X, y, epochs, seed):
    sums = []
    for e in range(epochs):
        order = epoch_order(len(X), [seed, e])
        batch_losses = np.zeros(7)
        model.run_epoch(DataLoader(X, y, 16), order, 0.1, batch_losses)
        sums.append(batch_losses.sum())
    return sums


@pytest.mark.parametrize("run", [by_epochs, by_loader, by_fit_on_a_loader, by_hand])
def test_every_way_of_training_visits_the_same_order(ops, data, run):
    model, twin = make_small(ops), make_small(ops)
    got, expected = run(model, *data, 3, 7), by_fit(twin, *data, 3, 7)
    assert got == expected
    assert bits(model) == bits(twin)
    other = make_small(ops)
    assert run(other, *data, 3, 8) != expected
    assert bits(other) != bits(model)


def test_python_batches_of_a_loader_are_the_epochs(data):
    model, twin = make_small(kernels), make_small(kernels)
    loader = DataLoader(*data, 16, shuffle=True, seed=7)
    sums = []
    for _ in range(3):
        losses = []
        for X, y in loader:
            losses.append(model.forward(X, y))
            model.backward()
            model.step(0.1)
        sums.append(np.sum(losses))
    assert sums == by_fit(twin, *data, 3, 7)
    assert bits(model) == bits(twin)


def test_without_shuffle_samples_come_in_their_order(ops, data):
    models = [make_small(ops) for _ in range(3)]
    got = [
        train_epoch(models[0], *data, lr=0.1, batch_size=16, shuffle=False),
        *losses_of(fit(models[1], *data, epochs=1, lr=0.1, batch_size=16, shuffle=False)),
        *by_hand_in_order(models[2], *data),
    ]
    assert got[0] == got[1] == got[2]
    assert bits(models[0]) == bits(models[1]) == bits(models[2])


def by_hand_in_order(model, X, y):
    losses = np.zeros(7)
    model.run_epoch(DataLoader(X, y, 16), np.arange(len(X)), 0.1, losses)
    return [losses.sum()]


def test_without_a_seed_orders_differ(data):
    runs = [train_epoch(make_small(kernels), *data, lr=0.1, batch_size=16) for _ in range(2)]
    assert runs[0] != runs[1]


def test_the_same_seed_repeats_an_order_where_it_is_an_epochs(data):
    runs = [train_epoch(make_small(kernels), *data, lr=0.1, batch_size=16, seed=5) for _ in range(2)]
    model = make_small(kernels)
    losses = np.zeros(7)
    model.run_epoch(DataLoader(*data, 16), epoch_order(100, 5), 0.1, losses)
    assert runs[0] == runs[1] == losses.sum()


def test_the_defaults_are_the_notebooks(data):
    model, twin = make_small(kernels), make_small(kernels)
    X, y = (np.concatenate([part, part]) for part in data)
    train_epoch(model, X, y, seed=1)
    train_epoch(twin, X, y, lr=0.001, batch_size=128, shuffle=True, seed=1)
    assert bits(model) == bits(twin)
    assert len(fit(twin, X, y)) == 20


def test_drop_last_is_obeyed(ops, data):
    model, twin = make_small(ops), make_small(ops)
    history = fit(model, DataLoader(*data, 16, drop_last=True), epochs=1, lr=0.1)
    loss = train_epoch(twin, data[0][:96], data[1][:96], lr=0.1, batch_size=16, shuffle=False)
    assert history[0].loss == loss and history[0].mean_loss == loss / 6
    assert bits(model) == bits(twin)


@pytest.mark.parametrize("name, value", [("batch_size", 128), ("shuffle", True), ("seed", None), ("y", [0])])
@pytest.mark.parametrize("train", [train_epoch, fit])
def test_what_a_loader_has_cannot_be_given_again(data, train, name, value):
    model = make_small(kernels)
    before = bits(model)
    with pytest.raises(ValueError, match=f"^{name} cannot be given with a DataLoader"):
        train(model, DataLoader(*data), **{name: value})
    assert bits(model) == before


@pytest.mark.parametrize("train", [train_epoch, fit])
def test_labels_are_wanted_beside_arrays(data, train):
    with pytest.raises(ValueError, match="y is missing"):
        train(make_small(kernels), data[0])


def test_a_batch_size_beyond_all_data_is_one_batch(ops, data):
    model, twin = make_small(ops), make_small(ops)
    train_epoch(model, *data, batch_size=2**70, shuffle=False)
    train_epoch(twin, *data, batch_size=len(data[1]), shuffle=False)
    assert bits(model) == bits(twin)
