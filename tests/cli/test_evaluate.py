"""`fastmlp evaluate` against scikit-learn's report."""

import re

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import classification_report
from small_runs import files, make_images, write_idx

from fastmlp.cli.main import main
from fastmlp.model import MLP


def test_it_prints_scikit_learns_report(data_folder, model_path, test_images, tmp_path, capsys):
    picture = tmp_path / "matrix.png"
    assert main(["evaluate", str(model_path), "--data", str(data_folder), "--out", str(picture)]) == 0
    images, labels = test_images
    predicted = MLP.load(model_path).predict(images.reshape(30, 30))
    expected = classification_report(labels, predicted, digits=3, zero_division=0)
    assert capsys.readouterr().out.startswith(expected)
    with Image.open(picture) as opened:
        assert min(opened.size) > 300
    assert "confusion.png" not in files(model_path.parent)


def test_it_reports_the_classes_that_occur(data_folder, tmp_path, capsys):
    model = MLP([30, 6], seed=0, class_names=["zero", "one", "two", "three", "four", "five"])
    model.set_weights([np.zeros((30, 6)), np.float64([0, 0, 0, 0, 1, 0])])  # always "four"
    model.save(tmp_path / "model.safetensors")
    assert main(["evaluate", str(tmp_path / "model.safetensors"), "--data", str(data_folder)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:6]]
    expected = [("zero", 10), ("one", 10), ("two", 10), ("four", 0)]
    assert [(line[0], float(line[-1])) for line in lines] == expected


def test_many_classes_need_no_matrix_of_them(data_folder, tmp_path, capsys):
    n_classes = 100_000  # whose square would be 75 GiB
    model = MLP([30, n_classes], seed=0)
    model.set_weights([np.zeros((30, n_classes)), np.eye(1, n_classes, 70_000)[0]])
    model.save(tmp_path / "model.safetensors")
    assert main(["evaluate", str(tmp_path / "model.safetensors"), "--data", str(data_folder)]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:6]]
    assert names == ["0", "1", "2", "70000"] and (tmp_path / "confusion.png").is_file()


def test_it_saves_beside_the_model_by_default(data_folder, model_path, tmp_path, capsys):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(model_path.read_bytes())
    assert main(["evaluate", str(copy), "--data", str(data_folder)]) == 0
    assert str(tmp_path / "confusion.png") in capsys.readouterr().out
    assert files(tmp_path) == {"copy.safetensors", "confusion.png"}


def test_it_names_what_does_not_fit(data_folder, tmp_path, error_line):
    path = tmp_path / "model.safetensors"
    MLP([31, 3], seed=0).save(path)
    assert main(["evaluate", str(path), "--data", str(data_folder)]) == 1
    assert "31" in error_line()
    MLP([30, 2], seed=0).save(path)
    assert main(["evaluate", str(path), "--data", str(data_folder)]) == 1
    assert "2" in error_line()
    path.write_bytes(b"no model")
    assert main(["evaluate", str(path), "--data", str(data_folder)]) == 1
    assert str(path) in error_line()


def save_constant(path, output, biases, **options):
    """Save a model that says the same of every image."""
    n_out = len(biases)
    model = MLP([30, n_out], seed=0, output=output, **options)
    model.set_weights([np.zeros((30, n_out)), np.float64(biases)])
    model.save(path)
    return ["evaluate", str(path)]


@pytest.mark.parametrize(("output", "name", "mean"), [("identity", "R2", 1.0), ("exp", "D2", 0.0)])
def test_it_scores_a_model_of_numbers(data_folder, tmp_path, capsys, output, name, mean):
    # labels are 0, 1 and 2 alike, so that a constant which is their mean explains nothing
    command = save_constant(tmp_path / "model", output, [mean])
    assert main([*command, "--data", str(data_folder)]) == 0
    value = re.fullmatch(rf"{name}: (-?0\.\d{{3}})\n", capsys.readouterr().out)[1]
    assert float(value) == 0
    command = save_constant(tmp_path / "model", output, [mean + 1])
    assert main([*command, "--data", str(data_folder)]) == 0
    assert float(capsys.readouterr().out.split()[1]) < -0.5
    assert files(tmp_path) == {"model"}
    assert main([*command, "--data", str(data_folder), "--out", "x.png"]) == 2
    assert "--out x.png goes with models of classes" in capsys.readouterr().err


def test_it_reports_both_classes_of_one_logistic_unit(tmp_path, capsys):
    images, labels = make_images(90)
    two = labels < 2
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", images[two])
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels[two])
    command = save_constant(tmp_path / "model", "logistic", [1.0], class_names=["no", "yes"])
    assert main([*command, "--data", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        classification_report(
            labels[two], np.ones(60, int), target_names=["no", "yes"], digits=3, zero_division=0
        )
    )
    assert "confusion.png" in files(tmp_path)


@pytest.mark.parametrize(
    ("output", "biases", "reason"),
    [
        ("logistic", [1.0], "0 to 1"),
        ("logistic", [1.0, 0.0, 1.0], "has 3 logistic outputs, but IDX files hold one label an image"),
        ("identity", [1.0, 0.0], "has 2 identity outputs, but IDX files hold one label an image"),
    ],
)
def test_it_says_where_labels_do_not_suit(data_folder, tmp_path, error_line, output, biases, reason):
    command = save_constant(tmp_path / "model", output, biases)
    assert main([*command, "--data", str(data_folder)]) == 1
    assert reason in error_line()
    assert files(tmp_path) == {"model"}


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["$x^$", "100 $", "\\frac"], ""),
        (["\0\a", "\ud800", "a\nb"], ""),
        (["a" * 500, "b", "c"], ""),
        (
            ["\u55b5", "\u55b5\u72ac", "c"],
            "confusion.png: the font lacks \u55b5\u72ac, which boxes stand for\n",
        ),
    ],
    ids=["dollars", "control", "long", "no glyphs"],
)
def test_any_class_names_are_drawn(data_folder, tmp_path, capsys, names, note):
    command = save_constant(tmp_path / "model", "softmax", [0, 1, 0], class_names=names)
    assert main([*command, "--data", str(data_folder)]) == 0
    out, err = capsys.readouterr()
    assert "Saved the confusion matrix" in out
    assert err.endswith(note) and len(err.splitlines()) == (note != "")
    assert "confusion.png" in files(tmp_path)
