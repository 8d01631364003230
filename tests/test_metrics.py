"""fastmlp.metrics against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from fastmlp.metrics import accuracy, confusion_matrix, evaluate, macro_f1


class FixedModel:
    """Predicts what it was given."""

    def __init__(self, predictions, n_out, output="softmax"):
        self.predictions, self.n_out, self.output = np.asarray(predictions), n_out, output
        self.n_classes = 2 if output == "logistic" and n_out == 1 else n_out

    def predict(self, X):
        return self.predictions


@st.composite
def labels_and_predictions(draw):
    n_classes = draw(st.integers(2, 12))
    # a few of the classes only, so that some are absent from one side or from both
    kept = st.sampled_from(draw(st.lists(st.integers(0, n_classes - 1), min_size=1, max_size=6)))
    pairs = draw(st.lists(st.tuples(kept, st.integers(0, n_classes - 1) | kept), min_size=1, max_size=60))
    return n_classes, *np.array(pairs).T


@given(labels_and_predictions())
def test_scores_equal_scikit_learn(case):
    n_classes, y, predicted = case
    confusion = confusion_matrix(y, predicted, n_classes)
    expected = sklearn_metrics.confusion_matrix(y, predicted, labels=range(n_classes))
    np.testing.assert_array_equal(confusion, expected)
    f1 = sklearn_metrics.f1_score(y, predicted, average="macro")
    model = FixedModel(predicted, n_classes)
    assert macro_f1(confusion) == pytest.approx(f1, rel=1e-12, abs=1e-12)
    assert evaluate(model, None, y) == pytest.approx(f1, rel=1e-12, abs=1e-12)
    assert accuracy(model, None, y) == pytest.approx(sklearn_metrics.accuracy_score(y, predicted), rel=1e-12)


@given(labels_and_predictions())
def test_scores_have_the_bits_of_those_of_the_whole_matrix(case):
    n_classes, y, predicted = case
    model, confusion = FixedModel(predicted, n_classes), confusion_matrix(y, predicted, n_classes)
    assert evaluate(model, None, y) == macro_f1(confusion)
    assert accuracy(model, None, y) == confusion.trace() / confusion.sum()


def test_scores_of_many_classes_need_no_matrix_of_them():
    model = FixedModel(np.arange(3), 10**7)  # whose square would be 800 TB
    assert evaluate(model, None, [0, 1, 1]) == pytest.approx((1 + 2 / 3 + 0) / 3, rel=1e-15)
    assert accuracy(model, None, [0, 1, 1]) == 2 / 3


def test_a_class_absent_from_both_sides_is_left_out_and_one_never_hit_scores_zero():
    y, predicted = [0, 0, 1, 1], [0, 0, 1, 3]  # 2 is absent, 3 is only ever predicted
    expected = (1 + 2 / 3 + 0) / 3
    assert macro_f1(confusion_matrix(y, predicted, 5)) == pytest.approx(expected, rel=1e-15)


def test_confusion_has_true_classes_in_rows():
    got = confusion_matrix(np.uint8([2, 2, 0]), np.int64([1, 1, 0]), 3)
    np.testing.assert_array_equal(got, [[1, 0, 0], [0, 0, 0], [0, 2, 0]])
    assert got.dtype == np.int64


def test_small_integer_labels_do_not_overflow():
    y = np.full(3, 255, dtype=np.uint8)
    assert confusion_matrix(y, y, 256)[255, 255] == 3


def test_one_hot_rows_count_as_their_largest_share():
    rows = np.array([[0.0, 1.0, 0.0], [0.2, 0.1, 0.7], [1.0, 0.0, 0.0]])
    model = FixedModel([1, 2, 1], 3)
    assert evaluate(model, None, rows) == evaluate(model, None, [1, 2, 0])
    assert accuracy(model, None, rows) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("y", "predicted", "n_classes", "reason"),
    [
        ([0, 3], [0, 1], 3, "y_true has labels from 0 to 3: expected 0 to 2"),
        ([0, 1], [0, -1], 3, "y_pred has labels from -1 to 0"),
        ([0, 1, 2], [0, 1], 3, "y_true has 3 labels and y_pred 2"),
        ([0.0, 1.0], [0, 1], 3, "y_true is float64"),
        ([[0], [1]], [0, 1], 3, r"shape \(2, 1\)"),
        ([0], [0], 0, "n_classes is 0"),
    ],
)
def test_bad_labels_are_refused(y, predicted, n_classes, reason):
    with pytest.raises(ValueError, match=reason):
        confusion_matrix(y, predicted, n_classes)


@pytest.mark.parametrize("confusion", [np.zeros((3, 3), int), np.ones((2, 3), int), np.ones(4, int)])
def test_macro_f1_refuses_what_has_no_score(confusion):
    with pytest.raises(ValueError, match="confusion"):
        macro_f1(confusion)


@pytest.mark.parametrize("score", [evaluate, accuracy])
def test_scores_refuse_labels_that_do_not_fit(score):
    model = FixedModel([0, 1], 2)
    with pytest.raises(ValueError, match="y has 3"):
        score(model, None, [0, 1, 1])
    with pytest.raises(ValueError, match="y has 3 columns, expected 2, the model's classes"):
        score(model, None, np.eye(3)[:2])
    with pytest.raises(ValueError, match="expected 0 to 1"):
        score(model, None, [0, 2])
    with pytest.raises(ValueError, match="no sample"):
        score(FixedModel(np.array([], int), 2), None, np.array([], int))


def test_masked_elements_are_refused():
    labels = np.ma.array([0, 1, 1], mask=[False, False, True])
    with pytest.raises(ValueError, match="^y_true .*mask"):
        confusion_matrix(labels, [0, 1, 1], 2)
    with pytest.raises(ValueError, match="^y_pred .*mask"):
        confusion_matrix([0, 1, 1], labels, 2)
    with pytest.raises(ValueError, match="^confusion .*mask"):
        macro_f1(np.ma.masked_equal([[2, 1], [0, 2]], 1))
    for score in (evaluate, accuracy):
        with pytest.raises(ValueError, match="^y .*mask"):
            score(FixedModel([0, 1, 1], 2), None, labels)
    assert macro_f1(np.ma.array(np.eye(2, dtype=int))) == 1  # nothing is masked


# --- other outputs than softmax --------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_one_logistic_unit_scores_its_two_classes(pairs):
    y, predicted = np.array(pairs, np.int64).T
    model = FixedModel(predicted, 1, "logistic")
    f1 = sklearn_metrics.f1_score(y, predicted, average="macro")
    for given_y in (y, y[:, None], 0.25 + 0.5 * y):  # a probability names the likelier class
        assert evaluate(model, None, given_y) == pytest.approx(f1, rel=1e-12, abs=1e-12)
        assert accuracy(model, None, given_y) == sklearn_metrics.accuracy_score(y, predicted)


@given(st.integers(2, 4), st.integers(1, 20), st.integers(0, 2**32))
def test_several_logistic_units_score_their_labels(n_labels, n, seed):
    rng = np.random.default_rng(seed)
    y, predicted = (rng.random((2, n, n_labels)) < rng.random((1, 1, n_labels))).astype(np.int64)
    model = FixedModel(predicted, n_labels, "logistic")
    found = np.flatnonzero((y + predicted).any(axis=0))
    by_label = sklearn_metrics.f1_score(y, predicted, average=None, zero_division=0)[found]
    expected = by_label.mean() if len(found) else 0.0
    assert evaluate(model, None, y) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert accuracy(model, None, y) == sklearn_metrics.accuracy_score(y, predicted)


@pytest.mark.parametrize("n_out", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identity_scores_r2(n_out, dtype):
    rng = np.random.default_rng(n_out)
    y = 100 + rng.standard_normal((50, n_out))
    predicted = (y + rng.standard_normal((50, n_out))).astype(dtype)
    expected = sklearn_metrics.r2_score(y, predicted)
    model = FixedModel(predicted[:, 0] if n_out == 1 else predicted, n_out, "identity")
    assert evaluate(model, None, y) == pytest.approx(expected, rel=1e-12)
    if n_out == 1:
        assert evaluate(model, None, y[:, 0]) == evaluate(model, None, y)


def test_r2_of_constant_targets():
    y = np.column_stack([np.full(7, 0.5), np.full(7, 0.5), np.arange(7.0)])
    predicted = y + [[0, 1, 0.5]]
    model = FixedModel(predicted, 3, "identity")
    assert evaluate(model, None, y) == pytest.approx(sklearn_metrics.r2_score(y, predicted), rel=1e-15)
    for value in (0.1, 1e10 / 3):  # whose rounded mean is another number
        model = FixedModel(np.full(7, value), 1, "identity")
        assert evaluate(model, None, np.full(7, value)) == 1
        assert evaluate(model, None, np.full(7, 2 * value)) == 0


@pytest.mark.parametrize("n_out", [1, 2, 3])
def test_exp_scores_d2(n_out):
    rng = np.random.default_rng(n_out)
    mean = np.exp(rng.standard_normal((50, n_out)))
    y = rng.poisson(mean).astype(float)
    predicted = mean * np.exp(0.3 * rng.standard_normal((50, n_out)))
    pairs = zip(y.T, predicted.T, strict=True)
    expected = np.mean([sklearn_metrics.d2_tweedie_score(*pair, power=1) for pair in pairs])
    model = FixedModel(predicted[:, 0] if n_out == 1 else predicted, n_out, "exp")
    # terms of the deviance of up to 10 cancel to a 50th of their sum at worst
    assert evaluate(model, None, y) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    "y, predicted, expected",
    [
        ([0, 0], [0.0, 0.0], 1),  # exp(z) rounds to 0
        ([0, 0], [1e-9, 0.0], 0),
        ([3, 3], [3.0, 3.0], 1),
        ([3, 3], [3.0, 3.1], 0),
        ([0.1] * 3, [0.1] * 3, 1),
        ([0, 1], [0.0, 1.0], 1),
        ([1, 2], [0.0, 2.0], -np.inf),
        ([1, 2], [1.0, np.inf], -np.inf),
        ([0, 2], [np.inf, 2.0], -np.inf),
        ([1e-300, 2], [1e30, 2.0], -np.inf),
    ],
)
def test_d2_at_its_limits(y, predicted, expected):
    assert evaluate(FixedModel(predicted, 1, "exp"), None, y) == expected


@pytest.mark.parametrize("output", ["identity", "exp"])
def test_targets_have_no_accuracy_and_one_of_them_no_score(output):
    model = FixedModel([1.5], 1, output)
    with pytest.raises(ValueError, match=f"output is {output}, which has no classes; use evaluate"):
        accuracy(model, None, [1.5])
    with pytest.warns(UserWarning, match="(R2|D2) of a single sample.* is NaN: give two or more"):
        assert np.isnan(evaluate(model, None, [1.5]))
    with pytest.raises(ValueError, match="no sample"):
        evaluate(FixedModel(np.zeros(0), 1, output), None, np.zeros(0))


# --- weights of rows --------------------------------------------------------------------------------------


@given(labels_and_predictions(), st.integers(0, 2**32))
def test_weighted_scores_equal_scikit_learn(case, seed):
    n_classes, y, predicted = case
    weights = np.random.default_rng(seed).uniform(0.1, 3, len(y))
    model, options = FixedModel(predicted, n_classes), {"sample_weight": weights}
    f1 = sklearn_metrics.f1_score(y, predicted, average="macro", **options)
    assert evaluate(model, None, y, weights) == pytest.approx(f1, rel=1e-12, abs=1e-12)
    of_all = sklearn_metrics.accuracy_score(y, predicted, **options)
    assert accuracy(model, None, y, weights) == pytest.approx(of_all, rel=1e-12)
    confusion = confusion_matrix(y, predicted, n_classes, weights)
    expected = sklearn_metrics.confusion_matrix(y, predicted, labels=range(n_classes), **options)
    np.testing.assert_allclose(confusion, expected, rtol=1e-12)
    assert macro_f1(confusion) == pytest.approx(f1, rel=1e-12, abs=1e-12)


OUTPUTS = [("softmax", 3), ("logistic", 1), ("logistic", 3), ("identity", 1), ("identity", 3), ("exp", 2)]


def of_output(output, n_out, rng, n=40):
    """Labels or targets that go with an output, and predictions of them."""
    if output == "softmax":
        return rng.integers(0, n_out, (2, n))
    if output == "logistic":
        return rng.integers(0, 2, (2, n, n_out))
    return rng.poisson(3, (n, n_out)) + 0.0, rng.uniform(1, 5, (n, n_out))


@pytest.mark.parametrize(("output", "n_out"), OUTPUTS)
def test_weight_2_is_the_row_twice_and_weight_0_the_row_left_out(output, n_out):
    rng = np.random.default_rng(n_out)
    y, predicted = of_output(output, n_out, rng)
    times = rng.integers(0, 3, len(y))
    y[0], times[0] = y.max(), 0  # may be the only one of its class
    model, repeated = (
        FixedModel(each[:, 0] if n_out == 1 else each, n_out, output)
        for each in (predicted, np.repeat(predicted, times, axis=0))
    )
    scores = [evaluate] if output in ("identity", "exp") else [evaluate, accuracy]
    for score in scores:
        expected = score(repeated, None, np.repeat(y, times, axis=0))
        for factor in (1, 1e-300, 1e300):  # only proportions count
            assert score(model, None, y, factor * times) == pytest.approx(expected, rel=1e-12)
        assert score(model, None, y, np.ones(len(y))) == pytest.approx(score(model, None, y), rel=1e-12)


@pytest.mark.parametrize("n_out", [1, 3])
def test_weighted_r2_and_d2_equal_scikit_learn(n_out):
    rng = np.random.default_rng(n_out)
    weights = rng.uniform(0.1, 3, 40)
    y, predicted = of_output("identity", n_out, rng)
    given = predicted[:, 0] if n_out == 1 else predicted
    r2 = sklearn_metrics.r2_score(y, predicted, sample_weight=weights)
    assert evaluate(FixedModel(given, n_out, "identity"), None, y, weights) == pytest.approx(r2, rel=1e-12)
    pairs = zip(y.T, predicted.T, strict=True)
    d2 = [sklearn_metrics.d2_tweedie_score(*pair, sample_weight=weights, power=1) for pair in pairs]
    assert evaluate(FixedModel(given, n_out, "exp"), None, y, weights) == pytest.approx(
        np.mean(d2), rel=1e-11
    )


def test_weights_that_do_not_fit_are_refused():
    model = FixedModel([0, 1], 2)
    for score in (evaluate, accuracy):
        with pytest.raises(ValueError, match=r"sample_weight has shape \(3,\), expected \(2,\)"):
            score(model, None, [0, 1], [1, 1, 1])
        with pytest.raises(ValueError, match=r"sample_weight sums to 0\.0"):
            score(model, None, [0, 1], [0, 0])
    with pytest.raises(ValueError, match=r"sample_weight\[1\] is -1\.0"):
        confusion_matrix([0, 1], [0, 1], 2, [1, -1])
    with pytest.warns(UserWarning, match="R2 of a single sample"):  # as the other weighs nothing
        assert np.isnan(evaluate(FixedModel([0.0, 1.0], 1, "identity"), None, [0, 1], [0, 2]))


def test_targets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"y\[1\] is -1, expected none below 0"):
        evaluate(FixedModel([1.0, 2.0], 1, "exp"), None, [0, -1])
    with pytest.raises(ValueError, match=r"y\[1\] is 2, expected 0 or 1"):
        accuracy(FixedModel([0, 1], 1, "logistic"), None, [0, 2])
    with pytest.raises(ValueError, match="y has 2 columns, expected 3"):
        evaluate(FixedModel(np.zeros((2, 3)), 3, "identity"), None, np.eye(2))
