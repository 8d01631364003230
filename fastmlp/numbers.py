"""Numbers that options are: Python's and NumPy's, finite and in range; true and false are none, but flags."""

import math
import reprlib
from typing import Any

import numpy as np

_LARGEST = float(np.finfo(np.float64).max)


def is_real(value: Any) -> bool:
    """Tell whether a value is a real number of Python or of NumPy."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def number(name: str, value: Any, below: float = math.inf, above: float | None = None) -> Any:
    """Give a finite number as Python's: from 0 up, or above `above`, and below `below`."""
    plain = value
    if isinstance(value, np.generic) and is_real(value):
        plain = int(value) if isinstance(value, np.integer) else float(value)
    lowest = 0 if above is None else above
    if not is_real(value) or not lowest <= plain <= _LARGEST or not plain < below or plain == above:
        low = "from 0 up" if above is None else f"above {above:g}"
        high = f" and below {below:g}" if below < math.inf else ""
        raise ValueError(f"{name} is {value!r}, expected a finite number {low}{high}")
    return plain


def whole(name: str, value: Any, lowest: int = 0) -> int:
    """Give a whole number as Python's: from `lowest` up."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < lowest:
        raise ValueError(f"{name} is {value!r}, expected a whole number from {lowest} up")
    return int(value)


def truth(name: str, value: Any) -> bool:
    """Give what Python takes for true or false as one of them; arrays are neither."""
    try:
        return bool(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is of type {type(value).__name__}, expected True or False") from None


def flag(name: str, value: Any) -> bool:
    """Give true or false as Python's; numbers and words are neither."""
    if not isinstance(value, bool | np.bool):
        raise ValueError(f"{name} is {value!r}, expected True or False")
    return bool(value)


def generator(seed: Any) -> np.random.Generator:
    """Give the numbers that NumPy draws from a seed."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(f"seed is {reprlib.repr(seed)}, expected what default_rng takes: {error}") from None
