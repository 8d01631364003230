"""Inference: the kernel on many rows, and the model on one."""

import functools
from unittest import mock

import numpy as np

from ._checks import logits_bound, require_within
from ._timing import OPS, Timed, ratio_of, ratio_over
from ._workload import back_end, begin, make_model, samples

ROWS = 500
CALLS = 200  # of a sample, one row each


class Inference(Timed):
    params = [["784-128-10 mnist float32 t1", "784-1024-1024-10 dense float64 t2"], OPS]
    param_names = ["workload", "ops"]

    def setup(self, workload, ops=None):
        self.pair = checked_pair(begin(workload))

    def time_infer(self, workload, ops):
        self.pair[ops]()

    @ratio_over(["784-128-10 mnist float32 t1"])
    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


class OneRow(Timed):
    params = [["784-128-10 mnist float32 t1"], OPS]
    param_names = ["workload", "ops"]

    def setup(self, workload, ops):
        self.model, self.x = checked_predictor(begin(workload), ops)

    def time_200_predictions(self, workload, ops):
        for _ in range(CALLS):
            self.model.predict(self.x)


@functools.cache
def checked_pair(workload, rows=ROWS):
    """Call of each back end, which have been compared with the reference in float64."""
    X, _ = samples(workload.data, rows, workload.sizes[0])
    pair = {}
    for ops in OPS:
        model, module = make_model(workload, ops), back_end(ops)
        # its arguments are the model's own, and in each commit others
        with mock.patch.object(module, "infer", wraps=module.infer) as infer:
            model.logits(X)
        *_, logits = infer.call_args.args
        pair[ops] = functools.partial(module.infer, *infer.call_args.args)
        logits[...] = np.nan
        pair[ops]()
        require_within(f"{ops}.infer", logits, *truth(workload, X))
    return pair


@functools.cache
def checked_predictor(workload, ops):
    """Model and a row, whose outputs have been compared with the reference in float64."""
    X, _ = samples(workload.data, 1, workload.sizes[0])
    model = make_model(workload, ops)
    require_within(f"{ops}, logits of one row", model.logits(X), *truth(workload, X))
    model.predict(X[0])
    return model, X[0]


def truth(workload, X):
    """Logits of the reference in float64, and how far off those in the workload's dtype may be."""
    exact = make_model(workload, "reference", np.float64)
    exact.set_weights(make_model(workload, "reference").get_weights())
    x = X.astype(np.float64) * exact.scale
    return exact.logits(X), logits_bound(exact.get_weights(), x, workload.dtype)
