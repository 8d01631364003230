"""`fastmlp train --checkpoint FILE --resume`: runs that were cut, that had ended, or that are others."""

import re
import shlex
import signal
import subprocess
import sys

import pytest
from cut_runs import n_epochs_in
from small_runs import ROOT, RUN_FILES, files, records

import fastmlp.cli.train as module
from fastmlp.cli.main import main

# trained before any test, so that none sees the kernels being compiled
pytestmark = pytest.mark.usefixtures("model_path")

SLOW = ["--lr", "1e-3", "--hidden", "8", "--batch-size", "10", "--scale", "1/255", "--threads", "1"]
RUNS = {
    "sgd": [],
    "adam, ema, dropout": ["--optimizer", "adam", "--ema", "0.9", "--dropout", "0.1,0.3"],
    "held back, patience": ["--holdout", "0.2", "--patience", "1000000", "--momentum", "0.9"],
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def without_seconds(folder):
    return [
        {name: value for name, value in record.items() if name != "seconds"} for record in records(folder)
    ]


@pytest.fixture
def start(data_folder, tmp_path):
    """Return a function that starts the program on a run without an end, and waits for its fourth epoch."""

    def start(*options):
        words = ["train", "--data", data_folder, "--out", tmp_path / "run", "--checkpoint", tmp_path / "cp"]
        command = [sys.executable, "-m", "fastmlp", *words, "--epochs", "1000000", *SLOW, *options]
        process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        next(line for line in process.stdout if line.startswith("[Epoch 03]"))
        return process

    return start


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_a_run_that_was_cut_is_completed_to_the_same_bytes(data_folder, start, tmp_path, run, how, capsys):
    with start(*RUNS[run]) as process:
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    if how == signal.SIGINT:
        assert process.returncode == 130 and files(tmp_path / "run") == RUN_FILES
        go_on = re.search(r"^Go on with: fastmlp (.*) --resume$", out, re.MULTILINE)[1]
        assert shlex.split(go_on)[:5] == ["train", "--data", str(data_folder), "--out", str(tmp_path / "run")]
    else:
        assert process.returncode == -signal.SIGKILL and files(tmp_path / "run") == set()
    epochs = str(n_epochs_in(tmp_path / "cp") + 3)
    words = ["train", "--data", str(data_folder), "--epochs", epochs, *SLOW, *RUNS[run]]
    cut = ["--out", str(tmp_path / "run"), "--checkpoint", str(tmp_path / "cp")]
    assert main([*words, *cut, "--resume", "--threads", "2"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[Epoch")]
    assert len(lines) == 3
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    assert without_seconds(tmp_path / "run") == without_seconds(tmp_path / "whole")
    got, whole = contents(tmp_path / "run"), contents(tmp_path / "whole")
    assert got.keys() == whole.keys() == RUN_FILES
    assert {name for name in RUN_FILES if got[name] != whole[name]} == {"history.csv"}  # its seconds


@pytest.mark.parametrize("run", RUNS)
def test_a_run_that_had_ended_saves_the_same_bytes_again(train, tmp_path, run, capsys):
    out, options = (
        tmp_path / "run",
        ["--checkpoint", str(tmp_path / "new" / "cp"), "--epochs", "3", *RUNS[run]],
    )
    assert train(out, *options, "--resume") == 0  # where there is no such file it begins
    before = contents(out)
    assert before.keys() == RUN_FILES and files(tmp_path / "new") == {"cp"}
    capsys.readouterr()
    for name in ("run", "other"):
        assert train(tmp_path / name, *options, "--resume") == 0
        text = capsys.readouterr().out
        assert "That run had ended, after 3 epochs: there is nothing to train" in text
        assert "[Epoch" not in text and "[Untrained]" not in text
        assert contents(tmp_path / name) == before


def test_patience_that_ended_a_run_ends_it_when_it_is_resumed(train, tmp_path, capsys):
    options = ["--checkpoint", str(tmp_path / "cp"), "--epochs", "9", "--lr", "5", "--patience", "1"]
    assert train(tmp_path / "run", *options) == 0
    before = contents(tmp_path / "run")
    assert len(records(tmp_path / "run")) < 9
    assert train(tmp_path / "run", *options, "--resume") == 0
    assert contents(tmp_path / "run") == before


def test_epochs_count_from_the_beginning(train, tmp_path):
    options = ["--checkpoint", str(tmp_path / "cp"), "--resume"]
    for epochs in ("2", "5"):
        assert train(tmp_path / "run", *options, "--epochs", epochs) == 0
    assert train(tmp_path / "whole", "--epochs", "5") == 0
    assert without_seconds(tmp_path / "run") == without_seconds(tmp_path / "whole")
    model = "model.safetensors"
    assert (tmp_path / "run" / model).read_bytes() == (tmp_path / "whole" / model).read_bytes()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--lr", "0.2"], "optimizer.lr is 0.2 here and 0.1 in the file; give that run's --lr, "),
        (
            ["--hidden", "9"],
            "give that run's --data (with its options) or --hidden, or name another --checkpoint",
        ),
        (["--seed", "1"], "seed is [1] here and [0] in the file; give that run's --seed"),
        (["--holdout", "0.1"], "give that run's --data (with its options) or --holdout"),
        (["--patience", "3"], "give that run's --patience"),
    ],
)
def test_a_run_told_otherwise_is_not_resumed(train, tmp_path, error_line, options, reason):
    common = ["--checkpoint", str(tmp_path / "cp"), "--epochs", "2"]
    assert train(tmp_path / "run", *common) == 0
    before = contents(tmp_path / "run")
    for name in ("run", "other"):
        assert train(tmp_path / name, *common, *options, "--resume") == 1
        error = error_line()
        assert f"--resume: {tmp_path / 'cp'} is of another run: " in error and reason in error
    assert contents(tmp_path / "run") == before and files(tmp_path) == {"run", "cp"}


def test_a_schedule_is_of_one_length(train, tmp_path, error_line):
    common = ["--checkpoint", str(tmp_path / "cp"), "--schedule", "cosine"]
    assert train(tmp_path / "run", *common, "--epochs", "2") == 0
    assert train(tmp_path / "run", *common, "--epochs", "3", "--resume") == 1
    assert "epochs is 3 here and 2 in the file; give that run's --epochs" in error_line()


def test_without_resume_nothing_of_a_run_is_lost(train, tmp_path, error_line):
    options = ["--checkpoint", str(tmp_path / "cp"), "--epochs", "1"]
    assert train(tmp_path / "run", *options) == 0
    kept = (tmp_path / "cp").read_bytes()
    assert train(tmp_path / "other", *options) == 1
    assert "exists already: add --resume" in error_line()
    assert (tmp_path / "cp").read_bytes() == kept and files(tmp_path) == {"run", "cp"}


def test_a_damaged_checkpoint_is_named_with_a_remedy(train, tmp_path, error_line):
    (tmp_path / "cp").write_bytes(b"no checkpoint")
    assert train(tmp_path / "run", "--checkpoint", str(tmp_path / "cp"), "--resume") == 1
    error = error_line()
    assert str(tmp_path / "cp") in error and "name another --checkpoint to begin anew" in error
    assert files(tmp_path) == {"cp"}


def test_ctrl_c_before_anything_is_read_leaves_the_earlier_files(train, tmp_path, monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    options = ["--checkpoint", str(tmp_path / "cp"), "--epochs", "1"]
    assert train(tmp_path / "run", *options) == 0
    before = contents(tmp_path / "run")
    monkeypatch.setattr(module, "fit", interrupt)
    assert train(tmp_path / "run", *options, "--resume") == 130
    assert contents(tmp_path / "run") == before


def test_divergence_with_a_checkpoint_saves_the_last_finite_weights(train, tmp_path, error_line):
    options = ["--checkpoint", str(tmp_path / "cp"), "--lr", "1e30"]
    for resume in ([], ["--resume"]):
        assert train(tmp_path / "run", *options, *resume) == 1
        assert "epoch 0" in error_line()
        assert files(tmp_path / "run") == {"model.safetensors", "history.csv"}
        assert records(tmp_path / "run") == []


def test_a_checkpoint_that_cannot_be_written_loses_no_weights(train, tmp_path, monkeypatch, error_line):
    def refuse(path, *arguments):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("fastmlp.training.checkpoint.write_file", refuse)
    assert train(tmp_path / "run", "--checkpoint", str(tmp_path / "cp"), "--epochs", "3") == 1
    assert error_line() == f"fastmlp: error: {tmp_path / 'cp'}: No space left on device\n"
    assert files(tmp_path / "run") == {"model.safetensors", "history.csv"}
    assert len(records(tmp_path / "run")) == 1
