"""The compiled floor: arrays in, arrays out; it trusts its caller, validates nothing and allocates nothing.

Everything here has a twin of the same name and signature in `fastmlp.reference`. Arrays are aligned and in
the machine's byte order, as a model gives them; others are not told from those.
"""

from .core import machine
from .core.memory import plan
from .dropout import dropout
from .epoch import train_epoch
from .inference import infer
from .linear import (
    add_outer,
    linear_activation_backward,
    linear_activation_forward,
    linear_backward,
    linear_forward,
    linear_relu_backward,
    linear_relu_forward,
)
from .losses import logistic_cross_entropy, poisson_deviance, softmax_cross_entropy, squared_error
from .optimizers import adam_step, ema_step, momentum_step, sgd_step
from .scan import byte_codes, scan, zero_masks

__all__ = [
    "adam_step",
    "add_outer",
    "byte_codes",
    "dropout",
    "ema_step",
    "infer",
    "linear_activation_backward",
    "linear_activation_forward",
    "linear_backward",
    "linear_forward",
    "linear_relu_backward",
    "linear_relu_forward",
    "logistic_cross_entropy",
    "momentum_step",
    "plan",
    "poisson_deviance",
    "scan",
    "sgd_step",
    "softmax_cross_entropy",
    "squared_error",
    "train_epoch",
    "zero_masks",
]

machine.warn_without_fma()
