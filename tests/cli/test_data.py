"""Which data a command reads: folders, archives, one set of several, and what is told of it."""

import zipfile

import numpy as np
import pytest
from small_runs import make_images, write_idx

from fastmlp import MLP
from fastmlp.cli.main import main


@pytest.fixture
def emnist(tmp_path):
    """An archive as EMNIST comes in: two sets, images on their side, and letters that count from 1."""
    folder = tmp_path / "gzip"
    folder.mkdir()
    for name, first in ("digits", 0), ("letters", 1):
        for part, n in ("train", 90), ("test", 30):
            images, labels = make_images(n)
            write_idx(folder / f"emnist-{name}-{part}-images-idx3-ubyte.gz", images.swapaxes(1, 2))
            write_idx(folder / f"emnist-{name}-{part}-labels-idx1-ubyte.gz", labels + np.uint8(first))
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"gzip/{path.name}")
    return tmp_path / "gzip.zip"


ASKED = {"digits": "--set digits --transpose", "letters": "--set letters --transpose --first-label 1"}


@pytest.mark.parametrize("name", ASKED)
def test_a_set_of_an_archive_trains_as_a_folder_does(train, data_folder, emnist, tmp_path, capsys, name):
    assert train(tmp_path / "a", "--epochs", "2", *ASKED[name].split(), data=emnist) == 0
    assert train(tmp_path / "b", "--epochs", "2") == 0
    a, b = (MLP.load(tmp_path / out / "model.safetensors") for out in "ab")
    assert a.image_shape == b.image_shape == (6, 5) and a.n_classes == 3
    for got, expected in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)
    printed = capsys.readouterr()
    assert f"on {emnist} {name}: 90 training" in printed.out and not printed.err
    model, scores = str(tmp_path / "a" / "model.safetensors"), []
    for words in f"--data {emnist} {ASKED[name]}", f"--data {data_folder}":
        assert main(["evaluate", model, *words.split()]) == 0
        scores.append(capsys.readouterr())
    assert scores[0] == scores[1]


def test_what_the_letters_are_known_for_is_told(train, emnist, tmp_path, capsys):
    assert train(tmp_path / "run", "--epochs", "1", "--set", "letters", data=emnist) == 0
    first, second = capsys.readouterr().err.splitlines()
    path = emnist / "gzip" / "emnist-letters-train-images-idx3-ubyte.gz"
    assert first == (
        f"fastmlp: note: the images in {path} lie on their side, as EMNIST's do: --transpose turns them "
        "upright"
    )
    assert second == (
        f"fastmlp: note: no label in {path.parent} is below 1: --first-label 1 makes that the first class"
    )
    model = MLP.load(tmp_path / "run" / "model.safetensors")
    assert model.image_shape == (5, 6) and model.n_classes == 4


def test_a_label_far_from_the_others_is_told(train, tmp_path, capsys):
    for part, n in ("train", 90), ("t10k", 30):
        images, labels = make_images(n)
        labels[7] ^= 0x40 * (part == "train")
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    train(tmp_path / "run", "--epochs", "1", data=tmp_path)
    assert capsys.readouterr().err.startswith(
        "fastmlp: note: 62 of 66 classes have no images; the largest label, 65, is that of image 7 of "
        f"those to train on in {tmp_path}: is that a mistake?\n"
    )


def test_a_set_has_to_be_named(train, emnist, tmp_path, error_line):
    assert train(tmp_path / "run", data=emnist) == 1
    sets = "'gzip/emnist-digits', 'gzip/emnist-letters'"
    assert f"{emnist}: found the sets {sets}; give one as name=" in error_line()
    assert train(tmp_path / "run", "--set", "letter", data=emnist) == 1
    assert f"{emnist}: found no set 'letter', only {sets}; give" in error_line()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", ["--set digits", "--transpose", "--first-label 1"])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_options_of_a_folder_want_one(model_path, capsys, command, words):
    model = [str(model_path)] if command == "evaluate" else []
    assert main([command, *model, *words.split()]) == 2
    option = words.split()[0]
    assert f"{option} goes with --data: add --data FOLDER" in capsys.readouterr().err


def test_first_labels_are_bytes(data_folder, capsys):
    assert main(["train", "--data", str(data_folder), "--first-label", "256"]) == 2
    assert "--first-label: found '256', expected a whole number from 0 to 255" in capsys.readouterr().err
