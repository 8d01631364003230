"""Activations and their derivatives."""

from .core.jit import kernel
from .core.matrix import offset, row_of
from .core.simd import lanes, load, store, where_positive


@kernel
def relu_gradient(y, dy, n_rows, n_out):
    """Set dy to 0 where y, the output of ReLU, is not above 0."""
    width = lanes(dy.pointer)
    for row in range(n_rows):
        y_now, dy_now = row_of(y, row), row_of(dy, row)
        for column in range(0, n_out, width):
            left = n_out - column
            kept = where_positive(load(offset(y_now, column), left), load(offset(dy_now, column), left))
            store(kept, offset(dy_now, column), left)
