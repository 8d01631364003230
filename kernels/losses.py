"""Softmax with cross-entropy: loss and gradient in one pass."""

import numpy as np

from .core import threads
from .core.jit import entry, kernel
from .core.math import exp, log
from .core.matrix import offset, rows_of
from .core.simd import convert, div, keep_first, lanes, larger, largest_lane, load, splat, store, sub


def softmax_cross_entropy(logits, labels, dlogits, losses):
    """Softmax and the cross-entropy of its probabilities, with the gradient of the mean loss.

    p = softmax(logits);  losses = -log p[label];  dlogits = (p - y) / batch, y one-hot or a row of labels

    The row's maximum is subtracted first, so exp cannot overflow; -log p is log(total) + max - logit, so
    nothing is clipped. Sums run in ascending class. NaN stays NaN.

    Parameters (rows contiguous)
    ----------
    logits : (batch, n_classes)    float32 or float64
    labels : (batch,) int64, or (batch, n_classes) float64 rows that sum to 1
    dlogits : output               (batch, n_classes) of logits' dtype, already divided by the batch
    losses : output                (batch,) float64
    Outputs are overwritten and must not overlap any other argument.

    Twin: `fastmlp.reference.softmax_cross_entropy`.
    """
    threads.parallel(
        _softmax_cross_entropy, threads.thread_count(32 * logits.size), logits, labels, dlogits, losses
    )


@entry("dlogits", "losses")
def _softmax_cross_entropy(logits, labels, dlogits, losses, sync, thread, n_threads):
    batch, n_classes = logits.shape
    first, last = threads.thread_range(batch, thread, n_threads)
    # two short loops: a processor works on several rows at once where they fit in its window
    for row in range(first, last):
        losses[row] = exp_row(rows_of(logits, row).pointer, rows_of(dlogits, row).pointer, n_classes)
    for row in range(first, last):
        z, dz = rows_of(logits, row).pointer, rows_of(dlogits, row).pointer
        losses[row] = finish_row(z, losses[row], labels, row, dz, n_classes, batch)


@kernel
def exp_row(z, dz, n_classes):
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
def finish_row(z, top, labels, sample, dz, n_classes, batch):
    """Turn what exp_row wrote to dz into the gradient; returns the loss. `sample` is its row of labels."""
    width = lanes(z)
    total = convert(0.0, z[0])
    for c in range(n_classes):
        total += dz[c]
    share = convert(batch, total)
    log_total = log(np.float64(total)) + top
    if labels.ndim == 1:
        label = labels[sample]
        likely = (dz[label] / total - convert(1.0, total)) / share
        for c in range(0, n_classes, width):
            left = n_classes - c
            store(div(div(load(offset(dz, c), left), splat(total)), splat(share)), offset(dz, c), left)
        dz[label] = likely
        return log_total - np.float64(z[label])
    loss = 0.0
    for c in range(n_classes):
        y = labels[sample, c]
        dz[c] = (dz[c] / total - convert(y, total)) / share
        if y > 0:  # a class of no weight adds nothing, even where its logit is -inf
            loss += y * (log_total - np.float64(z[c]))
    return loss
