"""What a run is scored by: outputs, weights of rows and classes, and labels that are not as usual."""

import numpy as np
import pytest
from models import bits, make_data, make_model

from fastmlp import MLP, DataLoader, evaluate, fit, kernels


@pytest.mark.parametrize("output", ["softmax", "logistic", "identity", "exp"])
def test_every_output_has_its_score_and_its_loss(output, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    y = {
        "softmax": rng.integers(3, size=60),
        "logistic": (X[:, :3] > 0).astype(int),
        "identity": X[:, :3] * 2,
        "exp": rng.poisson(2, (60, 3)),
    }[output]
    model = MLP([4, 8, 3], output=output, seed=0)
    history = fit(model, X, y, epochs=3, lr=0.05, seed=0, validation_data=(X, y), score_train=True)
    last, metric = history[-1], {"identity": "r2", "exp": "d2"}.get(output, "f1")
    assert last.metric == metric and f", {metric} test: {last.score_test:.3f}" in str(last)
    assert last.validation_loss == pytest.approx(model.loss(X, y)) and last.score_test == last.score_train
    assert last.score_test == evaluate(model, X, y)
    assert last.f1_test == (last.score_test if metric == "f1" else None)
    assert history[2].validation_loss < history[0].validation_loss
    model.save(tmp_path / "model")
    assert MLP.load(tmp_path / "model").predict(X).tobytes() == model.predict(X).tobytes()


def test_weights_of_classes_and_of_rows():
    X, y = make_data([6, 3], 40)
    balanced = 40 / (3 * np.bincount(y, minlength=3)[y])
    weights, models = np.arange(40) / 8.0, [make_model(kernels) for _ in range(5)]
    given = [
        {"class_weight": "balanced"},
        {"sample_weight": balanced},
        {"class_weight": {0: 2.0, 2: 0.0}, "sample_weight": weights},
        {"sample_weight": np.choose(y, [2.0, 1.0, 0.0]) * weights},
        {"sample_weight": None, "class_weight": None},
    ]
    for model, options in zip(models, given, strict=True):
        fit(model, X, y, epochs=2, lr=0.1, batch_size=16, seed=0, **options)
    assert bits(models[0]) == bits(models[1]) and bits(models[2]) == bits(models[3])
    assert len({bits(model) for model in models}) == 3
    loader = DataLoader(X, y, 16)
    for name in "sample_weight", "class_weight":
        with pytest.raises(ValueError, match=f"{name} cannot be given with a DataLoader"):
            fit(models[0], loader, **{name: None})


def test_smoothed_labels_are_trained_on_but_not_scored_by():
    X, y = make_data([6, 3], 40)
    models = [make_model(kernels) for _ in range(2)]
    histories = [
        fit(model, X, y, epochs=1, lr=0.1, seed=0, label_smoothing=share, validation_data=(X, y))
        for model, share in zip(models, (0.0, 0.3), strict=True)
    ]
    assert bits(models[0]) != bits(models[1])
    assert histories[1][0].validation_loss == pytest.approx(models[1].loss(X, y))


def test_scores_of_training_data_go_by_their_weights():
    X, y = make_data([6, 3], 40)
    weights, model = np.arange(40) % 3, make_model(kernels)
    record = fit(model, X, y, epochs=1, lr=0.1, sample_weight=weights, score_train=True)[-1]
    assert record.f1_train == evaluate(model, X, y, weights) != evaluate(model, X, y)


def test_classes_that_nobody_has_are_warned_of(ops):
    X, y = make_data([6, 3], 40)
    tens = 10 + 10 * y
    with pytest.warns(UserWarning, match="3 of the model's 31 classes.*and a last width of 3$") as caught:
        fit(make_model(ops, (6, 31)), X, tens, epochs=2)
    assert len(caught) == 1 and caught[0].filename == __file__
    fit(make_model(ops), X, np.unique(tens, return_inverse=True)[1], epochs=1)  # as the text has it
    fit(make_model(ops, (6, 31), output="identity"), X, np.eye(31)[tens], epochs=1)  # which has no classes
