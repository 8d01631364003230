"""Learning rates that change from step to step, as values: compared, printed and pickled like numbers.

A schedule is called with the numbers of steps, from 0, and with the number of all steps of the run, T.
"""

import math
import numbers
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Rates = NDArray[np.float64]


def check_number(name: str, value: Any, low: float = 0.0, high: float = math.inf) -> None:
    """Refuse what is not a finite number from low to high."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    if not number or not math.isfinite(value) or not low <= value <= high:
        limits = f"from {low:g} up" if high == math.inf else f"from {low:g} to {high:g}"
        raise ValueError(f"{name} is {value!r}, expected a finite number {limits}")


class Schedule(ABC):
    """A learning rate for each step; `needs_total` where it depends on T."""

    needs_total = True
    cycles_momentum = False

    @abstractmethod
    def __call__(self, steps: NDArray[np.int64], total: int | None) -> Rates | tuple[Rates, Rates]:
        """Give the rates of steps, or their rates and momenta."""


@dataclass(frozen=True)
class constant(Schedule):
    """The same rate at each step: rate."""

    rate: float
    needs_total = False

    def __post_init__(self) -> None:
        check_number("rate", self.rate)

    def __call__(self, steps: NDArray[np.int64], total: int | None) -> Rates:
        """Give the rates of steps."""
        return np.full(len(steps), float(self.rate))


@dataclass(frozen=True)
class inverse_scaling(Schedule):
    """The rate of step s is start / (s + 1)**power."""

    start: float
    power: float
    needs_total = False

    def __post_init__(self) -> None:
        check_number("start", self.start)
        check_number("power", self.power)

    def __call__(self, steps: NDArray[np.int64], total: int | None) -> Rates:
        """Give the rates of steps."""
        return self.start / (steps + 1.0) ** self.power


@dataclass(frozen=True)
class linear(Schedule):
    """From start to end in a straight line, after a rise to start.

    With W = round(warmup T), at most T - 1, the rate of step s is start (s + 1) / (W + 1) for s < W, and
    start + (end - start) p after that, where p = (s - W) / (T - 1 - W): start at step W, end at the last.
    """

    start: float
    end: float
    warmup: float = 0.0

    def __post_init__(self) -> None:
        check_number("start", self.start)
        check_number("end", self.end)
        check_number("warmup", self.warmup, 0, 1)

    def __call__(self, steps: NDArray[np.int64], total: int | None) -> Rates:
        """Give the rates of steps."""
        return _after_warmup(self, steps, total, "linear")


@dataclass(frozen=True)
class cosine(Schedule):
    """From start to end along half a cosine, after a rise to start.

    The rise and p are those of `linear`; after it the rate is start + (end - start) (1 - cos(pi p)) / 2.
    """

    start: float
    end: float
    warmup: float = 0.0

    def __post_init__(self) -> None:
        check_number("start", self.start)
        check_number("end", self.end)
        check_number("warmup", self.warmup, 0, 1)

    def __call__(self, steps: NDArray[np.int64], total: int | None) -> Rates:
        """Give the rates of steps."""
        return _after_warmup(self, steps, total, "cosine")


@dataclass(frozen=True)
class one_cycle(Schedule):
    """Up to peak and down again, and momentum, where a pair (high, low) is given, against it.

    Smith and Topin, Super-Convergence, 2018. With W = round(warmup T), at most T - 1, the rate goes from
    start peak at step 0 to peak at step W and on to end peak at step T - 1, and the momentum from high to
    low and back to high. Between two such values a and b, p of the way, both are a + (b - a) f(p), where
    f(p) = p for the shape "linear" and (1 - cos(pi p)) / 2 for "cosine".
    """

    peak: float
    warmup: float = 0.3
    start: float = 1 / 25
    end: float = 1 / 25e4
    shape: Literal["cosine", "linear"] = "cosine"
    momentum: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_number("peak", self.peak)
        check_number("warmup", self.warmup, 0, 1)
        check_number("start", self.start)
        check_number("end", self.end)
        if self.shape not in ("cosine", "linear"):
            raise ValueError(f"shape is {self.shape!r}, expected 'cosine' or 'linear'")
        if self.momentum is not None:
            if not isinstance(self.momentum, tuple | list) or len(self.momentum) != 2:
                raise ValueError(f"momentum is {self.momentum!r}, expected None or a pair (high, low)")
            for value in self.momentum:
                check_number("momentum", value, 0, 1)
            object.__setattr__(self, "momentum", tuple(self.momentum))

    @property
    def cycles_momentum(self) -> bool:  # type: ignore[override]
        """Whether momenta come with the rates."""
        return self.momentum is not None

    def __call__(self, steps: NDArray[np.int64], total: int | None) -> Rates | tuple[Rates, Rates]:
        """Give the rates of steps, or their rates and momenta."""
        top, last = _turn(self.warmup, total)
        rising, p = steps < top, np.empty(len(steps))
        p[rising] = steps[rising] / max(top, 1)
        p[~rising] = (steps[~rising] - top) / max(last - top, 1)

        def between(first: float, middle: float, end: float) -> Rates:
            return np.where(rising, _mix(first, middle, p, self.shape), _mix(middle, end, p, self.shape))

        rates = between(self.start * self.peak, self.peak, self.end * self.peak)
        if self.momentum is None:
            return rates
        high, low = self.momentum
        return rates, between(high, low, high)


def _turn(warmup: float, total: int | None) -> tuple[int, int]:
    """Give the step at which a warmup has ended, and the last step."""
    if total is None:
        raise ValueError("this schedule needs the number of all steps: give total_steps")
    last = max(int(total) - 1, 0)
    return min(round(warmup * total), last), last


def _after_warmup(
    schedule: linear | cosine, steps: NDArray[np.int64], total: int | None, shape: str
) -> Rates:
    top, last = _turn(schedule.warmup, total)
    p = (steps - top) / max(last - top, 1)
    rise = schedule.start * (steps + 1) / (top + 1)
    return np.where(steps < top, rise, _mix(schedule.start, schedule.end, p, shape))


def _mix(a: float, b: float, p: Rates, shape: str) -> Rates:
    """Give what lies p of the way from a to b: a at 0 and b at 1, both exactly."""
    f = p if shape == "linear" else (1 - np.cos(np.pi * p)) / 2
    return a * (1 - f) + b * f
