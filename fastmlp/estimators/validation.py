"""What an estimator watches while it trains: a part of its data, or a set of its user's."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from fastmlp.data.labels import labels_for, prepare_labels
from fastmlp.model import MLP

from .network import dense, labels_of
from .prediction import validated

_Array = NDArray[Any]


class Validation:
    """Data that a score is taken of after each epoch, and a loss where it is the user's.

    Parameters
    ----------
    X, y : as `score` takes them
    weights : of its rows, or None
    labels : y as models take it, where the loss is wanted
    """

    def __init__(self, X: _Array, y: _Array, weights: _Array | None, labels: _Array | None = None) -> None:
        self.X, self.y, self.weights, self.labels = X, y, weights, labels

    @classmethod
    def held_out(cls, estimator: Any, X: _Array, y: _Array, weights: _Array | None) -> "Validation":
        """Make it of rows that scikit-learn has checked."""
        return cls(
            X, estimator._label_binarizer.inverse_transform(y) if is_classifier(estimator) else y, weights
        )

    @classmethod
    def given(cls, estimator: Any, pair: Any) -> "Validation":
        """Check a user's pair."""
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"eval_set is of type {type(pair).__name__}, expected a pair (X_val, y_val)")
        try:
            X = dense(validated(estimator, pair[0]))
            return cls(X, *cls._labels(estimator, len(X), pair[1]))
        except (ValueError, TypeError) as error:
            raise ValueError(f"eval_set: {error}") from error

    @staticmethod
    def _labels(estimator: Any, n: int, given: Any) -> tuple[_Array, None, _Array]:
        """Give a user's labels as scores take them, no weights, and the labels as models take them."""
        y = np.asarray(given)
        if len(np.atleast_1d(y)) != n:
            raise ValueError(f"X_val has {n} rows and y_val {len(np.atleast_1d(y))}")
        y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
        as_models_take_it = y
        if is_classifier(estimator):
            several = estimator._label_binarizer.y_type_.startswith("multilabel")
            if several and y.ndim == 1:
                raise ValueError(f"y_val has shape {y.shape}, expected ({n}, {estimator.n_outputs_})")
            strange = [] if several else [c for c in np.unique(y) if c not in estimator.classes_]
            if strange:
                raise ValueError(f"y_val has the class {strange[0]}, which y has not")
            as_models_take_it = labels_of(estimator, estimator._label_binarizer.transform(y))
        labels = prepare_labels(as_models_take_it, n)
        return y, None, labels_for(labels, estimator.out_activation_, estimator.n_outputs_)

    def begin(self, estimator: Any) -> None:
        """Have curves to write to; those of a warm start run on."""
        if self.labels is None:
            return
        if not estimator.loss_curve_ or not hasattr(estimator, "validation_loss_curve_"):
            estimator.validation_loss_curve_ = []
            if not estimator.early_stopping:
                estimator.validation_scores_ = []

    def epoch_ended(self, estimator: Any, model: MLP | None) -> None:
        """Take the score, and the loss by the model, None where it has failed."""
        estimator._update_no_improvement_count(estimator.early_stopping, self.X, self.y, self.weights)
        if self.labels is None:
            return
        if not estimator.early_stopping:
            estimator.validation_scores_.append(estimator._score(self.X, self.y))
        loss = np.nan if model is None else model.loss(self.X, self.labels)
        of_each = estimator.n_outputs_ if estimator.out_activation_ == "identity" else 1
        estimator.validation_loss_curve_.append(loss / of_each)
