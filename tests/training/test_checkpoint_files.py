"""Files of checkpoints: damaged, of other runs, and those that cannot be written."""

import itertools

import numpy as np
import pytest
from cut_runs import RUNS, WRONG, X, Y, cut, make_model, n_epochs_in, outcome, repr_of, slowing, train
from models import bits

from fastmlp import MLP, SGD, Adam, Checkpoint, EarlyStopping, fit
from fastmlp.training import checkpoint as module


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


# --- refusals --------------------------------------------------------------------------------------------


def test_of_two_layouts_of_a_data_set_one_completes_the_other(path):
    cut(make_model(), "sgd", path, 2)
    options = {"epochs": 3, "batch_size": 16, "resume": path, **RUNS["sgd"]}
    assert len(fit(make_model(), np.asfortranarray(X[:50]), Y[:50].astype(np.uint8), **options)) == 3


CHANGED = X[:50].copy()
CHANGED[-1, -1] += 1


@pytest.mark.parametrize(
    ("sizes", "changes", "said"),
    [
        ((8, 41, 3), {}, r"model\.sizes is \[8, 41, 3\] here and \[8, 40, 3\] in the file"),
        (None, {"optimizer": SGD(0.01)}, r"optimizer\.class is 'SGD' here and 'Adam' in the file"),
        (None, {"optimizer": Adam(0.02)}, r"optimizer\.lr is 0\.02 here and 0\.01 in the file"),
        (None, {"optimizer": Adam(slowing)}, r"optimizer\.lr is 'slowing' here and 0\.01"),
        (None, {"optimizer": Adam(0.01)}, r"optimizer\.weight_decay is 0\.0 here and 0\.01"),
        (None, {"batch_size": 17}, "batch_size is 17 here and 16 in the file"),
        (None, {"shuffle": False}, "shuffle is False here and True in the file"),
        (None, {"seed": 5}, r"seed is \[5\] here and \[4\] in the file"),
        (None, {"ema": None}, "ema is None here and 0.9 in the file"),
        (None, {"early_stopping": EarlyStopping()}, "early_stopping is {.*} here and None in the file"),
        (None, {"validation_data": WRONG}, "validation_data is {.*} here and None in the file"),
    ],
)
def test_another_run_is_refused(path, sizes, changes, said):
    cut(make_model(), "adam, ema", path, 2)
    model = make_model(sizes=sizes or (8, 40, 3))
    before = repr_of(model.get_state())
    with pytest.raises(ValueError, match=f"run.safetensors is of another run: {said}"):
        train(model, "adam, ema", resume=path, **changes)
    assert repr_of(model.get_state()) == before


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (CHANGED, Y[:50], r"data\.digest"),
        (X[:50], 2 - Y[:50], r"data\.digest"),
        (X[:51], Y[:51], r"data\.X is \['float32', 51, 8\] here and \['float32', 50, 8\]"),
        (X[:50], np.eye(3)[Y[:50]], r"data\.y is \['float64', 50, 3\] here and \['int64', 50\]"),
    ],
)
def test_another_data_set_is_refused(path, x, y, said):
    cut(make_model(), "adam, ema", path, 2)
    with pytest.raises(ValueError, match=f"is of another run: {said}"):
        fit(make_model(), x, y, batch_size=16, resume=path, **RUNS["adam, ema"])


@pytest.mark.parametrize("run", ["nesterov, one_cycle", "of steps and total"])
def test_another_length_is_refused_where_rates_depend_on_it(path, run):
    cut(make_model(), run, path, 2)
    with pytest.raises(ValueError, match="epochs is 12 here and 9 in the file"):
        train(make_model(), run, 12, resume=path)


def test_another_back_end_is_refused(path):
    from fastmlp import reference

    cut(make_model(), "sgd", path, 2)
    with pytest.raises(ValueError, match=r"model\.ops is 'fastmlp\.reference' here and 'fastmlp\.kernels'"):
        train(make_model(reference), "sgd", resume=path)


# --- files -----------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(path):
    with pytest.raises(FileNotFoundError, match="run.safetensors: found no such file, expected a checkpoint"):
        train(make_model(), "sgd", resume=path)


def test_a_damaged_file_is_named(path):
    cut(make_model(), "adam, stopping", path, 3)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    changed = [good[:n] for n in (0, 7, 100, len(good) - 1)] + [b"text", good + b"\0"]
    for place in [*range(10), *rng.integers(0, len(good), 60), len(good) - 1]:
        changed.append(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    before = repr_of(make_model().get_state())
    for content in changed:
        path.write_bytes(content)
        model = make_model()
        with pytest.raises(ValueError, match="run.safetensors: found"):
            train(model, "adam, stopping", resume=path)
        assert repr_of(model.get_state()) == before
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="run.safetensors: found a folder"):
        train(make_model(), "adam, stopping", resume=path)


def test_a_model_is_no_checkpoint_nor_the_other_way_round(path):
    make_model().save(path)
    with pytest.raises(ValueError, match="run.safetensors: found none, expected a checkpoint"):
        train(make_model(), "sgd", resume=path)
    cut(make_model(), "sgd", path, 2)
    with pytest.raises(ValueError, match="run.safetensors: found .* expected"):
        MLP.load(path)


def test_a_save_that_fails_leaves_the_old_file_and_the_run(monkeypatch, path):
    every = Checkpoint(path, seconds=0)
    model, twin = make_model(), make_model()
    train(twin, "adam, ema", 4)
    write, calls = module.write_file, itertools.count()

    def fail_from_the_fourth_on(*args):
        if next(calls) >= 3:
            raise OSError(28, "No space left on device")
        write(*args)

    monkeypatch.setattr(module, "write_file", fail_from_the_fourth_on)
    with pytest.raises(OSError, match="No space left") as caught:
        train(model, "adam, ema", checkpoint=every)
    assert len(caught.value.history) == 4 and bits(model) == bits(twin)
    assert "checkpoint could not be written" in caught.value.__notes__[0]
    assert n_epochs_in(path) == 3
    with pytest.raises(OSError, match="No space left") as caught:  # the save at the end
        train(model := make_model(), "adam, ema", 4, checkpoint=Checkpoint(path, epochs=100))
    assert len(caught.value.history) == 4 and bits(model) == bits(twin)
    monkeypatch.undo()
    other, whole = make_model(), make_model()
    history = train(other, "adam, ema", resume=path)
    assert outcome(other, history) == outcome(whole, train(whole, "adam, ema"))


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        (
            "nowhere/run",
            FileNotFoundError,
            "nowhere/run: found no folder .*nowhere to write in; make it first",
        ),
        (".", ValueError, "found a folder or a device, expected a file to write"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_refused_before_the_first_epoch(tmp_path, place, error, said):
    model = make_model()
    before = repr_of(model.get_state())
    for checkpoint in tmp_path / place, Checkpoint(tmp_path / place, epochs=100):
        with pytest.raises(error, match=said):
            train(model, "sgd", checkpoint=checkpoint)
    assert repr_of(model.get_state()) == before and not [*tmp_path.iterdir()]


def test_a_callback_finds_its_epoch_in_the_file(path):
    seen = []
    every = Checkpoint(path, seconds=0)
    train(make_model(), "sgd", 3, checkpoint=every, callbacks=[lambda _: seen.append(n_epochs_in(path))])
    assert seen == [1, 2, 3] and [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_checkpoint_is_not_taken_for_a_model(path):
    cut(make_model(), "sgd", path, 2)
    with pytest.raises(ValueError, match="run.safetensors: found a checkpoint, expected a model"):
        MLP.load(path)
