"""The command line, through `main` and, where the process matters, as a program."""

import csv
import gzip
import json
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import classification_report

from fastmlp import cli, commands, run
from fastmlp.images import read_images
from fastmlp.kernels.core import machine
from fastmlp.metrics import evaluate
from fastmlp.model import MLP, DigitsClassifier

ROOT = Path(__file__).parents[2]
SIDES = (6, 5)  # not square, so that swapped sides show
RUN_FILES = {"model.safetensors", "history.csv", "training.png", "samples.png"}


def make_images(n, sides, seed):
    """Images of three classes: a bright row, a bright column, or a bright corner, in noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.uint8) % 3
    images = rng.integers(0, 60, (n, *sides), dtype=np.uint8)
    images[labels == 0, 1] += 180
    images[labels == 1, :, 2] += 180
    images[labels == 2, -2:, -2:] += 180
    return images, labels


def write_idx(path, array):
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for part, n in (("train", 90), ("t10k", 30)):
        images, labels = make_images(n, SIDES, n)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture(scope="module", autouse=True)  # first, so that no test sees the kernels being compiled
def model_path(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert train(data_folder, folder, "--epochs", "4") == 0
    return folder / "model.safetensors"


@pytest.fixture
def test_images():
    return make_images(30, SIDES, 30)


@pytest.fixture(autouse=True)
def default_threads():
    yield
    machine.set_num_threads(None)


def train(data, out, *options):
    common = ["train", "--data", str(data), "--out", str(out), "--hidden", "8", "--batch-size", "10"]
    return cli.main([*common, "--scale", "1/255", "--lr", "0.1", *options])


def files(folder):
    return {path.name for path in folder.iterdir()}


def records(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def error_line(capsys):
    """Return what stderr says, which has to be one line in the form of an error."""
    captured = capsys.readouterr().err
    assert captured.startswith("fastmlp: error: ")
    assert captured.count("\n") == 1 and captured.endswith("\n")
    return captured


def run_program(*arguments, **options):
    command = [sys.executable, "-m", "fastmlp", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, **options)


def test_train_prints_and_saves_a_run(data_folder, tmp_path, capsys):
    out = tmp_path / "new" / "run"
    assert train(data_folder, out, "--epochs", "3", "--threads", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Training 30-8-3 (275 parameters, float32)" in lines[0]
    assert "90 training and 30 test images of 6 x 5, 3 classes" in lines[0]
    assert "epochs 3, batch size 10, learning rate 0.1, scale 0.00392157, seed 0, threads 1" in lines[1]
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


def test_train_learns_with_what_it_was_given(data_folder, model_path, test_images):
    model = MLP.load(model_path)
    assert (model.sizes, model.image_shape, model.class_names) == ((30, 8, 3), SIDES, None)
    assert model.scale == 1 / 255
    images, labels = test_images
    score = evaluate(model, images.reshape(30, 30), labels)
    assert score > 0.9
    assert float(records(model_path.parent)[-1]["f1_test"]) == pytest.approx(score, abs=1e-12)


def test_a_seed_repeats_a_run_and_another_does_not(data_folder, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert train(data_folder, tmp_path / name, "--epochs", "1", "--seed", seed) == 0
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b and a != c


def test_every_option_reaches_the_run(data_folder, tmp_path, monkeypatch):
    seen = {}
    real_fit = run.fit

    def fit(model, loader, **options):
        seen.update(options, sizes=model.sizes, scale=model.scale, batch_size=loader.batch_size)
        seen.update(shuffle=loader.shuffle, threads=machine.get_num_threads(), weights=model.get_weights()[0])
        return real_fit(model, loader, **options)

    monkeypatch.setattr(run, "fit", fit)
    options = "--hidden 4 5 --epochs 2 --batch-size 7 --lr 0.02 --scale 0.5 --threads 3 --seed 6".split()
    assert cli.main(["train", "--data", str(data_folder), "--out", str(tmp_path / "run"), *options]) == 0
    expected = {"epochs": 2, "lr": 0.02, "score_train": True, "sizes": (30, 4, 5, 3), "scale": 0.5}
    expected |= {"batch_size": 7, "shuffle": True, "threads": 3}
    assert {name: seen[name] for name in expected} == expected
    np.testing.assert_array_equal(seen["weights"], MLP([30, 4, 5, 3], seed=6).get_weights()[0])


def test_the_defaults_are_the_notebooks():
    args = cli._parser().parse_args(["train"])
    assert (args.hidden, args.epochs, args.batch_size, args.lr, args.scale) == ([128], 20, 128, 0.001, 1.0)


def test_without_out_each_run_gets_a_folder_of_its_own(data_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: "2000-01-01_00-00-00")
    for _ in range(3):
        assert cli.main(["train", "--data", str(data_folder), "--epochs", "1", "--lr", "1e-6"]) == 0
    name = "2000-01-01_00-00-00"
    assert files(tmp_path / "runs") == {name, f"{name}.2", f"{name}.3"}
    assert all(files(folder) == RUN_FILES for folder in (tmp_path / "runs").iterdir())
    assert str(Path("runs") / f"{name}.3") in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("present", sorted(RUN_FILES))
def test_an_earlier_run_is_not_overwritten(data_folder, tmp_path, capsys, present):
    (tmp_path / present).write_text("precious")
    assert train(data_folder, tmp_path) == 1
    assert f"holds {present} of an earlier run" in error_line(capsys)
    assert (tmp_path / present).read_text() == "precious" and files(tmp_path) == {present}


def test_out_is_checked_before_training(data_folder, tmp_path, monkeypatch, capsys):
    def refuse(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    called = []
    monkeypatch.setattr(run, "fit", lambda *a, **k: called.append(a))
    (tmp_path / "file").write_text("")
    assert train(data_folder, tmp_path / "file" / "run") == 1
    assert str(tmp_path / "file") in error_line(capsys)
    monkeypatch.setattr(run.tempfile, "TemporaryFile", refuse)  # as root no folder is read-only
    assert train(data_folder, tmp_path / "run") == 1
    assert error_line(capsys) == f"fastmlp: error: {tmp_path / 'run'}: Permission denied\n"
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
    assert cli.main(["train", *options.split()]) == 2
    captured = capsys.readouterr()
    assert reason in captured.err and "Traceback" not in captured.err
    assert not files(tmp_path)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["predict", "model"], ["evaluate"], ["info", "x"]])
def test_incomplete_commands_are_wrong_usage(arguments, capsys):
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: fastmlp")


@pytest.mark.parametrize(
    ("text", "value"), [("1/255", 1 / 255), ("0.25", 0.25), ("3e-3", 3e-3), ("0.5/2", 0.25)]
)
def test_scale_takes_numbers_and_fractions(text, value):
    assert cli._parser().parse_args(["train", "--scale", text]).scale == value


def test_failures_are_one_line_and_leave_nothing(data_folder, tmp_path, capsys):
    assert train(tmp_path / "nowhere", tmp_path / "run") == 1
    assert "nowhere" in error_line(capsys)
    assert train(data_folder, tmp_path / "run", "--lr", "1e38") == 1
    error = error_line(capsys)
    assert "epoch 0" in error and "learning rate" in error
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
def test_ctrl_c_saves_what_there_is(data_folder, tmp_path, monkeypatch, capsys, change, n_epochs):
    monkeypatch.setattr(run, "fit", change(run.fit))
    assert train(data_folder, tmp_path / "run", "--epochs", "50") == 130
    assert "Interrupted; saved" in capsys.readouterr().out
    assert len(records(tmp_path / "run")) == n_epochs
    assert files(tmp_path / "run") == (RUN_FILES if n_epochs else RUN_FILES - {"training.png"})
    assert MLP.load(tmp_path / "run" / "model.safetensors").sizes == (30, 8, 3)


def test_ctrl_c_before_training_leaves_nothing(data_folder, tmp_path, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastmlp.run.evaluate", interrupt)
    assert train(data_folder, tmp_path / "run") == 130
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


def test_evaluate_prints_scikit_learns_report(data_folder, model_path, test_images, tmp_path, capsys):
    picture = tmp_path / "matrix.png"
    assert cli.main(["evaluate", str(model_path), "--data", str(data_folder), "--out", str(picture)]) == 0
    images, labels = test_images
    predicted = MLP.load(model_path).predict(images.reshape(30, 30))
    expected = classification_report(labels, predicted, digits=3, zero_division=0)
    assert capsys.readouterr().out.startswith(expected)
    with Image.open(picture) as opened:
        assert min(opened.size) > 300
    assert "confusion.png" not in files(model_path.parent)


def test_evaluate_reports_the_classes_that_occur(data_folder, tmp_path, capsys):
    model = MLP([30, 6], seed=0, class_names=["zero", "one", "two", "three", "four", "five"])
    model.set_weights([np.zeros((30, 6)), np.float64([0, 0, 0, 0, 1, 0])])  # always "four"
    model.save(tmp_path / "model.safetensors")
    assert cli.main(["evaluate", str(tmp_path / "model.safetensors"), "--data", str(data_folder)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:6]]
    expected = [("zero", 10), ("one", 10), ("two", 10), ("four", 0)]
    assert [(line[0], float(line[-1])) for line in lines] == expected


def test_evaluate_saves_beside_the_model_by_default(data_folder, model_path, tmp_path, capsys):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(model_path.read_bytes())
    assert cli.main(["evaluate", str(copy), "--data", str(data_folder)]) == 0
    assert str(tmp_path / "confusion.png") in capsys.readouterr().out
    assert files(tmp_path) == {"copy.safetensors", "confusion.png"}


def test_evaluate_names_what_does_not_fit(data_folder, tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    MLP([31, 3], seed=0).save(path)
    assert cli.main(["evaluate", str(path), "--data", str(data_folder)]) == 1
    assert "31" in error_line(capsys)
    MLP([30, 2], seed=0).save(path)
    assert cli.main(["evaluate", str(path), "--data", str(data_folder)]) == 1
    assert "2" in error_line(capsys)
    path.write_bytes(b"no model")
    assert cli.main(["evaluate", str(path), "--data", str(data_folder)]) == 1
    assert str(path) in error_line(capsys)


def as_pictures(image, folder):
    """Write the same light-on-dark image in each form that has to read alike; yield paths and options."""
    dark_on_light = 255 - image
    rgba = np.full((*image.shape, 4), 255, np.uint8)
    rgba[..., 3] = image  # white ink on nothing
    ink = np.zeros_like(rgba)
    ink[..., 3] = image  # black ink on nothing
    forms = {
        "grey": Image.fromarray(image),
        "colour": Image.fromarray(np.repeat(image[..., None], 3, axis=2)),
        "palette": Image.fromarray(image).convert("P"),
        "transparent": Image.fromarray(rgba),
        "16 bits": Image.fromarray(image.astype(np.uint16) * 256 + 17),
    }
    wide = {
        "integers": Image.fromarray(image.astype(np.int32)),
        "floats": Image.fromarray(image * np.float32(1)),
    }
    inverted = {"inverted": Image.fromarray(dark_on_light), "ink": Image.fromarray(ink)}
    for name, picture in (forms | wide | inverted).items():
        path = folder / f"{name}.{'tif' if name in wide else 'png'}"
        picture.save(path)
        yield path, ["--invert"] if name in inverted else []


def test_predict_reads_every_kind_of_picture_alike(model_path, test_images, tmp_path, capsys):
    images, _ = test_images
    expected = MLP.load(model_path).predict_proba(images[1].reshape(1, 30))[0]
    answer = f"class {expected.argmax()} ({100 * expected.max():.1f} %)"
    for path, options in as_pictures(images[1], tmp_path):
        assert cli.main(["predict", str(model_path), str(path), *options]) == 0
        assert capsys.readouterr().out == f"{path}: {answer}\n"


def test_predict_reads_colours_as_luminance(tmp_path):
    path = tmp_path / "colours.png"
    Image.fromarray(np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])).save(path)
    np.testing.assert_array_equal(read_images(path)[0], [[[76, 150, 29]]])


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images.gz"])
@pytest.mark.parametrize("invert", [False, True])
def test_predict_reads_all_images_of_an_idx_file(model_path, test_images, tmp_path, capsys, name, invert):
    images, labels = test_images
    path = tmp_path / name
    write_idx(path, 255 - images if invert else images)
    assert cli.main(["predict", str(model_path), str(path), *(["--invert"] if invert else [])]) == 0
    lines = capsys.readouterr().out.splitlines()
    answers = [re.fullmatch(r"(.*): class (\d) \(\d+\.\d %\)", line).groups() for line in lines]
    assert [answer[0] for answer in answers] == [f"{path}[{i}]" for i in range(30)]
    predicted = MLP.load(model_path).predict(images.reshape(30, 30))
    assert [int(answer[1]) for answer in answers] == predicted.tolist()
    assert np.mean(predicted == labels) > 0.9


def test_predict_uses_the_class_names(tmp_path, capsys):
    path, picture = tmp_path / "model.safetensors", tmp_path / "x.png"
    Image.fromarray(np.full((2, 2), 255, np.uint8)).save(picture)
    for names, expected in ((("3", "7"), "digit 7"), (("cat", "dog"), "dog")):
        model = DigitsClassifier(4, (), 2, image_shape=(2, 2), class_names=names)
        model.set_weights([np.zeros((4, 2)), np.array([0.0, np.log(4.0)])])
        model.save(path)
        assert cli.main(["predict", str(path), str(picture)]) == 0
        assert capsys.readouterr().out == f"{picture}: {expected} (80.0 %)\n"


def test_predict_names_the_image_that_does_not_fit(model_path, tmp_path, capsys):
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "turned.png")
    (tmp_path / "text.png").write_text("not a picture")
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)
    Image.fromarray(noise).save(tmp_path / "half.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:1000])
    Image.fromarray(np.full((6, 5), 0.5, np.float32)).save(tmp_path / "shares.tif")
    Image.fromarray(np.full((6, 5), 65536, np.int32)).save(tmp_path / "large.tif")
    write_idx(tmp_path / "labels", np.zeros(3, np.uint8))
    for name, reason in (
        ("turned.png", "found an image of 5 x 6 pixels (height x width), expected 6 x 5"),
        ("text.png", "neither a picture nor an IDX file"),
        ("half.png", "found a damaged picture"),
        ("shares.tif", "found pixels from 0 to 1, expected 0 to 255"),
        ("large.tif", "found pixels from 65536 to 65536 of int32, expected 0 to 65535"),
        ("labels", "found an IDX file of labels"),
        ("missing.png", "found no such file"),
        (".", "folder"),
    ):
        assert cli.main(["predict", str(model_path), str(tmp_path / name)]) == 1
        error = error_line(capsys)
        assert str(tmp_path) in error and reason in error


def test_info_describes_the_machine(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("FASTMLP_CACHE", str(tmp_path / "kept here"))
    monkeypatch.setenv("FASTMLP_NUM_THREADS", "3")
    assert cli.main(["info"]) == 0
    lines = dict(
        re.split(r"  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[0] != " "
    )
    assert lines["packages"].startswith(f"numpy {np.__version__}, numba ")
    assert lines["processor"] == machine.processor()
    assert lines["threads"] == lines["FASTMLP_NUM_THREADS"] == "3"
    assert lines["vectors"] == f"{machine.vector_bytes()} bytes"
    assert lines["cache"] == str(tmp_path / "kept here")
    assert lines["FASTMLP_SKIP_ZEROS"] == "not set"


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "info"])
def test_help_explains_and_gives_an_example(command, capsys):
    assert cli.main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: fastmlp {command}" in text
    assert re.search(rf"^example:\n  fastmlp {command}", text, re.MULTILINE)


def test_the_examples_of_the_help_run(tmp_path, monkeypatch, capsys):
    small = []
    for n in (60, 30):
        images, labels = make_images(n, (28, 28), n)
        small += [images.reshape(n, 784), labels]
    for module in (run, commands):
        monkeypatch.setattr(module, "load_mnist", lambda: tuple(small))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(255 - small[0][0].reshape(28, 28)).save("digit.png")
    for command in ("train", "evaluate", "predict", "info"):
        cli.main([command, "--help"])
        example = capsys.readouterr().out.rpartition("example:\n")[2].split()
        assert cli.main(example[1:]) == 0
        out = capsys.readouterr().out
        if command == "predict":
            assert re.fullmatch(r"digit\.png: digit 0 \(\d+\.\d %\)\n", out)
    assert files(tmp_path / "runs" / "deeper") == RUN_FILES | {"confusion.png"}


def test_the_help_of_scale_names_the_learning_rate(capsys):
    cli.main(["train", "--help"])
    assert "scaled pixels want a learning rate around 0.1" in " ".join(capsys.readouterr().out.split())


def test_version_as_a_module():
    done = run_program("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"fastmlp \d+\.\d+\S*\n", done.stdout)


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


def test_the_command_line_starts_without_the_heavy_modules():
    code = "import sys, fastmlp.cli; print([m for m in ('matplotlib', 'sklearn', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"


def test_it_runs_without_a_console(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert cli.main(["info"]) == 0
    assert cli.main(["predict", "missing", "missing"]) == 1
    sys.stdout.close()
    sys.stderr.close()


def test_an_unexpected_error_names_its_type(monkeypatch, capsys):
    def fail():
        raise KeyError("lost")

    monkeypatch.setattr(machine, "processor", fail)
    assert cli.main(["info"]) == 1
    assert error_line(capsys) == "fastmlp: error: KeyError: 'lost'\n"


def test_history_is_plain_numbers(model_path):
    for record in records(model_path.parent):
        assert all(np.isfinite(json.loads(value)) for value in record.values())
