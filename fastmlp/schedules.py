"""Learning rates, step by step: schedules, and what an optimizer's lr comes to."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .numbers import number


@dataclass(frozen=True)
class Schedule:
    """A learning rate for each step of a run; made by the functions of this module.

    A step's place in the run is t = step / (total steps - 1), from 0 to 1. In the `warmup`, a part of the run
    from 0 to below 1, rates rise from `before` to `start`, in a line or where `rise` is "cosine" in half a
    cosine, and u runs from 0 to 1 in the rest:

    linear: start + (end - start) u;  cosine: end + (start - end) (1 + cos(pi u)) / 2;
    inverse: start / (step + 1)**power, which needs no total.
    Momenta, where `momentum` is (high, low), fall from high to low in the warm-up and rise again after it.
    """

    shape: str
    start: float
    end: float = 0.0
    warmup: float = 0.0
    before: float = 0.0
    power: float = 1.0
    momentum: tuple[float, float] | None = None
    rise: str = "linear"

    @property
    def needs_total(self) -> bool:
        """Whether the rates depend on how long the run is."""
        return self.shape not in ("constant", "inverse")

    def __call__(self, steps: NDArray[np.int64], total: int | None) -> Any:
        """Give the rates of these steps, counted from 0, of a run of so many; and momenta, if it has them."""
        if self.shape == "constant":
            return np.full(len(steps), float(self.start))
        if self.shape == "inverse":
            return self.start / (steps + 1.0) ** self.power
        if total is None:
            raise ValueError(f"{self!r} wants to know the run's length: give total_steps")
        place = steps / max(1, total - 1)
        rates = self._curve(place, self.before, self.start, self.end)
        if self.momentum is None:
            return rates
        high, low = self.momentum
        return rates, self._curve(place, high, low, high)

    def _curve(self, place: Any, before: float, start: float, end: float) -> Any:
        rest = np.clip((place - self.warmup) / (1 - self.warmup), 0, 1)
        falling = start + (end - start) * _share(self.shape, rest)
        if not self.warmup:
            return falling
        rising = before + (start - before) * _share(self.rise, np.minimum(place / self.warmup, 1))
        return np.where(place < self.warmup, rising, falling)


def _share(shape: str, u: Any) -> Any:
    """Part of a way that lies behind at u of its time: in a line, or slowly at both ends."""
    return (1 - np.cos(math.pi * u)) / 2 if shape == "cosine" else u


def constant(lr: float) -> Schedule:
    """Make the schedule of one rate for all steps."""
    return Schedule("constant", _number("lr", lr))


def linear(start: float, end: float, warmup: float = 0.0) -> Schedule:
    """Make the schedule that goes from start to end in a straight line, after rising to start from 0.

    Parameters
    ----------
    start, end : rates
    warmup : part of the run that rises, from 0 to below 1
    """
    return Schedule("linear", _number("start", start), _number("end", end), _part(warmup))


def cosine(start: float, end: float, warmup: float = 0.0) -> Schedule:
    """Make the schedule of half a cosine from start to end (Loshchilov and Hutter, SGDR, 2017).

    Parameters as of `linear`.
    """
    return Schedule("cosine", _number("start", start), _number("end", end), _part(warmup))


def inverse_scaling(start: float, power: float) -> Schedule:
    """Make the schedule start / (step + 1)**power, steps counted from 0."""
    return Schedule("inverse", _number("start", start), power=_number("power", power))


def one_cycle(
    peak: float,
    warmup: float = 0.3,
    start: float = 1 / 25,
    end: float = 1 / 25e4,
    shape: str = "cosine",
    momentum: tuple[float, float] | None = None,
) -> Schedule:
    """Make the schedule that rises to a peak and falls to almost nothing (Smith, Super-Convergence, 2018).

    Parameters
    ----------
    peak : the highest rate
    warmup : part of the run that rises
    start, end : factors of the peak that the first and the last step have
    shape : of the rise and of the fall: "cosine" or "linear"
    momentum : (high, low): it falls from high to low while the rate rises, and rises while that falls
    """
    if shape not in ("cosine", "linear"):
        raise ValueError(f"shape is {shape!r}, expected 'cosine' or 'linear'")
    peak = _number("peak", peak)
    if momentum is not None:
        try:
            high, low = momentum
        except (TypeError, ValueError):
            raise ValueError(f"momentum is {momentum!r}, expected a pair (high, low), or None") from None
        momentum = _momentum(high), _momentum(low)
    before, last = peak * _number("start", start), peak * _number("end", end)
    return Schedule(shape, peak, last, _part(warmup), before, momentum=momentum, rise=shape)


def rates(
    optimizer: Any, first_step: int, n_batches: int, total_steps: int | None, epoch: int = 0
) -> NDArray[np.float64]:
    """Give the learning rate and the momentum of each of an epoch's steps: float64 (n_batches, 2).

    Parameters
    ----------
    optimizer : whose lr is a number, a schedule, or a function: of one argument, the epoch's number; or of
        two, (int64 array of steps counted from 0, total steps) -> rates, or (rates, momenta)
    first_step : number of the epoch's first step in the run
    n_batches : steps of the epoch
    total_steps : of the run, None where nobody knows
    epoch : number of the epoch

    Raises
    ------
    ValueError
        What a function of steps returned is not one number a step, or a schedule needs a total that is not
        known.
    """
    given, spread = optimizer.lr, True
    momenta = np.full(n_batches, getattr(optimizer, "momentum", 0.0))
    if callable(given):
        spread = _takes_epoch(given)
        steps = np.arange(first_step, first_step + n_batches, dtype=np.int64)
        given = given(epoch) if spread else given(steps, total_steps)
    if isinstance(given, tuple):
        if len(given) != 2:
            raise ValueError(f"lr gave {len(given)} things, expected rates, or two: (rates, momenta)")
        given, momenta = given
    pairs = {"rates": given, "momenta": momenta}
    return np.column_stack([_of_each_step(*pair, n_batches, spread) for pair in pairs.items()])


def _of_each_step(name: str, values: Any, n: int, spread: bool) -> NDArray[np.float64]:
    """Give one number a step; a single one stands for all where it may be spread."""
    try:
        array = np.asarray(values)
        is_real = array.dtype.kind in "iuf"
    except ValueError:
        is_real = False
    if not is_real or array.shape != (n,) and not (spread and array.shape == ()):
        shape = f" of shape {array.shape}" if is_real else ""
        wanted = "a number, or one" if spread else "one"
        raise ValueError(f"lr gave the {name} {values!r}{shape}, expected {wanted} for each of {n} steps")
    return np.broadcast_to(array.astype(np.float64), n)


def _takes_epoch(function: Callable[..., Any]) -> bool:
    if isinstance(function, Schedule):
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a function that is not Python's
        return True
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len([p for p in needed if p.default is p.empty]) < 2


def _number(name: str, value: Any) -> float:
    return float(number(name, value))


def _part(warmup: Any) -> float:
    if not _number("warmup", warmup) < 1:
        raise ValueError(f"warmup is {warmup!r}, expected a part of the run from 0 to below 1")
    return float(warmup)


def _momentum(value: Any) -> float:
    if not _number("momentum", value) < 1:
        raise ValueError(f"momentum is {value!r}, expected a number from 0 to below 1")
    return float(value)
