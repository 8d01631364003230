"""What a model has learnt, and what training keeps beside it, taken out and put back."""

import numpy as np
import pytest
from models import X_GOOD, Y_GOOD, make_model

from fastmlp import MLP, SGD, Adam, DataLoader, kernels, reference, train_epoch
from fastmlp.weights import _OURS

OPS = pytest.mark.parametrize("ops", [kernels, reference])


def trained(ops, **options):
    model = make_model(ops)
    train_epoch(model, X_GOOD, Y_GOOD, batch_size=2, shuffle=False, **options)
    return model


@OPS
def test_a_state_goes_on_in_another_model(ops):
    model, twin = trained(ops, optimizer=Adam(0.1), ema=0.5), make_model(ops)
    state = model.get_state()
    assert state["optimizer"] == "adam" and state["steps"] == 2 and len(state["state"]) == 2
    twin.set_state(state)
    for each in (model, twin):
        train_epoch(each, X_GOOD, Y_GOOD, batch_size=2, shuffle=False, optimizer=Adam(0.1), ema=0.5)
    for got, expected in zip(twin.raw_weights(), model.raw_weights(), strict=True):
        assert got.tobytes() == expected.tobytes()
    for got, expected in zip(twin.get_weights(), model.get_weights(), strict=True):
        assert got.tobytes() == expected.tobytes()


@OPS
def test_what_is_given_out_is_a_copy(ops):
    model = trained(ops, optimizer=SGD(0.1, momentum=0.5), ema=0.5)
    for arrays in (model.get_weights(), model.raw_weights(), *model.get_state()["state"]):
        before = [array.copy() for array in arrays]
        for array in arrays:
            array[...] = np.nan
        state = model.get_state()
        assert all(
            np.isfinite(a).all() for a in [*model.get_weights(), *state["weights"], *state["state"][0]]
        )
        assert len(before) == len(arrays)


@OPS
def test_new_weights_end_an_average_and_keep_the_optimizers_state(ops):
    model = trained(ops, optimizer=SGD(0.1, momentum=0.5), ema=0.5)
    model.set_weights(model.get_weights())
    state = model.get_state()
    assert state["average"] is None and state["optimizer"] == "momentum" and state["steps"] == 2
    model.reset_optimizer()
    assert model.get_state()["optimizer"] is None and model.get_state()["steps"] == 0


def test_every_attribute_is_made_anew_for_a_copy():
    model = MLP([4, 3, 2], center="mean", dropout=0.1, seed=0)
    assert {*vars(model)} == _OURS
    loader = DataLoader(np.eye(4), [0, 1, 1, 0])
    train_epoch(model, loader, lr=0.1)
    model.forward(loader.X, loader.y)
    model.backward()
    model.step(0.1)
    model.predict(loader.X)
    assert {*vars(model)} == _OURS
