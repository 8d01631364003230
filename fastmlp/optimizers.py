"""Optimizers as values: what they are, not what they have accumulated, which lives with a model."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .schedules import Schedule

Rate = float | Schedule | Callable[..., Any]


def _check(name: str, value: Any, below: float = math.inf, above: float = -1.0) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not max(above, 0) <= value < below or value == above:
        low = f"above {above:g}" if above >= 0 else "from 0 up"
        high = f" and below {below:g}" if below < math.inf else ""
        raise ValueError(f"{name} is {value!r}, expected a finite number {low}{high}")


@dataclass(frozen=True)
class _Optimizer:
    lr: Any

    def _check_common(self) -> None:
        if not callable(self.lr):
            _check("lr", self.lr)
        for name in ("l2", "weight_decay", "bias_lr"):
            _check(name, getattr(self, name))
        layer_lr = getattr(self, "layer_lr", None)
        if layer_lr is not None:
            if not isinstance(layer_lr, Sequence) or isinstance(layer_lr, str):
                raise ValueError(f"layer_lr is {layer_lr!r}, expected a factor for each layer, or None")
            for i, factor in enumerate(layer_lr):
                _check(f"layer_lr[{i}]", factor)
            object.__setattr__(self, "layer_lr", tuple(layer_lr))


@dataclass(frozen=True)
class SGD(_Optimizer):
    """Stochastic gradient descent, with momentum (the rate inside the velocity) where that is not 0.

    Parameters
    ----------
    lr : learning rate: a number from 0 up, a schedule, or a function as `schedules.rates` takes
    momentum : from 0 to below 1
    nesterov : look ahead by the velocity (Sutskever et al., On the importance of initialization and momentum
        in deep learning, 2013)
    l2 : of the penalty l2 / 2 * sum(w**2), which joins the gradient divided by the batch's rows; of weights
    weight_decay : decoupled: weights shrink by the factor 1 - lr * weight_decay at each step
    bias_lr : factor of the learning rate of biases
    layer_lr : factor of the learning rate of each layer, or None for all 1

    Raises
    ------
    ValueError
        A number is outside of its range.
    """

    lr: Rate = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    l2: float = 0.0
    weight_decay: float = 0.0
    bias_lr: float = 1.0
    layer_lr: Sequence[float] | None = None

    def __init__(
        self,
        lr: Rate = 0.01,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        bias_lr: float = 1.0,
        layer_lr: Sequence[float] | None = None,
    ) -> None:
        _set(self, locals())
        _check("momentum", momentum, below=1)
        if not isinstance(nesterov, bool):
            raise ValueError(f"nesterov is {nesterov!r}, expected True or False")
        if nesterov and self.kind == "sgd":
            raise ValueError("nesterov=True looks ahead by the velocity: give momentum too, such as 0.9")

    @property
    def kind(self) -> str:
        """The formula: "sgd", "momentum" or "nesterov"."""
        if not self.momentum and not getattr(self.lr, "momentum", None):
            return "sgd"
        return "nesterov" if self.nesterov else "momentum"


@dataclass(frozen=True)
class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015, with the "epsilon hat" of section 2); with weight_decay it is AdamW.

    Parameters
    ----------
    lr : learning rate: a number from 0 up, a schedule, or a function as `schedules.rates` takes
    beta_1, beta_2 : decay of the means of the gradient and of its square, from 0 to below 1
    epsilon : above 0, added to the root of the mean square
    l2, weight_decay, bias_lr, layer_lr : as for `SGD`; with weight_decay alone it is AdamW (Loshchilov and
        Hutter, Decoupled Weight Decay Regularization, 2019)

    Raises
    ------
    ValueError
        A number is outside of its range.
    """

    lr: Rate = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    l2: float = 0.0
    weight_decay: float = 0.0
    bias_lr: float = 1.0
    layer_lr: Sequence[float] | None = None

    def __init__(
        self,
        lr: Rate = 1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        bias_lr: float = 1.0,
        layer_lr: Sequence[float] | None = None,
    ) -> None:
        _set(self, locals())
        _check("beta_1", beta_1, below=1)
        _check("beta_2", beta_2, below=1)
        _check("epsilon", epsilon, above=0)

    @property
    def kind(self) -> str:
        """The formula: "adam"."""
        return "adam"


def _set(optimizer: Any, given: dict[str, Any]) -> None:
    for name in optimizer.__dataclass_fields__:
        object.__setattr__(optimizer, name, given[name])
    optimizer._check_common()
