"""A whole epoch of gradient descent."""

import numpy as np

from .batch import backward_and_step, forward, load_batch
from .losses import softmax_cross_entropy
from .memory import layers


def sgd_epoch(arena, table, x, labels, order, batch_size, lr, scale, masks, stop, losses):
    """Train on the samples of `order`, batch by batch, by plain gradient descent.

    Returns the number of batches completed. At a batch whose loss is not finite it writes that loss, takes
    no step and returns that batch's index; a non-zero `stop[0]` ends the epoch before the next batch. `masks`
    tell faster codes where x is zero, and are not needed here.
    """
    starts = range(0, len(order), batch_size)
    for i, start in enumerate(starts):
        if stop[0]:
            return i
        batch = order[start : start + batch_size]
        views = layers(arena, table, len(batch))
        load_batch(x[batch], scale, views[0].x)
        forward(views)
        row_losses = np.empty(len(batch))
        softmax_cross_entropy(views[-1].y, labels[batch], views[-1].dy, row_losses)
        losses[i] = row_losses.mean()
        if not np.isfinite(losses[i]):
            return i
        backward_and_step(views, lr)
    return len(starts)
