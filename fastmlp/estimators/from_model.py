"""From a model to an estimator."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer

from fastmlp import reference
from fastmlp.model import MLP

from .classifier import MLPClassifier
from .regressor import MLPRegressor

_Array = NDArray[Any]


def to_estimator(model: MLP) -> Any:
    """Make a fitted estimator of a model.

    softmax, logistic: an `MLPClassifier`;  identity: an `MLPRegressor`;  exp: one of loss="poisson"

    It predicts as the model does, to the bits of the last layer's numbers where there is neither center nor
    scale. These are folded into the first layer, in float64, then rounded to the model's dtype:
    W = scale * W, b = b - (center * scale) @ W. Two classes of a softmax become one logistic unit, of the
    difference of their columns, as scikit-learn has two classes. Training goes on by `partial_fit`, or by
    `fit` with warm_start; what the model's optimizer has accumulated stays behind.

    Parameters
    ----------
    model : whose class_names, sorted, become classes_; without them these are 0, 1, …, as they are for labels
        of their own

    Raises
    ------
    ValueError
        Two classes have one name, or there is but one class.
    RuntimeError
        The model is centered by the mean of data that it has not seen yet.
    """
    model._require_center()
    weights = _folded(model)
    options: dict[str, Any] = {
        "hidden_layer_sizes": model.sizes[1:-1],
        "activation": _one_or_all(model.activations),
        "dropout": model.dropout if any(model.dropout) else 0.0,
        "dtype": model.dtype.name,
        "ops": "reference" if model.ops is reference else None,
    }
    if model.output in ("identity", "exp"):
        loss = "poisson" if model.output == "exp" else "squared_error"
        estimator: Any = MLPRegressor(loss, **options)
    else:
        estimator = MLPClassifier(**options)
        _give_classes(estimator, model, weights)
    widths = [*model.sizes[:-1], weights[-1].size]
    estimator.n_features_in_, estimator._random_state = model.n_in, np.random.RandomState(0)
    estimator._initialize(np.empty((1, widths[-1])), widths, model.dtype)
    estimator.coefs_, estimator.intercepts_ = weights[::2], weights[1::2]
    return estimator


def _one_or_all(names: tuple[str, ...]) -> Any:
    return list(names) if len(set(names)) > 1 else names[0] if names else "relu"


def _folded(model: MLP) -> list[_Array]:
    """Give a model's weights, for inputs that are neither centered nor scaled."""
    weights = model.get_weights()
    scale = np.asarray(model.scale, model.dtype).astype(np.float64)
    if np.any(scale != 1) or model.center is not None:
        w, b = (array.astype(np.float64) for array in weights[:2])
        w *= scale[..., None] if scale.ndim else scale
        if model.center is not None:
            b -= np.array(model.center) @ w
        weights[:2] = w.astype(model.dtype), b.astype(model.dtype)
    return weights


def _give_classes(estimator: Any, model: MLP, weights: list[_Array]) -> None:
    """Give an estimator its classes, in scikit-learn's order, and the last layer's columns in the same."""
    estimator._label_binarizer = LabelBinarizer()
    if model.output == "logistic" and model.n_out > 1:
        estimator._label_binarizer.fit(np.eye(model.n_out, dtype=int))
        estimator.classes_ = estimator._label_binarizer.classes_
        return
    names = np.arange(model.n_classes) if model.class_names is None else np.array(model.class_names)
    estimator.classes_, columns = np.unique(names, return_index=True)
    if len(estimator.classes_) < max(2, len(names)):
        raise ValueError(
            f"found {len(estimator.classes_)} names of {len(names)} classes, expected two or more"
        )
    estimator._label_binarizer.fit(estimator.classes_)
    last = weights[-2:]
    if model.n_out > 1:
        last = [array[..., columns] for array in last]
    elif columns[0]:
        last = [-array for array in last]
    if model.n_out == 2:
        last = [np.diff(array.astype(np.float64)).astype(model.dtype) for array in last]
    weights[-2:] = map(np.ascontiguousarray, last)
