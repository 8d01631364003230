"""What `fastmlp train` is told: each option reaches `fit`, and what does not go together is wrong usage."""

import argparse
import shlex

import numpy as np
import pytest
from small_runs import make_images, records

from fastmlp import MLP, SGD, Adam, DataLoader, DigitsClassifier, EarlyStopping, fit, schedules
from fastmlp.cli.main import main
from fastmlp.cli.options import describe_options, remedy_for
from fastmlp.cli.train import add

MODEL = ("activation", "dropout", "seed")  # options of the model, the others are fit's
PLAIN = SGD(0.1)
RUNS = {
    "--optimizer adam --lr 0.01": {"optimizer": Adam(0.01)},
    "--optimizer adam --weight-decay 0.1 --l2 2": {"optimizer": Adam(0.1, weight_decay=0.1, l2=2)},
    "--momentum 0.9 --lr 0.02": {"optimizer": SGD(0.02, momentum=0.9, nesterov=True)},
    "--weight-decay 0.1": {"optimizer": SGD(0.1, weight_decay=0.1)},
    "--l2 0.5": {"optimizer": SGD(0.1, l2=0.5)},
    "--schedule linear": {"optimizer": SGD(schedules.linear(0.1, 0.0))},
    "--schedule cosine --warmup 0.2": {"optimizer": SGD(schedules.cosine(0.1, 0.0, 0.2))},
    "--schedule one_cycle": {"optimizer": SGD(schedules.one_cycle(0.1))},
    "--schedule one_cycle --warmup 0": {"optimizer": SGD(schedules.one_cycle(0.1, 0.0))},
    "--schedule one_cycle --warmup 0.5 --optimizer adam": {"optimizer": Adam(schedules.one_cycle(0.1, 0.5))},
    "--activation gelu": {"activation": "gelu"},
    "--dropout 0.3": {"dropout": 0.3},
    "--dropout 0.2,0.4 --seed 3": {"dropout": (0.2, 0.4), "seed": 3},
    "--label-smoothing 0.2": {"label_smoothing": 0.2},
    "--ema 0.7": {"ema": 0.7},
    "--lr 5 --patience 1 --epochs 9": {
        "optimizer": SGD(5.0),
        "early_stopping": EarlyStopping(1, "train_loss"),
        "epochs": 9,
    },
    "--lr 3 --patience 1 --epochs 9 --holdout 0.3": {
        "optimizer": SGD(3.0),
        "early_stopping": EarlyStopping(1, "loss"),
        "epochs": 9,
        "holdout": 27,
    },
    "--holdout 0.25 --seed 2": {"holdout": 22, "seed": 2},
}


def by_hand(holdout=0, seed=0, **options):
    """Train as the command line does, by calls of the library."""
    (X, y), (X_test, y_test) = (
        (images.reshape(n, 30), labels) for n in (90, 30) for images, labels in [make_images(n)]
    )
    if holdout:
        held = np.isin(np.arange(90), np.random.default_rng(seed).permutation(90)[:holdout])
        X, y, X_test, y_test = X[~held], y[~held], X[held], y[held]
    of_model = {name: options.pop(name) for name in MODEL if name in options}
    model = DigitsClassifier(30, (8,), 3, scale=1 / 255, seed=seed, **of_model)
    loader = DataLoader(X, y, 10, shuffle=True, seed=seed)
    options = {"epochs": 3, "optimizer": PLAIN, "score_train": True, **options}
    return model, fit(model, loader, validation_data=(X_test, y_test), **options)


@pytest.mark.parametrize("words", RUNS)
def test_an_option_trains_as_fit_does(train, tmp_path, words):
    assert train(tmp_path / "run", "--epochs", "3", *words.split()) == 0
    model, history = by_hand(**RUNS[words])
    got = MLP.load(tmp_path / "run" / "model.safetensors")
    for array, expected in zip(got.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)
    for record, expected in zip(records(tmp_path / "run"), history, strict=True):
        for name in ("loss", "validation_loss", "f1_train", "f1_test", "rate"):
            assert float(record[name]) == getattr(expected, name), name
    if "--patience" in words:
        assert len(history) < RUNS[words]["epochs"]
    else:
        plain, _ = by_hand(seed=RUNS[words].get("seed", 0))
        assert any((a != b).any() for a, b in zip(got.get_weights(), plain.get_weights(), strict=True))


def parse(words):
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    return parser.parse_args(["train", *shlex.split(words)])


def test_a_run_is_described_by_what_is_on():
    assert describe_options(parse("--lr 0.1")) == (
        "epochs 20, batch size 128, sgd, relu, learning rate 0.1, scale 1, seed 0"
    )
    words = "--momentum 0.9 --schedule cosine --warmup 0.1 --l2 1 --dropout 0.2,0.5 --ema 0.99 --patience 2"
    assert describe_options(parse(words)) == (
        "epochs 20, batch size 128, sgd with momentum 0.9, relu, learning rate 0.001 (cosine), scale 1, "
        "warmup 0.1, l2 1, dropout 0.2 and 0.5, ema 0.99, patience 2, seed 0"
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--optimizer adam --momentum 0.9", "--momentum goes with --optimizer sgd; adam has its own: leave"),
        ("--warmup 0.1", "--warmup 0.1 wants a schedule: add --schedule linear, cosine or one_cycle"),
        ("--resume", "--resume goes with --checkpoint: add --checkpoint FILE"),
        ("--momentum 1", "--momentum: found '1', expected a number from 0 to below 1"),
        ("--warmup 1", "--warmup: found '1'"),
        ("--l2 -1", "--l2: found '-1', expected a finite number from 0 up"),
        ("--weight-decay inf", "--weight-decay: found 'inf'"),
        ("--dropout 1", "--dropout: found '1', expected a rate from 0 to below 1, or two such as 0.2,0.5"),
        ("--dropout 0.1,0.2,0.3", "--dropout: found '0.1,0.2,0.3'"),
        ("--dropout 0.1,", "--dropout: found '0.1,'"),
        ("--label-smoothing 1", "--label-smoothing: found '1'"),
        ("--ema 0", "--ema: found '0', expected a number above 0 and below 1"),
        ("--holdout 1", "--holdout: found '1', expected a number above 0 and below 1"),
        ("--patience 0", "--patience: found '0', expected a whole number from 1"),
        ("--optimizer lion", "--optimizer: invalid choice: 'lion'"),
        ("--schedule step", "--schedule: invalid choice: 'step'"),
        ("--activation swish", "--activation: invalid choice: 'swish'"),
    ],
)
def test_what_cannot_be_is_wrong_usage(tmp_path, monkeypatch, capsys, words, reason):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words.split()]) == 2
    captured = capsys.readouterr()
    assert reason in captured.err and "Traceback" not in captured.err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("difference", "options"),
    [
        (
            "f is of another run: optimizer.lr.start is 1 here and 2 in the file",
            "--lr, --schedule or --warmup",
        ),
        ("f is of another run: early_stopping is None here and {} in the file", "--patience"),
        (
            "f is of another run: data.X is [] here and [1] in the file",
            "--data (with its options) or --holdout",
        ),
        (
            "f is of another run: model.sizes is [] here and [1] in the file",
            "--data (with its options) or --hidden",
        ),
        ("f is of another run: something is 1 here and 2 in the file", None),
        ("f: found a damaged file", None),
    ],
)
def test_a_remedy_names_the_option_that_differs(difference, options):
    given = f"give that run's {options}, or " if options else ""
    assert remedy_for(difference) == f"{given}name another --checkpoint to begin anew"
