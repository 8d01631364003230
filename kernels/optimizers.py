"""Optimizers: a step in place."""

from .core import threads
from .core.jit import entry, kernel
from .core.matrix import offset, rows_of
from .core.simd import fma, lanes, load, splat, store


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
    threads.parallel(_sgd_step, threads.thread_count(8 * w.size), *matrices, w.dtype.type(lr))


@entry("w")
def _sgd_step(w, dw, lr, sync, thread, n_threads):
    first, last = threads.thread_range(w.shape[0], thread, n_threads)
    n_out = w.shape[1]
    for row in range(first, last):
        step_row(rows_of(w, row).pointer, rows_of(dw, row).pointer, lr, n_out)


@kernel
def step_row(w, dw, lr, n):
    """One row of the step."""
    width = lanes(w)
    for column in range(0, n, width):
        left = n - column
        store(
            fma(splat(-lr), load(offset(dw, column), left), load(offset(w, column), left)),
            offset(w, column),
            left,
        )
