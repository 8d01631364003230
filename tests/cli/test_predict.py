"""`fastmlp predict`: what it prints of pictures and IDX files."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import write_idx

from fastmlp.cli.main import main
from fastmlp.model import MLP, DigitsClassifier


@pytest.mark.parametrize("invert", [False, True])
def test_it_names_the_class_of_a_picture_and_its_share(model_path, test_images, tmp_path, capsys, invert):
    image, path = test_images[0][1], tmp_path / "image.png"
    Image.fromarray(255 - image if invert else image).save(path)
    expected = MLP.load(model_path).predict_proba(image.reshape(1, 30))[0]
    assert main(["predict", str(model_path), str(path), *(["--invert"] if invert else [])]) == 0
    answer = f"class {expected.argmax()} ({100 * expected.max():.1f} %)"
    assert capsys.readouterr().out == f"{path}: {answer}\n"


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images.gz"])
@pytest.mark.parametrize("invert", [False, True])
def test_it_reads_all_images_of_an_idx_file(model_path, test_images, tmp_path, capsys, name, invert):
    images, labels = test_images
    path = tmp_path / name
    write_idx(path, 255 - images if invert else images)
    assert main(["predict", str(model_path), str(path), *(["--invert"] if invert else [])]) == 0
    lines = capsys.readouterr().out.splitlines()
    answers = [re.fullmatch(r"(.*): class (\d) \(\d+\.\d %\)", line).groups() for line in lines]
    assert [answer[0] for answer in answers] == [f"{path}[{i}]" for i in range(30)]
    predicted = MLP.load(model_path).predict(images.reshape(30, 30))
    assert [int(answer[1]) for answer in answers] == predicted.tolist()
    assert np.mean(predicted == labels) > 0.9


def test_it_uses_the_class_names(tmp_path, capsys):
    path, picture = tmp_path / "model.safetensors", tmp_path / "x.png"
    Image.fromarray(np.full((2, 2), 255, np.uint8)).save(picture)
    for names, expected in ((("3", "7"), "digit 7"), (("cat", "dog"), "dog")):
        model = DigitsClassifier(4, (), 2, image_shape=(2, 2), class_names=names)
        model.set_weights([np.zeros((4, 2)), np.array([0.0, np.log(4.0)])])
        model.save(path)
        assert main(["predict", str(path), str(picture)]) == 0
        assert capsys.readouterr().out == f"{picture}: {expected} (80.0 %)\n"


def test_it_names_the_image_that_does_not_fit(model_path, tmp_path, error_line):
    turned, missing = tmp_path / "turned.png", tmp_path / "missing.png"
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(turned)
    for path, reason in (
        (turned, "found an image of 5 x 6 pixels (height x width), expected 6 x 5"),
        (missing, "found no such file"),
    ):
        assert main(["predict", str(model_path), str(path)]) == 1
        error = error_line()
        assert str(path) in error and reason in error


def test_it_names_the_image_of_which_a_model_can_say_nothing(tmp_path, error_line):
    path, picture = tmp_path / "model.safetensors", tmp_path / "x.png"
    Image.fromarray(np.full((2, 2), 255, np.uint8)).save(picture)
    MLP([5, 2], seed=0).save(path)
    assert main(["predict", str(path), str(picture)]) == 1
    assert f"{picture}: found an image of 2 x 2 pixels (height x width), expected 5 in all" in error_line()
    model = MLP([4, 2], seed=0)
    model.set_weights([np.full((4, 2), 3e38), np.zeros(2)])
    model.save(path)
    assert main(["predict", str(path), str(picture)]) == 1
    assert f"error: {picture}: the logits of row 0 of X are not finite" in error_line()


@pytest.mark.parametrize(
    ("output", "biases", "names", "answer"),
    [
        ("identity", [1.5], None, "1.5"),
        ("identity", [1.5, -2000000], None, "1.5, -2e+06"),
        ("exp", [np.log(12.25)], None, "12.25"),
        ("logistic", [np.log(4)], None, "class 1 (80.0 %)"),
        ("logistic", [-np.log(4)], ("no", "yes"), "no (80.0 %)"),
        ("logistic", [np.log(4), -1, np.log(9)], ("red", "round", "ripe"), "red (80.0 %), ripe (90.0 %)"),
        ("logistic", [-1, -1, -1], None, "none of 3 labels"),
    ],
)
def test_it_says_what_other_outputs_stand_for(tmp_path, capsys, output, biases, names, answer):
    model = MLP([4, len(biases)], seed=0, output=output, class_names=names)
    model.set_weights([np.zeros((4, len(biases))), np.float64(biases)])
    path, picture = tmp_path / "model.safetensors", tmp_path / "x.png"
    model.save(path)
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(picture)
    assert main(["predict", str(path), str(picture)]) == 0
    assert capsys.readouterr().out == f"{picture}: {answer}\n"


def test_the_other_images_of_a_folder_are_answered(model_path, test_images, tmp_path, capsys):
    names = ["a.png", "b.png", "c.txt", "d.png", "e", "\udce9.png"]  # the last one is no text
    paths = [str(tmp_path / name) for name in names]
    for path, image in zip(paths, test_images[0], strict=False):
        Image.fromarray(image).save(path, format="PNG")
    Path(paths[1]).write_bytes(Path(paths[1]).read_bytes()[:40])
    Path(paths[2]).write_text("Thumbs")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(paths[3])
    Path(paths[4]).unlink()
    assert main(["predict", str(model_path), *paths]) == 1
    out, err = capsys.readouterr()
    answers, errors = out.splitlines(), err.splitlines()
    assert len(answers) == 2 and answers[0].startswith(f"{paths[0]}: class")
    assert answers[1].startswith(f"{tmp_path}/\\udce9.png: class")
    assert len(errors) == 4
    for error, path in zip(errors, paths[1:5], strict=True):
        assert error.startswith(f"fastmlp: error: {path}: found")


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("invert", [False, True])
def test_a_border_of_the_other_kind_is_told_of(model_path, test_images, tmp_path, capsys, n, light, invert):
    paths = [tmp_path / f"{i}.png" for i in range(n)]
    for path, image in zip(paths, test_images[0][2::3], strict=False):  # a bright corner each
        Image.fromarray(255 - image if light else image).save(path)
    assert main(["predict", str(model_path), *map(str, paths), *(["--invert"] if invert else [])]) == 0
    out, err = capsys.readouterr()
    more = f" and {n - 1} more" if n > 1 else ""
    remedy = "border is light, as of dark on light; if that is so, add --invert"
    if invert:
        remedy = "border is dark, as of light on dark; if that is so, leave --invert out"
    assert err == ("" if light == invert else f"fastmlp: note: {paths[0]}{more}: the {remedy}\n")
    assert len(out.splitlines()) == n
