"""The network underneath an estimator."""

import numpy as np
import pytest
from twins import SETS, load, make, quietly

from fastmlp import MLP

COMMON = {"hidden_layer_sizes": (6,), "random_state": 1, "max_iter": 2}


@pytest.mark.parametrize("name", SETS)
def test_it_is_of_the_estimators_kind_and_coefficients(name, tmp_path):
    X, y = load(name)
    it = make(name, **COMMON)[0].set_params(dropout=(0.1, 0.2), activation="silu")
    network = quietly(it.fit, X, y).network_
    assert network.output == it.out_activation_ and network.dropout == (0.1, 0.2)
    assert network.activations == ("silu",) and network.dtype == np.float64
    network.save(tmp_path / "model.safetensors")
    for model in (network, MLP.load(tmp_path / "model.safetensors")):
        for got, expected in zip(model.get_weights()[::2], it.coefs_, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_changes_of_it_are_not_the_estimators():
    X, y = load("wine")
    it = quietly(make("wine", **COMMON)[0].fit, X, y)
    before = it.predict_proba(X)
    it.network_.set_weights([np.zeros_like(array) for array in it.network_.get_weights()])
    np.testing.assert_array_equal(it.predict_proba(X), before)
