"""Schedules, at steps computed by hand."""

import re

import numpy as np
import pytest

from fastmlp import SGD, Adam, schedules


def lr_of(schedule, total=5, first=0, n=None, epoch=0):
    return schedules.rates(SGD(schedule), first, n or total, total, epoch)[:, 0]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (schedules.constant(0.3), [0.3] * 5),
        (schedules.linear(1.0, 0.2), [1.0, 0.8, 0.6, 0.4, 0.2]),
        (schedules.linear(1.0, 0.0, warmup=0.5), [0.0, 0.5, 1.0, 0.5, 0.0]),
        (schedules.cosine(1.0, 0.0), [1.0, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4, 0.0]),
        (schedules.inverse_scaling(1.0, 0.5), [1.0, 2**-0.5, 3**-0.5, 0.5, 5**-0.5]),
        (schedules.one_cycle(2.0, 0.5, start=0.5, end=0.25, shape="linear"), [1.0, 1.5, 2.0, 1.25, 0.5]),
        (schedules.one_cycle(1.0, 0.5, start=0, end=0), [0.0, 0.5, 1.0, 0.5, 0.0]),
        (schedules.one_cycle(1.0, 0.75, start=0, end=0), [0.0, 0.25, 0.75, 1.0, 0.0]),
        (0.125, [0.125] * 5),
        (lambda epoch: 0.5 / (epoch + 1), [0.5] * 5),
        (lambda steps, total: steps / total, [0.0, 0.2, 0.4, 0.6, 0.8]),
    ],
)
def test_rates(schedule, expected):
    assert np.allclose(lr_of(schedule), expected, rtol=1e-15, atol=1e-16)
    parts = [lr_of(schedule, first=first, n=n) for first, n in ((0, 2), (2, 3))]
    assert np.array_equal(np.concatenate(parts), lr_of(schedule))


def test_momentum_is_cycled_against_the_rate():
    schedule = schedules.one_cycle(1.0, 0.5, start=0, end=0, momentum=(0.95, 0.85))
    pairs = schedules.rates(SGD(schedule, nesterov=True), 0, 5, 5)
    assert np.allclose(pairs[:, 1], [0.95, 0.9, 0.85, 0.9, 0.95])
    changing = SGD(lambda steps, total: (np.full(len(steps), 0.1), steps * 0.1), momentum=0.5)
    given = schedules.rates(changing, 0, 3, 3)
    assert np.allclose(given, [[0.1, 0.0], [0.1, 0.1], [0.1, 0.2]])


def test_the_optimizers_own_momentum_is_that_of_every_step():
    assert schedules.rates(SGD(0.1, momentum=0.9), 0, 2, None).tolist() == [[0.1, 0.9]] * 2
    assert schedules.rates(Adam(0.1), 0, 1, None).tolist() == [[0.1, 0.0]]


def test_a_function_of_one_argument_is_given_the_epoch():
    assert lr_of(lambda epoch: epoch, epoch=3).tolist() == [3.0] * 5
    assert lr_of(lambda epoch, factor=2: epoch * factor, epoch=3).tolist() == [6.0] * 5


def test_a_schedule_that_needs_the_total_says_so():
    with pytest.raises(ValueError, match="give total_steps"):
        schedules.rates(SGD(schedules.cosine(1.0, 0.0)), 0, 1, None)
    assert schedules.rates(SGD(schedules.inverse_scaling(1.0, 1.0)), 3, 1, None)[0, 0] == 0.25


def test_what_gives_no_rate_a_step_is_refused():
    for lr, text in (
        (
            lambda steps, total: [1, 2],
            "lr gave the rates [1, 2] of shape (2,), expected one for each of 3 steps",
        ),
        (lambda steps, total: 0.1, "lr gave the rates 0.1 of shape (), expected one for each of 3 steps"),
        (lambda steps, total: [[1, 2, 3]], "of shape (1, 3), expected one for each of 3 steps"),
        (lambda steps, total: (steps, 0.9), "the momenta 0.9 of shape (), expected one for each of 3 steps"),
        (lambda steps, total: (1, 2, 3), "lr gave 3 things, expected rates, or two: (rates, momenta)"),
        (lambda epoch: "0.1", "lr gave the rates '0.1', expected a number"),
        (lambda epoch: True, "lr gave the rates True, expected a number"),
        (lambda epoch: "fast", "lr gave the rates 'fast', expected a number, or one for each of 3 steps"),
        (lambda epoch: [0.1], "of shape (1,), expected a number, or one for each of 3 steps"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            schedules.rates(SGD(lr), 0, 3, 3)


def test_numpys_numbers_are_taken():
    cycle = schedules.one_cycle(np.float32(0.5), np.float64(0.25), momentum=(np.float32(0.5), np.int64(0)))
    assert cycle == schedules.one_cycle(0.5, 0.25, momentum=(0.5, 0.0))
    assert repr(cycle) == repr(schedules.one_cycle(0.5, 0.25, momentum=(0.5, 0.0)))
    assert schedules.linear(np.int64(1), np.int8(0)) == schedules.linear(1.0, 0.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.linear(-1.0, 0.0),
        lambda: schedules.linear(1.0, 0.0, warmup=1.0),
        lambda: schedules.cosine(1.0, float("nan")),
        lambda: schedules.one_cycle(1.0, shape="square"),
        lambda: schedules.one_cycle(1.0, momentum=0.9),
        lambda: schedules.one_cycle(1.0, momentum=(0.9, 1.0)),
        lambda: schedules.constant(True),
    ],
)
def test_a_bad_schedule_is_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()


def test_schedules_are_values():
    assert schedules.linear(1.0, 0.0) == schedules.linear(1.0, 0.0) != schedules.linear(1.0, 0.5)
