"""What a model says of its last layer's numbers: predictions and probabilities."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def predictions(output: str, logits: NDArray[Any]) -> NDArray[Any]:
    """Predict from the outputs of the last layer.

    softmax: the likeliest class;  logistic: for each unit whether z > 0;  identity: z;  exp: exp(z)

    Parameters
    ----------
    output : softmax, logistic, identity or exp
    logits : (n, n_out), consumed where the output is exp

    Returns
    -------
    predictions : int64 (n,) classes of softmax; of all else (n, n_out), or (n,) where n_out is 1: int64 of
        logistic, of the logits' dtype otherwise, infinite where exp(z) is beyond it. May be logits itself
    """
    if output == "softmax":
        return logits.argmax(axis=1)
    if output == "logistic":
        values = (logits > 0).astype(np.int64)
    elif output == "exp":
        with np.errstate(over="ignore"):
            values = np.exp(logits, out=logits)
    else:
        values = logits
    return values[:, 0] if values.shape[1] == 1 else values


def probabilities(output: str, logits: NDArray[Any]) -> NDArray[Any]:
    """Probabilities of the outputs of the last layer.

    Parameters
    ----------
    output : softmax, logistic, identity or exp
    logits : (n, n_out), consumed

    Returns
    -------
    p : (n, n_out) of the logits' dtype, of each class or, where the output is logistic, of each label; of a
        single logistic unit (n, 2), of its classes 0 and 1

    Raises
    ------
    ValueError
        The output is identity or exp, which have none.
    """
    if output == "softmax":
        logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits
    if output == "logistic":
        return _logistic(np.hstack([-logits, logits]) if logits.shape[1] == 1 else logits)
    raise ValueError(f"the output is {output}, which has no probabilities; use predict(X)")


def _logistic(z: NDArray[Any]) -> NDArray[Any]:
    small = np.exp(-np.abs(z))  # cannot overflow, and keeps the probabilities near 0
    return np.where(z < 0, small, 1) / (1 + small)
