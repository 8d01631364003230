"""Labels as the kernels take them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .inputs import as_array

_SUM_TOLERANCE = 1e-6  # of a row of probabilities, well above the rounding of float32


def to_one_hot(labels: ArrayLike, n_classes: int) -> NDArray[np.float32]:
    """Make of each label a row that is 1 in the label's column and 0 elsewhere.

    Parameters
    ----------
    labels : (batch,) integers from 0 to n_classes - 1
    n_classes : number of columns

    Returns
    -------
    one_hot : float32, (batch, n_classes)

    Raises
    ------
    ValueError
        The labels are not of that kind, or one is not below n_classes.
    """
    y = prepare_labels(labels, len(np.atleast_1d(labels)))
    if y.ndim != 1:
        raise ValueError(f"labels have shape {y.shape}, expected (batch,) integers")
    if (y >= n_classes).any():
        i = int(y.argmax())
        raise ValueError(f"labels[{i}] is {y[i]}, expected 0 to {n_classes - 1} for {n_classes} classes")
    one_hot = np.zeros((len(y), n_classes), np.float32)
    one_hot[np.arange(len(y)), y] = 1
    return one_hot


def prepare_labels(y: ArrayLike, n: int) -> NDArray[Any]:
    """Copy y into labels that the kernels take.

    Parameters
    ----------
    y : (n,) integers from 0 up, or (n, n_classes) rows of probabilities, each summing to 1 within 1e-6
    n : number of samples that y belongs to

    Returns
    -------
    labels : int64 (n,), or float64 (n, n_classes); never shares memory with y

    Raises
    ------
    ValueError
        y is of another shape, kind or length, a label is negative, or a row holds no probabilities.
    """
    array = as_array(y, "y")
    if array.ndim == 2 and array.shape[1] == 1:
        raise ValueError(f"y has shape {array.shape}, a column, expected (n,) integers; try y.ravel()")
    if array.ndim > 2:
        raise ValueError(f"y has shape {array.shape}, expected (n,) integers or (n, n_classes) rows")
    if len(array) != n:
        raise ValueError(f"y has {len(array)} labels, expected {n}, one for each row of X")
    return _prepare_integers(array) if array.ndim == 1 else _prepare_rows(array)


def _prepare_integers(y: NDArray[Any]) -> NDArray[np.int64]:
    if y.dtype.kind == "f":
        raise ValueError(f"y has dtype {y.dtype}, expected integer labels; try y.astype(int)")
    labels = np.array(y, dtype=np.int64)
    if (labels < 0).any():  # labels of uint64 beyond int64 come out negative too
        i = int(labels.argmin())
        raise ValueError(f"y[{i}] is {y[i]}, expected labels from 0 up")
    return labels


def _prepare_rows(y: NDArray[Any]) -> NDArray[np.float64]:
    rows = np.array(y, dtype=np.float64, order="C")
    legal = ((rows >= 0) & (rows <= 1 + _SUM_TOLERANCE)).all(axis=1)  # false for NaN
    if not legal.all():
        i = int(legal.argmin())
        raise ValueError(f"y[{i}] is {rows[i]}, expected probabilities: finite, none below 0 or above 1")
    sums = rows.sum(axis=1)
    legal = np.abs(sums - 1) <= _SUM_TOLERANCE
    if not legal.all():
        i = int(legal.argmin())
        raise ValueError(f"y[{i}] sums to {sums[i]}, expected 1; divide each row by its sum")
    return rows
