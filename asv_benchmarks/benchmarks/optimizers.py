"""The steps of optimizers; a whole epoch of them is in `epoch`."""

import functools

import numpy as np

from ._checks import require_within, step_bound
from ._timing import OPS, Timed, ratio_of, ratio_over
from ._workload import begin, normal, operation

CALLS = 100  # of a sample
LR = 2.0**-40  # moves nothing far, however often


class Sgd(Timed):
    params = [["784-128 float32 t1", "1024-1024 float64 t2"], OPS]
    param_names = ["workload", "ops"]

    def setup(self, workload, ops=None):
        self.pair = checked_pair(begin(workload))

    def time_100_calls(self, workload, ops):
        for _ in range(CALLS):
            self.pair[ops]()

    @ratio_over(["784-128 float32 t1"])
    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


@functools.cache
def checked_pair(workload):
    """Call of each back end, which have been compared with the reference in float64."""
    dtype = workload.dtype
    pair = {}
    for ops in OPS:
        step = operation(ops, "sgd_step")
        w, dw = normal(dtype, workload.sizes, workload.sizes)
        check(step, w, dw, f"{ops}.sgd_step")
        pair[ops] = functools.partial(step, w, dw, dtype.type(LR))
        pair[ops]()
    return pair


def check(step, start, dw, name, lr=0.125):
    """Compare a large step with the reference in float64."""
    w, expected, dw64 = start.copy(), start.astype(np.float64), dw.astype(np.float64)
    step(w, dw, w.dtype.type(lr))
    bound = step_bound(expected, dw64, lr, w.dtype)
    operation("reference", "sgd_step")(expected, dw64, lr)
    require_within(name, w, expected, bound)
