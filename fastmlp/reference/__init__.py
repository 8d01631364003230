"""The mathematics of every kernel in the shortest NumPy that is correct: same names, same signatures."""

from typing import NamedTuple

import numpy as np

__all__ = [
    "infer",
    "linear_backward",
    "linear_forward",
    "linear_relu_backward",
    "linear_relu_forward",
    "plan",
    "scan",
    "sgd_epoch",
    "sgd_step",
    "softmax_cross_entropy",
    "zero_masks",
]

_quiet = np.errstate(all="ignore")  # a run that diverges is reported by its loss, not by NumPy's warnings


@_quiet
def linear_forward(x, w, b, y):
    """y = x @ w + b."""
    y[...] = x @ w + b


@_quiet
def linear_relu_forward(x, w, b, y):
    """y = max(0, x @ w + b); NaN stays NaN."""
    y[...] = np.maximum(x @ w + b, 0)


@_quiet
def linear_backward(x, w, dy, dx, dw, db):
    """dx = dy @ w.T, unless it is None;  dw = x.T @ dy;  db = dy.sum(axis=0)."""
    if dx is not None:
        dx[...] = dy @ w.T
    dw[...] = x.T @ dy
    db[...] = dy.sum(axis=0)


@_quiet
def linear_relu_backward(x, w, y, dy, dx, dw, db):
    """dz = dy where y > 0, else 0, in place of dy;  dx, dw, db = as `linear_backward` has them for dz."""
    dy[...] = np.where(y > 0, dy, 0)
    linear_backward(x, w, dy, dx, dw, db)


@_quiet
def softmax_cross_entropy(logits, labels, dlogits, losses):
    """losses = -sum(y * log p) for each row;  dlogits = (p - y) / batch, with p = softmax(logits).

    y are the labels themselves, rows of probabilities, or the one-hot rows of integer labels.
    """
    y = labels if labels.ndim == 2 else labels[:, None] == np.arange(logits.shape[1])
    row_max = logits.max(axis=1, keepdims=True)
    p = np.exp(logits - row_max)  # exp of the shifted row cannot overflow
    total = p.sum(axis=1, keepdims=True)
    z, top = logits.astype(np.float64), row_max.astype(np.float64)
    minus_log_p = np.log(total.astype(np.float64)) + top - z
    losses[...] = np.where(y > 0, y * minus_log_p, 0).sum(axis=1)
    dlogits[...] = (p / total - y) / len(logits)


@_quiet
def sgd_step(w, dw, lr):
    """w -= lr * dw, in place."""
    w -= lr * dw


LAYER = np.dtype([(n, np.int64) for n in "n_in n_out w w_row b x x_row y y_row dy".split()])


def plan(sizes, batch_size, dtype):
    """Lay out a model and the workspaces of its training in one array, the arena, packed without gaps.

    Parameters come first, then the input and every layer's output, then the gradients of the outputs.

    Returns
    -------
    table : (n_layers, 10) int64, the columns n_in, n_out, w_offset, w_ld, b_offset, x_offset, x_ld,
        y_offset, y_ld, dy_offset, counted in elements
    size : number of elements of the arena
    """
    widths = np.array(sizes, np.int64)
    n_in, n_out, n = widths[:-1], widths[1:], len(widths) - 1
    parameters = np.column_stack([n_in * n_out, n_out]).ravel()
    offsets = np.cumsum(np.concatenate([[0], parameters, batch_size * widths, batch_size * n_out]))
    w, b = offsets[: 2 * n : 2], offsets[1 : 2 * n : 2]
    x, y, dy = offsets[2 * n : 3 * n], offsets[2 * n + 1 : 3 * n + 1], offsets[3 * n + 1 : -1]
    table = np.zeros(n, LAYER)
    for name, column in zip(LAYER.names, (n_in, n_out, w, n_out, b, x, n_in, y, n_out, dy), strict=True):
        table[name] = column
    return table, int(offsets[-1])


class _Layer(NamedTuple):
    w: np.ndarray
    b: np.ndarray
    x: np.ndarray
    y: np.ndarray
    dy: np.ndarray


def _layer(arena, row, batch):
    """View one layer in the arena: its parameters and the first `batch` rows of its workspaces."""
    n_in, n_out, w, w_ld, b, x, x_ld, y, y_ld, dy = row[list(LAYER.names)].item()

    def matrix(offset, rows, width, ld):
        return arena[offset : offset + rows * ld].reshape(rows, ld)[:, :width]

    return _Layer(
        matrix(w, n_in, n_out, w_ld),
        arena[b : b + n_out],
        matrix(x, batch, n_in, x_ld),
        matrix(y, batch, n_out, y_ld),
        matrix(dy, batch, n_out, y_ld),
    )


def sgd_epoch(arena, table, x, labels, order, batch_size, lr, scale, masks, stop, losses):
    """Train on the samples of `order`, batch by batch, by plain gradient descent.

    Returns the number of batches completed. At a batch whose loss is not finite it writes that loss, takes
    no step and returns that batch's index; a non-zero `stop[0]` ends the epoch before the next batch. `masks`
    tell faster codes where x is zero, and are not needed here.
    """
    for i, start in enumerate(range(0, len(order), batch_size)):
        if stop[0]:
            return i
        batch = order[start : start + batch_size]
        layers = [_layer(arena, row, len(batch)) for row in table]
        _load(x[batch], scale, layers[0].x)
        _forward(layers)
        row_losses = np.empty(len(batch))
        softmax_cross_entropy(layers[-1].y, labels[batch], layers[-1].dy, row_losses)
        losses[i] = row_losses.mean()
        if not np.isfinite(losses[i]):
            return i
        _backward_and_step(layers, lr)
    return len(range(0, len(order), batch_size))


@_quiet
def _load(x, scale, out):
    out[...] = x.astype(out.dtype) * scale


def _forward(layers):
    for w, b, x, y, _ in layers[:-1]:
        linear_relu_forward(x, w, b, y)
    linear_forward(layers[-1].x, layers[-1].w, layers[-1].b, layers[-1].y)


def _backward_and_step(layers, lr):
    gradients_of_inputs = [None, *(layer.dy for layer in layers[:-1])]
    for layer, dx in reversed(list(zip(layers, gradients_of_inputs, strict=True))):
        w, b, x, y, dy = layer
        dw, db = np.empty_like(w), np.empty_like(b)
        if layer is layers[-1]:
            linear_backward(x, w, dy, dx, dw, db)
        else:
            linear_relu_backward(x, w, y, dy, dx, dw, db)
        sgd_step(w, dw, lr)
        sgd_step(b, db, lr)


def infer(arena, table, x, scale, logits):
    """logits = what the model says of the rows of x; the arena is only read."""
    layers = [_layer(arena, row, 0) for row in table]
    y = np.empty(x.shape, arena.dtype)
    _load(x, scale, y)
    for w, b, *_ in layers[:-1]:
        x, y = y, np.empty((len(y), len(b)), arena.dtype)
        linear_relu_forward(x, w, b, y)
    linear_forward(y, layers[-1].w, layers[-1].b, logits)


def scan(x):
    """Return (all elements are finite, the largest |x|, the share of elements that are not 0).

    The largest is infinite where not all are finite.
    """
    finite = bool(np.isfinite(x).all())
    largest = float(np.abs(x).max(initial=0)) if finite else np.inf
    return finite, largest, float(np.count_nonzero(x) / max(x.size, 1))


def zero_masks(x, masks):
    """Set bit j % 64 of masks[i, j // 64], uint64, where x[i, j] != 0; NaN counts as not 0."""
    bits = np.zeros((len(x), 64 * masks.shape[1]), bool)
    bits[:, : x.shape[1]] = x != 0
    masks[...] = np.packbits(bits, axis=1, bitorder="little").view("<u8")
