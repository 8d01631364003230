"""The network underneath an estimator."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.model import MLP

_Array = NDArray[Any]


def make_network(
    estimator: Any, widths: list[int], dtype: Any, class_names: Any = None, **options: Any
) -> MLP:
    """Make a model of an estimator's kind."""
    output = estimator.out_activation_
    if class_names is not None and (output, widths[-1]) != ("softmax", len(class_names)):
        # a logistic unit has two classes; there may be but one, and several are labels of their own
        class_names = class_names if (widths[-1], len(class_names)) == (1, 2) else None
    return MLP(
        widths,
        activation=estimator.activation,
        output=output,
        dropout=estimator.dropout,
        dtype=dtype,
        ops=estimator.operations,
        class_names=class_names,
        **options,
    )


def interleaved(coefs: list[_Array], intercepts: list[_Array]) -> list[_Array]:
    """Give [W1, b1, W2, b2, …]."""
    return [array for pair in zip(coefs, intercepts, strict=True) for array in pair]


def dense(X: Any) -> _Array:
    """Give a matrix as an array."""
    return X.toarray() if hasattr(X, "toarray") else X


def labels_of(estimator: Any, y: _Array) -> _Array:
    """Give labels as models take them, of what scikit-learn makes of them."""
    if estimator.out_activation_ == "softmax":
        return y.argmax(axis=1)
    return y.astype(np.float64, order="C", casting="same_kind")  # text is no number


def activations_of(estimator: Any, n_hidden: int) -> list[str]:
    """Name the activation of each hidden layer."""
    given = estimator.activation
    return [given] * n_hidden if isinstance(given, str) else list(given)
