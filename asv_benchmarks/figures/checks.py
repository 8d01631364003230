"""The check before anything is timed: tiles, kernels and epochs against the reference in float64."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import kernels, reference
from fastmlp.data import DataLoader, load_mnist
from fastmlp.model import MLP

from .cases import (
    BATCH,
    NETWORKS,
    SIZES,
    Case,
    Tiles,
    kernel_cases,
    make_tiles,
    random_loader,
    unskipping,
)
from .race import BenchError, threads

CHECK_LR = 0.1
CLOSE = 1e-4  # of the largest element: far above what float32 rounds, far below what a mistake does
CLOSE_STEP = 1e-3  # of a step: where a unit is nearly 0, float32 and float64 may take sides differently


def check(thread_counts: Sequence[int]) -> str:
    """Compare tiles, kernels and epochs with the reference in float64, on each number of threads.

    Returns
    -------
    A line that says what was compared.

    Raises
    ------
    BenchError
        Something is wrong.
    """
    X, y, X_test, _ = load_mnist()
    check_tiles(make_tiles())
    cases = kernel_cases(X_test[:1000])
    for case in cases:
        _check_kernel(case, thread_counts)
    for network in NETWORKS:
        batch = min(
            network.batch, 2**18 // network.sizes[0]
        )  # the reference would take long over the largest
        _check_epochs(network.sizes, [random_loader(network.sizes, batch, batch + 3)], thread_counts)
    digits = [DataLoader(X[:500], y[:500], BATCH, shuffle=True, seed=0) for _ in range(2)]
    _check_epochs(SIZES, [digits[0], unskipping(digits[1])], thread_counts, scale=1 / 255)
    return (
        f"Checked against the reference: the tile, {len(cases)} kernels, epochs of {len(NETWORKS)} networks "
        "and of MNIST;\nepochs give the same bits on any of these threads, skipping zeros or not."
    )


def check_tiles(tiles: Tiles) -> None:
    """Compare both products of the tile; the second changes the weights, a little."""
    x, w, dy = (array.astype(np.float64) for array in (tiles.x, tiles.w, tiles.dy))
    tiles.forward()
    _require_close("the forward tile", tiles.y, np.maximum(x @ w + tiles.b, 0))
    tiles.step(lr=1e-3)
    _require_close("the tile with a step", tiles.w, w - 1e-3 * x.T @ dy)


def _check_kernel(case: Case, thread_counts: Sequence[int]) -> None:
    truth = case.make(reference, np.float64)
    truth.call()
    for n in thread_counts:
        own = case.make(kernels, np.float32)
        with threads(n):
            own.call()
        for got, expected in zip(own.outputs, truth.outputs, strict=True):
            _require_close(f"{case.name}, {n} threads,", got, expected)


def _check_epochs(
    sizes: Sequence[int], loaders: Sequence[DataLoader], thread_counts: Sequence[int], scale: float = 1.0
) -> None:
    """Train an epoch with every loader, which hold the same samples, on each number of threads."""
    order = loaders[0].next_order()
    name = f"an epoch of {'-'.join(map(str, sizes))}"
    model = MLP(sizes, seed=0, scale=scale)
    start = model.get_weights()
    truth = MLP(sizes, seed=0, scale=float(np.float32(scale)), dtype=np.float64, ops=reference)
    truth.set_weights(start)
    truth_losses = _train(truth, loaders[0], order)
    bits = set()
    for loader in loaders:
        for n in thread_counts:
            model.set_weights(start)
            with threads(n):
                losses = _train(model, loader, order)
            _require_close(f"{name}, {n} threads, the loss", losses, truth_losses, CLOSE_STEP)
            weights = model.get_weights()
            for got, expected, before in zip(weights, truth.get_weights(), start, strict=True):
                _require_step(f"{name}, {n} threads,", got, expected, before)
            bits.add(b"".join(array.tobytes() for array in weights))
    if len(bits) > 1:
        raise BenchError(f"{name} differs in its bits between numbers of threads, or with skipping zeros")


def _train(model: MLP, loader: DataLoader, order: NDArray[np.int64]) -> NDArray[Any]:
    losses = np.full(len(loader), np.nan)
    model.run_epoch(loader, order, CHECK_LR, losses)
    return losses


def _require_close(name: str, got: NDArray[Any], expected: NDArray[Any], close: float = CLOSE) -> None:
    if got.dtype.kind in "iu":
        wrong, off = not np.array_equal(got, expected), np.nan
    else:
        off = float(np.abs(got - expected).max() / np.abs(expected).max())
        wrong = not off <= close  # true for NaN
    if wrong:
        raise BenchError(
            f"{name} is wrong: {off:.1e} of the largest element from the reference, allowed {close:g}"
        )


def _require_step(name: str, got: NDArray[Any], expected: NDArray[Any], before: NDArray[Any]) -> None:
    """Compare what an epoch changed, as a whole; each step rounds the weights too."""
    size = float(np.linalg.norm(expected - before))
    off = float(np.linalg.norm(got - expected))
    if not off <= CLOSE_STEP * size + 1e-6 * float(np.linalg.norm(before)):
        raise BenchError(
            f"{name} is wrong: {off / size:.1e} of its change from the reference, allowed {CLOSE_STEP:g}"
        )
