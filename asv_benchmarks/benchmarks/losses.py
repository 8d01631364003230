"""Losses, with their gradients."""

import functools

import numpy as np

from ._checks import other_losses_bounds, require_within, softmax_bounds
from ._timing import OPS, Timed, ratio_of, ratio_over
from ._workload import begin, normal, operation, place

CLASSES = 10
CALLS = 100  # of a sample
OTHERS = ["logistic_cross_entropy", "squared_error", "poisson_deviance"]


class Softmax(Timed):
    params = [["float32 b128 t1"], OPS]
    param_names = ["workload", "ops"]

    def setup(self, workload, ops=None):
        self.pair = checked_pair(begin(workload))

    def time_100_calls(self, workload, ops):
        for _ in range(CALLS):
            self.pair[ops]()

    @ratio_over(["float32 b512 t1"])  # of so many rows that a call's own time is lost among them
    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


class Others:
    params = [OTHERS, ["float32 b512 t1"]]
    param_names = ["kernel", "workload"]
    unit = "kernels/reference"

    def setup(self, kernel, workload):
        self.pair = other_pair(kernel, begin(workload))

    def track_time_ratio(self, kernel, workload):
        return ratio_of(self.pair)


@functools.cache
def checked_pair(workload):
    """Call of each back end, which have been compared with the reference in float64."""
    (logits,) = normal(workload.dtype, (workload.batch, CLASSES))
    labels = np.arange(workload.batch) % CLASSES
    bounds = softmax_bounds(logits.astype(np.float64), labels, workload.dtype)
    return compared("softmax_cross_entropy", logits, labels, bounds, ("dlogits", "losses"))


@functools.cache
def other_pair(kernel, workload):
    """The same of another loss of as many units, with targets from 0 to 1."""
    (z,) = normal(workload.dtype, (workload.batch, CLASSES))
    targets = np.random.default_rng(1).random(z.shape, dtype=np.float32).astype(np.float64)
    bounds = other_losses_bounds(z.astype(np.float64), targets, workload.dtype)
    return compared(kernel, z, targets, bounds, ("dz", "losses"))


def compared(kernel, z, labels, bounds, names):
    expected = np.empty(z.shape), np.empty(len(z))
    operation("reference", kernel)(z.astype(np.float64), labels, *expected)
    pair = {}
    for ops in OPS:
        outputs = *place(z.dtype, z.shape), *place(np.dtype(np.float64), (len(z),))
        pair[ops] = functools.partial(operation(ops, kernel), z, labels, *outputs)
        pair[ops]()
        for output, *check in zip(names, outputs, expected, bounds, strict=True):
            require_within(f"{ops}.{kernel}, {output}", *check)
    return pair
