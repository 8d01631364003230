"""The in-place step, and a whole epoch of gradient descent in one call, made of the same bodies."""

import numpy as np

from . import _team, machine
from ._gather import gather_row, prefetch_row
from ._jit import entry, kernel
from ._lists import GROUP, WORD, list_samples
from ._simd import (
    VECTOR_BYTES,
    address,
    at,
    cast,
    convert,
    fma,
    lanes,
    load,
    rows_of,
    splat,
    stack_of,
    store,
    two_vectors,
)
from ._tile import LISTED_WIDE, listed_product_step, product_step
from .arena import (
    DY,
    FEATURES_ROW,
    LINE,
    LISTS,
    LOSSES,
    N_IN,
    N_OUT,
    SAMPLES_ROW,
    W_ROW,
    X_ROW,
    Y_ROW,
    B,
    W,
    X,
    Y,
)
from .linear import forward_rows, input_gradient, listed_forward_rows
from .softmax import softmax_row

# Stalls of an epoch after which a team of the default size goes on as one: its processors are busy elsewhere.
STALLS_TO_GO_ON_ALONE = 3

_wide_zeros = stack_of(LISTED_WIDE)


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
    _team.share_out(_sgd_step, 16 * w.size, *matrices, w.dtype.type(lr))


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
        first, last = _team.share(rows, member, members)
        samples = order[begin : begin + rows]
        for row in range(first, last):
            gather_row(x, samples[row], scale, at(memory, table[0, X] + row * table[0, X_ROW]))
            if begin + batch_size + row < order.size:  # rows of random samples come too late by themselves
                prefetch_row(x, order[begin + batch_size + row])
                if masks.size:
                    prefetch_row(masks, order[begin + batch_size + row])
        forward_backward(memory, table, masks, labels, samples, first, last, row_losses)
        _team.barrier(sync, members)
        total = 0.0
        for row in range(rows):
            total += row_losses[row]
        mean = total / rows
        if member == 0:
            losses[batch] = mean
        if not np.isfinite(mean):
            return batch
        step_all(memory, table, masks, samples, lr, member, members)
    return losses.size


@kernel
def forward_backward(memory, table, masks, labels, samples, first, last, row_losses):
    """Rows first to last of a batch: all layers forward, the loss, the gradient of every layer's output."""
    n_layers, n_rows = table.shape[0], last - first
    if n_rows <= 0:
        return
    for layer in range(n_layers):
        floor = convert(-np.inf if layer == n_layers - 1 else 0.0, memory[0])
        if layer == 0 and masks.size:
            forward_listed(memory, table[0], masks, samples, first, last, floor)
        else:
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
    x, w, b, y = _operands(memory, layer, first)
    forward_rows(x, w, b, y, n_rows, layer[N_IN], padded(memory, layer[N_OUT]), floor)


@kernel
def forward_listed(memory, layer, masks, samples, first, last, floor):
    """`forward_layer` over the features that are live in each group of samples."""
    x, w, b, y = _operands(memory, layer, first)
    row = layer[FEATURES_ROW]
    lists = at(cast(at(memory, layer[LISTS]), np.int32), first // GROUP * row)
    columns = padded(memory, layer[N_OUT])
    listed_forward_rows(x, w, b, y, masks, samples, first, last, lists, row, columns, floor)


@kernel
def _operands(memory, layer, first):
    """x from the row `first` on, w, b, and y from that row on."""
    return (
        (at(memory, layer[X] + first * layer[X_ROW]), layer[X_ROW]),
        (at(memory, layer[W]), layer[W_ROW]),
        at(memory, layer[B]),
        (at(memory, layer[Y] + first * layer[Y_ROW]), layer[Y_ROW]),
    )


@kernel
def padded(memory, n):
    """Columns of whole cache lines: full vectors of any width."""
    unit = LINE // VECTOR_BYTES * lanes(memory)
    return (n + unit - 1) // unit * unit


@kernel
def step_all(memory, table, masks, samples, lr, member, members):
    """A member's part of every layer's weight gradient and step, in one."""
    zeros, ones = two_vectors(convert(0.0, lr)), two_vectors(convert(1.0, lr))
    rows = samples.size
    for index in range(table.shape[0]):
        layer = table[index]
        columns = padded(memory, layer[N_OUT])
        dy, dy_row = at(memory, layer[DY]), layer[Y_ROW]
        if index == 0 and masks.size:
            step_listed(memory, layer, masks, samples, lr, member, members)
        else:
            first, last = _team.share(layer[N_IN], member, members)
            x = at(memory, layer[X] + first)
            w = at(memory, layer[W] + first * layer[W_ROW])
            product_step(
                x, 1, layer[X_ROW], dy, dy_row, rows, zeros, 0, 0, w, layer[W_ROW], lr, last - first, columns
            )
        if member == 0:
            product_step(ones, 0, 0, dy, dy_row, rows, zeros, 0, 0, at(memory, layer[B]), 0, lr, 1, columns)


@kernel
def step_listed(memory, layer, masks, samples, lr, member, members):
    """The first layer's weights, over the samples that are live in each group of features."""
    zeros = _wide_zeros(convert(0.0, lr))
    lists, row = cast(at(memory, layer[LISTS]), np.int32), layer[SAMPLES_ROW]
    n_words = masks.shape[1]
    # words are dealt in turn, since features in the middle of an image are live more often
    for word in range(member, n_words, members):
        list_samples(masks, samples, word, layer[N_IN], at(lists, word * (WORD // GROUP) * row), row)
    columns = padded(memory, layer[N_OUT])
    panel = LISTED_WIDE * lanes(memory)
    for column in range(0, columns, panel):  # outside, so that a panel of dy stays in the L1 cache
        for word in range(member, n_words, members):
            first = word * WORD
            listed_product_step(
                at(memory, layer[X] + first),
                1,
                layer[X_ROW],
                at(memory, layer[DY] + column),
                layer[Y_ROW],
                at(lists, word * (WORD // GROUP) * row),
                row,
                zeros,
                0,
                0,
                at(memory, layer[W] + first * layer[W_ROW] + column),
                layer[W_ROW],
                lr,
                min(WORD, layer[N_IN] - first),
                min(panel, columns - column),
            )
