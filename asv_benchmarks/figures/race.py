"""How figures are taken: contestants run in turn, each at its best, and the peak runs among them."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastmlp.kernels.core import machine, peak

PEAK_RUNS = 20  # of the loops that tell the peak, at least
ABOVE_PEAK = 1.03  # a share that no measurement explains: the loops do not reach the peak
# After a matrix product OpenBLAS's workers spin on the processors for some 0.1 s.
BLAS_PAUSE = 0.2


class BenchError(RuntimeError):
    """A result is wrong, or a measurement contradicts itself."""


@dataclass(frozen=True)
class Goal:
    """What a figure must reach, and what it aims at; where the aim is lower, less is better."""

    must: float
    aim: float

    def grade(self, value: float) -> str:
        """Say which of the two a figure reaches."""
        sign = 1 if self.aim > self.must else -1
        for name, goal in (("aim", self.aim), ("must", self.must)):
            if sign * value >= sign * goal:
                return name
        return "missed"


@dataclass(frozen=True)
class Row:
    """One figure, the best of so many rounds."""

    what: str
    threads: int | None  # None: as many as the work wants
    value: float
    unit: str
    rounds: int
    goal: Goal | None = None
    note: str = ""


@dataclass(frozen=True)
class Effort:
    """Each group runs for `least` rounds, and on until the seconds or `most` rounds are up."""

    least: int
    most: int
    seconds: float
    processes: bool  # start programs too


@dataclass(frozen=True)
class Bench:
    """What groups of figures are measured with: numbers of threads, ascending, and the effort."""

    threads: Sequence[int]
    effort: Effort


Contestant = Callable[[], float]


def timed(action: Callable[[], Any], times: int = 1, warm_up: bool = False) -> Contestant:
    """Make a contestant: the seconds of one of so many calls in a row, after one that does not count."""

    def run() -> float:
        if warm_up:
            action()
        start = time.perf_counter()
        for _ in range(times):
            action()
        return (time.perf_counter() - start) / times

    return run


def with_blas(contestant: Contestant) -> Contestant:
    """Have the processors to themselves again after a contestant that uses NumPy's products."""

    def run() -> float:
        seconds = contestant()
        time.sleep(BLAS_PAUSE)
        return seconds

    return run


def on_threads(n: int | None, contestant: Contestant) -> Contestant:
    """Run a contestant on n threads; None: as many as the work wants."""

    def run() -> float:
        with threads(n):
            return contestant()

    return run


@contextlib.contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Use n threads for a while."""
    before = machine.explicit_threads()
    machine.set_num_threads(n)
    try:
        yield
    finally:
        machine.set_num_threads(before)


def race(contestants: Mapping[Any, Contestant], effort: Effort) -> tuple[dict[Any, float], int]:
    """Run all contestants in turn, round by round.

    Returns
    -------
    best : the smallest result of each contestant
    rounds : how many there were
    """
    best = dict.fromkeys(contestants, math.inf)
    end = time.perf_counter() + effort.seconds
    rounds = 0
    while rounds < effort.least or (time.perf_counter() < end and rounds < effort.most):
        for name, contestant in contestants.items():
            best[name] = min(best[name], contestant())
        rounds += 1
    return best, rounds


class Result(NamedTuple):
    """What a contestant took at best, and its part of the peak."""

    seconds: float
    share: float
    rounds: int


def race_with_peak(
    contestants: Mapping[Any, tuple[float, Contestant]], n_threads: int, effort: Effort
) -> dict[Any, Result]:
    """Race contestants, given with their floating-point operations, against the peak of so many threads.

    Raises
    ------
    BenchError
        On one thread a contestant is above the peak, and one is again when all is repeated. With several
        threads a busy machine may explain it, which takes a processor from the loops and not from others.
    """
    with threads(n_threads):
        loops = _peak_loops(effort)
    field = {name: contestant for name, (_, contestant) in contestants.items()}
    everyone = {name: on_threads(n_threads, contestant) for name, contestant in {**loops, **field}.items()}
    for _ in range(2):
        best, rounds = race(everyone, effort)
        peak = 1 / min(best[chains] for chains in loops)
        results = {
            name: Result(best[name], flop / best[name] / peak, rounds)
            for name, (flop, _) in contestants.items()
        }
        fastest = max(results, key=lambda name: results[name].share)
        if results[fastest].share <= ABOVE_PEAK:
            return results
    if n_threads > 1:
        return results
    raise BenchError(
        f"{_name(fastest)} runs at {100 * results[fastest].share:.0f} % of what was measured as peak, twice: "
        "the loops that measure it do not reach it, so no share of it can be trusted"
    )


def best_peak(n_threads: int, effort: Effort) -> tuple[float, int]:
    """Operations a second of so many threads at once, and the rounds of all loops that it took."""
    with threads(n_threads):
        best, rounds = race(_peak_loops(effort), effort)
    return 1 / min(best.values()), rounds


def _peak_loops(effort: Effort) -> dict[Any, Contestant]:
    """Make contestants of the loops that tell the peak, the seconds of an operation; compiled already."""
    runs = math.ceil(PEAK_RUNS / len(peak.CHAINS) / effort.least)
    for chains in peak.CHAINS:
        peak.rate(chains, fmas=chains)

    def loop(chains: int) -> Contestant:
        return lambda: min(1 / peak.rate(chains) for _ in range(runs))

    return {chains: loop(chains) for chains in peak.CHAINS}


def _name(contestant: Any) -> str:
    return contestant if isinstance(contestant, str) else str(contestant[0])
