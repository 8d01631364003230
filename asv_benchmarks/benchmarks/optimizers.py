"""The steps of optimizers; a whole epoch of them is in `epoch`."""

import functools

import numpy as np

from ._checks import require_within, step_bound
from ._timing import OPS, Timed, ratio_of, ratio_over
from ._workload import begin, normal, operation

CALLS = 100  # of a sample
LR = 2.0**-40  # moves nothing far, however often
# kernels, how many arrays they keep, and their numbers after the rate
STEPS = {
    "sgd_step": (0, ()),
    "momentum_step": (1, (0.9,)),
    "adam_step": (2, (0.9, 0.999, 1e-8, 7)),
    "ema_step": (0, ()),
}


class Sgd(Timed):
    params = [["784-128 float32 t1"], OPS]
    param_names = ["workload", "ops"]

    def setup(self, workload, ops=None):
        self.pair = checked_pair(begin(workload))

    def time_100_calls(self, workload, ops):
        for _ in range(CALLS):
            self.pair[ops]()

    @ratio_over(["784-128 float32 t1"])
    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


class Stateful:
    params = [["momentum_step", "adam_step", "ema_step"], ["784-128 float32 t1"]]
    param_names = ["kernel", "workload"]
    unit = "kernels/reference"

    def setup(self, kernel, workload):
        self.pair = checked_pair(begin(workload), kernel)

    def track_time_ratio(self, kernel, workload):
        return ratio_of(self.pair)


@functools.cache
def checked_pair(workload, name="sgd_step"):
    """Call of each back end, which have been compared with the reference in float64."""
    dtype = workload.dtype
    n_kept, numbers = STEPS[name]
    pair = {}
    for ops in OPS:
        step = operation(ops, name)
        w, dw = normal(dtype, workload.sizes, workload.sizes)
        kept = [np.zeros_like(w) for _ in range(n_kept)]
        check(name, step, [w, dw, *kept], f"{ops}.{name}")
        pair[ops] = functools.partial(step, w, dw, *kept, dtype.type(LR), *numbers)
        pair[ops]()
    return pair


def check(name, step, arrays, label, lr=0.125):
    """Compare a large step from nothing with the reference in float64."""
    numbers = STEPS[name][1]
    got, exact = [array.copy() for array in arrays], [array.astype(np.float64) for array in arrays]
    step(*got, got[0].dtype.type(lr), *numbers)
    operation("reference", name)(*exact, lr, *numbers)
    # w and what moves it: four roundings more than the bound has, of the velocity or of Adam's means
    moved = np.abs(arrays[0]) + np.abs(exact[0])
    bound = step_bound(exact[0], exact[1], lr, got[0].dtype) + 16 * np.finfo(got[0].dtype).eps * moved
    require_within(label, got[0], exact[0], bound)
