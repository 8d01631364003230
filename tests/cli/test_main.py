"""The command line as a program: help, exit codes, and how it tells what went wrong."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import ROOT, RUN_FILES, files, make_images, write_idx

from fastmlp.cli.main import main
from fastmlp.kernels.core import machine

COMMANDS = ["train", "evaluate", "predict", "info", "bench"]
# buffered, as a user's is; a test runner may have switched that off
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def run_program(*arguments, **options):
    options = {"stdout": subprocess.PIPE} | options
    command = [sys.executable, "-m", "fastmlp", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=BUFFERED, stderr=subprocess.PIPE, text=True, timeout=120, **options
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_and_gives_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: fastmlp {command}" in text
    assert re.search(rf"^example:\n  fastmlp {command}", text, re.MULTILINE)


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    listed = re.findall(r"^    (\w+) +\w", capsys.readouterr().out, re.MULTILINE)
    assert listed == COMMANDS


@pytest.mark.filterwarnings("ignore:y has 3 of the model's 10 classes")  # as MNIST's stand-in has
def test_the_examples_of_the_help_run(tmp_path, monkeypatch, capsys):
    small = []
    for n in (60, 30):
        images, labels = make_images(n, (28, 28))
        small += [images.reshape(n, 784), labels]
    monkeypatch.setattr("fastmlp.cli.data.load_mnist", lambda: tuple(small))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(255 - small[0][0].reshape(28, 28)).save("digit.png")
    for command in ("train", "evaluate", "predict", "info"):
        main([command, "--help"])
        example = capsys.readouterr().out.rpartition("example:\n")[2].split()
        assert main(example[1:]) == 0
        out = capsys.readouterr().out
        if command == "predict":
            assert re.fullmatch(r"digit\.png: digit 0 \(\d+\.\d %\)\n", out)
    assert files(tmp_path / "runs" / "deeper") == RUN_FILES | {"confusion.png"}


def test_the_help_of_scale_names_the_learning_rate(capsys):
    main(["train", "--help"])
    assert "scaled pixels want a learning rate around 0.1" in " ".join(capsys.readouterr().out.split())


def test_bench_gets_its_arguments(monkeypatch):
    seen = []

    def bench(args):
        seen.append((args.json, args.threads))
        return 0

    monkeypatch.setattr("fastmlp.cli.bench.bench", bench)
    assert main(["bench"]) == main(["bench", "--threads", "1", "2", "--json", "figures.json"]) == 0
    assert seen == [(None, []), (Path("figures.json"), [1, 2])]


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["predict", "model"], ["evaluate"], ["info", "x"], ["bench", "--quick"]]
)
def test_incomplete_commands_are_wrong_usage(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: fastmlp")


def test_version_as_a_module():
    done = run_program("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"fastmlp \d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["info"]])
def test_a_reader_that_is_gone_sees_no_traceback(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run_program(*arguments, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_reader_that_leaves_early_sees_no_traceback(model_path, test_images, tmp_path):
    path = tmp_path / "images"
    write_idx(path, np.repeat(test_images[0], 100, axis=0))
    command = [sys.executable, "-m", "fastmlp", "predict", str(model_path), str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().startswith(f"{path}[0]")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("argument", ["--help", "info"])
def test_a_full_disk_is_told_in_one_line(argument):
    with open("/dev/full", "w") as full:
        done = run_program(argument, stdout=full)
    assert done.returncode == 1
    assert re.fullmatch(r"fastmlp: error: .*No space left on device\n", done.stderr)


def test_it_starts_without_the_heavy_modules():
    heavy = "('matplotlib', 'sklearn', 'PIL')"
    code = f"import sys, fastmlp.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"


def test_warnings_are_notes_of_one_line(monkeypatch, capsys):
    monkeypatch.setattr(machine, "processor", lambda: warnings.warn("of two\nlines", stacklevel=1) or "mine")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        shown = warnings.showwarning
        assert main(["info"]) == 0 and warnings.showwarning is shown
    assert capsys.readouterr().err == "fastmlp: note: of two lines\n"


def test_it_runs_without_a_console(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert main(["info"]) == 0
    assert main(["predict", "missing", "missing"]) == 1
    sys.stdout.close()
    sys.stderr.close()


def test_an_unexpected_error_names_its_type(monkeypatch, error_line):
    def fail():
        raise KeyError("lost")

    monkeypatch.setattr(machine, "processor", fail)
    assert main(["info"]) == 1
    assert error_line() == "fastmlp: error: KeyError: 'lost'\n"
