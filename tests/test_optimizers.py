"""Optimizers as values."""

import copy
import inspect
import pickle

import numpy as np
import pytest

from fastmlp import SGD, Adam, schedules
from fastmlp.optimizers import Optimizer


def test_kinds():
    assert SGD().kind == "sgd" and SGD(0.1, momentum=0.9).kind == "momentum"
    assert SGD(0.1, momentum=0.9, nesterov=True).kind == "nesterov" and Adam().kind == "adam"
    assert SGD(schedules.one_cycle(1.0, momentum=(0.95, 0.85))).kind == "momentum"


def test_they_are_values():
    assert SGD(0.1, momentum=0.9) == SGD(0.1, momentum=0.9) != SGD(0.1)
    assert Adam(layer_lr=[1, 0.5]) == Adam(layer_lr=(1, 0.5))
    with pytest.raises(AttributeError):
        SGD().lr = 1
    assert eval(repr(Adam(0.5, epsilon=1e-6)), {"Adam": Adam}) == Adam(0.5, epsilon=1e-6)
    assert repr(SGD(1)) == (
        "SGD(lr=1, momentum=0.0, nesterov=False, l2=0.0, weight_decay=0.0, bias_lr=1.0, layer_lr=None)"
    )
    for value in (SGD(0.1, momentum=0.5, nesterov=True, layer_lr=[1, 2]), Adam(schedules.cosine(0.1, 0.0))):
        assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
        assert hash(pickle.loads(pickle.dumps(value))) == hash(value)


@pytest.mark.parametrize("kind", Optimizer.__subclasses__())
def test_only_the_rate_goes_by_its_place(kind):
    first, *others = inspect.signature(kind).parameters.values()
    assert first.name == "lr" and first.kind == first.POSITIONAL_OR_KEYWORD
    assert {other.kind for other in others} == {inspect.Parameter.KEYWORD_ONLY}


def test_numpys_numbers_are_taken_as_pythons():
    given = SGD(np.float32(0.5), momentum=np.float64(0.5), l2=np.int64(1), layer_lr=np.float32([1, 0.5]))
    assert given == SGD(0.5, momentum=0.5, l2=1, layer_lr=(1.0, 0.5))
    assert repr(given) == repr(SGD(0.5, momentum=0.5, l2=1, layer_lr=(1.0, 0.5)))
    assert Adam(np.float16(0.5), epsilon=np.float32(0.25)) == Adam(0.5, epsilon=0.25)


@pytest.mark.parametrize(
    ("kind", "wrong", "text"),
    [
        (SGD, {"lr": -1}, "lr is -1, expected a finite number from 0 up"),
        (SGD, {"lr": True}, "lr is True"),
        (SGD, {"lr": float("nan")}, "lr is nan"),
        (SGD, {"momentum": 1.0}, "momentum is 1.0, expected a finite number from 0 up and below 1"),
        (SGD, {"nesterov": True}, "give momentum too"),
        (SGD, {"momentum": 0.9, "nesterov": 1}, "nesterov is 1"),
        (SGD, {"l2": -0.1}, "l2 is -0.1"),
        (SGD, {"layer_lr": 3}, "layer_lr is 3, expected a factor for each layer"),
        (SGD, {"layer_lr": [1, -1]}, r"layer_lr\[1\] is -1"),
        (SGD, {"layer_lr": np.ones((2, 1))}, "expected a factor for each layer"),
        (SGD, {"layer_lr": np.array(1.0)}, "expected a factor for each layer"),
        (SGD, {"layer_lr": np.array([1, np.nan])}, r"layer_lr\[1\] is nan"),
        (
            SGD,
            {"momentum": np.float32(1)},
            "momentum is .*1.0.*, expected a finite number from 0 up and below 1",
        ),
        (SGD, {"l2": np.bool_(True)}, "l2 is .*True"),
        (SGD, {"lr": 10**400}, "expected a finite number from 0 up"),
        (Adam, {"beta_2": 1}, "beta_2 is 1"),
        (Adam, {"epsilon": 0.0}, "epsilon is 0.0, expected a finite number above 0"),
        (Adam, {"weight_decay": "x"}, "weight_decay is 'x'"),
        (Adam, {"bias_lr": float("inf")}, "bias_lr is inf"),
    ],
)
def test_a_number_out_of_range_is_refused(kind, wrong, text):
    with pytest.raises(ValueError, match=text):
        kind(**wrong)
