"""A whole epoch of training."""

import numpy as np

from .batch import backward, forward, load_batch
from .losses import loss_rows, mean_loss
from .memory import layers
from .optimizers import step


def train_epoch(
    arena,
    table,
    state,
    x,
    labels,
    weights,
    order,
    batch_size,
    settings,
    rates,
    factors,
    scale,
    shift,
    masks,
    stop,
    losses,
    squares=None,
    values=None,
):
    """Train on the samples of `order`, batch by batch; where it is a matrix, of one row after the other.

    Where there are `values`, x holds their numbers.

    Returns the number of batches completed. At a batch whose loss is not finite it writes that loss, takes
    no step and returns that batch's index; a non-zero `stop[0]` ends the epoch before the next batch. Batches
    whose weights sum to 0 are no steps. `masks` tell faster codes where x is zero, and are not needed here.
    """
    numbers, first = settings[0], int(settings[0]["steps"])
    count = first
    epochs, starts = np.atleast_2d(order), range(0, order.shape[-1], batch_size)
    batches = [rows[start : start + batch_size] for rows in epochs for start in starts]
    for i, batch in enumerate(batches):
        if stop[0]:
            return i
        views = layers(arena, table, len(batch))
        inputs = (x[batch], scale) if values is None else (values[x[batch]], scale.dtype.type(1))
        load_batch(*inputs, shift, views[0].x)
        if squares is not None:
            squares[i] = sum(np.vdot(layer.w, layer.w) for layer in views)
        drawn = table["drop"] / 2**32, int(numbers["seed"]), int(numbers["all_steps"]) + count - first
        forward(views, drawn)
        row_losses, of_rows = np.empty(len(batch)), weights[batch] if weights.size else None
        top, output, limit = views[-1], int(table[-1]["output"]), float(numbers["loss_limit"]) or np.inf
        of_labels = float(numbers["smoothing"]), limit
        loss_rows(output, top.y, labels[batch], top.dy, row_losses, of_rows, *of_labels)
        total = len(batch) if of_rows is None else of_rows.sum()
        losses[i] = mean_loss(row_losses, of_rows)
        if not np.isfinite(losses[i]):
            return i
        if total == 0:
            continue
        (lr, momentum), count = rates[i].tolist(), count + 1
        kept = [layers(row, table, 0) for row in state]
        gradients = backward(views, drawn)
        for index, (layer, (dw, db)) in enumerate(zip(views, gradients, strict=True)):
            of_weights, of_biases = (lr * factors[index]).tolist()
            l2, decay = float(numbers["l2"]) / total, float(numbers["weight_decay"])
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
    return len(batches)
