"""Optimizers: values that are checked when they are made, and the rates of an epoch."""

import pickle

import numpy as np
import pytest

from fastmlp import SGD, Adam
from fastmlp.optimizers import rates
from fastmlp.schedules import constant, linear, one_cycle


def test_they_are_values():
    assert SGD(0.1, momentum=0.9) == SGD(lr=0.1, momentum=0.9) != SGD(0.1)
    assert hash(Adam(layer_lr=[1, 2])) == hash(Adam(layer_lr=(1.0, 2.0)))
    assert pickle.loads(pickle.dumps(SGD(linear(1, 0)))) == SGD(linear(1, 0))
    assert repr(SGD()).startswith("SGD(lr=0.01, momentum=0.0, nesterov=False, l2=0.0")
    with pytest.raises(TypeError):
        SGD(0.1, 0.9)
    with pytest.raises(AttributeError):
        Adam().lr = 1


def test_kinds():
    cycle = one_cycle(1, momentum=(0.9, 0.8))
    assert (SGD().kind, SGD(momentum=0.5).kind, SGD(cycle).kind) == ("sgd", "momentum", "momentum")
    assert SGD(momentum=0.5, nesterov=True).kind == SGD(cycle, nesterov=True).kind == "nesterov"
    assert Adam().kind == "adam"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SGD(-1), "lr is -1, expected a finite number from 0 up"),
        (lambda: SGD("fast"), "lr is 'fast'"),
        (lambda: Adam(np.nan), "lr is nan"),
        (lambda: SGD(momentum=1), "momentum is 1, expected a number from 0 to below 1"),
        (lambda: SGD(nesterov=True), "nesterov wants momentum"),
        (lambda: SGD(nesterov=1, momentum=0.5), "nesterov is 1, expected True or False"),
        (lambda: Adam(beta_1=1.0), "beta_1 is 1.0"),
        (lambda: Adam(beta_2=-0.1), "beta_2 is -0.1"),
        (lambda: Adam(epsilon=0), "epsilon is 0, expected a finite number above 0"),
        (lambda: SGD(l2=-1), "l2 is -1"),
        (lambda: SGD(weight_decay=np.inf), "weight_decay is inf"),
        (lambda: SGD(bias_lr=None), "bias_lr is None"),
        (lambda: SGD(layer_lr=0.5), "layer_lr is 0.5, expected None or a factor for each layer"),
        (lambda: SGD(layer_lr=[1, -1]), r"layer_lr\[1\] is -1"),
    ],
)
def test_bad_values_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_rates_of_numbers_schedules_and_functions():
    np.testing.assert_array_equal(rates(SGD(0, momentum=0.5), 0, 2, None, 0), [[0, 0.5]] * 2)
    np.testing.assert_array_equal(rates(SGD(constant(2)), 5, 1, None, 0), [[2, 0]])
    np.testing.assert_allclose(rates(Adam(linear(4, 0)), 2, 3, 5, 1)[:, 0], [2, 1, 0])
    np.testing.assert_array_equal(rates(SGD(lambda epoch: 1 / epoch), 0, 2, 9, 4), [[0.25, 0]] * 2)
    np.testing.assert_array_equal(rates(SGD([3, 2, 1].__getitem__), 0, 1, 9, 2), [[1, 0]])
    by_steps = SGD(lambda steps, total: (steps / total, 1 - steps / total), nesterov=True)
    np.testing.assert_array_equal(rates(by_steps, 1, 2, 4, 0), [[0.25, 0.75], [0.5, 0.5]])
    cycle = one_cycle(1, 0.5, 0.5, 0, "linear", (0.9, 0.8))
    np.testing.assert_allclose(rates(SGD(cycle), 0, 2, 2, 0), [[0.5, 0.9], [1, 0.8]])
    np.testing.assert_array_equal(rates(Adam(cycle), 0, 2, 2, 0)[:, 1], [0, 0])


@pytest.mark.parametrize(
    ("lr", "said"),
    [
        (lambda epoch: -1.0, r"the learning rate of step 3 \(epoch 1\) is -1.0"),
        (lambda epoch: np.nan, "the learning rate of step 3 .* is nan"),
        (lambda epoch: "1", "lr gave rates .*expected .2,. numbers"),
        (lambda epoch: [1, 2], "expected a number"),
        (lambda steps, total: [1.0], r"lr gave rates of shape \(1,\) .*expected \(2,\) numbers"),
        (lambda steps, total: np.array([1, np.inf]), "the learning rate of step 4 .* is inf"),
        (lambda steps, total: (steps, steps), "the momentum of step 3 .* is 3.0, expected .* from 0 to 1"),
        (lambda steps, total: (steps, steps[:1]), "lr gave momenta of shape"),
        (lambda steps, total: (steps,), "a tuple of 1"),
    ],
)
def test_bad_rates_are_refused(lr, said):
    with pytest.raises(ValueError, match=said):
        rates(SGD(lr, momentum=0.5), 3, 2, 6, 1)


def test_what_cannot_be_known_is_refused():
    with pytest.raises(ValueError, match="give total_steps"):
        rates(SGD(linear(1, 0)), 0, 2, None, 0)
    with pytest.raises(ValueError, match="give total_steps"):
        rates(SGD(lambda steps, total: steps), 0, 2, None, 0)
    with pytest.raises(ValueError, match="lr gave momenta"):
        rates(SGD(lambda steps, total: (steps, steps)), 0, 2, 4, 0)
