"""fastmlp.metrics against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from fastmlp.metrics import accuracy, confusion_matrix, evaluate, macro_f1


class FixedModel:
    """Predicts what it was given."""

    def __init__(self, predictions, n_classes):
        self.predictions, self.n_classes = np.asarray(predictions), n_classes

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
    with pytest.raises(ValueError, match="the model has 2 classes"):
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
