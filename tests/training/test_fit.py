"""Many epochs: records, scores, callbacks, and the ways in which a run can end."""

import faulthandler
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from models import bits
from runs import SIZES, losses_of, make_samples, make_small

from fastmlp import (
    MLP,
    DataLoader,
    DigitsClassifier,
    evaluate,
    fit,
    kernels,
    load_mnist,
    reference,
    train_epoch,
)
from fastmlp.data import epoch_order


@pytest.fixture
def data():
    return make_samples()


# --- histories -------------------------------------------------------------------------------------------


def test_records_hold_losses_and_seconds(ops, data):
    start = time.perf_counter()
    history = fit(make_small(ops), *data, epochs=3, lr=0.1, batch_size=16)
    elapsed = time.perf_counter() - start
    assert len(history) == len(list(history)) == 3 and not history.interrupted
    assert [record.epoch for record in history] == [0, 1, 2]
    for record in history:
        assert record.mean_loss == record.loss / 7
        assert record.f1_train is None and record.f1_test is None
    assert 0 < sum(record.seconds for record in history) < elapsed
    assert history[-1] is history.records[2] and history[-1].loss < history[0].loss


def test_scores_are_those_of_evaluate(ops, data):
    X, y = data
    test = X[60:], np.eye(3)[y[60:]]
    model, twin = make_small(ops), make_small(ops)
    history = fit(model, X, y, epochs=3, lr=0.1, seed=0, validation_data=test, score_train=True)
    for e, record in enumerate(history):
        train_epoch(twin, X, y, lr=0.1, seed=[0, e])
        assert record.f1_test == evaluate(twin, *test)
        assert record.f1_train == evaluate(twin, X, y)
    assert bits(model) == bits(twin)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X, y: (X[:, :5], y), "validation_data: X has 5 features a row, expected 8"),
        (lambda X, y: (X * np.nan, y), "validation_data: X has NaN"),
        (lambda X, y: (X, y + 1), "validation_data: y has the label 3"),
        (lambda X, y: (X, y[:5]), "validation_data: y has 5 labels"),
        (lambda X, y: (X[:0], y[:0]), "validation_data: X has shape (0, 8), expected at least one sample"),
        (lambda X, y: (X,), "validation_data is of type tuple, expected a pair (X_test, y_test)"),
        (lambda X, y: X, "validation_data is of type ndarray, expected a pair"),
    ],
)
def test_test_data_is_checked_before_training(ops, data, change, said):
    model = make_small(ops)
    before = bits(model)
    with pytest.raises(ValueError, match=re.escape(said)):
        fit(model, *data, validation_data=change(*data))
    assert bits(model) == before


def test_callbacks_see_every_record_and_true_ends_the_run(data):
    seen = []

    def stop_after_two(record):
        seen.append(record)
        return record.epoch == 1

    def truthy(record):
        seen.append(record)
        return 1

    history = fit(make_small(kernels), *data, epochs=5, callbacks=[stop_after_two, truthy])
    assert len(history) == 2 and not history.interrupted
    assert seen == [history[0], history[0], history[1], history[1]]
    seen.clear()
    assert len(fit(make_small(kernels), *data, epochs=3, callbacks=(c for c in [truthy]))) == len(seen) == 3


class Scalar:
    """A scalar as other array libraries have them, such as a tensor of no dimension."""

    def __init__(self, value, dtype, shape=()):
        self.value, self.dtype, self.shape = value, dtype, shape

    def __bool__(self):
        return self.value


@pytest.mark.parametrize(
    ("answer", "n_epochs"),
    [
        (True, 1),
        (np.True_, 1),
        (np.array(True), 1),
        (np.float64(0.5) < 1, 1),
        (Scalar(True, "torch.bool"), 1),
        (False, 3),
        (np.False_, 3),
        (np.array(False), 3),
        (Scalar(False, "torch.bool"), 3),
        (Scalar(True, "torch.float32"), 3),
        (None, 3),
        (1, 3),
        (np.int64(1), 3),
        (np.float64(1), 3),
        ("yes", 3),
        (np.array([True, False]), 3),
    ],
    ids=repr,
)
def test_true_of_any_library_ends_the_run_and_nothing_else(data, answer, n_epochs):
    assert len(fit(make_small(kernels), *data, epochs=3, callbacks=[lambda record: answer])) == n_epochs


@pytest.mark.parametrize("yes, no", [(True, False), (np.True_, np.False_)])
def test_numpys_booleans_and_integers_are_taken(data, capsys, yes, no):
    model, twin = make_small(kernels), make_small(kernels)
    options = {"epochs": np.int64(2), "batch_size": np.int32(16), "seed": np.uint8(0), "shuffle": yes}
    history = fit(model, *data, **options, score_train=yes, progress=no)
    assert history[1].f1_train is not None and capsys.readouterr().err == ""
    expected = fit(twin, *data, epochs=2, batch_size=16, seed=0, score_train=no, progress=yes)
    assert losses_of(expected) == losses_of(history) and expected[1].f1_train is None
    assert "/14" in capsys.readouterr().err
    models = [make_small(kernels) for _ in range(2)]
    sums = [
        train_epoch(models[0], *data, shuffle=no, batch_size=np.uint8(16)),
        train_epoch(models[1], *data, shuffle=False, batch_size=16),
    ]
    assert sums[0] == sums[1]


def test_an_error_in_a_callback_comes_through(data):
    def fail(record):
        raise KeyError("mine")

    model, twin = make_small(kernels), make_small(kernels)
    with pytest.raises(KeyError, match="mine") as caught:
        fit(model, *data, seed=0, callbacks=[fail])
    fit(twin, *data, seed=0, epochs=1)
    assert len(caught.value.history) == 1 and bits(model) == bits(twin)
    fit(model, *data, epochs=1)


def test_the_learning_rate_may_depend_on_the_epoch(ops, data):
    asked = []

    def rate(epoch):
        asked.append(epoch)
        return 0.1 / (1 + epoch)

    model, twin = make_small(ops), make_small(ops)
    fit(model, *data, epochs=3, lr=rate, seed=0)
    for e in range(3):
        train_epoch(twin, *data, lr=0.1 / (1 + e), seed=[0, e])
    assert asked == [0, 1, 2] and bits(model) == bits(twin)


@pytest.mark.parametrize("epochs", [-1, 1.5, "3", True, np.True_, None])
def test_bad_epochs_are_refused(data, epochs):
    with pytest.raises(ValueError, match="epochs is .*, expected a whole number from 0 up"):
        fit(make_small(kernels), *data, epochs=epochs)


def test_no_epochs_train_nothing(data):
    model = make_small(kernels)
    assert len(fit(model, *data, epochs=0)) == 0
    assert bits(model) == bits(make_small(kernels))


# --- divergence ------------------------------------------------------------------------------------------


def test_divergence_names_epoch_and_batch_and_takes_no_step(ops, data):
    X, y = data
    model, twin = make_small(ops), make_small(ops)
    fit(model, X, y, epochs=2, lr=0.1, batch_size=16, seed=0)
    fit(twin, X, y, epochs=2, lr=0.1, batch_size=16, seed=0)
    loader = DataLoader(X, y, 16, shuffle=True, seed=0)
    rates = [1e-5, 1e-5, 1e10]
    with pytest.raises(FloatingPointError, match="smaller learning rate than 1e\\+10") as caught:
        fit(model, loader, epochs=3, lr=rates.__getitem__)
    epoch, batch = map(
        int, re.match(r"epoch (\d+), batch (\d+): the loss is (?:nan|inf)", str(caught.value)).groups()
    )
    assert epoch == 2 and 0 < batch < 7
    for e, rate in enumerate(rates[:2]):
        train_epoch(twin, X, y, lr=rate, batch_size=16, seed=[0, e])
    assert bits(model) == bits(twin)  # the epoch that diverged has left nothing
    assert losses_of(caught.value.history) and not caught.value.history.interrupted
    batches = np.split(epoch_order(100, [0, 2]), range(16, 100, 16))
    for rows in batches[:batch]:
        twin.forward(X[rows], y[rows])
        twin.backward()
        twin.step(1e10)
    with pytest.raises(FloatingPointError, match="the loss is .* smaller learning rate"):
        twin.forward(X[batches[batch]], y[batches[batch]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("skip", ["on", "off"])
def test_a_bad_parameter_anywhere_is_found(ops, monkeypatch, bad, skip):
    """Under pixels that are always zero too, which skipping never looks at."""
    monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
    rng = np.random.default_rng(0)
    X = rng.integers(1, 256, (40, 8), dtype=np.uint8)
    X[:, [0, 3, 7]] = 0
    loader = DataLoader(X, rng.integers(0, 3, 40), 16)
    model = make_small(ops, scale=1 / 255)
    good = model.get_weights()
    for layer in range(2):
        for kind in range(2):
            for i in range(good[2 * layer + kind].size):
                model.set_weights(good)
                (array,) = model._arena.pieces(model._arena.block)[layer][kind]
                array[np.unravel_index(i, array.shape)] = bad
                with pytest.raises(FloatingPointError, match="epoch 0, (batch 0|after batch 2)"):
                    fit(model, loader, epochs=1)
    model.set_weights(good)
    fit(model, loader, epochs=1)


# --- Ctrl-C ----------------------------------------------------------------------------------------------


@pytest.fixture
def no_hang():
    """End the whole test run, saying where it stands, should the main thread never wake."""
    faulthandler.dump_traceback_later(60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("progress", [False, True])
@pytest.mark.parametrize("long", ["epoch", "run"])
def test_ctrl_c_ends_a_run_within_a_second(ops, data, capsys, long, progress):
    sizes, n = ((8, 512, 512, 3), 2_000_000) if long == "epoch" else (SIZES, 100)
    model = MLP(sizes, seed=0, ops=ops)
    fit(model, *data, epochs=1, progress=progress)  # compiled; and tqdm keeps a thread from its first bar on
    rows = np.arange(n) % 100
    loader = DataLoader(data[0][rows], data[1][rows], 16, shuffle=True, seed=0)
    before, threads = bits(model), set(threading.enumerate())
    begun = model._arena.block.copy()  # seen while it trains, when readers wait
    sent = []

    def send():
        while np.array_equal(model._arena.block, begun):  # on a busy machine the first batch may come late
            time.sleep(0.01)
        time.sleep(0.2)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)  # as a terminal does, to the whole process

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(model, loader, epochs=10**9, lr=1e-3, progress=progress)
    history = caught.value.history
    took = time.perf_counter() - sent[0]
    sender.join()
    assert history.interrupted and took < 1
    assert (len(history) == 0) == (long == "epoch")
    while set(threading.enumerate()) - threads and time.perf_counter() < sent[0] + 2:
        time.sleep(0.01)  # one that was about to start when the signal came ends unheard
    assert set(threading.enumerate()) <= threads
    after = bits(model)
    assert (before == after) == (long == "epoch")  # the weights of the last epoch that ended
    time.sleep(0.05)
    assert bits(model) == after  # nobody trains on
    assert np.isfinite(train_epoch(model, *data, lr=0.1))
    assert not fit(model, *data, epochs=1).interrupted


ENDS = """
import sys, threading
import numpy as np
from fastmlp import MLP, fit

X = np.random.default_rng(0).standard_normal((2000, 64)).astype("f")
started = threading.Event()
options = {"epochs": 10**9, "callbacks": [lambda record: started.set()], "progress": sys.argv[1] == "bar"}
given = MLP([64, 128, 2], seed=0), X, (X[:, 0] > 0).astype(int)
threading.Thread(target=fit, args=given, kwargs=options, daemon=True).start()
started.wait()
"""


@pytest.mark.parametrize("word", ["bar", "none"] * 3)
def test_a_program_ends_while_a_thread_of_its_own_trains(word):
    path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", ENDS, word], env=path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "Error" not in done.stderr and "Traceback" not in done.stderr


# --- both back ends --------------------------------------------------------------------------------------


def test_back_ends_agree_over_an_epoch_of_float64():
    X, y, *_ = load_mnist()
    losses = [
        losses_of(fit(DigitsClassifier(seed=0, dtype=np.float64, ops=ops), X, y, epochs=1, seed=0))
        for ops in (kernels, reference)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)


@pytest.mark.parametrize("scale, lr", [(1, 1e-3), (1 / 255, 0.1)])
def test_back_ends_agree_on_the_first_batches_of_float32(scale, lr):
    X, y, *_ = load_mnist()
    order = epoch_order(len(X), [0, 0])[:1280]
    losses = np.zeros((2, 10))
    for row, ops in zip(losses, (kernels, reference), strict=True):
        DigitsClassifier(seed=0, scale=scale, ops=ops).run_epoch(DataLoader(X, y), order, lr, row)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
