"""Long use: memory stays flat, no thread is left over, and the last calls are as fast as the first."""

import os
import sys
import time

import numpy as np
import pytest

from fastmlp import MLP, DataLoader, train_epoch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory and threads are read from /proc")


def resident():
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def count_threads():
    return len(os.listdir("/proc/self/task"))


def soak(call, n):
    """Call n times, in tenths: after the first nothing may grow."""
    quickest = []
    for tenth in range(10):
        seconds = []
        for _ in range(n // 10):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        quickest.append(min(seconds))  # whatever else this machine does
        if tenth == 0:
            memory, n_threads = resident(), count_threads()
    growth, slower = resident() / memory - 1, quickest[-1] / quickest[0] - 1
    print(f"{n} calls: memory {growth:+.2%}, time {slower:+.1%}")
    assert growth <= 0.01
    assert slower <= 0.5  # what grew from call to call would take many times as long
    end = time.perf_counter() + 10
    while count_threads() > n_threads and time.perf_counter() < end:  # one ends a little after its share
        time.sleep(0.01)
    assert count_threads() <= n_threads


@pytest.fixture
def model(threads):
    threads(2)
    return MLP((40, 64, 5), seed=0)


@pytest.mark.parametrize("n", [200, pytest.param(2000, marks=pytest.mark.nightly)])
def test_epochs(model, n):
    rng = np.random.default_rng(0)
    loader = DataLoader(rng.random((2000, 40), dtype=np.float32), rng.integers(0, 5, 2000), 64, shuffle=True)
    soak(lambda: train_epoch(model, loader), n)


@pytest.mark.parametrize("n", [5000, pytest.param(100_000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("rows", [1, 64])
def test_predictions(model, rows, n):
    X = np.random.default_rng(0).random((rows, 40))
    soak(lambda: model.predict(X), n)
