"""Optimizers as values: how weights move. What has been accumulated lives with the model."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .schedules import Schedule, check_number

Rate = float | Schedule | Callable[..., Any]


class Optimizer:
    """What `SGD` and `Adam` share."""

    lr: Rate

    @property
    def kind(self) -> str:
        """The family whose state lives with the model: sgd, momentum, nesterov or adam."""
        raise NotImplementedError

    @property
    def needs_total(self) -> bool:
        """Whether the rate of a step depends on the number of all steps."""
        return self.lr.needs_total if isinstance(self.lr, Schedule) else _takes_steps(self.lr)

    def _check(self, names: Sequence[str]) -> None:
        if not callable(self.lr):
            check_number("lr", self.lr)
        for name in names:
            check_number(name, getattr(self, name))
        factors = getattr(self, "layer_lr", None)
        if factors is not None:
            if isinstance(factors, str) or not isinstance(factors, Sequence | np.ndarray):
                raise ValueError(f"layer_lr is {factors!r}, expected None or a factor for each layer")
            for i, factor in enumerate(factors):
                check_number(f"layer_lr[{i}]", factor)
            object.__setattr__(self, "layer_lr", tuple(float(factor) for factor in factors))

    def _check_share(self, name: str) -> None:
        value = getattr(self, name)
        check_number(name, value)
        if value >= 1:
            raise ValueError(f"{name} is {value!r}, expected a number from 0 to below 1")


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, with momentum where it is given.

    g = dw + l2 w / (sum of the batch's weights), for weights; g = db for biases
    without momentum:  w = w - lr g
    with it:           v = momentum v - lr g;  w = w + v
    nesterov:          v = momentum v - lr g;  w = w + (momentum v - lr g)

    Parameters
    ----------
    lr : learning rate: a number, a schedule, or a function. One of one argument gives it for each epoch's
        number; one of two, (steps, total), for an int64 array of steps and the number of all steps: an array
        of rates, or a pair of rates and momenta
    momentum : from 0 to below 1
    nesterov : Nesterov's form; wants momentum, or a schedule that gives it
    l2 : factor of the penalty on weights, half their squares
    weight_decay : weights are first multiplied by 1 - lr weight_decay
    bias_lr : factor of lr for biases
    layer_lr : a factor of lr for each layer

    Raises
    ------
    ValueError
        A value is not of its kind; the text says what would be.
    """

    lr: Rate = 0.01
    momentum: float = field(default=0.0, kw_only=True)
    nesterov: bool = field(default=False, kw_only=True)
    l2: float = field(default=0.0, kw_only=True)
    weight_decay: float = field(default=0.0, kw_only=True)
    bias_lr: float = field(default=1.0, kw_only=True)
    layer_lr: tuple[float, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._check(("l2", "weight_decay", "bias_lr"))
        self._check_share("momentum")
        if not isinstance(self.nesterov, bool | np.bool_):
            raise ValueError(f"nesterov is {self.nesterov!r}, expected True or False")
        if self.nesterov and not (self.momentum or _may_cycle(self.lr)):
            raise ValueError("nesterov wants momentum above 0, or a schedule that gives it")

    @property
    def kind(self) -> str:
        """The family whose state lives with the model: sgd, momentum or nesterov."""
        if self.nesterov:
            return "nesterov"
        cycles = isinstance(self.lr, Schedule) and self.lr.cycles_momentum
        return "momentum" if self.momentum or cycles else "sgd"


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015); with weight_decay AdamW.

    m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g**2, where g is that of `SGD`
    w = w - lr sqrt(1 - beta_2**t) / (1 - beta_1**t) m / (sqrt(v) + epsilon), t the number of the step from 1

    Parameters
    ----------
    lr, l2, weight_decay, bias_lr, layer_lr : as for `SGD`; momenta of a schedule are not used
    beta_1, beta_2 : from 0 to below 1
    epsilon : above 0; PyTorch's is this divided by sqrt(1 - beta_2**t)

    Raises
    ------
    ValueError
        A value is not of its kind; the text says what would be.
    """

    lr: Rate = 1e-3
    beta_1: float = field(default=0.9, kw_only=True)
    beta_2: float = field(default=0.999, kw_only=True)
    epsilon: float = field(default=1e-8, kw_only=True)
    l2: float = field(default=0.0, kw_only=True)
    weight_decay: float = field(default=0.0, kw_only=True)
    bias_lr: float = field(default=1.0, kw_only=True)
    layer_lr: tuple[float, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._check(("epsilon", "l2", "weight_decay", "bias_lr"))
        self._check_share("beta_1")
        self._check_share("beta_2")
        if not self.epsilon > 0:
            raise ValueError(f"epsilon is {self.epsilon!r}, expected a finite number above 0")

    @property
    def kind(self) -> str:
        """The family whose state lives with the model: adam."""
        return "adam"


def rates(
    optimizer: Optimizer, first_step: int, n_batches: int, total_steps: int | None, epoch: int
) -> NDArray[np.float64]:
    """Give learning rate and momentum of an epoch's steps.

    Parameters
    ----------
    first_step : number of the epoch's first step, from 0
    n_batches : steps of the epoch
    total_steps : steps of the run; None where that is not known
    epoch : number of the epoch, from 0

    Returns
    -------
    float64 (n_batches, 2)

    Raises
    ------
    ValueError
        A schedule or function gave what is no such array, or a value that is not finite or out of range; or
        it needs total_steps.
    """
    lr, momentum = optimizer.lr, getattr(optimizer, "momentum", 0.0)
    if isinstance(lr, Schedule) or _takes_steps(lr):
        if total_steps is None and optimizer.needs_total:
            raise ValueError("lr depends on the number of all steps: give total_steps")
        assert callable(lr)
        given = lr(np.arange(first_step, first_step + n_batches, dtype=np.int64), total_steps)
        if isinstance(given, tuple):
            if len(given) != 2:
                raise ValueError(f"lr gave a tuple of {len(given)}, expected rates, or (rates, momenta)")
            if optimizer.kind == "sgd":
                raise ValueError("lr gave momenta, which want an SGD with momentum above 0 or nesterov")
            given, momentum = given
            momentum = _numbers("momenta", momentum, n_batches)
        given = _numbers("rates", given, n_batches)
    else:
        given = lr(epoch) if callable(lr) else lr
        if np.ndim(given):
            raise ValueError(
                f"lr gave an array of shape {np.shape(given)} for epoch {epoch}, expected a number"
            )
        given = _numbers("rates", np.full(n_batches, given), n_batches)
    table = np.empty((n_batches, 2))
    table[:, 0], table[:, 1] = given, momentum if optimizer.kind != "adam" else 0.0
    for column, name, high in ((0, "learning rate", math.inf), (1, "momentum", 1.0)):
        values = table[:, column]
        bad = ~(np.isfinite(values) & (values >= 0) & (values <= high))
        if bad.any():
            i = int(bad.argmax())
            limits = "from 0 up" if high == math.inf else "from 0 to 1"
            raise ValueError(
                f"the {name} of step {first_step + i} (epoch {epoch}) is {values[i]}, "
                f"expected a finite number {limits}"
            )
    return table


def _numbers(name: str, given: Any, n_batches: int) -> NDArray[np.float64]:
    array = np.asarray(given)
    if array.dtype.kind not in "iuf" or array.shape != (n_batches,):
        raise ValueError(
            f"lr gave {name} of shape {array.shape} and type {array.dtype}, expected ({n_batches},) numbers"
        )
    return array.astype(np.float64)


def _takes_steps(lr: Any) -> bool:
    """Whether lr is a function of two arguments; one that takes one is asked for epochs."""
    if not callable(lr) or isinstance(lr, Schedule):
        return False
    try:
        signature = inspect.signature(lr)
    except (TypeError, ValueError):  # of some functions written in C nothing is known
        return False
    try:
        signature.bind(0)
        return False
    except TypeError:
        return True


def _may_cycle(lr: Any) -> bool:
    return lr.cycles_momentum if isinstance(lr, Schedule) else _takes_steps(lr)
