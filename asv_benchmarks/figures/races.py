"""How figures are taken: in a round all that is compared runs once, in turn, the peak among it."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastmlp import bench
from fastmlp.bench import BLAS_PAUSE, BenchError, Race, Timer, Timers

ABOVE_PEAK = 1.03  # a share that no measurement explains: the loops do not reach the peak


class Effort(NamedTuple):
    """A race goes on for so many seconds, and has so many rounds at least."""

    seconds: float
    least: int

    def longer(self) -> "Effort":
        """Effort for the figures that matter most, of slow timers."""
        return self._replace(seconds=5 * self.seconds)


class Plan(NamedTuple):
    """What groups of figures are measured with: numbers of threads, ascending, and the effort."""

    threads: Sequence[int]
    effort: Effort


def race_with_peak(timers: Timers, n_threads: int, effort: Effort) -> Race:
    """Race timers and the loops that tell the peak; once more where one seems to be above it.

    Raises
    ------
    BenchError
        On one thread it is so again. With several a busy machine may explain it, which takes a processor from
        the loops and not from others.
    """
    for _ in range(2):
        ran = bench.race_with_peak(timers, n_threads, *effort)
        above = {name: share for name, share in ran.shares.items() if share > ABOVE_PEAK}
        if not above:
            return ran
    if n_threads > 1:
        return ran
    name = max(above, key=lambda name: above[name])
    raise BenchError(
        f"{name if isinstance(name, str) else name[0]} runs at {100 * above[name]:.0f} % of what was "
        "measured as peak, twice: the loops that measure it do not reach it, so no share of it can be trusted"
    )


def race_for_medians(timers: Mapping[Any, Timer], effort: Effort) -> tuple[dict[Any, float], int]:
    """Run all in turn, once more than counts; give the median of each, and the rounds."""
    runs: dict[Any, list[float]] = {name: [] for name in timers}
    rounds, end = -1, time.perf_counter() + effort.seconds
    while rounds < effort.least or time.perf_counter() < end:
        for name, timer in timers.items():
            runs[name].append(timer())
        rounds += 1
    return {name: statistics.median(seconds[1:]) for name, seconds in runs.items()}, rounds


def with_blas(timer: Timer) -> Timer:
    """Have the processors to themselves again after a timer that uses NumPy's products."""

    def then_wait() -> float:
        seconds = timer()
        time.sleep(BLAS_PAUSE)
        return seconds

    return then_wait
