"""Optimizers as values: what they are, not what they have accumulated, which lives with a model."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from .numbers import number
from .ops import Operations
from .schedules import Schedule

Rate = float | Schedule | Callable[..., Any]


class Optimizer:
    """What every optimizer has; fields of its own are numbers of its formula.

    Those that `kernels.optimizers.SETTINGS` names are what an epoch is told.
    """

    lr: Any
    l2: float
    weight_decay: float
    bias_lr: float
    layer_lr: Sequence[float] | None

    @property
    def kind(self) -> str:
        """The formula, a name of `kernels.optimizers.KINDS`."""
        raise NotImplementedError

    def move(
        self, ops: Operations, arrays: Any, lr: float, momentum: float, count: int, penalties: Any
    ) -> None:
        """Step w by the operation of the formula.

        Parameters
        ----------
        ops : the operations
        arrays : w, its gradient, and what is kept of w
        lr, momentum : of this step, the rate times w's factor
        count : of this step, from 1
        penalties : l2 divided by the batch's rows, and weight_decay
        """
        raise NotImplementedError

    def __post_init__(self) -> None:
        self._check(*(() if callable(self.lr) else ("lr",)), "l2", "weight_decay", "bias_lr")
        factors: Any = self.layer_lr
        if isinstance(factors, np.ndarray) and factors.ndim == 1:
            factors = factors.tolist()
        if factors is None:
            return
        if not isinstance(factors, Sequence) or isinstance(factors, str):
            raise ValueError(f"layer_lr is {factors!r}, expected a factor for each layer, or None")
        checked = tuple(number(f"layer_lr[{i}]", factor) for i, factor in enumerate(factors))
        object.__setattr__(self, "layer_lr", checked)

    def _check(self, *names: str, **limits: float) -> None:
        for name in names:
            object.__setattr__(self, name, number(name, getattr(self, name), **limits))


@dataclass(frozen=True)
class SGD(Optimizer):
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
    _: KW_ONLY
    momentum: float = 0.0
    nesterov: bool = False
    l2: float = 0.0
    weight_decay: float = 0.0
    bias_lr: float = 1.0
    layer_lr: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("momentum", below=1)
        if not isinstance(self.nesterov, bool):
            raise ValueError(f"nesterov is {self.nesterov!r}, expected True or False")
        if self.nesterov and self.kind == "sgd":
            raise ValueError("nesterov=True looks ahead by the velocity: give momentum too, such as 0.9")

    @property
    def kind(self) -> str:
        """The formula: "sgd", "momentum" or "nesterov".

        What a function given as lr returns is not known here: its momenta count only where `momentum`, which
        they take the place of, is not 0.
        """
        if not self.momentum and not getattr(self.lr, "momentum", None):
            return "sgd"
        return "nesterov" if self.nesterov else "momentum"

    def move(
        self, ops: Operations, arrays: Any, lr: float, momentum: float, count: int, penalties: Any
    ) -> None:
        """Step w, by its velocity where there is one."""
        w, dw, *kept = arrays
        if kept:
            ops.momentum_step(w, dw, kept[0], lr, momentum, self.nesterov, *penalties)
        else:
            ops.sgd_step(w, dw, lr, *penalties)


@dataclass(frozen=True)
class Adam(Optimizer):
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
    _: KW_ONLY
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    l2: float = 0.0
    weight_decay: float = 0.0
    bias_lr: float = 1.0
    layer_lr: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("beta_1", "beta_2", below=1)
        self._check("epsilon", above=0)

    @property
    def kind(self) -> str:
        """The formula: "adam"."""
        return "adam"

    def move(
        self, ops: Operations, arrays: Any, lr: float, momentum: float, count: int, penalties: Any
    ) -> None:
        """Step w by the means of its gradient and of the gradient's square."""
        w, dw, m, v = arrays
        ops.adam_step(w, dw, m, v, lr, self.beta_1, self.beta_2, self.epsilon, count, *penalties)
