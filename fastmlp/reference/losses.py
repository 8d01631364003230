"""Softmax with cross-entropy: loss and gradient."""

import numpy as np

from .quiet import quiet


@quiet
def softmax_cross_entropy(logits, labels, dlogits, losses):
    """losses = -sum(y * log p) for each row;  dlogits = (p - y) / batch, with p = softmax(logits).

    y are the labels themselves, rows of probabilities, or the one-hot rows of integer labels.
    """
    y = labels if labels.ndim == 2 else labels[:, None] == np.arange(logits.shape[1])
    row_max = logits.max(axis=1, keepdims=True)
    p = np.exp(logits - row_max)  # exp of the shifted row cannot overflow
    total = p.sum(axis=1, keepdims=True)
    z, top = logits.astype(np.float64), row_max.astype(np.float64)
    minus_log_p = np.log(total.astype(np.float64)) + top - z
    losses[...] = np.where(y > 0, y * minus_log_p, 0).sum(axis=1)
    dlogits[...] = (p / total - y) / len(logits)
