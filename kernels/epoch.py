"""A whole epoch of gradient descent in one call."""

import numpy as np

from .batch import forward_backward, load_batch, step_all
from .core import machine, threads
from .core.gather import byte_values, fill_values
from .core.jit import entry
from .core.simd import address, at, cast

# Stalls of an epoch after which a team of the default size goes on as one: its processors are busy elsewhere.
STALLS_TO_GO_ON_ALONE = 3


def sgd_epoch(arena, table, x, labels, order, batch_size, lr, scale, masks, stop, losses):
    """Train on every batch of an epoch: gather, forward, loss, backward, step.

    Batches are `order` cut every `batch_size`; the last may be shorter. x is converted to the arena's dtype,
    then multiplied by scale.

    Parameters
    ----------
    arena : float32 or float64 (size,)    parameters, in place, and workspaces; layout as `plan` says
    table : int64 (n_layers, columns)     of `plan`, for this batch size or a larger one
    x : (n, n_in)                         uint8, float32 or float64, any strides
    labels : int64 (n,), or float64 (n, n_classes) rows that sum to 1
    order : int64                         rows of x to train on
    batch_size : int
    lr, scale : scalars                   learning rate, and factor of x, in the arena's dtype
    masks : uint64 (n, words) or (0, 0)   of `zero_masks`, or empty
    stop : int64 (1,)                     read once a batch: the epoch ends before a batch where it is not 0
    losses : output                       float64 (n_batches,): mean loss of each batch

    Returns
    -------
    Batches completed. At a batch whose loss is not finite it writes that loss, takes no step and returns that
    batch's index.

    Twin: `fastmlp.reference.sgd_epoch`.
    """
    elastic = machine.explicit_threads() is None
    args = arena, table, x, labels, order, batch_size, lr, scale, masks, stop, losses, elastic
    return threads.march(_sgd_epoch, args, batch_size * int(table[0]["x"]), stop)


@entry("arena", "losses")
def _sgd_epoch(
    arena, table, x, labels, order, batch_size, lr, scale, masks, stop, losses, elastic, sync, member, members
):
    memory = address(arena, 0, 0)
    orders, stalls = address(sync, threads.ORDERS, 0), address(sync, threads.STALLS, 0)
    row_losses = cast(at(memory, table[0].losses), np.float64)
    inputs = x, scale, byte_values(lr), masks
    fill_values(inputs[2], scale)
    for batch in range(losses.size):
        # one member decides and tells the others before a barrier, so that all leave together
        if member == 0:
            alone = elastic and threads.read_shared(stalls) >= STALLS_TO_GO_ON_ALONE
            stopped = threads.read_shared(address(stop, 0, 0))
            threads.write_shared(orders, 0 if stopped else 1 if alone else members)
        threads.barrier(sync, members)
        members = threads.read_shared(orders)
        if member >= members:
            return batch
        begin = batch * batch_size
        rows = min(batch_size, order.size - begin)
        samples = order[begin : begin + rows]
        coming = order[begin + batch_size : begin + batch_size + rows]
        load_batch(memory, table, inputs, labels, samples, coming, member, members)
        forward_backward(memory, table, inputs, labels, samples, row_losses, sync, member, members)
        threads.barrier(sync, members)
        total = 0.0
        for row in range(rows):
            total += row_losses[row]
        mean = total / rows
        if member == 0:
            losses[batch] = mean
        if not np.isfinite(mean):
            return batch
        step_all(memory, table, inputs, samples, lr, member, members)
    return losses.size
