"""Epochs of training: of networks on dense data, of MNIST, of the notebook's loop, and step by step."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from asv_benchmarks import notebook_loop
from fastmlp.bench import (
    BATCH,
    LR,
    SIZES,
    Timer,
    check_epoch,
    epoch_flop,
    epoch_timer,
    race,
    random_loader,
    threads,
    timed,
)
from fastmlp.data import DataLoader, load_mnist, to_one_hot
from fastmlp.model import MLP

from .races import Plan, race_with_peak, with_blas
from .report import Goal, Row

STEP_GOALS = {1: Goal(125, 80), 2: Goal(65, 40)}
EPOCH_GOALS = {1: Goal(59, 38), 2: Goal(30, 19)}
EPOCHS = 20  # of a run, over which the preparation of its data set is spread
CHECKED = 2**18  # elements of a batch, at most: the reference would take long over the largest


@dataclass(frozen=True)
class Network:
    """A network, to be trained on random numbers."""

    sizes: tuple[int, ...]
    batch: int
    rows: int
    goals: dict[int, Goal] = field(default_factory=dict)  # by threads
    all_threads_only: bool = False

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch}"

    def loader(self) -> DataLoader:
        """Make its data."""
        return random_loader(self.sizes, self.batch, self.rows)

    def threads(self, plan: Plan) -> Sequence[int]:
        """Numbers of threads that it is trained with."""
        return plan.threads[-1:] if self.all_threads_only else plan.threads


WIDE = {1: Goal(88, 94), 2: Goal(85, 92)}
NETWORKS = (
    Network(SIZES, BATCH, 5120, {1: Goal(86, 93), 2: Goal(80, 88)}),
    Network((784, 1024, 1024, 10), 256, 5120, WIDE),
    Network((784, 512, 512, 10), 128, 5120, WIDE),
    Network((4096, 4096, 4096, 64), 512, 2048, {2: Goal(75, 88)}, all_threads_only=True),
)


def check(plan: Plan) -> int:
    """Compare epochs with the reference in float64, on each number of threads; say of how many networks."""
    X, y, *_ = load_mnist()
    check_epoch(plan.threads, SIZES, DataLoader(X[:500], y[:500], BATCH), scale=1 / 255)
    with skipping_nothing():
        check_epoch(plan.threads, SIZES, DataLoader(X[:500], y[:500], BATCH), scale=1 / 255)
    for network in NETWORKS:
        batch = min(network.batch, CHECKED // network.sizes[0])
        data = random_loader(network.sizes, batch, batch + 3)
        check_epoch(network.threads(plan), network.sizes, DataLoader(data.X, data.y, batch), scale=1.0)
    return len(NETWORKS)


def skipping_nothing() -> Any:
    """Let loaders that are made meanwhile skip no zeros."""
    return mock.patch.dict(os.environ, FASTMLP_SKIP_ZEROS="off")


def prepared(X: NDArray[Any], y: NDArray[Any]) -> DataLoader:
    """Make a loader, and let it look at its data."""
    loader = DataLoader(X, y, BATCH, shuffle=True, seed=0)
    assert loader.facts.finite and loader.masks is not None
    return loader


def dense_rows(plan: Plan) -> Iterator[Row]:
    """Train on random numbers."""
    for network in NETWORKS:
        loader, model = network.loader(), MLP(network.sizes, seed=0)
        flop = epoch_flop(network.sizes, network.rows)
        for n in network.threads(plan):
            ran = race_with_peak({str(network): (flop, epoch_timer(model, loader))}, n, plan.effort)
            seconds, share = ran.seconds[str(network)], ran.shares[str(network)]
            note = f"{1e6 * seconds / len(loader):,.0f} µs a step, {flop / seconds / 1e9:.0f} GF/s"
            yield Row(str(network), n, 100 * share, "%", ran.rounds, network.goals.get(n), note)


def mnist_rows(plan: Plan) -> Iterator[Row]:
    """Train the notebook's network on raw pixels."""
    X, y, *_ = load_mnist()
    prepare = partial(prepared, X, y)
    model, loader = MLP(SIZES, seed=0), prepare()
    with skipping_nothing():
        dense = prepare()
    timers: dict[Any, Timer] = {
        (name, n): threads(n)(epoch_timer(model, data))
        for n in plan.threads
        for name, data in (("skipping", loader), ("not skipping", dense))
    }
    timers["preparing"] = timed(prepare)
    best, rounds = race(timers, *plan.effort.longer())
    for n in plan.threads:
        seconds = best["skipping", n]
        yield Row("a step", n, 1e6 * seconds / len(loader), "µs", rounds, STEP_GOALS.get(n))
        yield Row("an epoch", n, 1e3 * seconds, "ms", rounds, EPOCH_GOALS.get(n))
        whole = seconds + best["preparing"] / EPOCHS
        yield Row(f"an epoch and 1/{EPOCHS} of preparing", n, 1e3 * whole, "ms", rounds)
        plain = best["not skipping", n]
        note = f"{plain / seconds:.2f} times as long"
        yield Row("a step, no zeros skipped", n, 1e6 * plain / len(loader), "µs", rounds, note=note)
    yield Row("preparing it once (DataLoader)", None, 1e3 * best["preparing"], "ms", rounds, Goal(30, 10))


def notebook_rows(plan: Plan) -> Iterator[Row]:
    """Race the notebook's own loop, on as many threads as NumPy takes."""
    X, y, *_ = load_mnist()
    n, one_hot = plan.threads[-1], to_one_hot(y, SIZES[-1])
    theirs, loader = notebook_loop.DigitsClassifier(*SIZES, seed=0), prepared(X, y)
    rng, our_epoch = np.random.default_rng(0), epoch_timer(MLP(SIZES, seed=0), loader)
    timers = {
        "theirs": with_blas(timed(lambda: notebook_loop.train_epoch(theirs, X, one_hot, LR, BATCH, rng=rng))),
        # several in a row, for the first finds its threads where the system put them beside NumPy's
        "ours": threads(n)(lambda: min(our_epoch() for _ in range(4))),
    }
    best, rounds = race(timers, *plan.effort.longer())
    note = f"{1e6 * best['theirs'] / len(loader):,.0f} µs a step, one-hot, float64"
    yield Row("the notebook's loop, an epoch", None, 1e3 * best["theirs"], "ms", rounds, note=note)
    ratio, goal = best["theirs"] / best["ours"], Goal(16, 28) if n == 2 else None
    yield Row("times as fast as the notebook's loop", n, ratio, "x", rounds, goal)


def price_rows(plan: Plan) -> Iterator[Row]:
    """Tell what dense data pays for the skipping of zeros: masks are thought of, against none at all."""
    network = NETWORKS[0]
    model = MLP(network.sizes, seed=0)
    loaders = {"auto": network.loader()}
    with skipping_nothing():
        loaders["off"] = network.loader()
    for n in plan.threads:
        timers = {name: threads(n)(epoch_timer(model, loader)) for name, loader in loaders.items()}
        best, rounds = race(timers, *plan.effort)
        price = 100 * (best["auto"] / best["off"] - 1)
        yield Row(f"price of skipping, {network}", n, price, "%", rounds, Goal(3, 1))


def small_rows(plan: Plan) -> Iterator[Row]:
    """Train a network so small that overhead shows."""
    X, y, *_ = load_mnist()
    sizes, batch = (SIZES[0], 32, SIZES[-1]), 32
    model, loader = MLP(sizes, seed=0), DataLoader(X, y, batch, shuffle=True, seed=0)
    best, rounds = race({n: threads(n)(epoch_timer(model, loader)) for n in plan.threads}, *plan.effort)
    fastest = min(best, key=lambda n: best[n])
    for n in plan.threads:
        goal = Goal(15, 8) if n == fastest else None
        name = f"a step of {'-'.join(map(str, sizes))}, batch {batch}, MNIST"
        yield Row(name, n, 1e6 * best[n] / len(loader), "µs", rounds, goal, "the faster" if goal else "")


def step_rows(plan: Plan) -> Iterator[Row]:
    """Train by forward, backward and step."""
    network = NETWORKS[1]
    loader, model = network.loader(), MLP(network.sizes, seed=0)

    def by_steps() -> None:
        for X, y in loader:
            model.forward(X, y)
            model.backward()
            model.step(LR)

    for n in plan.threads:
        timers = {"epoch": threads(n)(epoch_timer(model, loader)), "steps": threads(n)(timed(by_steps))}
        best, rounds = race(timers, *plan.effort)
        note = f"{1e6 * best['steps'] / len(loader):,.0f} µs a step, of the epoch's speed"
        value = 100 * best["epoch"] / best["steps"]
        yield Row(f"by steps, {network}", n, value, "%", rounds, Goal(85, 95), note)


GROUPS = {
    "Epochs on dense random numbers, share of peak": dense_rows,
    f"MNIST, {'-'.join(map(str, SIZES))}, batch {BATCH}, raw pixels": mnist_rows,
    "The notebook": notebook_rows,
    "Skipping zeros where there are none": price_rows,
    "A small network": small_rows,
    "Step by step": step_rows,
}
