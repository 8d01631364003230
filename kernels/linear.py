"""Linear layers with and without ReLU, forward and backward."""

import numpy as np

from .core import threads
from .core.jit import entry, kernel
from .core.simd import (
    address,
    at,
    below,
    convert,
    lanes,
    load,
    rows_of,
    stack_of,
    store,
    two_vectors,
    where_positive,
)
from .core.sparsity import BLOCK_ROW
from .core.tile import listed_product, product, transpose_block

# A longer inner dimension runs in blocks, so that a block of w's panel of two vectors stays in the L2 cache.
INNER_BLOCK = 1024
# Rows of a panel of w.T, on the stack: 512 of two vectors are 64 KiB.
PANEL_ROWS = 512

_panel = stack_of(2 * PANEL_ROWS)


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
    threads.share_out(_linear_forward, x.size * w.shape[1], x, w, b, y, False)


def linear_relu_forward(x, w, b, y):
    """Linear layer followed by ReLU; NaN stays NaN.

    y = max(x @ w + b, 0)

    Parameters as of `linear_forward`. Twin: `fastmlp.reference.linear_relu_forward`.
    """
    threads.share_out(_linear_forward, x.size * w.shape[1], x, w, b, y, True)


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
    work = x.size * w.shape[1] * (1 if dx is None else 2)
    threads.share_out(_linear_backward, work, x, w, dy, dy, dw[:0] if dx is None else dx, dw, db, False)


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
    work = x.size * w.shape[1] * (1 if dx is None else 2)
    threads.share_out(_linear_backward, work, x, w, y, dy, dw[:0] if dx is None else dx, dw, db, True)


@entry("y")
def _linear_forward(x, w, b, y, relu, sync, member, members):
    first, last = threads.share(x.shape[0], member, members)
    n_in, n_out = w.shape
    floor = x.dtype.type(0.0 if relu else -np.inf)
    forward_rows(
        rows_of(x, first),
        rows_of(w, 0),
        address(b, 0, 0),
        rows_of(y, first),
        last - first,
        n_in,
        n_out,
        floor,
        (),
    )


@entry("dx", "dw", "db")  # dy is written through its address, and only by the layer with ReLU
def _linear_backward(x, w, y, dy, dx, dw, db, relu, sync, member, members):
    batch, (n_in, n_out) = x.shape[0], w.shape
    first, last = threads.share(batch, member, members)
    if relu:
        mask_rows(rows_of(y, first), rows_of(dy, first), last - first, n_out)
        threads.barrier(sync, members)
    if dx.shape[0]:
        rows, outputs = rows_of(dy, first), rows_of(dx, first)
        input_gradient(rows_of(w, 0), rows, outputs, outputs, False, last - first, n_in, n_out)
    first, last = threads.share(n_in, member, members)
    zeros = two_vectors(x.dtype.type(0))
    floor = x.dtype.type(-np.inf)
    x_first, x_row = rows_of(x, 0)
    dy_first, dy_row = rows_of(dy, 0)
    dw_first, dw_row = rows_of(dw, first)
    x_column = at(x_first, first)
    product(
        x_column,
        1,
        x_row,
        dy_first,
        dy_row,
        batch,
        zeros,
        0,
        0,
        dw_first,
        dw_row,
        floor,
        last - first,
        n_out,
        (),
    )
    if member == 0:
        ones = two_vectors(x.dtype.type(1))
        product(ones, 0, 0, dy_first, dy_row, batch, zeros, 0, 0, address(db, 0, 0), 0, floor, 1, n_out, ())


# --- the bodies, which an epoch calls too; rows are (pointer, elements from row to row) --------------------


@kernel
def forward_rows(x, w, b, y, n_rows, n_in, n_out, floor, picks):
    """Rows of y = max(x @ w + b, floor); picks as of a tile."""
    lowest = convert(-np.inf, floor)
    for k in range(0, n_in, INNER_BLOCK):
        depth = min(INNER_BLOCK, n_in - k)
        start, start_row = (b, 0) if k == 0 else y
        w_now, w_row = below(w, k)
        product(
            at(x[0], k),
            x[1],
            1,
            w_now,
            w_row,
            depth,
            start,
            start_row,
            1,
            y[0],
            y[1],
            floor if k + depth == n_in else lowest,
            n_rows,
            n_out,
            picks,
        )


@kernel
def listed_forward_rows(x, w, b, y, lists, list_row, n_blocks, n_rows, n_out, floor, picks):
    """`forward_rows` over the features that are listed for each group of rows, block by block."""
    lowest = convert(-np.inf, floor)
    for block in range(n_blocks):
        start, start_row = (b, 0) if block == 0 else y
        listed_product(
            x[0],
            x[1],
            1,
            w[0],
            w[1],
            at(lists, block * BLOCK_ROW),
            list_row,
            start,
            start_row,
            1,
            y[0],
            y[1],
            floor if block == n_blocks - 1 else lowest,
            n_rows,
            n_out,
            picks,
        )


@kernel
def mask_rows(y, dy, n_rows, n_out):
    """Set dy to 0 where y is not above 0."""
    width = lanes(dy[0])
    for row in range(n_rows):
        y_now, dy_now = below(y, row)[0], below(dy, row)[0]
        for column in range(0, n_out, width):
            left = n_out - column
            kept = where_positive(load(at(y_now, column), left), load(at(dy_now, column), left))
            store(kept, at(dy_now, column), left)


@kernel
def input_gradient(w, dy, dx, y, masked, n_rows, n_in, n_out):
    """Rows of dx = dy @ w.T; where `masked`, 0 where y, of dx's shape, is not above 0.

    A panel of w's rows at a time is transposed on the stack.
    """
    width = lanes(dy[0])
    zero = convert(0.0, dy[0][0])
    lowest = convert(-np.inf, zero)
    panel, zeros = _panel(zero), two_vectors(zero)
    for feature in range(0, n_in, 2 * width):
        features = min(2 * width, n_in - feature)
        target = at(dx[0], feature), dx[1]
        for k in range(0, n_out, PANEL_ROWS):
            depth = min(PANEL_ROWS, n_out - k)
            for half in range(0, features, width):
                source, source_row = below(w, feature + half)
                for column in range(0, depth, width):
                    transpose_block(
                        at(source, k + column),
                        source_row,
                        features - half,
                        depth - column,
                        at(panel, 2 * width * column + half),
                        2 * width,
                    )
            start, start_row = target if k else (zeros, 0)
            product(
                at(dy[0], k),
                dy[1],
                1,
                panel,
                2 * width,
                depth,
                start,
                start_row,
                1,  # of one panel only, so that it could be 0; 1 is what `forward_rows` is compiled for
                target[0],
                target[1],
                lowest,
                n_rows,
                features,
                (),
            )
        if masked:
            mask_rows((at(y[0], feature), y[1]), target, n_rows, features)
