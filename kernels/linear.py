"""Linear layers, with ReLU or any activation and without, forward and backward."""

import threading

import numpy as np

from .activations import IDENTITY, RELU, SILU, activate, activation_gradient
from .core import threads
from .core.jit import entry, kernel
from .core.matrix import (
    Matrix,
    Transposed,
    address,
    aligned,
    offset,
    row_of,
    rows_of,
    strip,
    strip_width,
    submatrix,
    transposed,
    weights_of,
)
from .core.memory import ACTIVATIONS, LINE, PANEL_ROWS
from .core.simd import add, convert, fma, lanes, load, splat, store
from .core.sparsity import BLOCK_ROW
from .core.tile import WIDE, indexed_product, product, tile_vectors, transpose_block
from .dropout import draw_at, draw_of, drop_rows

# A longer inner dimension runs in blocks, so that a block of w, as wide as a tile, stays in the L2 cache.
INNER_BLOCK = 1024
PANEL_BYTES = WIDE * PANEL_ROWS * LINE
# Samples whose part of a weight gradient is added up before that of others: their rows stay in the L2 cache.
BATCH_BLOCK = 256

_kept = threading.local()


def linear_forward(x, w, b, y):
    """Linear layer.

    y = x @ w + b

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    x : (batch, n_in)     input
    w : (n_in, n_out)     weights
    b : (n_out,)          biases
    y : output            (batch, n_out), overwritten; must not overlap any other argument

    Twin: `fastmlp.reference.linear_forward`.
    """
    _forward(x, w, b, y, y, IDENTITY)


def linear_relu_forward(x, w, b, y):
    """Linear layer followed by ReLU; NaN stays NaN.

    y = max(x @ w + b, 0)

    Parameters as of `linear_forward`. Twin: `fastmlp.reference.linear_relu_forward`.
    """
    _forward(x, w, b, y, y, RELU)


def linear_activation_forward(x, w, b, activation, z, y):
    """Linear layer followed by an activation; NaN stays NaN.

    z = x @ w + b;  y = activation(z)

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    x, w, b : as of `linear_forward`
    activation : str      a name of `core.memory.ACTIVATIONS`
    z : output            (batch, n_out), overwritten: z for silu, gelu and mish, else of no use; may be y
    y : output            (batch, n_out), overwritten; must not overlap any other argument but z

    Twin: `fastmlp.reference.linear_activation_forward`.
    """
    _forward(x, w, b, z, y, ACTIVATIONS.index(activation))


def linear_backward(x, w, dy, dx, dw, db):
    """Backward pass of `linear_forward`.

    dx = dy @ w.T;  dw = x.T @ dy;  db = dy.sum(axis=0)

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    x : (batch, n_in)      input of the forward pass
    w : (n_in, n_out)      weights
    dy : (batch, n_out)    gradient with respect to y
    dx, dw, db : outputs   overwritten; shapes of x, w and b; must not overlap any other argument;
                           dx may be None: not computed

    Twin: `fastmlp.reference.linear_backward`.
    """
    _backward(x, w, dy, dy, dx, dw, db, IDENTITY)


def linear_relu_backward(x, w, y, dy, dx, dw, db):
    """Backward pass of `linear_relu_forward`.

    dz = dy where y > 0, else 0;  dx = dz @ w.T;  dw = x.T @ dz;  db = dz.sum(axis=0)

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    x : (batch, n_in)              input of the forward pass
    w : (n_in, n_out)              weights
    y : (batch, n_out)             output of the forward pass; only its sign is used
    dy : (batch, n_out), consumed  gradient with respect to y; holds dz on return
    dx, dw, db : outputs           overwritten; shapes of x, w and b; must not overlap any other argument;
                                   dx may be None: not computed

    Twin: `fastmlp.reference.linear_relu_backward`.
    """
    _backward(x, w, y, dy, dx, dw, db, RELU)


def linear_activation_backward(x, w, y, z, dy, activation, dx, dw, db):
    """Backward pass of `linear_activation_forward`.

    dz = dy * activation'(z);  dx = dz @ w.T;  dw = x.T @ dz;  db = dz.sum(axis=0)

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    x : (batch, n_in)              input of the forward pass
    w : (n_in, n_out)              weights
    y : (batch, n_out)             output of the forward pass, which the derivative is taken from
    z : (batch, n_out)             in y's place for silu, gelu and mish; not read for others
    dy : (batch, n_out), consumed  gradient with respect to y; holds dz on return
    activation : str               a name of `core.memory.ACTIVATIONS`
    dx, dw, db : outputs           as of `linear_relu_backward`

    Twin: `fastmlp.reference.linear_activation_backward`.
    """
    kind = ACTIVATIONS.index(activation)
    _backward(x, w, z if kind >= SILU else y, dy, dx, dw, db, kind)


def add_outer(dw, shift, db):
    """Complete the weight gradient of a layer whose input is x + shift, when it is that of x alone.

    dw = dw + outer(shift, db), rounded once

    Parameters (rows contiguous, one float dtype throughout)
    ----------
    dw : (n_in, n_out)    in place
    shift : (n_in,)       what is added to every row of x
    db : (n_out,)         gradient of the biases

    Twin: `fastmlp.reference.add_outer`.
    """
    threads.parallel(_add_outer, threads.thread_count(8 * dw.size), dw, shift, db)


def _forward(x, w, b, z, y, kind):
    threads.parallel(_linear_forward, threads.thread_count(x.size * b.size), x, w, b, z, y, kind)


def _backward(x, w, saved, dy, dx, dw, db, kind):
    n_threads = threads.thread_count(x.size * db.size * (1 if dx is None else 2))
    # what transposed panels of w need, kept by each calling thread from call to call
    size = 0 if dx is None else n_threads * PANEL_BYTES + LINE
    room = getattr(_kept, "room", None)
    if room is None or room.size < size:
        room = _kept.room = np.empty(size, np.uint8)
    nothing = dw.reshape(-1, dw.shape[-1])[:0]
    args = x, w, saved, dy, nothing if dx is None else dx, dw, db, room.view(x.dtype), kind
    threads.parallel(_linear_backward, n_threads, *args)


@entry("z", "y")
def _linear_forward(x, w, b, z, y, kind, sync, thread, n_threads):
    first, last = threads.thread_range(x.shape[0], thread, n_threads)
    n_in, n_out = x.shape[1], b.size
    lower = x.dtype.type(0.0 if kind == RELU else -np.inf)
    biases, target = Matrix(address(b, 0, 0), 0, 1), rows_of(z, first) if kind > RELU else rows_of(y, first)
    forward_rows(rows_of(x, first), weights_of(w), biases, target, last - first, n_in, n_out, lower)
    if kind > RELU:
        activate(kind, target, rows_of(y, first), last - first, n_out)


@entry("dx", "dw", "db", "panels")  # dy is written through its address, and only by the layer with ReLU
def _linear_backward(x, w, saved, dy, dx, dw, db, panels, kind, sync, thread, n_threads):
    (batch, n_in), n_out = x.shape, db.size
    first, last = threads.thread_range(batch, thread, n_threads)
    if kind:
        activation_gradient(kind, rows_of(saved, first), rows_of(dy, first), last - first, n_out)
        threads.barrier(sync, n_threads)
    if dx.shape[0]:
        panel = aligned(address(panels, thread * (PANEL_BYTES // x.itemsize), 0))
        outputs, nothing = rows_of(dx, first), draw_of(0, 0, 0, x.dtype.type(0))
        below, shape = (IDENTITY, outputs, nothing), (last - first, n_in, n_out)
        input_gradient(weights_of(w), rows_of(dy, first), outputs, below, panel, shape)
    first, last = threads.thread_range(n_in, thread, n_threads)
    zeros = Matrix(tile_vectors(x.dtype.type(0)), 0, 0)
    lower = x.dtype.type(-np.inf)
    ones, of_biases = Transposed(tile_vectors(x.dtype.type(1)), 1, 0), Matrix(address(db, 0, 0), 0, 1)
    targets = submatrix(weights_of(dw), first, 0)
    for k in range(0, batch, BATCH_BLOCK):
        depth, here, column = min(BATCH_BLOCK, batch - k), rows_of(dy, k), 0
        x_columns = submatrix(transposed(rows_of(x, k)), first, 0)
        while column < n_out:
            columns, target = strip_width(targets, column, n_out - column), strip(targets, column)
            now, start = submatrix(here, 0, column), target if k else zeros
            product(x_columns, now, target, last - first, columns, depth, start, lower)
            column += columns
        if thread == 0:
            product(ones, here, of_biases, 1, n_out, depth, of_biases if k else zeros, lower)


@entry("dw")
def _add_outer(dw, shift, db, sync, thread, n_threads):
    first, last = threads.thread_range(shift.size, thread, n_threads)
    numbers, rows, column = address(shift, first, 0), submatrix(weights_of(dw), first, 0), 0
    while column < db.size:
        columns, sums = strip_width(rows, column, db.size - column), address(db, column, 0)
        add_outer_rows(strip(rows, column), numbers, sums, last - first, columns)
        column += columns


# --- the bodies, which an epoch calls too ----------------------------------------------------------------


@kernel
def forward_rows(x, w, b, y, n_rows, n_in, n_out, lower):
    """Rows of y = max(x @ w + b, lower)."""
    lowest = convert(-np.inf, lower)
    column = 0
    while column < n_out:
        columns, here = strip_width(w, column, n_out - column), strip(w, column)
        first, target = submatrix(b, 0, column), submatrix(y, 0, column)
        for k in range(0, n_in, INNER_BLOCK):
            depth = min(INNER_BLOCK, n_in - k)
            start, clamp = target if k else first, lower if k + depth == n_in else lowest
            product(submatrix(x, 0, k), submatrix(here, k, 0), target, n_rows, columns, depth, start, clamp)
        column += columns


@kernel
def indexed_forward_rows(x, w, b, y, indices, n_blocks, n_rows, n_out, lower):
    """`forward_rows` over the features whose indices each group of rows has, block by block."""
    lowest = convert(-np.inf, lower)
    column = 0
    while column < n_out:
        columns, here = strip_width(w, column, n_out - column), strip(w, column)
        first, target = submatrix(b, 0, column), submatrix(y, 0, column)
        for block in range(n_blocks):
            start, clamp = target if block else first, lower if block == n_blocks - 1 else lowest
            ks = submatrix(indices, 0, block * BLOCK_ROW)
            indexed_product(x, here, target, n_rows, columns, ks, start, clamp)
        column += columns


@kernel
def input_gradient(w, dy, dx, below, panel, shape):
    """Rows of dx = dy @ w.T, then dropped as x was, then times the derivative of the activation below.

    `below` is the kind of that activation, what its derivative is taken from, and what is drawn for x.

    A panel of w's rows at a time is transposed: panel has room for PANEL_ROWS as wide as a tile, if n_out is
    as large.
    """
    (kind, saved, draw), (n_rows, n_in, n_out), width = below, shape, lanes(panel)
    zero = convert(0.0, panel[0])
    lowest = convert(-np.inf, zero)
    turned, zeros = Matrix(panel, WIDE * width, 1), Matrix(tile_vectors(zero), 0, 0)
    for feature in range(0, n_in, WIDE * width):
        features = min(WIDE * width, n_in - feature)
        target = submatrix(dx, 0, feature)
        for k in range(0, n_out, PANEL_ROWS):
            depth = min(PANEL_ROWS, n_out - k)
            for half in range(0, features, width):
                for column in range(0, depth, width):
                    source = strip(submatrix(w, feature + half, 0), k + column)
                    block = submatrix(turned, column, half)
                    transpose_block(source, features - half, depth - column, block)
            start = target if k else zeros
            product(submatrix(dy, 0, k), turned, target, n_rows, features, depth, start, lowest)
        if draw.drop:
            drop_rows(draw_at(draw, 0, feature), target, target, n_rows, features)
        if kind:
            activation_gradient(kind, submatrix(saved, 0, feature), target, n_rows, features)


@kernel
def add_outer_rows(dw, shift, db, n_rows, n_columns):
    """Rows of dw = dw + outer(shift, db)."""
    width = lanes(db)
    for row in range(n_rows):
        factor, here = splat(shift[row]), row_of(dw, row)
        for column in range(0, n_columns, width):
            left, there = n_columns - column, offset(here, column)
            store(fma(factor, load(offset(db, column), left), load(there, left)), there, left)


@kernel
def sum_columns(dy, db, n_rows, n_columns):
    """Some of db, each the sum of a column of dy, in the order of `linear_backward`."""
    width = lanes(db)
    for column in range(0, n_columns, width):
        left, total = n_columns - column, splat(convert(0.0, db[0]))
        for row in range(n_rows):
            total = add(total, load(offset(row_of(dy, row), column), left))
        store(total, offset(db, column), left)
