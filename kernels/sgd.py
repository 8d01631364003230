"""The in-place step, and a whole epoch of gradient descent in one call, made of the same bodies."""

import numpy as np

from . import _team, machine
from ._batch import forward_backward, load_batch, step_all
from ._gather import byte_values, fill_values
from ._jit import entry, kernel
from ._simd import address, at, cast, fma, lanes, load, rows_of, splat, store
from .arena import LOSSES, X

# Stalls of an epoch after which a team of the default size goes on as one: its processors are busy elsewhere.
STALLS_TO_GO_ON_ALONE = 3


def sgd_step(w, dw, lr):
    """Step of stochastic gradient descent, with one rounding.

    w = w - lr * dw

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    w : (n_in, n_out) or (n,)    in place
    dw : of w's shape            gradient
    lr : scalar                  learning rate

    Twin: `fastmlp.reference.sgd_step`.
    """
    matrices = (w, dw) if w.ndim == 2 else (w[None], dw[None])
    _team.share_out(_sgd_step, 8 * w.size, *matrices, w.dtype.type(lr))


@entry("w")
def _sgd_step(w, dw, lr, sync, member, members):
    first, last = _team.share(w.shape[0], member, members)
    n_out = w.shape[1]
    for row in range(first, last):
        step_row(rows_of(w, row)[0], rows_of(dw, row)[0], lr, n_out)


@kernel
def step_row(w, dw, lr, n):
    """One row of the step."""
    width = lanes(w)
    for column in range(0, n, width):
        left = n - column
        store(fma(splat(-lr), load(at(dw, column), left), load(at(w, column), left)), at(w, column), left)


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
    return _team.march(_sgd_epoch, args, batch_size * int(table[0, X]), stop)


@entry("arena", "losses")
def _sgd_epoch(
    arena, table, x, labels, order, batch_size, lr, scale, masks, stop, losses, elastic, sync, member, members
):
    memory = address(arena, 0, 0)
    orders, stalls = address(sync, _team.ORDERS, 0), address(sync, _team.STALLS, 0)
    row_losses = cast(at(memory, table[0, LOSSES]), np.float64)
    inputs = x, scale, byte_values(lr), masks
    fill_values(inputs[2], scale)
    for batch in range(losses.size):
        # one member decides and tells the others before a barrier, so that all leave together
        if member == 0:
            alone = elastic and _team.read_shared(stalls) >= STALLS_TO_GO_ON_ALONE
            stopped = _team.read_shared(address(stop, 0, 0))
            _team.write_shared(orders, 0 if stopped else 1 if alone else members)
        _team.barrier(sync, members)
        members = _team.read_shared(orders)
        if member >= members:
            return batch
        begin = batch * batch_size
        rows = min(batch_size, order.size - begin)
        samples = order[begin : begin + rows]
        coming = order[begin + batch_size : begin + batch_size + rows]
        load_batch(memory, table, inputs, labels, samples, coming, member, members)
        forward_backward(memory, table, inputs, labels, samples, row_losses, sync, member, members)
        _team.barrier(sync, members)
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
