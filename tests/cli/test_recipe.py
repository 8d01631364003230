"""The 98 % recipe, on the real digits."""

import csv
import re

import numpy as np
import pytest

from fastmlp import MLP, accuracy, load_mnist
from fastmlp.cli import recipe
from fastmlp.cli.main import main

LINE = (
    r"98 % recipe: (\d) epochs, (\d+\.\d{3}) s of preparing and training, "
    r"(\d\d\.\d\d) % of the test digits right"
)


def test_the_recipe_trains_to_98_percent_and_saves_the_first_seed(tmp_path, capsys):
    assert main(["train", "--recipe", "98", "--seeds", "3", "--out", str(tmp_path / "a")]) == 0
    told = capsys.readouterr().out
    assert len(re.findall(r"\[Seed [012]\] \d+\.\d+ s, \d\d\.\d\d %", told)) == 3
    epochs, _, percent = re.search(LINE + r" \(medians of 3 seeds\)", told).groups()
    assert float(percent) > 97.9
    model = MLP.load(tmp_path / "a" / "model.safetensors")
    share = accuracy(model, *load_mnist()[2:])
    assert "[Seed 0]" in told and f", {100 * share:.2f} %" in told
    with open(tmp_path / "a" / "history.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == int(epochs) == recipe.EPOCHS
    assert {path.name for path in (tmp_path / "a").iterdir()} >= {"training.png", "samples.png"}


def test_the_recipe_gives_the_same_model_again(tmp_path, capsys):
    for name in "ab":
        assert main(["train", "--recipe", "98", "--seed", "7", "--out", str(tmp_path / name)]) == 0
        assert re.search(LINE + "$", capsys.readouterr().out, re.MULTILINE)
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert a == b


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--recipe", "98", "--epochs", "4"], "--epochs does not go with --recipe"),
        (["--recipe", "98", "--label-smoothing", "0.2"], "--label-smoothing does not go with --recipe"),
        (["--seeds", "3"], "--seeds goes with --recipe 98: add it"),
        (["--recipe", "99"], "invalid choice"),
    ],
)
def test_what_does_not_go_with_it_is_wrong_usage(options, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *options]) == 2
    assert text in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_no_test_digit_is_asked_before_the_end(monkeypatch):
    X, y, *test = load_mnist()
    asked = []
    monkeypatch.setattr(recipe, "accuracy", lambda model, *data: asked.append(data) or 0.5)
    outcome = recipe.cook(0, X[:2000], y[:2000], *test)
    assert outcome.right == 0.5 and len(asked) == 1 and asked[0][0] is test[0]
    assert np.isfinite(outcome.seconds) and outcome.history[-1].score_test is None
