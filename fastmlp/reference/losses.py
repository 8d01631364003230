"""Losses of a network's outputs, each with its gradient."""

import numpy as np

from .quiet import quiet

# by the number in a table
OUTPUTS = ("softmax", "logistic", "identity", "exp")


@quiet
def softmax_cross_entropy(logits, labels, dlogits, losses, weights=None, smoothing=0.0, limit=np.inf):
    """losses = -sum(y log p) for each row;  dlogits = (p - y) * weight / sum(weights);  p = softmax(logits).

    y are the labels themselves, rows of probabilities, or the one-hot rows of integer labels; smoothed,
    y (1 - smoothing) + smoothing / n_classes.
    """
    n_classes = logits.shape[1]
    y = labels if labels.ndim == 2 else labels[:, None] == np.arange(n_classes)
    y = y * (1 - smoothing) + smoothing / n_classes
    row_max = logits.max(axis=1, keepdims=True)
    p = np.exp(logits - row_max)  # exp of the shifted row cannot overflow
    total = p.sum(axis=1, keepdims=True, dtype=np.float64)
    minus_log_p = np.log(total) + (row_max.astype(np.float64) - logits)
    losses[...] = np.where(y > 0, y * minus_log_p, 0).sum(axis=1)
    if labels.ndim == 1 and smoothing == 0:
        np.minimum(losses, limit, out=losses)
    _weigh(p / total.astype(p.dtype) - y, weights, dlogits)


@quiet
def logistic_cross_entropy(z, targets, dz, losses, weights=None, smoothing=0.0, limit=np.inf):
    """losses = -sum(y log p + (1 - y) log(1 - p));  dz = (p - y) * weight / sum(weights);  p = logistic(z).

    y are the targets; smoothed, y (1 - smoothing) + smoothing / 2.
    """
    y = (targets * (1 - smoothing) + smoothing / 2).astype(z.dtype)
    e = np.exp(-np.abs(z))
    p, q = (np.where(sign * z > 0, 1, e) / (1 + e) for sign in (1, -1))  # p and 1 - p
    of_units = np.abs(z) * np.where(z > 0, 1 - y, y) + np.log1p(e)
    losses[...] = np.minimum(of_units.astype(np.float64), limit).sum(axis=1)
    _weigh((1 - y) * p - y * q, weights, dz)


@quiet
def squared_error(z, targets, dz, losses, weights=None):
    """losses = sum((z - y)**2) / 2;  dz = (z - y) * weight / sum(weights)."""
    error = z - targets.astype(z.dtype)
    losses[...] = 0.5 * (error.astype(np.float64) ** 2).sum(axis=1)
    _weigh(error, weights, dz)


@quiet
def poisson_deviance(z, targets, dz, losses, weights=None):
    """losses = sum(exp(z) - y z + y log y - y), 0 log 0 = 0;  dz = (exp(z) - y) * weight / sum(weights)."""
    y, logit = np.where(targets < np.finfo(np.float64).tiny, 0, targets), z.astype(np.float64)
    mean = np.exp(logit)
    error = (mean - targets).astype(z.dtype)
    of_units = mean - targets - np.where(y > 0, y * (logit - np.log(y)), 0)
    losses[...] = np.where(np.isinf(error), np.inf, of_units).sum(axis=1)
    _weigh(error, weights, dz)


LOSSES = {
    "softmax": softmax_cross_entropy,
    "logistic": logistic_cross_entropy,
    "identity": squared_error,
    "exp": poisson_deviance,
}


def _weigh(error, weights, dz):
    """dz = error * weight / sum(weights), in which a row of weight 0 has no gradient."""
    if weights is None:
        dz[...] = error / len(error)
    else:
        share = np.where(weights > 0, weights.sum() / weights, np.inf).astype(dz.dtype)[:, None]
        dz[...] = np.where(np.isinf(share), 0, error / share)


def loss_rows(output, z, labels, dz, losses, weights, smoothing, limit):
    """Losses and gradient of an output by its number; only cross-entropies are smoothed and limited."""
    options = {"smoothing": smoothing, "limit": limit} if OUTPUTS[output] in ("softmax", "logistic") else {}
    LOSSES[OUTPUTS[output]](z, labels, dz, losses, weights, **options)


def mean_loss(losses, weights):
    """The weighted mean of a batch's losses; 0 where the weights sum to 0."""
    if weights is None:
        return losses.mean()
    taken = weights > 0
    return (weights[taken] * losses[taken]).sum() / weights.sum() if taken.any() else 0.0
