"""How fast this machine trains: its peak, the tile, an epoch, and the prediction of a digit."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.kernels.core import machine, peak

from . import reference
from .data import DataLoader, load_mnist
from .model import MLP
from .training import train_epoch

SIZES, BATCH, RANDOM_ROWS = (784, 128, 10), 128, 5120
LR = 1e-6  # so small that hundreds of timed epochs leave a network as it was
CALLS, PREDICTIONS = 10, 200  # in a row, so that the clock's own time is lost among them
BLAS_PAUSE = 0.2  # seconds; after a product the threads of NumPy's BLAS spin on for some 0.1
PEAK = "peak of fused multiply-adds, float32"
CLOSE = 1e-3  # relative: far above what float32 rounds in a few steps, far below what a mistake does
Timer = Callable[[], float]  # works, and gives the seconds that it took
Timers = dict[Any, tuple[float, Timer]]  # by name, with the floating-point operations
Say = Callable[[str], Any]


class BenchError(RuntimeError):
    """A result is wrong, or a measurement contradicts itself."""


class Race(NamedTuple):
    """Least seconds and share of peak of each timer, the peak in operations a second, and the rounds."""

    seconds: dict[Any, float]
    shares: dict[Any, float]
    peak: float
    rounds: int


class Figure(NamedTuple):
    """The best of so many rounds; threads are None where the work decides, the share where there is none."""

    what: str
    threads: int | None
    value: float
    unit: str
    share: float | None
    rounds: int


def measure(thread_counts: Sequence[int] = (), seconds: float = 1.5, say: Say = str) -> Iterator[Figure]:
    """Check, then measure; give each figure as it is known, and raise BenchError where a result is wrong.

    Parameters
    ----------
    thread_counts : to train with; by default one, and as many as the machine grants
    seconds : of each race, at least
    say : is told what comes next
    """
    counts = sorted({*thread_counts} or {1, machine.get_num_threads()})
    say("checking against the reference")
    X, y, *_ = load_mnist()
    check_epoch(counts, SIZES, DataLoader(X[:500], y[:500], BATCH), scale=1 / 255)
    tiles = tile_timers()
    time.sleep(BLAS_PAUSE)
    model, digits = MLP(SIZES, seed=0), DataLoader(X, y, BATCH, shuffle=True, seed=0)
    say("measuring the tile and predictions")
    predicting = timed(lambda: model.predict(X[0]), times=PREDICTIONS)
    ran = race_with_peak(tiles | {"prediction of one digit": (0.0, predicting)}, 1, seconds)
    yield Figure(PEAK, 1, ran.peak / 1e9, "GF/s", None, ran.rounds)
    for name, least in ran.seconds.items():
        yield Figure(name, 1, 1e6 * least, "µs", ran.shares[name] or None, ran.rounds)
    dense = random_loader(SIZES, BATCH, RANDOM_ROWS)
    timers: Timers = {
        f"epoch, {RANDOM_ROWS:,} random rows": (epoch_flop(SIZES, RANDOM_ROWS), epoch_timer(model, dense)),
        f"epoch, {len(X):,} digits": (0, epoch_timer(model, digits)),  # whose zeros are skipped
    }
    for n in counts:
        say(f"measuring epochs on {n} threads")
        ran = race_with_peak(timers, n, seconds)
        if n > 1:
            yield Figure(PEAK, n, ran.peak / 1e9, "GF/s", None, ran.rounds)
        for name, least in ran.seconds.items():
            yield Figure(name, n, 1e3 * least, "ms", ran.shares[name] or None, ran.rounds)


@contextlib.contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Use n threads for a while; None: as many as the work wants."""
    before = machine.explicit_threads()
    machine.set_num_threads(n)
    try:
        yield
    finally:
        machine.set_num_threads(before)


def timed(action: Callable[[], Any], times: int = 1, calls: int = 1) -> Timer:
    """Make a timer of one call: of as many in a row as an action makes, so many times."""

    def timer() -> float:
        start = time.perf_counter()
        for _ in range(times):
            action()
        return (time.perf_counter() - start) / (times * calls)

    return timer


def race(timers: Mapping[Any, Timer], seconds: float, least: int = 7) -> tuple[dict[Any, float], int]:
    """Run all in turn, for so many seconds and rounds at least; give the least of each, and the rounds."""
    best, rounds, end = dict.fromkeys(timers, np.inf), 0, time.perf_counter() + seconds
    while rounds < least or time.perf_counter() < end:
        best = {name: min(best[name], timer()) for name, timer in timers.items()}
        rounds += 1
    return best, rounds


def race_with_peak(timers: Timers, n_threads: int, seconds: float, least: int = 7) -> Race:
    """Race timers and the loops that tell the peak, on so many threads."""
    loops = {n_chains: lambda n=n_chains: 1 / peak.rate(n) for n_chains in peak.CHAINS}
    with threads(n_threads):
        peak.rate(peak.CHAINS[0], fmas=peak.CHAINS[0])  # compiles
        best, rounds = race(loops | {name: timer for name, (_, timer) in timers.items()}, seconds, least)
    most = 1 / min(best.pop(n_chains) for n_chains in loops)
    return Race(best, {name: timers[name][0] / best[name] / most for name in best}, most, rounds)


def make_tiles() -> list[NDArray[np.float32]]:
    """Random x, w, b, y, dy of the first layer, rows an odd number of cache lines apart, as in training."""
    arrays, rng, (n_in, n_out) = [], np.random.default_rng(0), SIZES[:2]
    for rows, columns in ((BATCH, n_in), (n_in, n_out), (1, n_out), (BATCH, n_out), (BATCH, n_out)):
        row = 16 * (-(-columns // 16) | 1)
        memory = np.zeros((rows + 1) * row, np.float32)
        first = -memory.ctypes.data % 64 // 4
        arrays.append(memory[first : first + rows * row].reshape(rows, row)[:, :columns])
        arrays[-1][...] = rng.standard_normal((rows, columns))
    return arrays


def tile_timers() -> Timers:
    """Make timers of both products of the first layer by tiles alone, compared with NumPy's in float64."""
    x, w, (b,), y, dy = make_tiles()
    x64, w64, dy64 = (array.astype(np.float64) for array in (x, w, dy))
    peak.forward_tiles(x, w, b, y, 1)
    require_close("the forward tile", y, np.maximum(x64 @ w64 + b, 0))
    peak.step_tiles(x, dy, w, np.float32(CLOSE), 1)
    require_close("the tile with a step", w - w64, -CLOSE * x64.T @ dy64)
    flop, size = 2 * BATCH * w.size, f"{BATCH} x {w.shape[0]} x {w.shape[1]}"
    products = {
        "forward": partial(peak.forward_tiles, x, w, b, y, CALLS),
        "weight gradient with step": partial(peak.step_tiles, x, dy, w, np.float32(LR), CALLS),
    }
    return {f"tile, {name}, {size}": (flop, timed(f, calls=CALLS)) for name, f in products.items()}


def random_loader(sizes: Sequence[int], batch_size: int, rows: int) -> DataLoader:
    """Shuffled rows of float32 from 0 to 1, with random labels."""
    rng = np.random.default_rng(0)
    X = rng.random((rows, sizes[0]), dtype=np.float32)
    return DataLoader(X, rng.integers(0, sizes[-1], rows), batch_size, shuffle=True, seed=0)


def epoch_timer(model: MLP, loader: DataLoader) -> Timer:
    """Make a timer of a new order and an epoch of it."""
    return timed(lambda: train_epoch(model, loader, lr=LR))


def epoch_flop(sizes: Sequence[int], rows: int) -> int:
    """Operations of training on so many rows; the input needs no gradient."""
    products = [n_in * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False)]
    return 2 * rows * (3 * sum(products) - products[0])


def check_epoch(counts: Sequence[int], sizes: Sequence[int], loader: DataLoader, scale: float) -> None:
    """Compare an epoch on each number of threads, and a prediction, with the reference; not shuffled."""
    scale = float(np.float32(scale))  # so that both multiply by the same number
    model, exact = MLP(sizes, seed=0, scale=scale), MLP(sizes, scale=scale, dtype=np.float64, ops=reference)
    before = model.get_weights()
    exact.set_weights(before)
    expected_loss = train_epoch(exact, loader, lr=0.1)
    for n in counts:
        model.set_weights(before)
        with threads(n):
            require_close(f"the loss on {n} threads", train_epoch(model, loader, lr=0.1), expected_loss)
        for got, expected, start in zip(model.get_weights(), exact.get_weights(), before, strict=True):
            require_close(f"an epoch on {n} threads", got - start, expected - start)
    one = loader.X[0]
    require_close("a prediction", model.predict_proba(one), exact.predict_proba(one))


def require_close(name: str, got: ArrayLike, expected: ArrayLike) -> None:
    """Raise BenchError where an array, as a whole, is not what the reference makes."""
    off = np.linalg.norm(np.subtract(got, expected)) / np.linalg.norm(expected)
    if not off <= CLOSE:  # true for NaN
        raise BenchError(f"{name} is wrong: {off:.1e} of its size from the reference, allowed {CLOSE:g}")
