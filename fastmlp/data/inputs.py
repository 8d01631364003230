"""Inputs as the kernels take them."""

import contextlib
import math
import mmap
import reprlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TAKEN = frozenset(map(np.dtype, (np.uint8, np.float32, np.float64)))  # what the kernels take as it is
_PLAIN = (int, float, complex, str, bytes, np.generic)  # what holds no masked element


def prepare_inputs(X: ArrayLike) -> NDArray[Any]:
    """Give X as the kernels take it; not copied where it is so already, in whatever layout.

    Parameters
    ----------
    X : (n, n_features), any real numbers; may be read-only, Fortran-ordered, a memory map or a data frame

    Returns
    -------
    X : (n, n_features), uint8, float32 or float64, aligned and of native byte order; other types become
        float32 where that holds all their values, else float64

    Raises
    ------
    ValueError
        X is not two-dimensional, has masked elements, or does not hold real numbers.

    Warns
    -----
    UserWarning
        X is a memory map of another type, of which there is a copy in memory now.
    """
    array = X if type(X) is np.ndarray and X.ndim and X.dtype in _TAKEN else as_array(X, "X")
    if array.ndim == 1:
        raise ValueError(
            f"X has shape {array.shape}, expected (n, n_features); for one sample: np.reshape(X, (1, -1))"
        )
    if array.ndim > 2:
        flat = len(array), math.prod(array.shape[1:])
        raise ValueError(f"X has shape {array.shape}, expected (n, n_features); try np.reshape(X, {flat})")
    dtype = _input_dtype(array.dtype)
    if array.dtype == dtype and array.flags.aligned:
        return array
    if _is_mapped(array):
        warnings.warn(
            f"X is a memory map of {array.dtype}: a copy of {array.size * dtype.itemsize:,} bytes is made in "
            f"{dtype}, {dtype.itemsize / array.itemsize:g} times the file; a map of uint8, or of aligned "
            "float32 or float64 of this machine's byte order, is used as it lies",
            stacklevel=3,
        )
    # what is too large for float64 becomes infinite, which the model refuses
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _is_mapped(array: Any) -> bool:
    """Tell whether an array's memory is a file's, be it a view of a view of the map."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array is not None


def _input_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype == np.uint8:
        return dtype
    return np.dtype(np.float32 if np.can_cast(dtype, np.float32) else np.float64)


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """Give an array of one dimension or more that holds real numbers, none of them masked."""
    refuse_masked(values, name)
    try:
        array = np.asarray(_numbers_of_frame(values))
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} is no array ({error}), expected rows of equal length") from error
    if array.ndim == 0:
        _refuse_single(values, array, name)
    if array.dtype.kind not in "biuf":
        _refuse_objects(values, array, name)
    return array


def _numbers_of_frame(values: Any) -> Any:
    """Give the numbers of a data frame that NumPy would make objects of: of several types, or nullable."""
    if not hasattr(values, "to_numpy") or not hasattr(values, "dtypes"):
        return values
    columns = np.atleast_1d(np.asarray(values.dtypes, object))  # a series has a single one
    dtypes = {getattr(dtype, "numpy_dtype", dtype) for dtype in columns}
    if not dtypes or not all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes):
        return values
    try:
        return values.to_numpy(dtype=np.result_type(*dtypes))
    except (TypeError, ValueError):  # values are missing, which then are objects
        return values


def _refuse_single(values: Any, array: NDArray[Any], name: str) -> None:
    if array.dtype.kind in "biuf":
        raise ValueError(
            f"{name} is the single number {array}, expected an array with an entry for each sample"
        )
    calls = (f"{name}.{method}()" for method in ("toarray", "collect", "compute") if hasattr(values, method))
    remedy = next(calls, "")  # sparse ones, and frames that are not there yet
    if isinstance(values, Iterator):
        remedy = f"list({name})"
    elif isinstance(values, Mapping):
        remedy = f"np.column_stack(list({name}.values()))"
    kind = f"{'sparse ' if hasattr(values, 'toarray') else ''}{type(values).__name__}"
    expected = f"an array or a list of real numbers{'; try ' if remedy else ''}{remedy}"
    raise ValueError(f"{name} is of type {kind}, expected {expected}")


def _refuse_objects(values: Any, array: NDArray[Any], name: str) -> None:
    """Raise ValueError for what are no real numbers, with a call that makes some of them."""
    what, is_label = f"has dtype {array.dtype}", name in ("y", "labels")
    elements: Any = array.ravel() if array.dtype.kind in "OmM" else []
    for i, element in enumerate(elements):
        is_nan = isinstance(element, float | np.inexact) and element != element
        if element is None or is_nan or str(element) in ("<NA>", "NaT"):
            place = ", ".join(str(int(k)) for k in np.unravel_index(i, array.shape))
            raise ValueError(
                f"{name}[{place}] is {element}, a missing value: leave out the rows with one, or fill them"
            )
    remedy = _call_for_numbers(array, name)
    if not remedy and (array.dtype.kind in "UST" or any(isinstance(one, str | bytes) for one in elements)):
        if is_label and array.size == len(array):
            plain = f"np.ravel({name})" + ("" if array.dtype.kind in "UT" else ".astype(str)")
            remedy = (
                f"classes, {name} = np.unique({plain}, return_inverse=True), a model whose last width is "
                "len(classes), with class_names=classes, and for its other data np.searchsorted(classes, "
                f"{plain})"
            )
        elif hasattr(values, "dtypes") and hasattr(values, "iloc"):
            remedy = f"pandas.get_dummies({name})"
        elif array.ndim == 2:
            remedy = f"sklearn.preprocessing.OneHotEncoder().fit_transform({name}).toarray()"
    strange = [one for one in elements if not isinstance(one, int | float | np.generic)]
    if strange:
        what += f", with the element {reprlib.repr(strange[0])}"
    raise ValueError(f"{name} {what}, expected real numbers{'; try ' if remedy else ''}{remedy}")


def _call_for_numbers(array: NDArray[Any], name: str) -> str:
    """Give a call that makes the same numbers of an array, once it has done so here; or nothing."""
    if array.dtype.kind == "c":
        return f"np.real({name})"
    if array.dtype.names:
        return f"numpy.lib.recfunctions.structured_to_unstructured({name})"
    if array.dtype.kind == "O":
        with contextlib.suppress(ValueError):
            rows = np.stack(list(array))
            if rows.ndim > array.ndim and rows.dtype.kind in "biuf":  # each element is a row
                return f"np.stack(list({name}))"
    for kind in (int, float):
        try:
            numbers = array.astype(kind)
        except (TypeError, ValueError, OverflowError):
            continue
        if kind is float or array.dtype.kind != "O" or (numbers == array.astype(float)).all():
            return f"np.asarray({name}).astype({kind.__name__})"
    return ""


def is_masked(values: Any) -> bool:
    """Whether an array has masked elements."""
    # np.ma is left alone for others: its first use imports it, and a fork meanwhile keeps that lock for ever
    return isinstance(values, np.ndarray) and type(values) is not np.ndarray and bool(np.ma.is_masked(values))


def refuse_masked(values: Any, name: str) -> None:
    """Raise ValueError where an array, or one in a list, has masked elements: NumPy would drop the mask."""
    if isinstance(values, np.ndarray):
        if is_masked(values):
            raise ValueError(
                f"{name} has masked elements, which have no value: "
                f"leave out the rows that hold them, or fill them, as in {name}.filled(0)"
            )
    elif isinstance(values, Sequence) and not isinstance(values, str | bytes):
        if all(issubclass(kind, _PLAIN) for kind in set(map(type, values))):
            return  # at once, for rows of many numbers
        for i, value in enumerate(values):
            refuse_masked(value, f"{name}[{i}]")
