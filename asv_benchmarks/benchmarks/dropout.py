"""Dropout of a batch's hidden units."""

import functools

import numpy as np

from ._checks import gamma, require_within
from ._timing import OPS, ratio_of
from ._workload import begin, normal, operation, place

NUMBERS = 0.5, 1, 2, 3  # rate, seed, step and layer


class Dropout:
    params = [["128 float32 b128 t1"]]
    param_names = ["workload"]
    unit = "kernels/reference"

    def setup(self, workload):
        self.pair = checked_pair(begin(workload))

    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


@functools.cache
def checked_pair(workload):
    """Call of each back end, which have been compared with the reference in float64."""
    (x,) = normal(workload.dtype, (workload.batch, *workload.sizes))
    expected = np.empty(x.shape)
    operation("reference", "dropout")(x.astype(np.float64), expected, *NUMBERS)
    pair = {}
    for ops in OPS:
        (y,) = place(workload.dtype, x.shape)
        pair[ops] = functools.partial(operation(ops, "dropout"), x, y, *NUMBERS)
        pair[ops]()
        require_within(f"{ops}.dropout", y, expected, gamma(2, workload.dtype) * np.abs(expected))
    return pair
