"""A whole epoch of training."""

import numpy as np

from .batch import backward, forward, load_batch
from .losses import softmax_cross_entropy
from .memory import layers
from .optimizers import step


def train_epoch(
    arena, table, state, x, labels, order, batch_size, optimizer, rates, factors, scale, masks, stop, losses
):
    """Train on the samples of `order`, batch by batch.

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
        numbers, (lr, momentum), count = optimizer[0], rates[i].tolist(), int(optimizer[0]["steps"]) + i + 1
        kept = [layers(row, table, 0) for row in state]
        gradients = backward(views)
        for index, (layer, (dw, db)) in enumerate(zip(views, gradients, strict=True)):
            of_weights, of_biases = (lr * factors[index]).tolist()
            l2, decay = float(numbers["l2"]) / len(batch), float(numbers["weight_decay"])
            step(
                numbers,
                (layer.w, dw, *(row[index].w for row in kept)),
                of_weights,
                momentum,
                count,
                l2,
                decay,
            )
            step(
                numbers, (layer.b, db, *(row[index].b for row in kept)), of_biases, momentum, count, 0.0, 0.0
            )
    return len(starts)
