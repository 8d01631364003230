"""How good predictions are: confusion matrix, macro-averaged F1 and accuracy."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.data import prepare_labels
from fastmlp.data.inputs import as_array

_Labels = tuple[NDArray[np.int64], NDArray[np.int64]]  # true and predicted


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Count how often each true class got each prediction.

    Parameters
    ----------
    y_true, y_pred : (n,) integers from 0 to n_classes - 1, true and predicted labels
    n_classes : number of classes, at least 1

    Returns
    -------
    confusion : int64, (n_classes, n_classes), a row for each true class, a column for each predicted one

    Raises
    ------
    ValueError
        The labels differ in number, are not integers or masked, or one is outside the classes.
    """
    n_classes = int(n_classes)
    true, predicted = _pair(y_true, y_pred, n_classes)
    return np.bincount(true * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


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
    """Average F1 over the classes found; `found` is 2 tp + fp + fn of each class."""
    present = found > 0
    return float(np.mean(2.0 * hits[present] / found[present]))


def evaluate(model: Any, X: ArrayLike, y: ArrayLike) -> float:
    """Macro-averaged F1 score of a model's predictions.

    Parameters
    ----------
    model : MLP, not changed
    X : (n, n_in) real numbers
    y : (n,) integers, or (n, n_classes) rows, of which the class with the largest share counts

    Returns
    -------
    A number from 0 to 1.

    Raises
    ------
    ValueError
        X or y do not fit the model or each other, or there is no sample.
    """
    true, predicted = _true_and_predicted(model, X, y)

    def count(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(labels, minlength=model.n_classes)

    # by class: a matrix of all pairs would be large where classes are many
    return _mean_f1(count(true[true == predicted]), count(true) + count(predicted))


def accuracy(model: Any, X: ArrayLike, y: ArrayLike) -> float:
    """Share of samples whose class a model predicts.

    Parameters
    ----------
    model, X, y : as for `evaluate`

    Returns
    -------
    A number from 0 to 1.

    Raises
    ------
    ValueError
        As `evaluate` does.
    """
    true, predicted = _true_and_predicted(model, X, y)
    return float(np.count_nonzero(true == predicted) / len(true))


def _true_and_predicted(model: Any, X: ArrayLike, y: ArrayLike) -> _Labels:
    predicted = model.predict(X)
    labels = prepare_labels(y, len(predicted))
    if labels.ndim == 2:
        if labels.shape[1] != model.n_classes:
            raise ValueError(f"y has {labels.shape[1]} columns: the model has {model.n_classes} classes")
        labels = labels.argmax(axis=1)
    if not len(predicted):
        raise ValueError("X has no sample: a score needs at least one")
    return _pair(labels, predicted, model.n_classes)
