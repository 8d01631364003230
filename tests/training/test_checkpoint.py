"""Checkpoints: runs that are cut, by SIGKILL too, and completed to the bits that they would have had."""

import dataclasses
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cut_runs import (
    RUNS,
    X,
    Y,
    cut,
    make_model,
    n_epochs_in,
    outcome,
    train,
)

from fastmlp import (
    MLP,
    Checkpoint,
    DataLoader,
    History,
    fit,
    set_num_threads,
)
from fastmlp.training import checkpoint as module


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.fixture(autouse=True)
def threads():
    yield
    set_num_threads(None)


# --- the same bits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 4, 6])
@pytest.mark.parametrize("run", RUNS)
def test_a_resumed_run_is_that_which_never_stopped(ops, path, run, after):
    model, twin = make_model(ops), make_model(ops)
    expected = outcome(twin, train(twin, run))
    if after > len(expected[1]):
        pytest.skip("the run has ended before")
    set_num_threads(1)
    assert len(cut(model, run, path, after)) == after
    set_num_threads(2)
    for seed in 0, 9:  # whatever is in the model
        other = make_model(ops, seed)
        assert outcome(other, train(other, run, resume=path)) == expected
    assert outcome(model, train(model, run, resume=path, seed=None, checkpoint=path)) == expected


def test_runs_with_early_stopping_end_early_and_resume_within_their_patience(path):
    """Else the test above shows less than it seems to."""
    for run in ("adam, stopping", "stopping by score"):
        n = len(train(make_model(), run, epochs=200))
        model, twin = make_model(), make_model()
        expected = outcome(twin, train(twin, run, epochs=200))
        assert n < 200
        for after in range(max(1, n - 4), n + 1):
            cut(model := make_model(), run, path, after, epochs=200)
            assert outcome(model, train(model, run, epochs=200, resume=path)) == expected


PROGRAM = """
import sys, time
from pathlib import Path
import cut_runs as t
from fastmlp import Checkpoint, set_num_threads

run, path, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
set_num_threads(threads)
resume = path if path.exists() else None
every = Checkpoint(path, seconds=0)
model = t.make_model()
t.train(model, run, 60, checkpoint=every, resume=resume, callbacks=[lambda record: time.sleep(0.02)])
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("run", ["adam, ema", "nesterov, one_cycle"])
def test_a_killed_process_loses_the_epochs_since_the_last_checkpoint(path, run, threads):
    folders = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    last = 0
    for kill in range(3):
        command = [sys.executable, "-c", PROGRAM, run, str(path), str(threads)]
        child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        try:
            until = time.monotonic() + 120
            while not path.exists() or n_epochs_in(path) < last + 2 + kill:
                assert child.poll() is None and time.monotonic() < until, child.communicate()[1].decode()
                time.sleep(0.005)
        finally:
            child.kill()
            child.communicate()
        last = n_epochs_in(path)
    assert 6 < last < 60
    model, twin = make_model(), make_model()
    set_num_threads(3 - threads)
    history = train(model, run, 60, resume=path)
    assert outcome(model, history) == outcome(twin, train(twin, run, 60))


def test_ctrl_c_and_divergence_within_an_epoch_leave_the_epoch_before(ops, path):
    twin = make_model(ops)
    expected = outcome(twin, train(twin, "adam, stopping"))
    for error in KeyboardInterrupt, FloatingPointError, MemoryError:
        model = make_model(ops)
        run_epoch, calls = model.run_epoch, itertools.count()

        def broken(
            loader, order, rates, losses, *given, error=error, run_epoch=run_epoch, calls=calls, **more
        ):
            done = run_epoch(loader, order, rates, losses, *given, **more)
            if next(calls) == 3:
                raise error("in the middle")
            return done

        model.run_epoch = broken
        with pytest.raises(error) as caught:
            train(model, "adam, stopping", checkpoint=Checkpoint(path, epochs=100))
        assert len(caught.value.history) == 3
        model = make_model(ops)
        assert outcome(model, train(model, "adam, stopping", resume=path)) == expected


def test_a_run_of_which_no_epoch_ended_has_a_seed(ops, path):
    model, twin = make_model(ops), make_model(ops)
    model.run_epoch = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        train(model, "sgd", seed=None, checkpoint=path)
    model = make_model(ops, 7)
    history = train(model, "sgd", seed=None, resume=path)
    assert outcome(model, history) == outcome(twin, train(twin, "sgd", seed=history.seed))


def test_what_else_a_models_state_may_hold_comes_back(path):
    class Model(MLP):
        def get_state(self):
            return super().get_state() | {
                "dropout_seed": 2**62 + 1,
                "counter": 3,
                "kind": "a",
                "nothing": None,
            }

        def set_state(self, state):
            self.seen = state
            super().set_state(state)

    cut(Model((8, 40, 3), seed=0), "adam, ema", path, 2)
    model = Model((8, 40, 3), seed=0)
    train(model, "adam, ema", resume=path)
    assert model.seen["dropout_seed"] == 2**62 + 1 and model.seen["kind"] == "a"
    assert model.seen["counter"] == 3 and model.seen["nothing"] is None


def test_dropout_draws_on_where_the_run_was_cut(ops, path):
    expected = make_model(ops, dropout=(0.2, 0.5))
    history = train(expected, "adam, ema")
    cut(make_model(ops, dropout=(0.2, 0.5)), "adam, ema", path, 4)
    model = make_model(ops, 5, dropout=(0.2, 0.5))  # its own seed is another
    assert outcome(model, train(model, "adam, ema", resume=path)) == outcome(expected, history)


@pytest.mark.parametrize("name", ["sample_weight", "class_weight", "label_smoothing"])
def test_a_run_with_other_weights_or_smoothing_is_refused(path, name):
    options = {
        "sample_weight": np.arange(1.0, 51), "class_weight": {0: 2.0}, "label_smoothing": 0.25
    }  # fmt: skip
    cut(make_model(), "sgd", path, 2)
    with pytest.raises(ValueError, match="is of another run: (label_smoothing is 0.25|data.weights)"):
        train(make_model(), "sgd", resume=path, **{name: options[name]})


# --- runs that have ended --------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["sgd", "adam, ema", "adam, stopping", "stopping by score"])
def test_a_finished_run_trains_nothing_more(ops, path, run):
    model = make_model(ops)
    expected = outcome(model, train(model, run, 60, checkpoint=path))
    content = path.read_bytes()
    other = make_model(ops, 5)
    history = train(other, run, 60, checkpoint=path, resume=path, callbacks=[pytest.fail])
    assert outcome(other, history) == expected and not history.interrupted
    assert path.read_bytes() == content


def test_a_run_that_a_callback_has_ended_is_finished(path):
    model, other = make_model(), make_model(seed=5)
    history = train(model, "sgd", checkpoint=path, callbacks=[lambda record: record.epoch == 2])
    assert len(history) == 3
    assert outcome(other, train(other, "sgd", resume=path)) == outcome(model, history)


def test_a_finished_run_goes_on_where_more_epochs_are_asked_for(ops, path):
    model, twin, other = make_model(ops), make_model(ops), make_model(ops)
    train(model, "adam, ema", 3, checkpoint=path)
    expected = outcome(twin, train(twin, "adam, ema", 6))
    assert outcome(other, train(other, "adam, ema", np.int64(6), resume=path)) == expected
    assert len(train(make_model(ops), "adam, ema", 1, resume=path)) == 3


# --- orders ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle, seed", [(True, None), (True, 3), (True, [3, 4]), (False, None)])
def test_a_loader_goes_on_from_its_pass_and_from_a_seed_that_was_drawn(path, shuffle, seed):
    loader = DataLoader(X, Y, 16, shuffle=shuffle, seed=seed)
    list(loader), list(loader)
    model, twin, other = make_model(), make_model(), make_model()
    fit(model, loader, epochs=2, checkpoint=path)
    new = DataLoader(X, Y, 16, shuffle=shuffle, seed=seed)
    history = fit(other, new, epochs=5, resume=path)
    seed = [*history.seed] if shuffle else None
    same = DataLoader(X, Y, 16, shuffle=shuffle, seed=seed)
    list(same), list(same)
    assert outcome(other, history) == outcome(twin, fit(twin, same, epochs=5)) and history.first_pass == 2
    np.testing.assert_array_equal(new.next_order(), same.next_order())


def test_a_generator_is_refused(path):
    loader = DataLoader(X, Y, shuffle=True, seed=np.random.default_rng(0))
    with pytest.raises(ValueError, match="seed is a Generator.*give a number"):
        fit(make_model(), loader, checkpoint=path)
    fit(make_model(), DataLoader(X, Y, seed=np.random.default_rng(0)), epochs=1, checkpoint=path)


def test_a_run_that_went_on_from_a_history_is_resumed(ops, path):
    model, twin = make_model(ops), make_model(ops)
    run = "nesterov, one_cycle"
    first = train(model, run, 3)
    cut(model, run, path, 3 + 2, epochs=4, history=first)
    other = make_model(ops)
    history = train(other, run, 4, resume=path)
    assert [record.epoch for record in history] == list(range(7))
    assert outcome(other, history) == outcome(twin, train(twin, run, 4, history=train(twin, run, 3)))


# --- when ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "written"),
    [
        (None, [1, 4, 7, 9]),
        ({}, [1, 4, 7, 9]),
        ({"seconds": 0}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"seconds": 1.5}, [1, 5, 9]),
        ({"epochs": 4}, [4, 8, 9]),
        ({"epochs": 2, "seconds": 100}, [1, 3, 5, 7, 9]),
        ({"epochs": 100}, [9]),
    ],
)
def test_checkpoints_are_written_at_their_times(monkeypatch, path, options, written):
    """Of nine epochs of 0.4 s; the last is written in any case."""
    clock = itertools.count(100, 0.4)
    writes, now = [], [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "write_file", lambda *args: writes.append(len(seen)))
    seen = []
    evaluated = module.Writer.epoch_ended

    def epoch_ended(self):
        now[0] = next(clock)
        seen.append(now[0])
        evaluated(self)

    monkeypatch.setattr(module.Writer, "epoch_ended", epoch_ended)
    train(make_model(), "sgd", checkpoint=path if options is None else Checkpoint(path, **options))
    assert writes == written


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        (3, {}, "path is 3"),
        ("a", {"epochs": 0}, "epochs is 0, expected a whole number from 1 up, or None"),
        ("a", {"epochs": True}, "epochs is True"),
        ("a", {"epochs": 1.5}, "epochs is 1.5"),
        ("a", {"seconds": -1}, "seconds is -1, expected a finite number from 0 up, or None"),
        ("a", {"seconds": np.inf}, "seconds is inf"),
        ("a", {"seconds": True}, "seconds is True"),
    ],
)
def test_bad_values_are_refused(path, options, said):
    with pytest.raises(ValueError, match=said):
        Checkpoint(path, **options)


def test_a_checkpoint_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Checkpoint("a").path = "b"


def test_bad_arguments_are_refused(path):
    with pytest.raises(ValueError, match=r"checkpoint is 3, expected a path, fastmlp\.Checkpoint"):
        train(make_model(), "sgd", checkpoint=3)
    with pytest.raises(ValueError, match="history and resume cannot both be given"):
        train(make_model(), "sgd", resume=path, history=History())
