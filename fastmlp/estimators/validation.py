"""What an estimator watches while it trains: a part of its data, or a set of its user's."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

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
        X, y = dense(validated(estimator, pair[0])), np.asarray(pair[1])
        if len(X) != len(y):
            raise ValueError(f"eval_set has {len(X)} rows of X_val and {len(y)} of y_val")
        if not is_classifier(estimator):
            return cls(X, y, None, y.astype(np.float64))
        strange = np.setdiff1d(y, estimator.classes_) if y.ndim == 1 else np.empty(0)
        if strange.size:
            raise ValueError(f"eval_set has the class {strange[0]!r}, which y has not")
        return cls(X, y, None, labels_of(estimator, estimator._label_binarizer.transform(y)))

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
