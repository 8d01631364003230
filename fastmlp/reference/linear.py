"""Linear layers, with ReLU or any activation and without, forward and backward."""

import numpy as np

from . import activations
from .quiet import quiet


@quiet
def linear_forward(x, w, b, y):
    """y = x @ w + b."""
    y[...] = x @ w + b


@quiet
def linear_relu_forward(x, w, b, y):
    """y = max(0, x @ w + b); NaN stays NaN."""
    y[...] = np.maximum(x @ w + b, 0)


@quiet
def linear_backward(x, w, dy, dx, dw, db):
    """dx = dy @ w.T, unless it is None;  dw = x.T @ dy;  db = dy.sum(axis=0)."""
    if dx is not None:
        dx[...] = dy @ w.T
    dw[...] = x.T @ dy
    db[...] = dy.sum(axis=0)


@quiet
def add_outer(dw, shift, db):
    """dw = dw + outer(shift, db), in place."""
    dw += np.outer(shift, db)


@quiet
def linear_relu_backward(x, w, y, dy, dx, dw, db):
    """dz = dy where y > 0, else 0, in place of dy;  dx, dw, db = as `linear_backward` has them for dz."""
    dy[...] = np.where(y > 0, dy, 0)
    linear_backward(x, w, dy, dx, dw, db)


@quiet
def linear_activation_forward(x, w, b, activation, z, y):
    """z = x @ w + b;  y = activation(z)."""
    product = x @ w + b
    z[...] = product  # may be y
    y[...] = activations.activation(activation, product)


@quiet
def linear_activation_backward(x, w, y, z, dy, activation, dx, dw, db):
    """dz = dy * activation'(z), in place of dy;  dx, dw, db = as `linear_backward` has them for dz."""
    saved = z if activation in activations.KEEP_Z else y
    dy[...] = activations.activation_gradient(activation, saved, dy)
    linear_backward(x, w, dy, dx, dw, db)
