"""Inputs as the kernels take them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TAKEN = frozenset(map(np.dtype, (np.uint8, np.float32, np.float64)))  # what the kernels take as it is
_PLAIN = (int, float, complex, str, bytes, np.generic)  # what holds no masked element


def prepare_inputs(X: ArrayLike) -> NDArray[Any]:
    """Give X as the kernels take it; not copied where it is so already, in whatever layout.

    Parameters
    ----------
    X : (n, n_features), any real numbers; may be read-only, Fortran-ordered or a memory map

    Returns
    -------
    X : (n, n_features), uint8, float32 or float64, aligned and of native byte order; other types become
        float32 where that holds all their values, else float64

    Raises
    ------
    ValueError
        X is not two-dimensional, has masked elements, or does not hold real numbers.
    """
    array = X if type(X) is np.ndarray and X.ndim and X.dtype in _TAKEN else as_array(X, "X")
    if array.ndim == 1:
        raise ValueError(
            f"X has shape {array.shape}, expected (n, n_features); for one sample: X.reshape(1, -1)"
        )
    if array.ndim > 2:
        raise ValueError(f"X has shape {array.shape}, expected (n, n_features); try X.reshape(len(X), -1)")
    dtype = _input_dtype(array.dtype)
    if array.dtype == dtype and array.flags.aligned:
        return array
    # what is too large for float64 becomes infinite, which the model refuses
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _input_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype == np.uint8:
        return dtype
    return np.dtype(np.float32 if np.can_cast(dtype, np.float32) else np.float64)


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """Give an array of one dimension or more that holds real numbers, none of them masked."""
    refuse_masked(values, name)
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} is no array ({error}), expected rows of equal length") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} has dtype {array.dtype}, expected real numbers; try {name}.astype(np.float32)"
        )
    if array.ndim == 0:
        raise ValueError(
            f"{name} is the single number {array}, expected an array with an entry for each sample"
        )
    return array


def refuse_masked(values: Any, name: str) -> None:
    """Raise ValueError where an array, or one in a list, has masked elements: NumPy would drop the mask."""
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise ValueError(
                f"{name} has masked elements, which have no value: "
                f"leave out the rows that hold them, or fill them, as in {name}.filled(0)"
            )
    elif isinstance(values, Sequence) and not isinstance(values, str | bytes):
        if all(issubclass(kind, _PLAIN) for kind in set(map(type, values))):
            return  # at once, for rows of many numbers
        for i, value in enumerate(values):
            refuse_masked(value, f"{name}[{i}]")
