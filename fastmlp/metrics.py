"""How good predictions are: confusion matrix, macro-averaged F1, R2, D2 and accuracy."""

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.data import labels_for, prepare_labels, prepare_weights
from fastmlp.data.inputs import as_array

METRICS = {"softmax": "f1", "logistic": "f1", "identity": "r2", "exp": "d2"}  # what `evaluate` gives
_Weights = NDArray[np.float64] | None  # of the rows
_Labels = tuple[NDArray[np.int64], NDArray[np.int64]]  # true and predicted


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, n_classes: int, sample_weight: ArrayLike | None = None
) -> NDArray[Any]:
    """Count how often each true class got each prediction.

    Parameters
    ----------
    y_true, y_pred : (n,) integers from 0 to n_classes - 1, true and predicted labels
    n_classes : number of classes, at least 1
    sample_weight : (n,) weights of the samples, from 0 up, which are added up instead; None to count

    Returns
    -------
    confusion : (n_classes, n_classes), a row for each true class, a column for each predicted one; int64, or
        float64 where samples have weights

    Raises
    ------
    ValueError
        The labels differ in number, are not integers or masked, or one is outside the classes; the weights
        are no such numbers.
    """
    n_classes = int(n_classes)
    true, predicted = _pair(y_true, y_pred, n_classes)
    weights = None if sample_weight is None else prepare_weights(sample_weight, len(true))
    pairs = np.bincount(true * n_classes + predicted, weights, minlength=n_classes**2)
    return pairs.reshape(n_classes, n_classes)


def _pair(y_true: ArrayLike, y_pred: ArrayLike, n_classes: int) -> _Labels:
    if n_classes < 1:
        raise ValueError(f"n_classes is {n_classes}: expected at least 1")
    true, predicted = _labels("y_true", y_true, n_classes), _labels("y_pred", y_pred, n_classes)
    if len(true) != len(predicted):
        raise ValueError(
            f"y_true has {len(true)} labels and y_pred {len(predicted)}: give one of each a sample"
        )
    return true, predicted


def _labels(name: str, values: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    labels = as_array(values, name)
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise ValueError(f"{name} is {labels.dtype} of shape {labels.shape}: expected integers of shape (n,)")
    if labels.size and not 0 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(
            f"{name} has labels from {labels.min()} to {labels.max()}: expected 0 to {n_classes - 1}, "
            f"as there are {n_classes} classes"
        )
    return labels.astype(np.int64, copy=False)


def macro_f1(confusion: ArrayLike) -> float:
    """Mean of the classes' F1 scores, as scikit-learn's `f1_score(average="macro")`.

    F1 of a class = 2 tp / (2 tp + fp + fn);  the mean is over the classes found in labels or predictions.

    Parameters
    ----------
    confusion : (n_classes, n_classes) counts, as from `confusion_matrix`

    Returns
    -------
    A number from 0 to 1; a class without true positives scores 0.

    Raises
    ------
    ValueError
        The matrix is not square, has masked elements or counts no sample.
    """
    counts = as_array(confusion, "confusion")
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"confusion has shape {counts.shape}: expected a square matrix")
    found = counts.sum(axis=0) + counts.sum(axis=1)
    if not (found > 0).any():
        raise ValueError("confusion counts no sample: F1 needs at least one")
    return _mean_f1(counts.diagonal(), found)


def _mean_f1(hits: NDArray[Any], found: NDArray[Any]) -> float:
    """Average F1 over the classes found, 0 where none is; `found` is 2 tp + fp + fn of each class."""
    present = found > 0
    if not present.any():
        return 0.0
    return float(np.mean(2.0 * hits[present] / found[present]))


def evaluate(model: Any, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Score a model's predictions, with the score that goes with its output.

    ========================  ==============================================================================
    softmax, 1 logistic unit  macro-averaged F1 of the classes found in y or predicted
    several logistic units    macro-averaged F1 of the labels found in y or predicted; 0 where none is
    identity                  R2 = 1 - sum((y - p)^2) / sum((y - mean)^2), p predicted
    exp                       D2 = 1 - deviance(y, p) / deviance(y, mean), the deviance Poisson's
    ========================  ==============================================================================

    They are scikit-learn's `f1_score(average="macro")`, `r2_score` and `d2_tweedie_score(power=1)`, the last
    two averaged over the outputs. A target that is constant scores 1 where it is met exactly and 0 elsewhere.

    Parameters
    ----------
    model : MLP, not changed
    X : (n, n_in) real numbers
    y : labels or targets that the model takes; of a row of probabilities the class with the largest share
        counts, and a label where its probability is above 1 / 2
    sample_weight : (n,) weights of the rows, from 0 up: weight 2 counts as the row twice, weight 0 as the row
        left out; None for all 1

    Returns
    -------
    A number up to 1; F1 is not below 0, R2 and D2 are NaN for a single sample.

    Raises
    ------
    ValueError
        X, y or sample_weight do not fit the model or each other, or there is no sample.

    Warns
    -----
    UserWarning
        R2 or D2 of a single sample.
    """
    predicted, labels, weights = _scored(model, X, y, sample_weight)
    if model.output in ("identity", "exp"):
        loss = _squared_error if model.output == "identity" else _poisson_deviance
        if len(labels) < 2:
            warnings.warn(
                f"{METRICS[model.output].upper()} of a single sample, its own mean, is NaN: give two "
                "or more, or take model.loss(X, y)",
                stacklevel=2,
            )
            return math.nan
        return _explained(labels, predicted.reshape(labels.shape).astype(np.float64), loss, weights)
    true = _classes(model, labels)
    if true.ndim == 2:
        of_each = (_total(counted, weights) for counted in (true & predicted, true + predicted))
        return _mean_f1(*of_each)

    def count(rows: Any, classes: NDArray[np.int64]) -> NDArray[Any]:
        return np.bincount(classes[rows], None if weights is None else weights[rows], model.n_classes)

    # by class: a matrix of all pairs would be large where classes are many
    hits, every = count(true == predicted, true), slice(None)
    return _mean_f1(hits, count(every, true) + count(every, predicted))


def _total(values: NDArray[Any], weights: _Weights) -> NDArray[Any]:
    """Add up the rows, by their weights where they have some."""
    return values.sum(axis=0) if weights is None else weights @ values


def _explained(y: NDArray[Any], predicted: NDArray[Any], loss: Any, weights: _Weights) -> float:
    """Average over the columns what share of the mean's loss the predictions save."""
    lowest, highest = y.min(axis=0), y.max(axis=0)
    with np.errstate(all="ignore"):  # predictions that are far off lose without bound
        mean = np.average(y, axis=0, weights=weights)
        mean = np.where(lowest == highest, lowest, mean)  # which rounding would move off a constant
        of_model, of_mean = (_total(loss(y, guess), weights) for guess in (predicted, mean))
        return float(np.where(of_mean == 0, of_model == 0, 1 - of_model / of_mean).mean())


def _squared_error(y: NDArray[Any], predicted: NDArray[Any]) -> NDArray[Any]:
    return np.square(y - predicted)


def _poisson_deviance(y: NDArray[Any], predicted: NDArray[Any]) -> NDArray[Any]:
    """Half of it: y log(y / p) - y + p."""
    above = y > 0  # elsewhere y log(y / p) is 0
    log_ratio = np.log(np.divide(y, predicted, out=np.ones(y.shape), where=above))
    deviance = np.where(above, y * log_ratio, 0) - y + predicted
    # rounding may take it below 0; where the quotient is 0 for an infinite prediction, it is NaN
    return np.where(np.isfinite(deviance), np.maximum(deviance, 0), np.inf)


def accuracy(model: Any, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Share of samples whose class a model predicts, or all of whose labels.

    Parameters
    ----------
    model, X, y, sample_weight : as for `evaluate`

    Returns
    -------
    A number from 0 to 1.

    Raises
    ------
    ValueError
        As `evaluate` does, and where the model's output is identity or exp.
    """
    if model.output in ("identity", "exp"):
        raise ValueError(f"the model's output is {model.output}, which has no classes; use evaluate")
    predicted, labels, weights = _scored(model, X, y, sample_weight)
    true = _classes(model, labels)
    right = (true == predicted).reshape(len(true), -1).all(axis=1)
    if weights is not None:
        return float(weights[right].sum() / weights.sum())
    return float(np.count_nonzero(right) / len(right))


def _scored(
    model: Any, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any], _Weights]:
    """Give predictions, labels and weights, 1 at most, of the rows that weigh anything."""
    predicted = model.predict(X)
    labels = labels_for(prepare_labels(y, len(predicted)), model.output, model.n_out)
    if not len(predicted):
        raise ValueError("X has no sample: a score needs at least one")
    if sample_weight is None:
        return predicted, labels, None
    weights = prepare_weights(sample_weight, len(predicted))
    weights /= weights.max()  # sums of products stay finite
    counts = weights > 0
    return predicted[counts], labels[counts], weights[counts]


def _classes(model: Any, labels: NDArray[Any]) -> NDArray[np.int64]:
    """Give the true classes, (n,), or the true labels of several units, (n, n_out)."""
    if model.output == "softmax":
        return labels.argmax(axis=1) if labels.ndim == 2 else labels
    true = (labels > 0.5).astype(np.int64)
    return true[:, 0] if model.n_out == 1 else true
