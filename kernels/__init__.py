"""The compiled floor: arrays in, arrays out; it trusts its caller, validates nothing and allocates nothing.

Everything here has a twin of the same name and signature in `fastmlp.reference`.
"""

from .core.memory import plan
from .epoch import sgd_epoch
from .inference import infer
from .linear import linear_backward, linear_forward, linear_relu_backward, linear_relu_forward
from .losses import softmax_cross_entropy
from .optimizers import sgd_step
from .scan import scan, zero_masks

__all__ = [
    "infer",
    "linear_backward",
    "linear_forward",
    "linear_relu_backward",
    "linear_relu_forward",
    "plan",
    "scan",
    "sgd_epoch",
    "sgd_step",
    "softmax_cross_entropy",
    "zero_masks",
]
