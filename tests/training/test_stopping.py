"""Early stopping: what is monitored, when a run ends, and which weights it leaves."""

import sys

import numpy as np
import pytest
from models import bits
from runs import make_samples, make_small

from fastmlp import MLP, DataLoader, EarlyStopping, fit, kernels, schedules
from fastmlp.training import Record
from fastmlp.training.checkpoint import Writer
from fastmlp.training.stopping import Watch


def make_record(mean_loss, **options):
    return Record(0, 1.0, mean_loss, None, None, 0.1, **options)


def test_the_monitored_value():
    record = make_record(1.0, validation_loss=2.0, score_train=0.3, score_test=0.4)
    assert EarlyStopping().value(record) == 2.0
    assert EarlyStopping(monitor="train_loss").value(record) == 1.0
    assert EarlyStopping(monitor="score").value(record) == -0.4
    record = make_record(1.0, score_train=0.3)
    assert EarlyStopping().value(record) == 1.0
    assert EarlyStopping(monitor="score").value(record) == -0.3


@pytest.mark.parametrize(
    ("losses", "min_delta", "ends"),
    [
        ([3, 2, 2, 2], 0, [0, 0, 0, 1]),
        ([3, 4, 2, 4, 3], 0, [0, 0, 0, 0, 1]),
        ([3, 2.75, 2.5], 0.5, [0, 0, 1]),
        ([np.nan, np.nan], 0, [0, 1]),
    ],
)
def test_patience(losses, min_delta, ends):
    watch = Watch(make_small(kernels), EarlyStopping(2, min_delta=min_delta))
    assert [watch.ended(make_record(loss)) for loss in losses] == ends


@pytest.mark.parametrize("restore_best", [True, False])
def test_the_weights_of_the_best_epoch_are_left(ops, restore_best):
    X, y = make_samples()
    rates, seen, model = [0.1, 0.1, 2.0, 2.0, 2.0], [], make_small(ops)
    history = fit(
        model,
        X[:50],
        y[:50],
        epochs=5,
        lr=rates.__getitem__,
        seed=0,
        validation_data=(X[50:], 2 - y[50:]),  # wrong labels: training makes it worse
        early_stopping=EarlyStopping(2, restore_best=restore_best),
        callbacks=[lambda record: seen.append(bits(model))],
    )
    best = int(np.argmin([record.validation_loss for record in history]))
    assert len(history) < 5 and best < len(history) - 1
    assert bits(model) == seen[best if restore_best else -1]
    assert history[0].rate == 0.1 and history[0].score_test == history[0].f1_test


def test_an_error_leaves_the_best_weights_too(ops):
    X, y = make_samples()
    seen, model = [], make_small(ops)

    def fail(record):
        seen.append((record.mean_loss, bits(model)))
        if record.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(
            model,
            X,
            y,
            lr=[0.1, 0.1, 5.0, 0.0].__getitem__,
            seed=0,
            early_stopping=EarlyStopping(),
            callbacks=[fail],
        )
    assert len(caught.value.history) == 4 and caught.value.history.interrupted
    assert bits(model) == min(seen)[1]


def test_a_score_of_training_is_taken_where_it_is_monitored():
    history = fit(
        make_small(kernels), *make_samples(), epochs=1, early_stopping=EarlyStopping(monitor="score")
    )
    assert history[0].score_train is not None


def test_numpys_numbers_are_taken():
    given = EarlyStopping(np.int64(3), min_delta=np.float32(0.5))
    assert repr(given) == repr(EarlyStopping(3, min_delta=0.5))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"patience": 0}, "patience is 0"),
        ({"patience": True}, "patience is True"),
        ({"monitor": "f1"}, "monitor is 'f1'"),
        ({"min_delta": -1}, "min_delta is -1"),
        ({"min_delta": np.nan}, "min_delta is nan"),
    ],
)
def test_bad_values_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        EarlyStopping(**options)
    with pytest.raises(ValueError, match="early_stopping is 3"):
        fit(make_small(kernels), *make_samples(), early_stopping=3)


@pytest.mark.parametrize("error", [KeyboardInterrupt, FloatingPointError, MemoryError], ids=str)
@pytest.mark.parametrize(
    "place", ["order", "epoch", "score", "loss of validation", "state kept", "state taken", "callback"]
)
def test_records_and_weights_agree_wherever_a_run_breaks(monkeypatch, tmp_path, place, error):
    X, y = make_samples()
    model, twin, calls = make_small(kernels), make_small(kernels), []
    test = X[60:], y[60:]

    def break_at(n, real):
        def call(*arguments, **options):
            calls.append(place)
            result = real(*arguments, **options)
            if len(calls) == n:
                raise error
            return result

        return call

    changes = {  # with the number of the call that fails, which is of the third epoch
        "order": (DataLoader, "next_order", 3),
        "epoch": (MLP, "run_epoch", 3),
        "score": (sys.modules["fastmlp.training.fit"], "evaluate", 3),
        "loss of validation": (MLP, "loss", 3),
        "state kept": (MLP, "get_state", 4),  # the first is before training
        "state taken": (Writer, "_take", 4),
    }
    callbacks = [break_at(3, lambda record: None)] if place == "callback" else []
    if place in changes:
        owner, name, n = changes[place]
        monkeypatch.setattr(owner, name, break_at(n, getattr(owner, name)))
    with pytest.raises(error) as caught:
        fit(model, X, y, lr=0.1, seed=0, validation_data=test, callbacks=callbacks, checkpoint=tmp_path / "c")
    monkeypatch.undo()
    history = caught.value.history
    assert len(history) == (3 if place in ("state taken", "callback") else 2)
    assert fit(twin, X, y, lr=0.1, seed=0, epochs=len(history)).records[-1].loss == history[-1].loss
    assert bits(model) == bits(twin)
    # and the checkpoint goes on from what it has
    rest = fit(
        make_small(kernels), X, y, lr=0.1, seed=0, epochs=4, validation_data=test, resume=tmp_path / "c"
    )
    assert [record.loss for record in rest] == [
        record.loss for record in fit(make_small(kernels), X, y, lr=0.1, seed=0, epochs=4)
    ]


@pytest.mark.parametrize(
    "lr", [schedules.linear(0.1, 0.0), lambda epoch: 0.1 - 0.05 * epoch], ids=["line", "f"]
)
def test_a_rate_that_reaches_0_is_trained_to_the_end(lr):
    history = fit(make_small(kernels), *make_samples(), epochs=3, lr=lr, batch_size=16, seed=0)
    assert len(history) == 3 and history[-1].rate == 0.0


def test_a_rate_that_falls_below_0_leaves_what_came_before():
    model, twin = make_small(kernels), make_small(kernels)
    with pytest.raises(ValueError, match="below 0|from 0 up") as caught:
        fit(model, *make_samples(), epochs=5, lr=lambda epoch: 0.1 - 0.06 * epoch, seed=0)
    fit(twin, *make_samples(), epochs=2, lr=lambda epoch: 0.1 - 0.06 * epoch, seed=0)
    assert len(caught.value.history) == 2 and bits(model) == bits(twin)


@pytest.mark.parametrize("stopping", [None, EarlyStopping(restore_best=False), EarlyStopping()], ids=repr)
@pytest.mark.parametrize("n_good", [0, 1, 2])
def test_a_step_that_shows_in_the_next_epoch_is_taken_back(ops, n_good, stopping):
    X, y = make_samples()
    model, twin = make_small(ops), make_small(ops)
    rates, options = [0.1] * n_good + [1e30] * 2, {"batch_size": 100, "seed": 0}  # a batch an epoch
    with pytest.raises(FloatingPointError, match=f"epoch {n_good + 1}, batch 0") as caught:
        fit(model, X, y, epochs=9, lr=rates.__getitem__, early_stopping=stopping, **options)
    expected = fit(twin, X, y, epochs=n_good, lr=0.1, **options)
    history = caught.value.history
    assert [record.loss for record in history] == [record.loss for record in expected]
    assert bits(model) == bits(twin)
    model.predict(X)


def test_an_error_of_a_rate_takes_nothing_back():
    def rate(epoch):
        if epoch == 2:
            raise FloatingPointError("mine")
        return 0.1

    model, twin = make_small(kernels), make_small(kernels)
    with pytest.raises(FloatingPointError, match="mine") as caught:
        fit(model, *make_samples(), lr=rate, seed=0)
    fit(twin, *make_samples(), epochs=2, lr=0.1, seed=0)
    assert len(caught.value.history) == 2 and bits(model) == bits(twin)
