"""Matrices as values: what they hold from an element on."""

import numpy as np
from bounds import framed

from fastmlp.kernels.core import matrix
from fastmlp.kernels.core.gather import gathered, gathered_transposed
from fastmlp.kernels.core.jit import callable_kernel


@callable_kernel
def _elements(a, row_indices):
    """The element (1, 2) of a, its transpose, its gathered rows and their transpose, by a submatrix."""
    whole, values = matrix.rows_of(a, 0), matrix.address(a, 0, 0)
    indices = matrix.address(row_indices, 0, 0)
    plain = matrix.submatrix(whole, 1, 2)
    turned = matrix.submatrix(matrix.transposed(whole), 1, 2)
    picked = matrix.submatrix(gathered(whole, indices, values), 1, 2)
    picked_turned = matrix.submatrix(gathered_transposed(whole, indices, values), 1, 2)
    return (
        plain.pointer[0],
        turned.pointer[0],
        picked.pointer[picked.row_indices[0] * picked.row],
        picked_turned.pointer[picked_turned.row_indices[0] * picked_turned.column],
    )


def test_a_submatrix_begins_at_its_element():
    a, row_indices = framed(np.arange(42.0).reshape(6, 7)), np.array([5, 3, 4])
    picked = a[row_indices]
    assert _elements(a, row_indices) == (a[1, 2], a.T[1, 2], picked[1, 2], picked.T[1, 2])
