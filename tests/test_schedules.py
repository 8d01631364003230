"""Schedules: their formulas at steps computed by hand, and what they refuse."""

import pickle

import numpy as np
import pytest

from fastmlp import schedules
from fastmlp.schedules import constant, cosine, inverse_scaling, linear, one_cycle


def at(schedule, total, steps=None):
    return schedule(np.arange(total) if steps is None else np.asarray(steps), total)


def test_rates_at_steps_computed_by_hand():
    np.testing.assert_array_equal(at(constant(0.5), 3), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(at(inverse_scaling(0.6, 0.5), 9, [0, 3, 8]), [0.6, 0.3, 0.2])
    np.testing.assert_allclose(at(linear(0.4, 0.0), 5), [0.4, 0.3, 0.2, 0.1, 0.0])
    # W = 2: a third, two thirds, then start
    np.testing.assert_allclose(at(linear(0.3, 0.1, 0.4), 5), [0.1, 0.2, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(at(cosine(1.0, 0.0), 5, [0, 1, 2, 4]), [1, (1 + np.sqrt(0.5)) / 2, 0.5, 0])
    np.testing.assert_allclose(at(cosine(0.3, 0.1, 0.4), 5), [0.1, 0.2, 0.3, 0.2, 0.1])


def test_one_cycle_rises_falls_and_cycles_momentum():
    rates, momenta = at(one_cycle(1.0, 0.4, 0.5, 0.0, "linear", (0.95, 0.85)), 5)
    np.testing.assert_allclose(rates, [0.5, 0.75, 1.0, 0.5, 0.0])
    np.testing.assert_allclose(momenta, [0.95, 0.9, 0.85, 0.9, 0.95])
    rates = at(one_cycle(2.0), 101)
    np.testing.assert_allclose(rates[[0, 15, 30, 100]], [0.08, 1.04, 2.0, 2 / 25e4])
    assert rates.argmax() == 30


@pytest.mark.parametrize(
    "schedule", [linear(0.3, 0.1, 1.0), cosine(0.3, 0.1, 0.5), linear(0.3, 0.3), one_cycle(0.3, 1.0, 1, 1)]
)
def test_a_run_of_one_step(schedule):
    np.testing.assert_allclose(at(schedule, 1), [0.3])


@pytest.mark.parametrize("warmup", [0, 0.29, 1])
def test_the_ends_are_exact(warmup):
    for kind in (linear, cosine):
        rates = at(kind(0.7, 0.1, warmup), 100)
        assert rates.max() == 0.7 and (rates[-1] == 0.1 or warmup == 1)


def test_they_are_values():
    assert repr(linear(0.1, 0)) == "linear(start=0.1, end=0, warmup=0.0)"
    text = "one_cycle(peak=1, warmup=0.3, start=0.04, end=4e-06, shape='cosine', momentum=(0.9, 0.8))"
    schedule = one_cycle(1, momentum=[0.9, 0.8])
    assert repr(schedule) == text and pickle.loads(pickle.dumps(schedule)) == schedule
    assert hash(schedule) == hash(one_cycle(1, momentum=(0.9, 0.8)))
    with pytest.raises(AttributeError):
        schedule.peak = 2
    assert not constant(1).needs_total and not inverse_scaling(1, 1).needs_total and linear(1, 0).needs_total


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: constant(-1), "rate is -1, expected a finite number from 0 up"),
        (lambda: constant("1"), "rate is '1'"),
        (lambda: constant(True), "rate is True"),
        (lambda: linear(np.nan, 0), "start is nan"),
        (lambda: cosine(1, 0, 1.5), "warmup is 1.5, expected a finite number from 0 to 1"),
        (lambda: inverse_scaling(1, np.inf), "power is inf"),
        (lambda: one_cycle(1, shape="square"), "shape is 'square'"),
        (lambda: one_cycle(1, momentum=0.9), "momentum is 0.9, expected None or a pair"),
        (lambda: one_cycle(1, momentum=(0.9, 2)), "momentum is 2"),
        (lambda: schedules.linear(1, 0)(np.arange(3), None), "give total_steps"),
    ],
)
def test_bad_values_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
