"""The in-place step, and a whole epoch of stochastic gradient descent in one call, made of the same bodies."""

import numpy as np

from . import _team
from ._gather import gather_row
from ._jit import entry, kernel
from ._simd import address, at, below, cast, convert, fma, lanes, load, rows_of, splat, store, two_vectors
from ._tile import product_step
from .linear import forward_rows, input_gradient
from .plan import B, DY, LINE, LOSSES, N_IN, N_OUT, W_ROW, X_ROW, Y_ROW, W, X, Y
from .softmax import softmax_row


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
    _team.share_out(_sgd_step, w if w.ndim == 2 else w[None], dw if w.ndim == 2 else dw[None], w.dtype.type(lr))


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
    args = arena, table, x, labels, order, batch_size, lr, scale, masks, stop, losses
    return _team.march(_sgd_epoch, args, _team.size(), stop)


@entry("arena", "losses")
def _sgd_epoch(
    arena, table, x, labels, order, batch_size, lr, scale, masks, stop, losses, sync, member, members
):
    memory = address(arena, 0, 0)
    stopped = address(sync, 8, 0)
    row_losses = cast(at(memory, table[0, LOSSES]), np.float64)
    for batch in range(losses.size):
        # one member looks and tells the others before a barrier, so that all leave together
        if member == 0:
            _team.write_shared(stopped, stop[0])
        _team.barrier(sync, members)
        if _team.read_shared(stopped) != 0:
            return batch
        begin = batch * batch_size
        rows = min(batch_size, order.size - begin)
        first, last = _team.share(rows, member, members)
        for row in range(first, last):
            gather_row(x, order[begin + row], scale, at(memory, table[0, X] + row * table[0, X_ROW]))
        forward_backward(memory, table, labels, order[begin : begin + rows], first, last, row_losses)
        _team.barrier(sync, members)
        total = 0.0
        for row in range(rows):
            total += row_losses[row]
        mean = total / rows
        if member == 0:
            losses[batch] = mean
        if not np.isfinite(mean):
            return batch
        step_all(memory, table, lr, rows, member, members)
    return losses.size


@kernel
def forward_backward(memory, table, labels, samples, first, last, row_losses):
    """Rows first to last of a batch: all layers forward, the loss, and the gradient of every layer's output."""
    n_layers, n_rows = table.shape[0], last - first
    for layer in range(n_layers):
        floor = convert(-np.inf if layer == n_layers - 1 else 0.0, memory[0])
        forward_layer(memory, table[layer], first, n_rows, floor)
    top = table[n_layers - 1]
    for row in range(first, last):
        z, dz = at(memory, top[Y] + row * top[Y_ROW]), at(memory, top[DY] + row * top[Y_ROW])
        row_losses[row] = softmax_row(z, labels, samples[row], dz, top[N_OUT], samples.size)
    for layer in range(n_layers - 1, 0, -1):
        here, lower = table[layer], table[layer - 1]
        input_gradient(
            (at(memory, here[W]), here[W_ROW]),
            (at(memory, here[DY] + first * here[Y_ROW]), here[Y_ROW]),
            (at(memory, lower[DY] + first * lower[Y_ROW]), lower[Y_ROW]),
            (at(memory, lower[Y] + first * lower[Y_ROW]), lower[Y_ROW]),
            True,
            n_rows,
            here[N_IN],
            here[N_OUT],
        )


@kernel
def forward_layer(memory, layer, first, n_rows, floor):
    """Rows of one layer's output, pads included: they come out as zeros."""
    forward_rows(
        (at(memory, layer[X] + first * layer[X_ROW]), layer[X_ROW]),
        (at(memory, layer[W]), layer[W_ROW]),
        at(memory, layer[B]),
        (at(memory, layer[Y] + first * layer[Y_ROW]), layer[Y_ROW]),
        n_rows,
        layer[N_IN],
        padded(memory, layer[N_OUT]),
        floor,
    )


@kernel
def padded(memory, n):
    """Columns of whole cache lines: full vectors of any width."""
    unit = LINE // 64 * lanes(memory)
    return (n + unit - 1) // unit * unit


@kernel
def step_all(memory, table, lr, rows, member, members):
    """This member's part of every layer's weight gradient and step, in one."""
    zeros, ones = two_vectors(convert(0.0, lr)), two_vectors(convert(1.0, lr))
    for index in range(table.shape[0]):
        layer = table[index]
        first, last = _team.share(layer[N_IN], member, members)
        columns = padded(memory, layer[N_OUT])
        x, dy = at(memory, layer[X] + first), at(memory, layer[DY])
        w = at(memory, layer[W] + first * layer[W_ROW])
        product_step(
            x,
            1,
            layer[X_ROW],
            dy,
            layer[Y_ROW],
            rows,
            zeros,
            0,
            0,
            w,
            layer[W_ROW],
            lr,
            last - first,
            columns,
        )
        if member == 0:
            b = at(memory, layer[B])
            product_step(ones, 0, 0, dy, layer[Y_ROW], rows, zeros, 0, 0, b, 0, lr, 1, columns)
