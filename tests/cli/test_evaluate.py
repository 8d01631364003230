"""`fastmlp evaluate` against scikit-learn's report."""

import numpy as np
from PIL import Image
from sklearn.metrics import classification_report
from small_runs import files

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
