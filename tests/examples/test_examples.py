"""The examples, with either import: a picture each, and the same one."""

import re
import warnings

import numpy as np
import pytest
from PIL import Image
from sources import ROOT

SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
OURS, THEIRS = "from fastmlp import MLPClassifier", "from sklearn.neural_network import MLPClassifier"


def picture(source, path):
    """Run a script's source quickly; what it drew."""
    namespace = {"__name__": "example"}
    with warnings.catch_warnings():  # of which a script may turn some off
        exec(compile(source, "example", "exec"), namespace)
        assert namespace["main"](["--quick", "--out", str(path)]) is None
    return namespace["MLPClassifier"], np.asarray(Image.open(path).convert("RGB"), np.float64)


def test_there_are_three():
    assert [path.stem for path in SCRIPTS] == ["alpha_boundary", "mnist_weights", "training_curves"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_both_imports_draw_one_picture(script, tmp_path):
    source = script.read_text(encoding="utf-8")
    line = f"{OURS}  # or: {THEIRS}\n"
    assert (
        source.count(line) == 1 and len(re.findall("^from fastmlp import|sklearn.neural", source, re.M)) == 2
    )
    ours, drawn = picture(source, tmp_path / "ours.png")
    theirs, expected = picture(source.replace(line, f"{THEIRS}\n"), tmp_path / "theirs.png")
    assert (ours.__module__, theirs.__module__) == (
        "fastmlp.estimators.classifier",
        "sklearn.neural_network._multilayer_perceptron",
    )
    assert drawn.shape == expected.shape and drawn.std() > 10  # not an empty page
    # what differs by rounding may fall on the other side of a colour here and there
    assert np.mean((drawn != expected).any(axis=2)) <= 1e-3


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_another_seed_draws_another_picture(script, tmp_path):
    source = script.read_text(encoding="utf-8")
    (seed,) = re.findall(r"random_state=\d(?=,\n|, \*\*way)", source)[-1:]
    _, drawn = picture(source, tmp_path / "a.png")
    _, other = picture(source.replace(seed, "random_state=7"), tmp_path / "b.png")
    assert np.mean((drawn != other).any(axis=2)) > 1e-3
