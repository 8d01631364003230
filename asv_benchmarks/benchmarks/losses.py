"""Losses: softmax with cross-entropy."""

import functools

import numpy as np

from ._checks import require_within, softmax_bounds
from ._timing import OPS, Timed, ratio_of, ratio_over
from ._workload import begin, normal, operation, place

CLASSES = 10
CALLS = 100  # of a sample


class Softmax(Timed):
    params = [["float32 b128 t1", "float64 b512 t1"], OPS]
    param_names = ["workload", "ops"]

    def setup(self, workload, ops=None):
        self.pair = checked_pair(begin(workload))

    def time_100_calls(self, workload, ops):
        for _ in range(CALLS):
            self.pair[ops]()

    @ratio_over(["float32 b512 t1"])  # of so many rows that a call's own time is lost among them
    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


@functools.cache
def checked_pair(workload):
    """Call of each back end, which have been compared with the reference in float64."""
    (logits,) = normal(workload.dtype, (workload.batch, CLASSES))
    labels = np.arange(workload.batch) % CLASSES
    logits64 = logits.astype(np.float64)
    expected = np.empty(logits.shape), np.empty(workload.batch)
    operation("reference", "softmax_cross_entropy")(logits64, labels, *expected)
    bounds = softmax_bounds(logits64, labels, workload.dtype)
    pair = {}
    for ops in OPS:
        outputs = *place(workload.dtype, logits.shape), *place(np.dtype(np.float64), (workload.batch,))
        pair[ops] = functools.partial(operation(ops, "softmax_cross_entropy"), logits, labels, *outputs)
        pair[ops]()
        for output, *check in zip(("dlogits", "losses"), outputs, expected, bounds, strict=True):
            require_within(f"{ops}.softmax_cross_entropy, {output}", *check)
    return pair
