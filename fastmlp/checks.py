"""What a model is configured with, checked as it comes in; a check raises a ValueError that says more."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Give the widths as a tuple: two or more, of at least 1."""
    try:
        checked = tuple(operator.index(width) for width in sizes)
    except TypeError:
        checked = ()
    if len(checked) < 2 or min(checked) < 1 or max(checked) >= 2**31:  # what model files hold
        raise ValueError(
            f"sizes is {sizes!r}, expected two or more widths of 1 to 2**31 - 1, such as [784, 128, 10]"
        )
    return checked


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Give the dtype: float32 or float64."""
    checked = None if dtype is None else np.dtype(dtype)  # NumPy takes None for float64
    if checked not in (np.float32, np.float64):
        raise ValueError(f"dtype is {checked}, expected float32 or float64")
    return checked


def check_scale(scale: float, dtype: np.dtype[Any]) -> float:
    """Give the factor of the inputs: finite, and not 0 in the model's dtype."""
    try:
        checked = float(scale)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"scale is {scale!r}, expected a number such as 1 / 255") from None
    with np.errstate(over="ignore", under="ignore"):
        rounded = dtype.type(checked)
    if not np.isfinite(rounded) or rounded == 0:
        raise ValueError(f"scale is {scale!r}, expected a finite number other than 0 in {dtype}")
    return checked


def check_image_shape(image_shape: Sequence[int] | None, n_in: int) -> tuple[int, ...] | None:
    """Give the sides of an image as a tuple; their product is the input width."""
    if image_shape is None:
        return None
    try:
        checked = tuple(operator.index(side) for side in image_shape)
    except TypeError:
        checked = ()
    if min(checked, default=0) < 1 or math.prod(checked) != n_in:
        raise ValueError(
            f"image_shape is {image_shape!r}, expected sides whose product is {n_in}, the input width"
        )
    return checked


def check_class_names(class_names: Sequence[str] | None, n_classes: int) -> tuple[str, ...] | None:
    """Give the names of the classes as a tuple, one a class."""
    if class_names is None:
        return None
    if not np.iterable(class_names):
        raise ValueError(f"class_names is {class_names!r}, expected {n_classes} names, one a class")
    checked = tuple(str(name) for name in class_names)
    if len(checked) != n_classes:
        raise ValueError(f"class_names has {len(checked)} names, expected {n_classes}, one a class")
    return checked
