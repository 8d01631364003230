"""The passes over a data set before training: its facts, the masks of its zeros, bytes for its values."""

import functools

import numpy as np

from ._timing import OPS, Timed, ratio_of, ratio_over
from ._workload import begin, operation, samples

KERNELS = ["scan", "zero_masks", "byte_codes"]
ROWS = 500  # as many as lie in a processor's own cache: the memory is shared with strangers


class Scan(Timed):
    params = [["scan"], ["784 mnist t1"], OPS]
    param_names = ["kernel", "workload", "ops"]

    def setup(self, kernel, workload, ops=None):
        self.pair = checked_pair(kernel, begin(workload))

    def time_kernel(self, kernel, workload, ops):
        self.pair[ops]()

    @ratio_over(KERNELS, ["784 mnist t1"])
    def track_time_ratio(self, kernel, workload):
        return ratio_of(self.pair)


@functools.cache
def checked_pair(kernel, workload, rows=ROWS):
    """Call of each back end, which have been compared with each other: nothing is rounded here."""
    X, _ = samples(workload.data, rows, *workload.sizes)
    facts = {}
    pair = {}
    for ops in OPS:
        masks = np.zeros((len(X), -(-X.shape[1] // 64)), np.uint64)
        outputs = [] if kernel == "scan" else [masks]
        if kernel == "byte_codes":
            X = X / np.float32(255) if X.dtype == np.uint8 else X
            outputs += [np.zeros(X.shape, np.uint8), np.zeros(256, X.dtype)]
        pair[ops] = functools.partial(operation(ops, kernel), X, *outputs)
        found = pair[ops]()
        facts[ops] = outputs or [np.array(found, np.float64)]
    assert all(map(np.array_equal, facts["kernels"], facts["reference"])), f"{kernel}: the back ends differ"
    return pair
