"""The groups of figures that one process measures."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastmlp import kernels, reference
from fastmlp.data import DataLoader, load_mnist, to_one_hot
from fastmlp.metrics import evaluate
from fastmlp.model import MLP

from . import notebook_loop
from .cases import (
    BATCH,
    LR,
    NETWORKS,
    SIZES,
    kernel_cases,
    make_tiles,
    random_loader,
    unskipping,
)
from .checks import check_tiles
from .race import (
    BLAS_PAUSE,
    Bench,
    Contestant,
    Effort,
    Goal,
    Row,
    best_peak,
    on_threads,
    race,
    race_with_peak,
    timed,
    with_blas,
)

TILE_GOAL = Goal(93, 98)
STEP_GOALS = {1: Goal(125, 80), 2: Goal(65, 40)}
EPOCH_GOALS = {1: Goal(59, 38), 2: Goal(30, 19)}
TILE_CALLS, KERNEL_CALLS, PREDICTIONS = (
    10,
    10,
    200,
)  # in a row, so that the clock's own time is lost among them
EPOCHS = 20  # of a run, over which the preparation of its data set is spread


def epoch_of(model: MLP, loader: DataLoader) -> Contestant:
    """Make a contestant: a new order and an epoch of it."""
    losses = np.empty(len(loader))
    return timed(lambda: model.run_epoch(loader, loader.next_order(), LR, losses))


def _longer(effort: Effort) -> Effort:
    """Give the figures that matter most, of slow contestants, more rounds."""
    return replace(effort, seconds=5 * effort.seconds)


def machine_rows(bench: Bench) -> Iterator[Row]:
    """Tell what the processor does at most."""
    for n in bench.threads:
        peak, rounds = best_peak(n, bench.effort)
        yield Row("peak of fused multiply-adds, float32", n, peak / 1e9, "GF/s", rounds)


def tile_rows(bench: Bench, goal: Goal = TILE_GOAL) -> Iterator[Row]:
    """Time the tile alone at the first layer of the notebook's network."""
    tiles = make_tiles()
    contestants = {
        "forward": (TILE_CALLS * tiles.flop, timed(lambda: tiles.forward(TILE_CALLS))),
        "weight gradient with step": (TILE_CALLS * tiles.flop, timed(lambda: tiles.step(TILE_CALLS))),
    }
    size = f"{BATCH} x {SIZES[0]} x {SIZES[1]}"
    for name, result in race_with_peak(contestants, 1, bench.effort).items():
        note = f"{1e6 * result.seconds / TILE_CALLS:.1f} µs"
        yield Row(f"{name}, {size}", 1, 100 * result.share, "%", result.rounds, goal, note)


def dense_rows(bench: Bench) -> Iterator[Row]:
    """Train on random numbers, none of them 0."""
    for network in NETWORKS:
        loader = random_loader(network.sizes, network.batch, network.rows)
        model = MLP(network.sizes, seed=0)
        for n in bench.threads[-1:] if network.all_threads_only else bench.threads:
            field = {network.name: (network.flop, epoch_of(model, loader))}
            result = race_with_peak(field, n, bench.effort)[network.name]
            rate = network.flop / result.seconds / 1e9
            note = f"{1e6 * result.seconds / len(loader):,.0f} µs a step, {rate:.0f} GF/s"
            goal = network.goals.get(n)
            yield Row(network.name, n, 100 * result.share, "%", result.rounds, goal, note)


def mnist_rows(bench: Bench) -> Iterator[Row]:
    """Train the notebook's network on raw pixels."""
    X, y, *_ = load_mnist()
    model, loader = MLP(SIZES, seed=0), DataLoader(X, y, BATCH, shuffle=True, seed=0)
    dense = unskipping(DataLoader(X, y, BATCH, shuffle=True, seed=0))
    contestants: dict[Any, Contestant] = {
        (name, n): on_threads(n, epoch_of(model, data))
        for n in bench.threads
        for name, data in (("skipping", loader), ("not skipping", dense))
    }
    contestants["preparing"] = timed(lambda: DataLoader(X, y, BATCH, shuffle=True, seed=0))
    best, rounds = race(contestants, _longer(bench.effort))
    for n in bench.threads:
        seconds = best["skipping", n]
        yield Row("a step", n, 1e6 * seconds / len(loader), "µs", rounds, STEP_GOALS.get(n))
        yield Row("an epoch", n, 1e3 * seconds, "ms", rounds, EPOCH_GOALS.get(n))
        whole = seconds + best["preparing"] / EPOCHS
        yield Row(f"an epoch and 1/{EPOCHS} of preparing", n, 1e3 * whole, "ms", rounds)
        plain = best["not skipping", n]
        note = f"{plain / seconds:.2f} times as long"
        yield Row("a step, no zeros skipped", n, 1e6 * plain / len(loader), "µs", rounds, note=note)
    yield Row("preparing it once (DataLoader)", None, 1e3 * best["preparing"], "ms", rounds, Goal(30, 10))


def notebook_rows(bench: Bench) -> Iterator[Row]:
    """Race the notebook's own loop, on as many threads as NumPy takes."""
    X, y, *_ = load_mnist()
    n, one_hot = bench.threads[-1], to_one_hot(y, SIZES[-1])
    theirs, ours = notebook_loop.DigitsClassifier(*SIZES, seed=0), MLP(SIZES, seed=0)
    rng, loader = np.random.default_rng(0), DataLoader(X, y, BATCH, shuffle=True, seed=0)
    our_epoch = epoch_of(ours, loader)
    contestants = {
        "theirs": with_blas(timed(lambda: notebook_loop.train_epoch(theirs, X, one_hot, LR, BATCH, rng=rng))),
        # several in a row, for the first finds its threads where the system put them beside NumPy's
        "ours": on_threads(n, lambda: min(our_epoch() for _ in range(4))),
    }
    best, rounds = race(contestants, _longer(bench.effort))
    note = f"{1e6 * best['theirs'] / len(loader):,.0f} µs a step, one-hot, float64"
    yield Row("the notebook's loop, an epoch", None, 1e3 * best["theirs"], "ms", rounds, note=note)
    ratio, goal = best["theirs"] / best["ours"], Goal(16, 28) if n == 2 else None
    yield Row("times as fast as the notebook's loop", n, ratio, "x", rounds, goal)


def price_rows(bench: Bench) -> Iterator[Row]:
    """Tell what dense data pays for the skipping of zeros: masks are thought of, against none at all."""
    first = NETWORKS[0]
    model = MLP(first.sizes, seed=0)
    data = [random_loader(first.sizes, first.batch, first.rows) for _ in range(2)]
    field = {"auto": data[0], "off": unskipping(data[1])}
    for n in bench.threads:
        contestants = {name: on_threads(n, epoch_of(model, loader)) for name, loader in field.items()}
        best, rounds = race(contestants, bench.effort)
        price = 100 * (best["auto"] / best["off"] - 1)
        yield Row(f"price of skipping, {first.name}", n, price, "%", rounds, Goal(3, 1))


def small_rows(bench: Bench) -> Iterator[Row]:
    """Train a network so small that overhead shows."""
    X, y, *_ = load_mnist()
    sizes, batch = (SIZES[0], 32, SIZES[-1]), 32
    model, loader = MLP(sizes, seed=0), DataLoader(X, y, batch, shuffle=True, seed=0)
    best, rounds = race({n: on_threads(n, epoch_of(model, loader)) for n in bench.threads}, bench.effort)
    fastest = min(best, key=lambda n: best[n])
    for n in bench.threads:
        goal = Goal(15, 8) if n == fastest else None
        name = f"a step of {'-'.join(map(str, sizes))}, batch {batch}, MNIST"
        yield Row(name, n, 1e6 * best[n] / len(loader), "µs", rounds, goal, "the faster" if goal else "")


def step_rows(bench: Bench) -> Iterator[Row]:
    """Train by forward, backward and step."""
    network = NETWORKS[1]
    loader = random_loader(network.sizes, network.batch, network.rows)
    model = MLP(network.sizes, seed=0)

    def by_steps() -> None:
        for X, y in loader.batches(reuse=True):
            model.forward(X, y)
            model.backward()
            model.step(LR)

    for n in bench.threads:
        contestants = {
            "epoch": on_threads(n, epoch_of(model, loader)),
            "steps": on_threads(n, timed(by_steps)),
        }
        best, rounds = race(contestants, bench.effort)
        note = f"{1e6 * best['steps'] / len(loader):,.0f} µs a step, of the epoch's speed"
        value = 100 * best["epoch"] / best["steps"]
        yield Row(f"by steps, {network.name}", n, value, "%", rounds, Goal(85, 95), note)


def inference_rows(bench: Bench) -> Iterator[Row]:
    """Score all digits, and read one."""
    parts = load_mnist()
    X, y = np.concatenate(parts[::2]), np.concatenate(parts[1::2])
    model, n = MLP(SIZES, seed=0), bench.threads[-1]
    one = X[0]
    contestants: dict[Any, Contestant] = {
        n: on_threads(n, timed(lambda: evaluate(model, X, y))) for n in bench.threads
    }
    contestants["one"] = timed(lambda: model.predict(one), PREDICTIONS)
    best, rounds = race(contestants, bench.effort)
    for n in bench.threads:
        goal = Goal(35, 15) if n == 2 else None
        yield Row(f"evaluate {len(X):,} digits", n, 1e3 * best[n], "ms", rounds, goal)
    yield Row("predict one digit", None, 1e6 * best["one"], "µs", rounds, Goal(25, 10))


def kernel_rows(bench: Bench) -> Iterator[Row]:
    """Race every kernel with its NumPy twin in float32."""
    X, y, X_test, _ = load_mnist()
    cases = kernel_cases(X_test)
    epoch, loader = f"sgd_epoch, {len(X):,} digits", DataLoader(X, y, BATCH, shuffle=True, seed=0)
    ours, theirs = (epoch_of(MLP(SIZES, seed=0, ops=ops), loader) for ops in (kernels, reference))
    contestants: dict[Any, tuple[float, Contestant]] = {}
    for case in cases:
        own = timed(case.make(kernels, np.float32).call, KERNEL_CALLS, warm_up=True)
        contestants[case.name, 1] = (case.flop, own)
        contestants[case.name, None] = (0, on_threads(None, own))
    contestants[epoch, 1], contestants[epoch, None] = (0, ours), (0, on_threads(None, ours))
    # the twins last, so that one pause in a round is enough
    for case in cases:
        contestants[case.name, "twin"] = (0, timed(case.make(reference, np.float32).call, warm_up=True))
    contestants[epoch, "twin"] = (0, with_blas(theirs))
    results = race_with_peak(contestants, 1, bench.effort)
    for name in [*(case.name for case in cases), epoch]:
        for n in (1, None):
            result = results[name, n]
            share = f", {100 * result.share:.0f} % of peak" if result.share else ""
            ratio = results[name, "twin"].seconds / result.seconds
            note = f"{ratio:.1f} x the reference{share}"
            yield Row(name, n, 1e6 * result.seconds, "µs", result.rounds, note=note)


GROUPS = {
    "Machine": machine_rows,
    "Tiles, share of one thread's peak": tile_rows,
    "Epochs on dense random numbers, share of peak": dense_rows,
    f"MNIST, {'-'.join(map(str, SIZES))}, batch {BATCH}, raw pixels": mnist_rows,
    "The notebook": notebook_rows,
    "Skipping zeros where there are none": price_rows,
    "A small network": small_rows,
    "Step by step": step_rows,
    "Inference": inference_rows,
    "Kernels against the reference": kernel_rows,
}


def measure_tiles(effort: Effort, goal: Goal) -> list[Row]:
    """Check and time the tile alone, in a process of its own."""
    check_tiles(make_tiles())
    time.sleep(BLAS_PAUSE)
    return list(tile_rows(Bench((1,), effort), goal))
