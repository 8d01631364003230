"""Every kernel beside its twin in NumPy: the pairs of asv's suite, which are compared when they are made."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from asv_benchmarks.benchmarks import dropout, inference, linear, losses, optimizers, scan
from asv_benchmarks.benchmarks._workload import Workload, parse
from fastmlp import kernels, reference
from fastmlp.bench import BATCH, BLAS_PAUSE, SIZES, Timer, Timers, epoch_timer, threads, timed
from fastmlp.data import load_mnist
from fastmlp.model import MLP

from .races import Plan, race_with_peak, with_blas
from .report import Row
from .training import prepared

CALLS = 10  # in a row, so that the clock's own time is lost among them
DIGITS = 10_000
THREADS = (1, None)  # None: as many as the work wants


class Case(NamedTuple):
    """A kernel at one size: what makes the calls of both back ends, and the operations of its products."""

    name: str
    make: Callable[[Workload], dict[str, Callable[[], Any]]]
    workload: str
    flop: int = 0

    def pair(self, n: int | None) -> dict[str, Callable[[], Any]]:
        """Give the calls of both back ends, which have been compared on n threads."""
        with threads(n):
            return self.make(parse(f"{self.workload} t{n or 0}"))  # t0 is a name, so that each has its arrays


def layer(kernel: str, n_in: int, n_out: int, batch: int = BATCH, first: bool = False) -> Case:
    """Make the case of a layer; the first one's backward makes no dx."""
    products = 1 if first or kernel.endswith("forward") else 2
    return Case(
        f"{kernel}, {batch} x {n_in} x {n_out}{', no dx' if first else ''}",
        partial(linear.checked_pair, kernel, first=first),
        f"{n_in}-{n_out} float32 b{batch}",
        2 * products * batch * n_in * n_out,
    )


def cases() -> list[Case]:
    """All kernels at the sizes of the notebook's network, and two at larger ones."""
    n_in, n_hidden, n_out = SIZES
    images = f"{DIGITS:,} digits"
    return [
        layer("linear_relu_forward", n_in, n_hidden),
        layer("linear_relu_forward", 1024, 1024, 256),
        layer("linear_forward", n_hidden, n_out),
        Case(f"softmax_cross_entropy, {BATCH} x {n_out}", losses.checked_pair, f"float32 b{BATCH}"),
        *(
            Case(f"{name}, {BATCH} x {n_out}", partial(losses.other_pair, name), f"float32 b{BATCH}")
            for name in losses.OTHERS
        ),
        Case(f"dropout, {BATCH} x {n_hidden}", dropout.checked_pair, f"{n_hidden} float32 b{BATCH}"),
        layer("linear_backward", n_hidden, n_out),
        layer("linear_relu_backward", 1024, 1024, 256),
        layer("linear_relu_backward", n_in, n_hidden, first=True),
        *(
            Case(
                f"{name}, {n_in} x {n_hidden}",
                partial(optimizers.checked_pair, name=name),
                f"{n_in}-{n_hidden} float32",
            )
            for name in optimizers.STEPS
        ),
        Case(f"infer, {images}", partial(inference.checked_pair, rows=DIGITS), "784-128-10 mnist float32"),
        Case(f"scan, {images}", partial(scan.checked_pair, "scan", rows=DIGITS), f"{n_in} mnist"),
        Case(f"zero_masks, {images}", partial(scan.checked_pair, "zero_masks", rows=DIGITS), f"{n_in} mnist"),
        Case(f"byte_codes, {images}", partial(scan.checked_pair, "byte_codes", rows=DIGITS), f"{n_in} mnist"),
    ]


def check() -> int:
    """Compare all with the reference, on one thread and on as many as the work wants; how many there are."""
    for case in cases():
        for n in THREADS:
            case.pair(n)
    return len(cases())


def warm(call: Callable[[], Any], times: int = 1) -> Timer:
    """Make a timer of so many calls in a row, after one that does not count."""
    timer = timed(call, times)

    def run() -> float:
        call()
        return timer()

    return run


def kernel_rows(plan: Plan) -> Iterator[Row]:
    """Race every kernel with its twin in float32."""
    loader = prepared(*load_mnist()[:2])
    ours, theirs = (epoch_timer(MLP(SIZES, seed=0, ops=ops), loader) for ops in (kernels, reference))
    epoch = f"train_epoch, {len(loader.X):,} digits"
    timers: Timers = {}
    for case in cases():
        for n in THREADS:
            timers[case.name, n] = case.flop if n else 0, threads(n)(warm(case.pair(n)["kernels"], CALLS))
    timers |= {(epoch, n): (0, threads(n)(ours)) for n in THREADS}
    # the twins last, so that one pause in a round is enough
    timers |= {(case.name, "twin"): (0, warm(case.pair(1)["reference"])) for case in cases()}
    timers[epoch, "twin"] = 0, with_blas(theirs)
    time.sleep(BLAS_PAUSE)
    ran = race_with_peak(timers, 1, plan.effort)
    for name in [*(case.name for case in cases()), epoch]:
        for n in THREADS:
            seconds, share = ran.seconds[name, n], ran.shares[name, n]
            of_peak = f", {100 * share:.0f} % of peak" if share else ""
            note = f"{ran.seconds[name, 'twin'] / seconds:.1f} x the reference{of_peak}"
            yield Row(name, n, 1e6 * seconds, "µs", ran.rounds, note=note)


GROUPS = {"Kernels against the reference": kernel_rows}
