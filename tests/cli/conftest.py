"""What the tests of the command line share: small data, a model trained on it, and errors of one line."""

import pytest
from small_runs import make_images, write_idx

from fastmlp.cli.main import main
from fastmlp.kernels.core import machine


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for part, n in (("train", 90), ("t10k", 30)):
        images, labels = make_images(n)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture
def test_images():
    """Return images (30, 6, 5) and labels (30,) of the test data."""
    return make_images(30)


@pytest.fixture(scope="session")
def train(data_folder):
    """Return a function that trains a small model on the small data and returns the exit code."""

    def train(out, *options, data=data_folder):
        common = ["train", "--data", str(data), "--out", str(out), "--hidden", "8", "--batch-size", "10"]
        return main([*common, "--scale", "1/255", "--lr", "0.1", *options])

    return train


@pytest.fixture(scope="session")
def model_path(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert train(folder, "--epochs", "4") == 0
    return folder / "model.safetensors"


@pytest.fixture(autouse=True)
def default_threads():
    yield
    machine.set_num_threads(None)


@pytest.fixture
def error_line(capsys):
    """Return a function that returns what stderr says, which has to be one line in the form of an error."""

    def error_line():
        captured = capsys.readouterr().err
        assert captured.startswith("fastmlp: error: ")
        assert captured.count("\n") == 1 and captured.endswith("\n")
        return captured

    return error_line
