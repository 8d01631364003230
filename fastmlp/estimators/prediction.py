"""What an estimator's coefficients say of data: read where they lie, at every call."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network._base import ACTIVATIONS as SKLEARNS
from sklearn.utils.validation import validate_data

from .network import activations_of

_Array = NDArray[Any]

_CHUNK = 1024  # rows at once, so that a layer's output stays in the cache


def validated(estimator: Any, X: Any) -> Any:
    """Check samples as scikit-learn does; plain arrays in less time."""
    if (
        type(X) is np.ndarray
        and X.dtype.char in "fdB"
        and X.ndim == 2
        and len(X)
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")  # or there is a warning to be given
        and (X.dtype.char == "B" or np.isfinite(X).all())
    ):
        return X
    return validate_data(estimator, X, accept_sparse=["csr", "csc"], reset=False)


def outputs(estimator: Any, X: _Array) -> _Array:
    """Give the activated outputs of every row of an array, (n, n_outputs)."""
    coefs, kind = estimator.coefs_, estimator.dtype
    if kind is None:
        wider = np.result_type(X.dtype, *coefs)
        kind = np.float32 if wider in (np.float16, np.float32) else np.float64
    layers = [
        (np.ascontiguousarray(w, kind), np.ascontiguousarray(b, kind))
        for w, b in zip(coefs, estimator.intercepts_, strict=True)
    ]
    z = np.empty((len(X), layers[-1][1].size), kind)
    chunks = range(0, len(X) + _CHUNK, _CHUNK)
    for first, end in pairwise(chunks):
        forward(estimator, np.ascontiguousarray(X[first:end], kind), layers, z[first:end])
    SKLEARNS[estimator.out_activation_](z)
    return z


def forward(estimator: Any, x: _Array, layers: list[tuple[_Array, _Array]], z: _Array) -> None:
    """Run all layers; z receives the last one's numbers."""
    ops, names = estimator.operations, activations_of(estimator, len(layers) - 1)
    for name, (w, b) in zip(names, layers, strict=False):
        y = np.empty((len(x), b.size), x.dtype)
        ops.linear_activation_forward(x, w, b, name, y, y)
        x = y
    ops.linear_forward(x, *layers[-1], z)
