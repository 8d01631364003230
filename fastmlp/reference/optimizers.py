"""Optimizers: a step in place."""

from .quiet import quiet


@quiet
def sgd_step(w, dw, lr):
    """w -= lr * dw, in place."""
    w -= lr * dw
