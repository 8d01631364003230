"""The same bits however the work is shared, in whichever process, and beside whatever else runs."""

import copy
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from fastmlp import MLP, DataLoader, DigitsClassifier, fit, kernels, load_mnist, set_num_threads, train_epoch
from fastmlp.kernels import epoch
from fastmlp.kernels.core import threads as regions

EPOCHS = 3


@pytest.fixture(scope="module")
def digits():
    X, y, *_ = load_mnist()
    return np.array(X[:5000]), np.array(y[:5000])


@pytest.fixture(autouse=True)
def default_threads(monkeypatch):
    monkeypatch.setattr(regions, "CALL_WORK", 1)  # the smallest kernels are shared out too
    yield
    set_num_threads(None)


def make_model(seed=0):
    return DigitsClassifier(seed=seed)


def run(digits, model=None, seed=0, train=None):
    """Train a model for three epochs; its weights, losses and probabilities as bytes."""
    X, y = digits
    model = make_model(seed) if model is None else model
    loader = DataLoader(X, y, 128, shuffle=True, seed=seed)
    losses = [(train or train_epoch)(model, loader) for _ in range(EPOCHS)]
    arrays = [*model.get_weights(), np.array(losses), model.predict_proba(X)]
    return [array.tobytes() for array in arrays]


def by_steps(model, loader):
    losses = []
    for X, y in loader:
        losses.append(model.forward(X, y))
        model.backward()
        model.step(1e-3)
    return float(np.sum(losses))


def by_fit(model, loader):
    return fit(model, loader, epochs=1)[0].loss


@pytest.fixture(scope="module")
def expected(digits):
    """What one thread finds, without skipping zeros."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTMLP_SKIP_ZEROS", "off")
        patch.setenv("FASTMLP_NUM_THREADS", "1")
        return run(digits)


# --- bits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("train", [train_epoch, by_fit, by_steps])
@pytest.mark.parametrize("skip", ["on", "off", "auto"])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_bits_do_not_depend_on_threads_skipping_or_road(digits, expected, monkeypatch, threads, skip, train):
    monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
    set_num_threads(threads)
    assert run(digits, train=train) == expected


def test_bits_tell_one_run_from_another(digits, expected):
    other = run(digits, seed=1)
    assert all(a != b for a, b in zip(other, expected, strict=True) if a.strip(b"\0"))


@pytest.mark.parametrize("threads", [1, 2, 4, 7])
def test_as_many_threads_train_as_were_asked_for(digits, expected, monkeypatch, threads):
    """All of them: a barrier waits for each."""
    set_num_threads(threads)
    started, start = [], regions.start_new_thread

    def count(function, arguments):
        started.append(function)
        start(function, arguments)

    model = make_model()
    loader = DataLoader(*digits, 128, shuffle=True, seed=0)
    monkeypatch.setattr(regions, "start_new_thread", count)
    losses = np.zeros(len(loader))
    model.run_epoch(loader, loader.next_order(), 1e-3, losses)
    assert len(started) == threads


def test_epochs_at_the_same_time_share_the_processors(digits, monkeypatch):
    monkeypatch.setattr(regions.machine, "default_threads", lambda: 8)
    assert regions.epoch_thread_count(10**9, 64) == 8 and not regions._running
    seen, compiled = [], epoch._train_epoch

    class Counting:
        compile = compiled.compile

        def __call__(self, *args):
            seen.append((regions.epoch_thread_count(10**9, 64), len(regions._running)))
            return compiled(*args)

    monkeypatch.setattr(epoch, "_train_epoch", Counting())
    set_num_threads(None)
    run(digits)
    assert set(seen) == {(4, 1)}
    set_num_threads(3)  # what is asked for is shared with nobody
    seen.clear()
    run(digits)
    assert set(seen) == {(3, 1)}
    assert not regions._running


@pytest.mark.parametrize("sizes", [(97, 512, 7), (97, 33, 35, 7), (20, 520, 40, 3)], ids=str)
def test_bits_do_not_depend_on_how_few_rows_a_thread_has(sizes):
    """Batches of 33 rows, the last of 6: many threads have none, and yet all go on."""
    rng = np.random.default_rng(0)
    X, y = rng.random((600, sizes[0]), dtype=np.float32), rng.integers(0, sizes[-1], 600)
    found = set()
    for threads in (1, 2, 3, 4, 8, 8, 8, 8):
        set_num_threads(threads)
        model, loader = MLP(sizes, seed=0), DataLoader(X, y, 33, shuffle=True, seed=0)
        train_epoch(model, loader, lr=0.05)
        found.add(b"".join(w.tobytes() for w in model.get_weights()))
    assert len(found) == 1


@pytest.mark.parametrize("layout", [np.asfortranarray, np.float32, np.float64, lambda X: X[:, ::-1][:, ::-1]])
def test_bits_do_not_depend_on_layout_and_dtype_of_pixels(digits, expected, layout):
    assert run((layout(digits[0]), digits[1])) == expected


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_train_on_to_the_same_bits(digits, duplicate):
    model = make_model()
    run(digits, model)
    assert run(digits, duplicate(model), seed=1) == run(digits, model, seed=1)


def test_two_models_trained_at_once_equal_those_trained_in_turn(digits, expected):
    in_turn = [expected, run(digits, seed=1)]
    set_num_threads(2)
    for _ in range(3):
        at_once = [None, None]

        def work(i, at_once=at_once):
            at_once[i] = run(digits, seed=i, train=[train_epoch, by_steps][i])

        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert at_once == in_turn


# --- parked threads ---------------------------------------------------------------------------------------


def forward(n_threads=None):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((70, 300), (300, 65), (65,)))
    y = np.empty((70, 65), np.float32)
    if n_threads is not None:
        set_num_threads(n_threads)
    kernels.linear_relu_forward(x, w, b, y)
    return y.tobytes()


def test_a_kernel_is_shared_out_among_as_many_as_asked_for():
    alone = forward(1)
    assert [forward(n) for n in (2, 3, 5)] == [alone] * 3
    assert sum(thread.name == "fastmlp" for thread in threading.enumerate()) >= 4


def test_parked_threads_are_lent_to_one_caller_at_a_time():
    alone, results = forward(1), []
    set_num_threads(3)
    callers = [
        threading.Thread(target=lambda: results.extend(forward() for _ in range(50))) for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == [alone] * 200


class Region:
    """As much of a region as its turn depends on."""

    ended = False


def test_a_caller_that_went_alone_keeps_nobody_from_the_parked_threads():
    parked, first, second, third = regions._Parked(), Region(), Region(), Region()
    assert parked._lend(first)
    assert not parked._lend(second)
    first.ended = True
    assert parked._lend(third)  # though the second still runs


@pytest.mark.parametrize("fails", [False, True])
def test_parked_threads_keep_nobodys_arrays(fails, monkeypatch):
    set_num_threads(3)
    forward()
    if fails:

        def interrupt(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(regions._Parked, "_hand_out", interrupt)
        with pytest.raises(KeyboardInterrupt):
            forward()
    assert not regions._parked._line


# --- beside other programs -------------------------------------------------------------------------------


def epoch_seconds(model, loader, n):
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        train_epoch(model, loader, lr=1e-6)
        seconds.append(time.perf_counter() - start)
    return np.array(seconds)


@pytest.fixture
def busy():
    """Other programs on every processor, and one more."""
    programs = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() + 1)
    ]
    yield
    for program in programs:
        program.kill()
        program.wait()


@pytest.mark.parametrize("repeats", [4, pytest.param(200, marks=pytest.mark.nightly)])
def test_bits_do_not_depend_on_what_else_runs(digits, busy, monkeypatch, repeats):
    X, y = digits[0][:300], digits[1][:300]
    monkeypatch.setenv("FASTMLP_NUM_THREADS", "1")
    alone = run((X, y))
    for i in range(repeats):
        train = [train_epoch, by_fit, by_steps][i % 3]
        monkeypatch.setenv(
            "FASTMLP_NUM_THREADS", ["2", "3", "", "4"][i % 4]
        )  # by default, threads are given up
        assert run((X, y), train=train) == alone, i


def test_a_busy_machine_slows_threads_down_and_does_not_stop_it():
    X, y, *_ = load_mnist()
    model, loader = make_model(), DataLoader(X, y, 128, shuffle=True, seed=0)
    epoch_seconds(model, loader, 3)
    idle = np.median(epoch_seconds(model, loader, 15))
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        time.sleep(0.3)
        busy = epoch_seconds(model, loader, 15)
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    # in epochs of this machine, not in seconds: threads that lose a slice at every barrier take tens
    assert np.median(busy) <= 4 * idle and busy.max() <= 12 * idle
