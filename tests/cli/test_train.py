"""`fastmlp train`: what it prints and saves, how it ends, and what Ctrl-C leaves."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import ROOT, RUN_FILES, SIDES, files, make_images, records, write_idx

import fastmlp.cli.train as module
from fastmlp.cli.main import main
from fastmlp.kernels.core import machine
from fastmlp.metrics import evaluate
from fastmlp.model import MLP
from fastmlp.optimizers import SGD

# trained before any test, so that none sees the kernels being compiled
pytestmark = pytest.mark.usefixtures("model_path")


def test_it_prints_and_saves_a_run(train, tmp_path, capsys):
    out = tmp_path / "new" / "run"
    assert train(out, "--epochs", "3", "--threads", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Training 30-8-3 (275 parameters, float32)" in lines[0]
    assert "90 training and 30 test images of 6 x 5, 3 classes" in lines[0]
    assert (
        "epochs 3, batch size 10, sgd, relu, learning rate 0.1, scale 0.00392157, seed 0, threads 1"
        in lines[1]
    )
    score = r"f1 train: [01]\.\d{3}, f1 test: [01]\.\d{3}"
    assert re.fullmatch(rf"\[Untrained\] {score}", lines[2])
    for epoch in range(3):
        assert re.fullmatch(rf"\[Epoch 0{epoch}\] loss: \d+\.\d{{3}}, {score} \(\d+ ms\)", lines[3 + epoch])
    parts = re.findall(r"([a-z ]+) \d+\.\d\d s", lines[6])
    assert [part.strip() for part in parts][:7] == [
        "reading data",
        "preparing",
        "compiling or loading kernels",
        "scoring",
        "training",
        "saving",
        "pictures",
    ]
    assert str(out) in lines[7] and len(lines) == 8
    assert files(out) == RUN_FILES
    assert [record["epoch"] for record in records(out)] == ["0", "1", "2"]
    for name in ("training.png", "samples.png"):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 300


def test_it_learns_with_what_it_was_given(model_path, test_images):
    model = MLP.load(model_path)
    assert (model.sizes, model.image_shape, model.class_names) == ((30, 8, 3), SIDES, None)
    assert model.scale == 1 / 255
    images, labels = test_images
    score = evaluate(model, images.reshape(30, 30), labels)
    assert score > 0.9
    assert float(records(model_path.parent)[-1]["f1_test"]) == pytest.approx(score, abs=1e-12)


def test_history_is_plain_numbers(model_path):
    for record in records(model_path.parent):
        assert all(np.isfinite(json.loads(value)) for value in record.values())


def test_a_seed_repeats_a_run_and_another_does_not(train, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert train(tmp_path / name, "--epochs", "1", "--seed", seed) == 0
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b and a != c


def test_every_option_reaches_the_run(data_folder, tmp_path, monkeypatch):
    seen = {}
    real_fit = module.fit

    def fit(model, loader, **options):
        seen.update(options, sizes=model.sizes, scale=model.scale, batch_size=loader.batch_size)
        seen.update(shuffle=loader.shuffle, threads=machine.get_num_threads(), weights=model.get_weights()[0])
        return real_fit(model, loader, **options)

    monkeypatch.setattr(module, "fit", fit)
    options = "--hidden 4 5 --epochs 2 --batch-size 7 --lr 0.02 --scale 0.5 --threads 3 --seed 6".split()
    assert main(["train", "--data", str(data_folder), "--out", str(tmp_path / "run"), *options]) == 0
    expected = {"epochs": 2, "optimizer": SGD(0.02), "score_train": True, "sizes": (30, 4, 5, 3)}
    expected |= {"batch_size": 7, "shuffle": True, "threads": 3, "scale": 0.5, "early_stopping": None}
    assert {name: seen[name] for name in expected} == expected
    np.testing.assert_array_equal(seen["weights"], MLP([30, 4, 5, 3], seed=6).get_weights()[0])


def test_the_defaults_are_the_notebooks():
    parser = argparse.ArgumentParser()
    module.add(parser.add_subparsers())
    args = parser.parse_args(["train"])
    assert (args.hidden, args.epochs, args.batch_size, args.lr, args.scale) == ([128], 20, 128, 0.001, 1.0)


def test_without_out_each_run_gets_a_folder_of_its_own(data_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: "2000-01-01_00-00-00")
    for _ in range(3):
        assert main(["train", "--data", str(data_folder), "--epochs", "1", "--lr", "1e-6"]) == 0
    name = "2000-01-01_00-00-00"
    assert files(tmp_path / "runs") == {name, f"{name}.2", f"{name}.3"}
    assert all(files(folder) == RUN_FILES for folder in (tmp_path / "runs").iterdir())
    assert str(Path("runs") / f"{name}.3") in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("present", sorted(RUN_FILES))
def test_an_earlier_run_is_not_overwritten(train, tmp_path, error_line, present):
    (tmp_path / present).write_text("precious")
    assert train(tmp_path) == 1
    assert f"holds {present} of an earlier run" in error_line()
    assert (tmp_path / present).read_text() == "precious" and files(tmp_path) == {present}


def test_out_is_checked_before_training(train, tmp_path, monkeypatch, error_line):
    def refuse(path, *args):
        raise PermissionError(13, "Permission denied", str(path))

    called = []
    monkeypatch.setattr(module, "fit", lambda *a, **k: called.append(a))
    (tmp_path / "file").write_text("")
    assert train(tmp_path / "file" / "run") == 1
    assert str(tmp_path / "file") in error_line()
    monkeypatch.setattr("fastmlp.atomic.os.open", refuse)  # as root no folder is read-only
    assert train(tmp_path / "run") == 1
    assert error_line() == f"fastmlp: error: {tmp_path / 'run' / 'model.safetensors'}: Permission denied\n"
    assert not called


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--epochs 0", "--epochs: found '0', expected a whole number from 1"),
        ("--epochs 1.5", "--epochs: found '1.5'"),
        ("--lr nan", "--lr: found 'nan', expected a finite number above 0"),
        ("--lr inf", "--lr: found 'inf'"),
        ("--lr 0", "--lr: found '0'"),
        ("--lr quick", "--lr: found 'quick'"),
        ("--hidden 0", "--hidden: found '0'"),
        ("--hidden 8 -3", "--hidden: found '-3'"),
        ("--hidden", "--hidden: expected at least one argument"),
        ("--batch-size -1", "--batch-size: found '-1'"),
        ("--threads 0", "--threads: found '0', expected a whole number from 1 to 1024"),
        ("--threads 2000", "--threads: found '2000'"),
        ("--seed -1", "--seed: found '-1', expected a whole number from 0"),
        ("--scale 1/0", "--scale: found '0'"),
        ("--scale 1/", "--scale: found ''"),
        ("--scale nan", "--scale: found 'nan'"),
        ("--scale 1e300/1e-300", "--scale: found 'inf'"),
        ("--speed 9", "unrecognized arguments: --speed 9"),
    ],
)
def test_wrong_values_are_wrong_usage(tmp_path, monkeypatch, capsys, options, reason):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *options.split()]) == 2
    captured = capsys.readouterr()
    assert reason in captured.err and "Traceback" not in captured.err
    assert not files(tmp_path)


def test_failures_are_one_line_and_leave_what_there_is(train, tmp_path, error_line):
    assert train(tmp_path / "run", data=tmp_path / "nowhere") == 1
    assert "nowhere" in error_line()
    assert train(tmp_path / "run", "--lr", "1e38") == 1
    error = error_line()
    assert "epoch 0" in error and "learning rate" in error
    assert files(tmp_path / "run") == {"model.safetensors", "history.csv"}
    assert not records(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("FASTMLP_NUM_THREADS", "many", "give a whole number from 1 to 1024"),
        ("FASTMLP_NUM_THREADS", "0", "give a whole number from 1 to 1024"),
        ("FASTMLP_SKIP_ZEROS", "maybe", "set it to auto, on or off, or unset it"),
    ],
)
def test_bad_switches_are_told_in_one_line(train, tmp_path, monkeypatch, error_line, name, value, remedy):
    monkeypatch.setenv(name, value)
    assert train(tmp_path / "run") == 1
    assert error_line() == f"fastmlp: error: {name} is '{value}'; {remedy}\n"
    assert not files(tmp_path)


def interrupt_after_the_first_epoch(real_fit):
    def fit(*arguments, callbacks=(), **options):
        def interrupt(record):
            raise KeyboardInterrupt

        return real_fit(*arguments, callbacks=[*callbacks, interrupt], **options)

    return fit


def end_interrupted(real_fit):
    def fit(*arguments, **options):
        history = real_fit(*arguments, **{**options, "epochs": 1})
        history.interrupted = True
        return history

    return fit


def interrupt_at_once(real_fit):
    def fit(*arguments, **options):
        raise KeyboardInterrupt

    return fit


@pytest.mark.parametrize(
    ("change", "n_epochs"),
    [(interrupt_after_the_first_epoch, 1), (end_interrupted, 1), (interrupt_at_once, 0)],
)
def test_ctrl_c_saves_what_there_is(train, tmp_path, monkeypatch, capsys, change, n_epochs):
    monkeypatch.setattr(module, "fit", change(module.fit))
    assert train(tmp_path / "run", "--epochs", "50") == 130
    assert "Interrupted; saved" in capsys.readouterr().out
    assert len(records(tmp_path / "run")) == n_epochs
    assert files(tmp_path / "run") == (RUN_FILES if n_epochs else RUN_FILES - {"training.png"})
    assert MLP.load(tmp_path / "run" / "model.safetensors").sizes == (30, 8, 3)


def test_ctrl_c_before_training_leaves_nothing(train, tmp_path, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "evaluate", interrupt)
    assert train(tmp_path / "run") == 130
    assert capsys.readouterr().err == "fastmlp: interrupted\n"
    assert not files(tmp_path)


def test_a_real_ctrl_c(data_folder, tmp_path):
    command = [sys.executable, "-m", "fastmlp", "train", "--data", data_folder, "--out", tmp_path / "run"]
    command += ["--epochs", "1000000", "--lr", "1e-6", "--threads", "1"]
    with subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        # a later epoch, so that the interrupt falls into the run and not into its beginning
        next(line for line in process.stdout if line.startswith("[Epoch 03]"))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (130, False)
    assert files(tmp_path / "run") == RUN_FILES
    assert len(records(tmp_path / "run")) >= 4


def test_ctrl_c_that_is_held_down_loses_nothing(data_folder, tmp_path):
    command = [sys.executable, "-m", "fastmlp", "train", "--data", data_folder, "--out", tmp_path / "run"]
    command += ["--epochs", "1000000", "--lr", "1e-6", "--threads", "1", "--holdout", "0.2"]
    with subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        next(line for line in process.stdout if line.startswith("[Epoch 03]"))
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert files(tmp_path / "run") == RUN_FILES


@pytest.mark.parametrize("n_lines", [0, 1, 5])
def test_a_reader_that_leaves_does_not_end_a_run(data_folder, tmp_path, n_lines):
    command = [sys.executable, "-m", "fastmlp", "train", "--data", data_folder, "--out", tmp_path / "run"]
    command += ["--epochs", "4", "--lr", "1e-6"]
    with subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for _ in range(n_lines):
            assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0 and process.stderr.read() == ""
    assert files(tmp_path / "run") == RUN_FILES and len(records(tmp_path / "run")) == 4


@pytest.mark.parametrize("lr", ["1e30"])
def test_divergence_saves_the_last_finite_weights(train, tmp_path, lr):
    assert train(tmp_path / "run", "--lr", lr) == 1
    assert files(tmp_path / "run") == {"model.safetensors", "history.csv"}
    assert len(records(tmp_path / "run")) == 0
    assert MLP.load(tmp_path / "run" / "model.safetensors").sizes == (30, 8, 3)


def test_images_held_back_are_scored_and_those_of_the_test_once_at_the_end(train, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(out, "--epochs", "2", "--holdout", "0.2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "72 training, 18 held back, and 30 test images of 6 x 5, 3 classes" in lines[0]
    score = r"f1 train: [01]\.\d{3}, f1 held back: [01]\.\d{3}"
    assert re.fullmatch(rf"\[Untrained\] {score}", lines[2])
    for epoch in range(2):
        assert re.fullmatch(rf"\[Epoch 0{epoch}\] loss: \d+\.\d{{3}}, {score} \(\d+ ms\)", lines[3 + epoch])
    images, labels = make_images(30)
    expected = evaluate(MLP.load(out / "model.safetensors"), images.reshape(30, 30), labels)
    assert lines[5] == f"[Test images] f1: {expected:.3f}"
    assert files(out) == RUN_FILES


@pytest.mark.parametrize(
    ("share", "what"), [("0.001", "none of 90 images: give a larger"), ("0.999", "all of")]
)
def test_a_share_that_leaves_nothing_is_refused(train, tmp_path, error_line, share, what):
    assert train(tmp_path / "run", "--holdout", share) == 1
    assert f"--holdout {share} holds back {what}" in error_line()
    assert not files(tmp_path)


WARM_UP = """
import gc, sys
import fastmlp.cli.train as module
from fastmlp.cli.main import main
from fastmlp.kernels.core.jit import Entry

def variants():
    return {(e.__name__, s) for e in gc.get_objects() if type(e) is Entry for s in e.dispatcher.overloads}

warm_up, ready = module._load_kernels, set()
def load_kernels(*arguments):
    assert not variants()
    warm_up(*arguments)
    ready.update(variants())
module._load_kernels = load_kernels
assert main(sys.argv[1:]) == 0
assert ready and variants() == ready, variants() - ready
"""


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--holdout 0.2 --dropout 0.1,0.5 --activation mish --optimizer adam --ema 0.9 --label-smoothing 0.1",
    ],
)
def test_the_warm_up_compiles_all_that_the_run_needs(tmp_path, words):
    for part, n in (("train", 90), ("t10k", 30)):
        images, labels = make_images(n)
        images[0] = 255  # the first image tells nothing of how many pixels are 0
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", np.where(images > 100, images, 0).astype(np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    command = ["train", "--data", tmp_path, "--out", tmp_path / "run", "--scale", "1/255", "--epochs", "2"]
    arguments = [*map(str, command), *words.split()]
    environ = os.environ | {"FASTMLP_SKIP_ZEROS": "auto"}
    child = subprocess.run(
        [sys.executable, "-c", WARM_UP, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
