"""Optimizers: a step in place."""

from .core import threads
from .core.jit import entry, kernel
from .core.simd import at, fma, lanes, load, rows_of, splat, store


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
    threads.share_out(_sgd_step, 8 * w.size, *matrices, w.dtype.type(lr))


@entry("w")
def _sgd_step(w, dw, lr, sync, member, members):
    first, last = threads.share(w.shape[0], member, members)
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
