"""Losses of a network's outputs, each with its gradient in one pass."""

from typing import Any, NamedTuple

import numpy as np

from .core import threads
from .core.jit import entry, kernel
from .core.math import exp, log, log1p
from .core.matrix import address, offset, row_of, rows_of
from .core.memory import OUTPUTS
from .core.simd import (
    EIGHT,
    add,
    at_least,
    choose,
    convert,
    div,
    eight,
    filled,
    fma,
    keep_first,
    lanes,
    larger,
    largest_lane,
    load,
    load_eight,
    mul,
    rounded,
    smaller,
    splat,
    store,
    sub,
    sum_of_lanes,
    where_positive,
)

# the number of an output is its place in OUTPUTS
SOFTMAX, LOGISTIC, IDENTITY, EXP = range(len(OUTPUTS))

_NO_WEIGHTS, _NO_LABELS, _NO_ROWS = np.empty(0), np.empty(0, np.int64), np.empty((0, 0))
_TINY = float(np.finfo(np.float64).tiny)  # below it y log y is nothing, and log takes no such y
_LARGEST = float(np.finfo(np.float64).max)


def softmax_cross_entropy(logits, labels, dlogits, losses, weights=None, smoothing=0.0, limit=np.inf):
    """Softmax and the cross-entropy of its probabilities, with the gradient of the weighted mean loss.

    p = softmax(logits);  losses = -sum(y log p);  dlogits = (p - y) * weight / sum(weights)

    y is one-hot, or a row of labels; smoothed it is y (1 - smoothing) + smoothing / n_classes (Szegedy et
    al., Rethinking the Inception Architecture, 2016, section 7). The row's maximum is subtracted first, so
    exp cannot overflow; -log p is log(total) + max - logit, so nothing is clipped. The total is added in
    ascending class; the terms of losses, like those of the other losses, in eight chains, of the classes
    alike modulo 8. NaN stays NaN.

    Parameters (rows contiguous)
    ----------
    logits : (batch, n_classes)    float32 or float64
    labels : (batch,) int64, or (batch, n_classes) float64 rows that sum to 1
    dlogits : output               (batch, n_classes) of logits' dtype
    losses : output                (batch,) float64, not times their weights
    weights : (batch,) float64     from 0 up, or None for all 1; a row of weight 0 has no gradient
    smoothing : float              from 0 to 1
    limit : float                  the most that the loss of an integer label is told as, be it infinite
    Outputs are overwritten and must not overlap any other argument.

    Twin: `fastmlp.reference.softmax_cross_entropy`.
    """
    _call(SOFTMAX, logits, labels, dlogits, losses, weights, smoothing, limit)


def logistic_cross_entropy(z, targets, dz, losses, weights=None, smoothing=0.0, limit=np.inf):
    """Cross-entropy of logistic units, each a label of its own, with the gradient of the weighted mean loss.

    p = 1 / (1 + exp(-z));  losses = -sum(y log p + (1 - y) log(1 - p));  dz = (p - y) * weight / sum(weights)

    y are the targets; smoothed y (1 - smoothing) + smoothing / 2. A unit's loss is
    |z| (z > 0 ? 1 - y : y) + log1p(exp(-|z|)), in which nothing overflows or cancels.

    Parameters (rows contiguous)
    ----------
    z : (batch, n_units)          float32 or float64
    targets : (batch, n_units)    float64, from 0 to 1
    dz : output                   (batch, n_units) of z's dtype
    losses, weights, smoothing    as for `softmax_cross_entropy`
    limit : float                 the most that the loss of a unit is told as
    Outputs are overwritten and must not overlap any other argument.

    Twin: `fastmlp.reference.logistic_cross_entropy`.
    """
    _call(LOGISTIC, z, targets, dz, losses, weights, smoothing, limit)


def squared_error(z, targets, dz, losses, weights=None):
    """Half the squared error, with the gradient of the weighted mean loss.

    losses = sum((z - y)**2) / 2;  dz = (z - y) * weight / sum(weights)

    Parameters (rows contiguous)
    ----------
    z : (batch, n_units)          float32 or float64
    targets : (batch, n_units)    float64, rounded to z's dtype
    dz : output                   (batch, n_units) of z's dtype
    losses, weights               as for `softmax_cross_entropy`
    Outputs are overwritten and must not overlap any other argument.

    Twin: `fastmlp.reference.squared_error`.
    """
    _call(IDENTITY, z, targets, dz, losses, weights)


def poisson_deviance(z, targets, dz, losses, weights=None):
    """Half the Poisson deviance of means exp(z), with the gradient of the weighted mean loss.

    losses = sum(exp(z) - y z + y log y - y), 0 log 0 = 0;  dz = (exp(z) - y) * weight / sum(weights)

    The deviance of McCullagh and Nelder, Generalized Linear Models, 1989, section 2.3. Where exp(z) is
    infinite in z's dtype the loss is.

    Parameters (rows contiguous)
    ----------
    z : (batch, n_units)          float32 or float64
    targets : (batch, n_units)    float64, from 0 up
    dz : output                   (batch, n_units) of z's dtype
    losses, weights               as for `softmax_cross_entropy`
    Outputs are overwritten and must not overlap any other argument.

    Twin: `fastmlp.reference.poisson_deviance`.
    """
    _call(EXP, z, targets, dz, losses, weights)


def _call(output, z, labels, dz, losses, weights, smoothing=0.0, limit=np.inf):
    of_rows, samples = _NO_WEIGHTS if weights is None else weights, np.arange(len(z))
    n_threads = threads.thread_count(32 * z.size)
    numbers = float(smoothing), float(limit)
    args = z, *split_labels(labels), dz, losses, of_rows, samples, output, numbers
    threads.parallel(_losses, n_threads, *args)


def split_labels(labels):
    """Give integers and rows, of which one is empty: compiled code is one for all."""
    return (labels, _NO_ROWS) if labels.ndim == 1 else (_NO_LABELS, labels)


@entry("dz", "losses")
def _losses(z, labels, label_rows, dz, losses, weights, samples, output, numbers, sync, thread, n_threads):
    batch, n_out = z.shape
    targets, rows = (
        targets_of((labels, label_rows), weights, samples, batch, numbers),
        threads.thread_range(batch, thread, n_threads),
    )
    loss_rows(output, rows_of(z, 0), rows_of(dz, 0), targets, rows, n_out, losses)


# --- the bodies, which an epoch calls too ----------------------------------------------------------------


class Targets(NamedTuple):
    """What the rows of a batch are compared with."""

    labels: Any  # of the data set: int64 (n,), or empty where there are rows
    label_rows: Any  # float64 (n, n_out), or empty
    weights: Any  # of its rows, or empty for all 1
    samples: Any  # which of its rows the batch has
    total_weight: float  # of these
    smoothing: float
    limit: float  # of an integer label's loss, or a logistic unit's


@kernel
def targets_of(labels, weights, samples, n_rows, numbers):
    """Targets of a batch; its weights are added in its own order."""
    total = 0.0
    if weights.size:
        for row in range(n_rows):
            total += weights[samples[row]]
    else:
        total = np.float64(n_rows)
    integers, rows = labels
    smoothing, limit = numbers
    return Targets(integers, rows, weights, samples, total, smoothing, limit)


@kernel
def _share(targets, row, like):
    """What a row's gradient is divided by: sum of weights over its own, infinite where that is 0."""
    if targets.weights.size:
        weight = targets.weights[targets.samples[row]]
        return convert(targets.total_weight / weight if weight > 0 else np.inf, like)
    return convert(targets.total_weight, like)


@kernel
def mean_loss(targets, row_losses, n_rows):
    """The weighted mean of the rows' losses, in their order; 0 where the weights sum to 0."""
    total = 0.0
    if targets.weights.size == 0:
        for row in range(n_rows):
            total += row_losses[row]
    else:
        for row in range(n_rows):
            weight = targets.weights[targets.samples[row]]
            if weight > 0:  # 0 times infinity would be NaN
                total += weight * row_losses[row]
    return total / targets.total_weight if targets.total_weight > 0 else 0.0


@kernel
def loss_rows(output, z, dz, targets, rows, n_out, row_losses):
    """Losses of some rows, not times their weights, and the gradients of z."""
    first, last = rows
    if output == SOFTMAX:
        # two short loops: a processor works on several rows at once where they fit in its window
        for row in range(first, last):
            row_losses[row] = _exp_row(row_of(z, row), row_of(dz, row), n_out)
        for row in range(first, last):
            sample, share = targets.samples[row], _share(targets, row, z.pointer[0])
            to, top = (row_of(dz, row), share), row_losses[row]
            row_losses[row] = _softmax_row(row_of(z, row), top, to, n_out, targets, sample)
    else:
        _other_rows(output, z, dz, targets, rows, n_out, row_losses)
    if targets.weights.size:
        for row in range(first, last):
            if _share(targets, row, z.pointer[0]) == np.inf:  # even where the row is not finite
                for c in range(n_out):
                    row_of(dz, row)[c] = convert(0.0, z.pointer[0])


@kernel
def _exp_row(z, dz, n_classes):
    """Write exp(z - max) of a row to dz; returns the maximum as float64."""
    width = lanes(z)
    lowest = convert(-np.inf, z[0])
    top_lanes = splat(lowest)
    for c in range(0, n_classes, width):
        left = n_classes - c
        top_lanes = larger(top_lanes, keep_first(load(offset(z, c), left), left, lowest))
    top = largest_lane(top_lanes)
    for c in range(0, n_classes, width):
        store(exp(sub(load(offset(z, c), n_classes - c), splat(top))), offset(dz, c), n_classes - c)
    return np.float64(top)


@kernel
def _softmax_row(z, top, to, n_classes, targets, sample):
    """Turn what _exp_row wrote to dz into the gradient; returns the loss. `sample` is its row of labels."""
    (dz, share), width, smoothing = to, lanes(z), targets.smoothing
    exact = 0.0  # in float64: float32 stands still at 2**24 classes, and keeps nothing of a small loss
    for c in range(n_classes):
        exact += np.float64(dz[c])
    log_total, total = log(exact), convert(exact, z[0])
    if targets.label_rows.size == 0 and smoothing == 0:
        label = targets.labels[sample]
        likely = (dz[label] / total - convert(1.0, total)) / share
        for c in range(0, n_classes, width):
            left = n_classes - c
            store(div(div(load(offset(dz, c), left), splat(total)), splat(share)), offset(dz, c), left)
        dz[label] = likely
        loss = log_total + (top - np.float64(z[label]))
        return targets.limit if loss > targets.limit else loss
    losses = eight(0.0)
    for c in range(0, n_classes, EIGHT):
        left = n_classes - c
        label = add(mul(_label(targets, sample, c, left), eight(1 - smoothing)), eight(smoothing / n_classes))
        p = div(load_eight(offset(dz, c), left), eight(total))
        store(div(sub(p, rounded(label, total)), eight(share)), offset(dz, c), left)
        # a class of no weight adds nothing, even where its logit is -inf
        behind = sub(eight(top), rounded(load_eight(offset(z, c), left), 0.0))
        loss = where_positive(label, mul(label, add(eight(log_total), behind)))
        losses = add(losses, keep_first(loss, left, 0.0))
    return sum_of_lanes(losses)


@kernel
def _label(targets, sample, c, left):
    """What a label says of eight classes from c on: 1 for its own, or the numbers in its row."""
    if targets.label_rows.size:
        return load_eight(address(targets.label_rows, sample, c), left)
    own = targets.labels[sample] - c
    return keep_first(keep_first(eight(0.0), own, 1.0), own + 1, 0.0)


@kernel
def _other_rows(output, z, dz, targets, rows, n_out, row_losses):
    """Gradients and losses of rows of outputs that are independent of each other."""
    smoothing = targets.smoothing
    for row in range(*rows):
        like = z.pointer[0]
        share, losses = eight(_share(targets, row, like)), eight(0.0)
        labels = address(targets.label_rows, targets.samples[row], 0)
        for c in range(0, n_out, EIGHT):
            left = n_out - c
            logit, y = load_eight(offset(row_of(z, row), c), left), load_eight(offset(labels, c), left)
            if output == LOGISTIC:
                smoothed = add(mul(y, eight(1 - smoothing)), eight(smoothing / 2))
                gradient, loss = _logistic(logit, rounded(smoothed, like))
                loss = smaller(loss, eight(targets.limit))
            elif output == IDENTITY:
                gradient, loss = _squared(logit, rounded(y, like))
            else:
                gradient, loss = _deviance(logit, y, like)
            store(div(gradient, share), offset(row_of(dz, row), c), left)
            losses = add(losses, keep_first(loss, left, 0.0))
        row_losses[row] = sum_of_lanes(losses)


@kernel
def _logistic(logit, y):
    """Gradients and losses of eight logistic units."""
    zero, one = filled(logit, 0.0), filled(logit, 1.0)
    size = larger(logit, sub(zero, logit))
    e = exp(sub(zero, size))
    # p and 1 - p, so that neither cancels
    likelier = div(one, fma(e, one, one))
    other = mul(e, likelier)
    p, q = choose(logit, likelier, other), choose(logit, other, likelier)
    not_y = sub(one, y)
    loss = fma(size, choose(logit, not_y, y), log1p(e))
    return sub(mul(not_y, p), mul(y, q)), rounded(loss, 0.0)


@kernel
def _squared(z, y):
    """Gradients and losses of eight values."""
    error = sub(z, y)
    exact = rounded(error, 0.0)
    return error, mul(mul(eight(0.5), exact), exact)


@kernel
def _deviance(z, y, like):
    """Gradients, in the dtype of the scalar `like`, and losses of eight means exp(z)."""
    logit, some = rounded(z, 0.0), at_least(y, eight(_TINY))
    mean = exp(logit)
    error = rounded(sub(mean, y), like)
    loss = sub(sub(mean, y), where_positive(some, mul(some, sub(logit, log(some)))))
    size = rounded(larger(error, sub(filled(error, 0.0), error)), 0.0)
    # an infinite gradient has an infinite loss, even where that came to infinity less infinity
    return error, choose(sub(size, eight(_LARGEST)), eight(np.inf), loss)
