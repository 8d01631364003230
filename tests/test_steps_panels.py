"""Layers of several panels: the same bits round their edges by every road, whatever the threads."""

import itertools

import numpy as np
import pytest
from test_steps import OPTIMIZERS

from fastmlp import MLP, DataLoader

N, N_IN, BATCH = 42, 70, 16
# units of 6 to 8 cache lines and of one more, of 13 to 15, and of 33, where the last of eight panels is
# missing; the last layer, which is never shared out by columns, has several panels too
WIDTHS = {
    np.float32: [(112, 113, 128), (97, 208, 129), (225, 528, 144), (513, 224, 10)],
    np.float64: [(56, 57, 64), (49, 100, 65), (113, 264, 72), (257, 112, 10)],
}
CASES = pytest.mark.parametrize(
    ("dtype", "widths"), [(dtype, widths) for dtype in WIDTHS for widths in WIDTHS[dtype]], ids=str
)


def data():
    rng = np.random.default_rng(0)
    X = (rng.integers(0, 256, (N, N_IN)) * (rng.random((N, N_IN)) < 0.3)).astype(np.uint8)
    return X, rng.integers(10, size=N)


def make(dtype, widths, center=None):
    center = None if center is None else np.full(N_IN, center)
    return MLP((N_IN, *widths), scale=1 / 255, seed=1, dtype=dtype, center=center)


def bits(model, losses):
    kept = model.get_state()
    arrays = [*kept["weights"], *(a for row in kept["state"] for a in row), *(kept["average"] or [])]
    return [array.tobytes() for array in [*arrays, losses, model.logits(data()[0])]]


def by_steps(model, optimizer):
    losses = []
    for X, y in DataLoader(*data(), BATCH):
        losses.append(model.forward(X, y))
        model.backward()
        model.step(optimizer)
    return bits(model, np.array(losses))


def by_epochs(model, optimizer, **options):
    loader = DataLoader(*data(), BATCH)
    losses, rates = np.full(len(loader), np.nan), (optimizer.lr, getattr(optimizer, "momentum", 0.0))
    model.run_epoch(loader, np.arange(N), np.tile(rates, (len(loader), 1)), losses, optimizer, **options)
    return bits(model, losses)


@CASES
@pytest.mark.parametrize(
    ("name", "center"), [*((name, None) for name in OPTIMIZERS), ("plain", 0.25), ("adamw", 0.25)]
)
def test_an_epoch_has_the_bits_of_its_steps(name, center, dtype, widths, threads, monkeypatch):
    optimizer = OPTIMIZERS[name]
    threads(1)
    expected = by_steps(make(dtype, widths, center), optimizer)
    for n_threads, skip in itertools.product((1, 2, 3, 4, 8), ("on", "off")):
        threads(n_threads)
        monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
        assert by_epochs(make(dtype, widths, center), optimizer) == expected, (n_threads, skip)
    assert by_steps(make(dtype, widths, center), optimizer) == expected  # by as many threads


@CASES
def test_averages_have_the_same_bits(dtype, widths, threads, monkeypatch):
    found = []
    for n_threads, skip in itertools.product((1, 2, 3, 4, 8), ("on", "off")):
        threads(n_threads)
        monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
        found.append(by_epochs(make(dtype, widths), OPTIMIZERS["nesterov"], ema=0.9))
    assert all(bits == found[0] for bits in found)
    averages, raw = found[0][-8:-2], found[0][:6]
    assert all(one != other for one, other in zip(averages, raw, strict=True))
