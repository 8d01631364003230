"""Matrices as values: what they hold from an element on."""

import numpy as np
import pytest
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


@callable_kernel
def _in_panels(memory, shape, column, columns, found):
    """The elements behind (row, column) of a matrix in panels, strip by strip; how many strips those are."""
    n_rows, n_columns, width = shape
    whole = matrix.Panels(matrix.address(memory, 0, 0), width, n_rows * width, 0)
    strips, done = 0, 0
    for row in range(n_rows):
        a, done = matrix.submatrix(whole, row, column), 0
        while done < columns:
            part, side_by_side = matrix.strip(a, done), matrix.strip_width(a, done, columns - done)
            strips += 1
            for j in range(side_by_side):
                found[row, done + j] = part.pointer[j * part.column]
                for below in range(row, n_rows):  # rows are one width apart
                    found[below, done + j] = part.pointer[(below - row) * part.row + j]
            done += side_by_side
    return strips


@pytest.mark.parametrize("width", [4, 8, 20])
def test_panels_are_met_strip_by_strip_and_in_their_order(width):
    n_rows, n_columns = 5, 20
    a = np.arange(100.0).reshape(n_rows, n_columns)
    memory = np.full((-(-n_columns // width), n_rows, width), np.nan)
    for place, panel in enumerate(memory):
        part = a[:, place * width :][:, :width]
        panel[:, : part.shape[1]] = part
    for column in range(n_columns):
        for columns in range(1, n_columns - column + 1):
            found = np.full((n_rows, columns), np.nan)
            strips = _in_panels(memory.ravel(), (n_rows, n_columns, width), column, columns, found)
            assert np.array_equal(found, a[:, column : column + columns])
            assert strips == n_rows * ((column + columns - 1) // width - column // width + 1)


@callable_kernel
def _strip_of_plain(a, column, columns):
    whole = matrix.rows_of(a, 1)
    part = matrix.strip(whole, column)
    return part.pointer[0], part.row, matrix.strip_width(whole, column, columns)


def test_a_plain_matrix_is_one_strip():
    a = np.arange(42.0).reshape(6, 7)
    assert _strip_of_plain(a, 2, 5) == (a[1, 2], 7, 5)


@callable_kernel
def _moved(memory, other, row, column):
    """An element of a matrix in panels, and of the one that lies as it does elsewhere."""
    base, width = matrix.address(memory, 0, 0), 4
    a = matrix.submatrix(matrix.Panels(matrix.offset(base, 3), width, 5 * width, 0), row, column)
    same = matrix.moved(a, base, matrix.address(other, 0, 0))
    return matrix.strip(a, 0).pointer[0], matrix.strip(same, 0).pointer[0]


def test_panels_elsewhere_lie_as_they_did():
    memory = np.arange(103.0)
    assert _moved(memory, -memory, 2, 14) == (73.0, -73.0)  # behind 3, three panels of 20, two rows and 2
