"""Losses of regressors, the order of their parameters, and what they predict."""

import inspect

import numpy as np
import pytest
from sklearn import neural_network
from twins import assert_close, load, make, quietly

from fastmlp import MLPClassifier, MLPRegressor

COMMON = {"hidden_layer_sizes": (6,), "random_state": 1, "batch_size": 20, "max_iter": 4}


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_are_scikit_learns_then_ours_by_keyword(name):
    ours, theirs = (
        inspect.signature(kind).parameters
        for kind in (
            {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name],
            getattr(neural_network, name),
        )
    )
    assert [*ours][: len(theirs)] == [*theirs]
    for parameter, expected in zip(ours, theirs, strict=False):
        assert (
            ours[parameter].default == theirs[expected].default
            and ours[parameter].kind == theirs[expected].kind
        )
    assert all(ours[parameter].kind is inspect.Parameter.KEYWORD_ONLY for parameter in [*ours][len(theirs) :])


def test_the_first_two_may_go_without_their_names():
    it = MLPRegressor("poisson", (3,), "tanh")
    assert (it.loss, it.hidden_layer_sizes, it.activation) == ("poisson", (3,), "tanh")


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("name", ["diabetes", "linnerud"])
def test_what_is_predicted_is_what_scikit_learn_predicts(name, loss):
    X, y = load(name)
    y = np.exp(y) if loss == "poisson" else y
    pair = make(name, **COMMON, loss=loss)
    got, expected = (quietly(it.fit, X, y).predict(X) for it in pair)
    assert got.shape == expected.shape and (loss == "squared_error" or (got > 0).all())
    assert_close(got, expected, 1e-9)
    assert_close(pair[0].score(X, y), pair[1].score(X, y), 1e-9)
