"""An epoch of 40 batches: its time, the memory it takes, and how well it teaches."""

import functools

import numpy as np

import fastmlp

from ._checks import require_same_training
from ._timing import OPS, Timed, ratio_of, ratio_over
from ._workload import begin, make_loader, make_model, parse, require_options

SMALL = "784-128-10 mnist float32 b128 t1"
WIDE = "784-1024-1024-10 dense float32 b128 t2"
LR = 0.1
LR_AT_REST = 1e-6  # leaves a network as it was, however many epochs are timed
OPTIMIZERS = {  # the name in fastmlp, and what else it is made with; a rate that learns, and one at rest
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}, LR, LR_AT_REST),
    "adam": ("Adam", {}, 1e-3, 1e-9),
}


class Epoch(Timed):
    params = [[SMALL, "784-128-10 mnist float32 b512 t2", "784-128-10 dense float64 b32 t1", WIDE], OPS]
    param_names = ["workload", "ops"]

    def setup(self, workload, ops=None):
        self.pair = checked_pair(begin(workload))

    def time_epoch(self, workload, ops):
        self.pair[ops]()

    @ratio_over([SMALL, "784-128-10 dense float32 b128 t1"])  # of 2 threads it is not steady
    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


class Optimized:
    params = [list(OPTIMIZERS), [SMALL]]
    param_names = ["optimizer", "workload"]
    unit = "kernels/reference"

    def setup(self, optimizer, workload):
        self.pair = checked_pair(begin(workload), optimizer)

    def track_time_ratio(self, optimizer, workload):
        return ratio_of(self.pair)


class Confident:
    """An epoch of a network that is sure of itself, in which most numbers are tiny."""

    params = [["784-128-10 mnist float32 b128 t1"]]
    param_names = ["workload"]
    unit = "of a usual epoch"
    GAP = 80  # mean distance of a row's logits: exp(-GAP) is near the smallest normal float32

    def setup(self, workload):
        usual = checked_pair(begin(workload))["kernels"]
        self.pair = {"usual": usual, "confident": confident_epoch(parse(workload), self.GAP)}

    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


class Quality:
    params = [[SMALL], OPS]
    param_names = ["workload", "ops"]
    unit = "share of test digits"

    def setup(self, workload, ops):
        check(begin(workload), ops)

    def track_test_error(self, workload, ops):
        model = make_model(parse(workload), ops)
        fastmlp.train_epoch(model, make_loader(parse(workload)), lr=LR)
        return 1 - fastmlp.accuracy(model, *fastmlp.load_mnist()[2:])


class Memory:
    params = [[SMALL, WIDE], OPS]
    param_names = ["workload", "ops"]

    def setup_cache(self):
        """Compile and compare in another process, whose memory does not count."""
        for name in self.params[0]:
            checked_pair(begin(name))

    def setup(self, workload, ops):
        self.call = epoch(begin(workload), ops)

    def peakmem_epoch(self, workload, ops):
        self.call()


@functools.cache
def checked_pair(workload, optimizer=None):
    """Epoch of each back end, which have been compared with the reference in float64."""
    for ops in OPS:
        check(workload, ops, optimizer)
    return {ops: epoch(workload, ops, optimizer) for ops in OPS}


def epoch(workload, ops, optimizer=None):
    """Call that draws a new order and trains an epoch; made ready by a first one."""
    model, loader = make_model(workload, ops), make_loader(workload)
    call = functools.partial(fastmlp.train_epoch, model, loader, **stepping(optimizer, at_rest=True))
    call()
    return call


def confident_epoch(workload, gap):
    """Call that trains an epoch of a network whose logits are so far apart."""
    model, loader = make_model(workload, "kernels"), make_loader(workload)
    *before, w, b = model.get_weights()
    spread = np.ptp(model.logits(loader.X[:100]), axis=1).mean()
    model.set_weights([*before, w * w.dtype.type(gap / spread), b])
    return functools.partial(fastmlp.train_epoch, model, loader, lr=LR_AT_REST)


def stepping(optimizer, at_rest=False):
    """Arguments of `train_epoch`: a rate alone, or an optimizer with it."""
    if optimizer is None:
        return {"lr": LR_AT_REST if at_rest else LR}
    name, options, *rates = OPTIMIZERS[optimizer]
    require_options(fastmlp.train_epoch, "optimizer")
    return {"optimizer": getattr(fastmlp, name)(rates[at_rest], **options)}


def check(workload, ops, optimizer=None):
    """Compare two batches, the second a short one, with the reference in float64."""
    rows = workload.batch + 3
    model, exact = make_model(workload, ops), make_model(workload, "reference", np.float64)
    before = model.get_weights()
    exact.set_weights(before)
    step = stepping(optimizer)
    losses = [fastmlp.train_epoch(m, make_loader(workload, rows), **step) for m in (model, exact)]
    require_same_training(f"{ops}, an epoch", model.get_weights(), exact.get_weights(), before)
    assert abs(losses[0] - losses[1]) <= 2**14 * np.finfo(workload.dtype).eps * losses[1], losses
