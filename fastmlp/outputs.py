"""What the numbers of a last layer mean."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def predictions(output: str, logits: NDArray[Any]) -> NDArray[Any]:
    """Predict from logits (n, n_out): classes, labels of 0 and 1, or numbers; (n,) of a single unit."""
    if output == "softmax":
        return logits.argmax(axis=1)
    values = logits.ravel() if logits.shape[1] == 1 else logits
    if output == "logistic":
        return (values > 0).astype(np.int64)
    return np.exp(values) if output == "exp" else values


def probabilities(output: str, logits: NDArray[Any]) -> NDArray[Any]:
    """Give the probability of each class; of each label where there are several logistic units."""
    p = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return p
