"""What models of every output say: predictions, probabilities, losses."""

import numpy as np
import pytest
from networks import N, inputs, make, some_weights, targets

from fastmlp import MLP, kernels, reference
from fastmlp.config import OUTPUTS

OPS = pytest.mark.parametrize("ops", [kernels, reference], ids=["kernels", "reference"])


def model_of(output, n_out, z):
    """A model whose logits are z, whatever it is given."""
    model = MLP([1, n_out], output=output, seed=0, dtype=np.float64)
    model.set_weights([np.zeros((1, n_out)), z])
    return model


def test_predictions_are_what_the_output_stands_for():
    X = np.zeros((2, 1))
    assert model_of("softmax", 3, [0, 2, 1]).predict(X).tolist() == [1, 1]
    assert model_of("logistic", 1, [0.1]).predict(X).tolist() == [1, 1]
    assert model_of("logistic", 2, [-1, 1]).predict(X).tolist() == [[0, 1]] * 2
    assert model_of("identity", 1, [2.5]).predict(X).tolist() == [2.5, 2.5]
    assert model_of("identity", 2, [1.5, -1]).predict(X).tolist() == [[1.5, -1]] * 2
    assert model_of("exp", 1, [np.log(3)]).predict(X) == pytest.approx([3, 3])


def test_probabilities_are_of_classes_or_of_labels():
    X = np.zeros((1, 1))
    assert model_of("softmax", 2, [0, np.log(3)]).predict_proba(X) == pytest.approx(np.array([[0.25, 0.75]]))
    assert model_of("logistic", 1, [np.log(3)]).predict_proba(X) == pytest.approx(np.array([[0.25, 0.75]]))
    several = model_of("logistic", 2, [0, np.log(3)]).predict_proba(X)
    assert several == pytest.approx(np.array([[0.5, 0.75]]))
    for output in ("identity", "exp"):
        with pytest.raises(ValueError, match=f"the output is {output}, which has no probabilities"):
            model_of(output, 1, [0.0]).predict_proba(X)


@OPS
@pytest.mark.parametrize("output", OUTPUTS)
def test_the_loss_is_that_of_a_step_without_dropout(output, ops):
    y, weights, plain = targets(output), some_weights(), make(output, np.float64, ops)
    model = make(output, np.float64, ops, dropout=0.5)
    for of_rows in None, weights:
        expected = plain.forward(inputs(), y, of_rows)
        assert model.loss(inputs(), y, of_rows) == pytest.approx(expected, rel=1e-12)
    assert model.loss(inputs(), y, np.zeros(N)) == 0


@OPS
def test_the_loss_is_the_cross_entropy_of_labels_and_of_rows(ops):
    model, y = make(ops=ops), targets("softmax")
    p = model.predict_proba(inputs()).astype(float)
    expected = -np.log(p[np.arange(N), y]).mean()
    for labels in y, np.eye(10)[y]:
        assert model.loss(inputs(), labels) == pytest.approx(expected, rel=1e-5)
