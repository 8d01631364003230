"""Training loops: orders, histories, scores, and the ways in which a run can end."""

import csv
import faulthandler
import os
import re
import signal
import sys
import threading
import time

import numpy as np
import pytest

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
from fastmlp.train import History, Record

SIZES = (8, 6, 3)


def make_model(ops, seed=0, **options):
    return MLP(SIZES, seed=seed, ops=ops, **options)


@pytest.fixture
def data():
    """Samples whose class is the largest of their first three features; batches of 16 leave a short one."""
    X = np.random.default_rng(0).standard_normal((100, 8)).astype(np.float32)
    return X, X[:, :3].argmax(axis=1)


def bits(model):
    return b"".join(w.tobytes() for w in model.get_weights())


def losses_of(history):
    return [record.loss for record in history]


# --- orders ----------------------------------------------------------------------------------------------


def by_epochs(model, X, y, epochs, seed):
    return [train_epoch(model, X, y, lr=0.1, batch_size=16, seed=[seed, e]) for e in range(epochs)]


def by_loader(model, X, y, epochs, seed):
    loader = DataLoader(X, y, 16, shuffle=True, seed=seed)
    return [train_epoch(model, loader, lr=0.1) for _ in range(epochs)]


def by_fit(model, X, y, epochs, seed):
    return losses_of(fit(model, X, y, epochs=epochs, lr=0.1, batch_size=16, seed=seed))


def by_fit_on_a_loader(model, X, y, epochs, seed):
    loader = DataLoader(X, y, 16, shuffle=True, seed=seed)
    first = losses_of(fit(model, loader, epochs=1, lr=0.1))
    return first + losses_of(fit(model, loader, epochs=epochs - 1, lr=0.1))


def by_hand(model, X, y, epochs, seed):
    sums = []
    for e in range(epochs):
        order = epoch_order(len(X), [seed, e])
        batch_losses = np.zeros(7)
        model.run_epoch(DataLoader(X, y, 16), order, 0.1, batch_losses)
        sums.append(batch_losses.sum())
    return sums


@pytest.mark.parametrize("run", [by_epochs, by_loader, by_fit_on_a_loader, by_hand])
def test_every_way_of_training_visits_the_same_order(ops, data, run):
    model, twin = make_model(ops), make_model(ops)
    got, expected = run(model, *data, 3, 7), by_fit(twin, *data, 3, 7)
    assert got == expected
    assert bits(model) == bits(twin)
    other = make_model(ops)
    assert run(other, *data, 3, 8) != expected
    assert bits(other) != bits(model)


def test_python_batches_of_a_loader_are_the_epochs(data):
    model, twin = make_model(kernels), make_model(kernels)
    loader = DataLoader(*data, 16, shuffle=True, seed=7)
    sums = []
    for _ in range(3):
        losses = []
        for X, y in loader:
            losses.append(model.forward(X, y))
            model.backward()
            model.step(0.1)
        sums.append(np.sum(losses))
    assert sums == by_fit(twin, *data, 3, 7)
    assert bits(model) == bits(twin)


def test_without_shuffle_samples_come_in_their_order(ops, data):
    models = [make_model(ops) for _ in range(3)]
    got = [
        train_epoch(models[0], *data, lr=0.1, batch_size=16, shuffle=False),
        *losses_of(fit(models[1], *data, epochs=1, lr=0.1, batch_size=16, shuffle=False)),
        *by_hand_in_order(models[2], *data),
    ]
    assert got[0] == got[1] == got[2]
    assert bits(models[0]) == bits(models[1]) == bits(models[2])


def by_hand_in_order(model, X, y):
    losses = np.zeros(7)
    model.run_epoch(DataLoader(X, y, 16), np.arange(len(X)), 0.1, losses)
    return [losses.sum()]


def test_without_a_seed_orders_differ(data):
    runs = [train_epoch(make_model(kernels), *data, lr=0.1, batch_size=16) for _ in range(2)]
    assert runs[0] != runs[1]


def test_the_same_seed_repeats_an_order_where_it_is_an_epochs(data):
    runs = [train_epoch(make_model(kernels), *data, lr=0.1, batch_size=16, seed=5) for _ in range(2)]
    model = make_model(kernels)
    losses = np.zeros(7)
    model.run_epoch(DataLoader(*data, 16), epoch_order(100, 5), 0.1, losses)
    assert runs[0] == runs[1] == losses.sum()


def test_the_defaults_are_the_notebooks(data):
    model, twin = make_model(kernels), make_model(kernels)
    X, y = (np.concatenate([part, part]) for part in data)
    train_epoch(model, X, y, seed=1)
    train_epoch(twin, X, y, lr=0.001, batch_size=128, shuffle=True, seed=1)
    assert bits(model) == bits(twin)
    assert len(fit(twin, X, y)) == 20


def test_drop_last_is_obeyed(ops, data):
    model, twin = make_model(ops), make_model(ops)
    history = fit(model, DataLoader(*data, 16, drop_last=True), epochs=1, lr=0.1)
    loss = train_epoch(twin, data[0][:96], data[1][:96], lr=0.1, batch_size=16, shuffle=False)
    assert history[0].loss == loss and history[0].mean_loss == loss / 6
    assert bits(model) == bits(twin)


@pytest.mark.parametrize("name, value", [("batch_size", 128), ("shuffle", True), ("seed", None), ("y", [0])])
@pytest.mark.parametrize("train", [train_epoch, fit])
def test_what_a_loader_has_cannot_be_given_again(data, train, name, value):
    model = make_model(kernels)
    before = bits(model)
    with pytest.raises(ValueError, match=f"^{name} cannot be given with a DataLoader"):
        train(model, DataLoader(*data), **{name: value})
    assert bits(model) == before


@pytest.mark.parametrize("train", [train_epoch, fit])
def test_labels_are_wanted_beside_arrays(data, train):
    with pytest.raises(ValueError, match="y is missing"):
        train(make_model(kernels), data[0])


# --- histories -------------------------------------------------------------------------------------------


def test_records_hold_losses_and_seconds(ops, data):
    start = time.perf_counter()
    history = fit(make_model(ops), *data, epochs=3, lr=0.1, batch_size=16)
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
    model, twin = make_model(ops), make_model(ops)
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
    model = make_model(ops)
    before = bits(model)
    with pytest.raises(ValueError, match=re.escape(said)):
        fit(model, *data, validation_data=change(*data))
    assert bits(model) == before


def test_a_record_prints_as_the_notebooks_line():
    line = "[Epoch 00] loss: 964.216, f1 train: 0.807, f1 test: 0.808"
    assert str(Record(0, 964.2161, 2.05, 0.8071, 0.8079, 0.1)) == line
    assert str(Record(12, 1.5, 0.1, None, 0.5, 0.1)) == "[Epoch 12] loss: 1.500, f1 test: 0.500"
    assert str(Record(7, 1.5, 0.1, None, None, 0.1)) == "[Epoch 07] loss: 1.500"


def test_a_history_is_written_as_csv(tmp_path):
    records = [Record(0, 1 / 3, 0.1, None, 0.5, 2.0), Record(1, 0.25, 0.05, 0.75, None, 1e-9)]
    History(records).to_csv(tmp_path / "h.csv")
    text = (tmp_path / "h.csv").read_text()
    assert text.splitlines()[0] == "epoch,loss,mean_loss,f1_train,f1_test,seconds"
    rows = list(csv.DictReader(text.splitlines()))
    back = [
        Record(int(row.pop("epoch")), **{k: float(v) if v else None for k, v in row.items()}) for row in rows
    ]
    assert back == records
    assert list(tmp_path.iterdir()) == [tmp_path / "h.csv"]


def test_callbacks_see_every_record_and_true_ends_the_run(data):
    seen = []

    def stop_after_two(record):
        seen.append(record)
        return record.epoch == 1

    def truthy(record):
        seen.append(record)
        return 1

    history = fit(make_model(kernels), *data, epochs=5, callbacks=[stop_after_two, truthy])
    assert len(history) == 2 and not history.interrupted
    assert seen == [history[0], history[0], history[1], history[1]]
    seen.clear()
    assert len(fit(make_model(kernels), *data, epochs=3, callbacks=(c for c in [truthy]))) == len(seen) == 3


def test_an_error_in_a_callback_comes_through(data):
    def fail(record):
        raise KeyError("mine")

    model = make_model(kernels)
    with pytest.raises(KeyError, match="mine"):
        fit(model, *data, callbacks=[fail])
    fit(model, *data, epochs=1)


def test_the_learning_rate_may_depend_on_the_epoch(ops, data):
    asked = []

    def rate(epoch):
        asked.append(epoch)
        return 0.1 / (1 + epoch)

    model, twin = make_model(ops), make_model(ops)
    fit(model, *data, epochs=3, lr=rate, seed=0)
    for e in range(3):
        train_epoch(twin, *data, lr=0.1 / (1 + e), seed=[0, e])
    assert asked == [0, 1, 2] and bits(model) == bits(twin)


@pytest.mark.parametrize("epochs", [-1, 1.5, "3", True, None])
def test_bad_epochs_are_refused(data, epochs):
    with pytest.raises(ValueError, match="epochs is .*, expected a whole number from 0 up"):
        fit(make_model(kernels), *data, epochs=epochs)


def test_no_epochs_train_nothing(data):
    model = make_model(kernels)
    assert len(fit(model, *data, epochs=0)) == 0
    assert bits(model) == bits(make_model(kernels))


# --- the progress bar ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "terminal", "shown"),
    [("auto", False, False), ("auto", True, True), (True, False, True), (False, True, False)],
)
def test_a_bar_is_shown_where_it_is_wanted(data, capsys, monkeypatch, progress, terminal, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    model, twin = make_model(kernels), make_model(kernels)
    fit(model, *data, epochs=3, batch_size=16, seed=0, progress=progress)
    out, err = capsys.readouterr()
    assert out == "" and ("/21" in err) == shown == bool(err)
    fit(twin, *data, epochs=3, batch_size=16, seed=0, progress=False)
    assert bits(model) == bits(twin)


# --- divergence ------------------------------------------------------------------------------------------


def test_a_batch_size_beyond_all_data_is_one_batch(ops, data):
    model, twin = make_model(ops), make_model(ops)
    train_epoch(model, *data, batch_size=2**70, shuffle=False)
    train_epoch(twin, *data, batch_size=len(data[1]), shuffle=False)
    assert bits(model) == bits(twin)


def test_without_a_console_there_is_no_bar(data, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    assert len(fit(make_model(kernels), *data, epochs=2)) == 2


def test_divergence_names_epoch_and_batch_and_takes_no_step(ops, data):
    X, y = data
    model, twin = make_model(ops), make_model(ops)
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
    batches = np.split(epoch_order(100, [0, 2]), range(16, 100, 16))
    for rows in batches[:batch]:
        twin.forward(X[rows], y[rows])
        twin.backward()
        twin.step(1e10)
    for got, expected in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0 if ops is kernels else 1e-3)
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
    model = make_model(ops, scale=1 / 255)
    good = model.get_weights()
    for layer in range(2):
        for kind in range(2):
            for i in range(good[2 * layer + kind].size):
                model.set_weights(good)
                array = model._parameters()[layer][kind]
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
    sent = []

    def send():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)  # as a terminal does, to the whole process

    sender = threading.Thread(target=send)
    sender.start()
    history = fit(model, loader, epochs=10**9, lr=1e-3, progress=progress)
    took = time.perf_counter() - sent[0]
    sender.join()
    assert history.interrupted and took < 1
    assert (len(history) == 0) == (long == "epoch")
    while set(threading.enumerate()) - threads and time.perf_counter() < sent[0] + 2:
        time.sleep(0.01)  # one that was about to start when the signal came ends unheard
    assert set(threading.enumerate()) <= threads
    after = bits(model)
    assert before != after
    time.sleep(0.05)
    assert bits(model) == after  # nobody trains on
    assert np.isfinite(train_epoch(model, *data, lr=0.1))
    assert not fit(model, *data, epochs=1).interrupted


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
