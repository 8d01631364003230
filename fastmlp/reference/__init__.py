"""The mathematics of every kernel in the shortest NumPy that is correct: same names, same signatures.

File by file as in `kernels/`.
"""

from .epoch import sgd_epoch
from .inference import infer
from .linear import linear_backward, linear_forward, linear_relu_backward, linear_relu_forward
from .losses import softmax_cross_entropy
from .memory import plan
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
