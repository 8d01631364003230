"""Every order in which two or three threads can take the steps of threads.py: none hangs, none passes early.

Each state that can be reached is visited, and from each one the end must be within reach: a deadlock, or a
wake-up that gets lost, is a state from which it is not.
"""

import gc
import inspect
import sys

import numpy as np
import pytest
from orders import Scenario, explore, stepping_source

from fastmlp.kernels.core import threads


class Barriers(Scenario):
    """Threads that meet a few times, one of which may call all off at some moment."""

    def __init__(self, n_threads, rounds, breaks=False):
        self.n_threads, self.rounds, self.breaks = n_threads, rounds, breaks

    def callers(self, world):
        sync, came = np.zeros(32, np.int64), [0] * self.n_threads
        world.seen, barrier = came, world.names["barrier"]

        def work(thread):
            for _ in range(self.rounds):
                came[thread] += 1
                if not (yield from barrier(sync, self.n_threads)):
                    return False
                came[thread] += 1
            return True

        def break_off():
            yield
            sync[threads.ARRIVALS] = threads.BROKEN

        return [work(thread) for thread in range(self.n_threads)] + ([break_off()] if self.breaks else [])

    def always(self, world):
        if not self.breaks:  # nobody is behind a barrier that another has not come to
            assert max(n // 2 for n in world.seen) <= min((n + 1) // 2 for n in world.seen)

    def check(self, world):
        assert not world.running
        if not self.breaks:
            assert {*world.ended.values()} == {True}


class Regions(Scenario):
    """Callers that run regions, on own or on parked threads; Ctrl-C may come, and a thread may fail."""

    def __init__(self, own, n_threads=2, n_calls=1, interrupts=0, fails=None, n_callers=1):
        self.own, self.n_threads, self.n_calls, self.interrupts = own, n_threads, n_calls, interrupts
        self.fails, self.n_callers, self.region = fails, n_callers, "parallel_epoch" if own else "parallel"

    def callers(self, world):
        barrier, seen, region = world.names["barrier"], world.seen, world.names[self.region]

        def work(counts, sync, thread, n_threads):
            if not (yield from barrier(sync, n_threads)):
                return "broken"
            if thread == self.fails:
                raise ValueError
            counts[thread] += 1
            if not (yield from barrier(sync, n_threads)):
                return "broken"
            return "whole"

        work.compile = lambda *args: None

        def call():
            outcome = None
            for _ in range(self.n_calls):
                counts, stop = [0] * self.n_threads, np.zeros(1, np.int64)
                args = (self.n_threads, stop, counts) if self.own else (self.n_threads, counts)
                try:
                    outcome = yield from region(work, *args)
                finally:
                    seen[:] = counts
                after = list(counts)
                yield
                assert counts == after, "somebody works on after the end"
            return outcome

        return [call() for _ in range(self.n_callers)]

    def check(self, world):
        outcomes = {*world.ended.values()} - {None}
        if self.fails is not None and not self.interrupts:
            assert outcomes == {"ValueError"}
        elif not self.interrupts:
            assert outcomes == {"whole"}
        else:
            assert outcomes <= {"whole", "KeyboardInterrupt", "ValueError"}
        assert not world.names["_running"]
        assert all(region.ended for region in world.names["_parked"]._line)


QUICK = {
    "2 threads, 3 barriers": Barriers(2, 3),
    "3 threads, 1 barrier": Barriers(3, 1),
    "2 threads, called off": Barriers(2, 2, breaks=True),
    "parked threads": Regions(False),
}
LONG = {
    "3 threads, 2 barriers": Barriers(3, 2),
    "3 threads, called off": Barriers(3, 1, breaks=True),
    "own threads": Regions(True),
    "own threads, Ctrl-C": Regions(True, interrupts=1),
    "own threads, one fails": Regions(True, fails=1),
    "parked threads, Ctrl-C": Regions(False, interrupts=1),
    "parked threads, one fails": Regions(False, fails=1),
    "parked threads, twice": Regions(False, n_calls=2),
    "parked threads, 2 callers": Regions(False, n_callers=2),
}
SCENARIOS = QUICK | LONG
EACH = [pytest.param(name, marks=pytest.mark.nightly if name in LONG else []) for name in SCENARIOS]


@pytest.fixture(autouse=True)
def _dropped_half_way(monkeypatch):
    """Generators that nobody goes on with cannot be closed: they stop in their `finally`."""
    monkeypatch.setattr(sys, "unraisablehook", lambda error: None)
    yield
    gc.collect()


@pytest.mark.parametrize("name", EACH)
def test_no_order_of_steps_hangs(name):
    n_states = explore(SCENARIOS[name])
    print(name, n_states)
    assert n_states > 100


FAULTS = {  # and the scenario that each shows in
    "a barrier lets go early": ("2 threads, 3 barriers", "(before // n_threads + 1)", "before // n_threads"),
    "a broken barrier holds": ("2 threads, called off", " and before < BROKEN", ""),
    "a thread that ends tells nobody": ("parked threads", "self._bell.put(thread)", "pass"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_found(name):
    scenario, good, bad = FAULTS[name]
    text = inspect.getsource(threads)
    assert text.count(good) == 1
    with pytest.raises(AssertionError, match="no end is within reach|assert"):
        explore(SCENARIOS[scenario], stepping_source(text.replace(good, bad)))
