import bounds
import numpy as np
import pytest
from scipy.special import expit

from fastmlp import MLP, DigitsClassifier, MLPClassifier, MLPRegressor, fit, reference
from fastmlp.config import OUTPUTS

SIZES = (9, 7, 5, 3)
NAMES = ["seal", "ant", "lynx"]


def rows(n=40, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (n, SIZES[0])).astype(dtype)


def make(**options):
    model = MLP(options.pop("sizes", SIZES), **{"seed": 1, **options})
    rng = np.random.default_rng(2)
    model.set_weights([w + 0.1 * rng.standard_normal(w.shape) for w in model.get_weights()])
    return model


def last_numbers(estimator, X):
    """What an estimator's last layer says, before softmax and the like."""
    estimator.out_activation_ = "identity"
    return estimator._forward_pass_fast(X)


def bound_of_logits(weights, x, dtype):
    """How far the last numbers of two codes in `dtype` may lie apart: ReLU spreads no error.

    Four roundings more in the first layer: of the centered or scaled input there, of the weights here, and of
    both biases.
    """
    y, off = np.abs(x), 0.0
    for i, (w, b) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        spread = np.abs(w.astype(np.float64))
        size = y @ spread + np.abs(b)
        off = off @ spread if i else 0.0
        off = off + 2 * bounds.gamma(w.shape[0] + (5 if i == 0 else 1), dtype) * size
        y = size + off
    return off


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_last_numbers_have_the_same_bits(output, dtype, ops):
    model = make(output=output, dtype=dtype, activation=["gelu", "tanh"], ops=ops)
    X = rows()
    estimator = model.to_estimator()
    assert estimator.activation == ["gelu", "tanh"]
    assert estimator.hidden_layer_sizes == (7, 5)
    assert estimator.ops == ("reference" if ops is reference else None)
    np.testing.assert_array_equal(last_numbers(estimator, X), model.logits(X))


def test_probabilities_of_classes_have_the_same_bits():
    model, X = make(), rows()
    estimator = model.to_estimator()
    assert type(estimator) is MLPClassifier
    assert estimator.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(estimator.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(estimator.predict(X), model.predict(X))


@pytest.mark.parametrize(("output", "loss"), [("identity", "squared_error"), ("exp", "poisson")])
def test_numbers_are_a_regressors(output, loss):
    model, X = make(output=output), rows() / 255
    estimator = model.to_estimator()
    assert (type(estimator), estimator.loss, estimator.activation) == (MLPRegressor, loss, "relu")
    np.testing.assert_array_equal(estimator.predict(X), model.predict(X))


def test_labels_of_their_own():
    model, X = make(output="logistic", class_names=NAMES), rows() / 255
    estimator = model.to_estimator()
    np.testing.assert_array_equal(estimator.predict(X), model.predict(X))
    np.testing.assert_array_equal(estimator.predict_proba(X), expit(model.logits(X)))


@pytest.mark.parametrize("names", [["no", "yes"], ["yes", "no"], None])
@pytest.mark.parametrize(("output", "n_out"), [("softmax", 2), ("logistic", 1)])
def test_two_classes_are_one_logistic_unit(output, n_out, names):
    model, X = make(sizes=(9, 7, n_out), output=output, class_names=names, dtype=np.float64), rows() / 40 - 3
    estimator = model.to_estimator()
    assert estimator.out_activation_ == "logistic"
    assert estimator.coefs_[-1].shape == (7, 1)
    order = [0, 1] if names is None else np.argsort(names)
    assert [*estimator.classes_] == ([0, 1] if names is None else sorted(names))
    z = model.logits(X)
    expected = z[:, 1:] - z[:, :1] if n_out == 2 else z
    expected = expected if names != ["yes", "no"] else -expected
    size = bounds.magnitude(z).max() + 2 * bound_of_logits(model.get_weights(), X, np.float64)
    off = bound_of_logits(model.get_weights(), X, np.float64).sum(axis=1, keepdims=True)
    off = 2 * off + bounds.gamma(3, np.float64) * size.sum(axis=1, keepdims=True)
    bounds.assert_within(last_numbers(model.to_estimator(), X), expected, off)
    # a probability changes by a quarter of what its number does, and rounds a few times
    expected = model.predict_proba(X)[:, order]
    bounds.assert_within(estimator.predict_proba(X), expected, off / 4 + bounds.gamma(6, np.float64))
    said = np.asarray([0, 1] if names is None else names)[model.predict(X)]
    assert set(said.tolist()) == set(estimator.classes_.tolist())  # or the labels say nothing
    np.testing.assert_array_equal(estimator.predict(X), said)


def test_classes_stand_in_the_order_of_their_names():
    model, X = make(class_names=NAMES), rows() / 255
    estimator = model.to_estimator()
    assert [*estimator.classes_] == ["ant", "lynx", "seal"]
    np.testing.assert_array_equal(estimator.predict(X), np.array(NAMES)[model.predict(X)])
    np.testing.assert_array_equal(last_numbers(model.to_estimator(), X), model.logits(X)[:, [1, 2, 0]])


CENTER = np.linspace(90, 160, SIZES[0])
SCALES = np.linspace(0.002, 0.02, SIZES[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 1 / 255, SCALES], ids=["1", "a number", "a vector"])
@pytest.mark.parametrize("center", [None, CENTER], ids=["as they are", "centered"])
def test_center_and_scale_are_folded_into_the_first_layer(center, scale, dtype):
    model, X = make(dtype=dtype, center=center, scale=scale, output="identity"), rows(dtype=dtype)
    estimator = model.to_estimator()
    weights = model.get_weights()
    middle = np.zeros(SIZES[0]) if center is None else center
    size = np.abs(X) + np.abs(middle)
    weights[0] = weights[0] * np.broadcast_to(scale, SIZES[0])[:, None]
    expected = model.logits(X)
    bounds.assert_within(last_numbers(estimator, X), expected, bound_of_logits(weights, size, dtype))
    if center is not None or np.any(scale != 1):  # or there would be nothing to fold
        raw = make(dtype=dtype, output="identity").to_estimator()
        assert np.abs(last_numbers(raw, X) - expected).max() > 0.1


def test_bytes_scaled_as_images_are():
    model = make(scale=1 / 255)
    X = rows().astype(np.uint8)
    estimator = model.to_estimator()
    np.testing.assert_array_equal(estimator.predict(X), model.predict(X))
    weights = model.get_weights()
    weights[0] = weights[0] / 255
    off = bound_of_logits(weights, X.astype(float), np.float32)
    bounds.assert_within(last_numbers(estimator, X), model.logits(X), off)


def test_no_hidden_layer():
    model, X = make(sizes=(9, 3)), rows()
    estimator = model.to_estimator()
    assert (estimator.hidden_layer_sizes, estimator.n_layers_) == ((), 2)
    np.testing.assert_array_equal(estimator.predict_proba(X), model.predict_proba(X))


def test_training_goes_on(ops):
    X = rows(200) / 255
    y = (X[:, 0] > X[:, 1]).astype(int) + (X[:, 2] > 0.5)
    model = make(ops=ops, dropout=0.1, activation="silu")
    fit(model, X, y, epochs=30, lr=0.1)
    before = (model.predict(X) == y).mean()
    estimator = model.to_estimator().set_params(random_state=0, learning_rate_init=0.01, max_iter=200)
    assert estimator.dropout == (0.0, 0.1)
    estimator.partial_fit(X, y)
    loss = estimator.loss_
    assert loss < 1.2 * model.loss(X, y)  # it began where the model was
    with pytest.warns(UserWarning, match="Maximum iterations"):
        estimator.set_params(warm_start=True, dropout=0.0).fit(X, y)
    assert estimator.loss_ < loss
    assert estimator.score(X, y) > before + 0.2


def test_an_average_of_weights_is_what_it_predicts_by():
    X, y = rows(100) / 255, np.arange(100) % 3
    model = make()
    fit(model, X, y, epochs=2, lr=0.1, ema=0.9)
    np.testing.assert_array_equal(model.to_estimator().predict_proba(X), model.predict_proba(X))


def test_of_a_network_of_an_estimator_it_is_the_estimator_again(tmp_path):
    X = rows(100) / 255
    y = np.array(NAMES)[(X[:, 0] * 2.99).astype(int)]
    fitted = MLPClassifier((6,), max_iter=300, tol=1.0, random_state=0, activation="mish").fit(X, y)
    fitted.network_.save(tmp_path / "model.safetensors")
    again = MLP.load(tmp_path / "model.safetensors").to_estimator()
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_the_notebooks_classifier():
    model = DigitsClassifier(seed=0)
    X = np.random.default_rng(0).random((5, 784), np.float32)
    np.testing.assert_array_equal(model.to_estimator().predict_proba(X), model.predict_proba(X))


def test_what_cannot_be_is_refused():
    with pytest.raises(RuntimeError, match="center is the mean"):
        make(center="mean").to_estimator()
    with pytest.raises(ValueError, match="2 names of 3 classes"):
        make(class_names=["a", "b", "a"]).to_estimator()
    with pytest.raises(ValueError, match="1 names of 1 classes"):
        make(sizes=(9, 1)).to_estimator()
