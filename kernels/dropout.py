"""Dropout: some units of a batch are 0, drawn by counting."""

from typing import Any, NamedTuple

from .core import threads
from .core.jit import entry, kernel
from .core.matrix import offset, row_of, rows_of
from .core.memory import drop_threshold
from .core.random import keep_drawn, next_key
from .core.simd import convert, lanes, load, splat, stack_of, store


def dropout(x, y, rate, seed, step, layer):
    """Leave out some elements, and make up for them in the others.

    y = 0 with the probability `rate`, else x / (1 - rate)   (Srivastava et al., Dropout, 2014)

    What is drawn for an element depends on seed, step, layer, its row and its column and on nothing else: it
    is the same for dy as for the output itself, in any dtype. The rate is rounded to a multiple of 2**-32.

    Parameters (rows contiguous)
    ----------
    x : (batch, n)            float32 or float64
    y : output                of its shape and dtype; may be x itself
    rate : float              from 0 to below 1
    seed, step, layer : int   layer i's input has the number i

    Twin: `fastmlp.reference.dropout`.
    """
    n_threads, numbers = threads.thread_count(8 * x.size), map(int, (drop_threshold(rate), seed, step, layer))
    threads.parallel(_dropout, n_threads, x, y, *numbers)


@entry("y")
def _dropout(x, y, drop, seed, step, layer, sync, thread, n_threads):
    first, last = threads.thread_range(x.shape[0], thread, n_threads)
    draw = draw_at(draw_of(step_key(seed, step), layer, drop, x.dtype.type(0)), first, 0)
    drop_rows(draw, rows_of(x, first), rows_of(y, first), last - first, x.shape[1])


# --- the bodies, which an epoch calls too ----------------------------------------------------------------


_one_vector = stack_of(1)


class Draw(NamedTuple):
    """What is drawn for a layer in a step, from one of its elements on."""

    key: int
    drop: int  # of 2**32; 0 for no dropout at all
    factor: Any  # of what is kept
    row: int
    column: int


@kernel
def step_key(seed, step):
    """Key of all that is drawn in a step."""
    return next_key(next_key(0, seed), step)


@kernel
def draw_of(key, layer, drop, like):
    """What is drawn for a layer's input under a step's key."""
    return Draw(next_key(key, layer), drop, convert(2.0**32 / (2**32 - drop), like), 0, 0)


@kernel
def draw_at(draw, row, column):
    """What is drawn from a row and a column on."""
    return Draw(draw.key, draw.drop, draw.factor, draw.row + row, draw.column + column)


@kernel
def drop_rows(draw, x, y, n_rows, n_columns):
    """Some rows of y = dropout(x), which may be the same; only their first columns are written."""
    width = lanes(y.pointer)
    for row in range(n_rows):
        key, x_now, y_now = next_key(draw.key, draw.row + row), row_of(x, row), row_of(y, row)
        for column in range(0, n_columns, width):
            left, value = n_columns - column, load(offset(x_now, column), n_columns - column)
            value = keep_drawn(value, key, draw.column + column, draw.drop, draw.factor)
            store(value, offset(y_now, column), left)


@kernel
def drop_inputs(draw, row, n, scale):
    """A row of a data set in place; bytes that stay are as they were: `values` have the factor."""
    factors, key = _one_vector(scale), next_key(draw.key, draw.row)
    width, of_bytes = lanes(factors), convert(-1, row[0]) > 0
    for column in range(0, n, width):
        store(keep_drawn(splat(convert(1.0, scale)), key, column, draw.drop, draw.factor), factors, width)
        for i in range(min(width, n - column)):
            if factors[i] == 0:
                row[column + i] = convert(0, row[0])
            elif not of_bytes:
                row[column + i] = convert(row[column + i] * factors[i], row[0])
