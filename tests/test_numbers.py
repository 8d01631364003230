"""Numbers that options are."""

import numpy as np
import pytest

from fastmlp.numbers import flag, is_real, number, whole

KINDS = pytest.mark.parametrize(
    "kind", [int, float, np.int8, np.uint64, np.float16, np.float64, np.longdouble]
)


@KINDS
def test_numbers_of_python_and_numpy_are_taken_as_pythons(kind):
    assert is_real(kind(3)) and number("x", kind(3)) == 3
    assert type(number("x", kind(3))) in (int, float)


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), "3", None, 3j, np.complex64(3), np.ones(1), [3], np.array(3.0)], ids=repr
)
def test_what_is_no_real_number_is_refused(value):
    assert not is_real(value)
    with pytest.raises(ValueError, match="x is .*, expected a finite number from 0 up"):
        number("x", value)
    with pytest.raises(ValueError, match="x is .*, expected a whole number from 1 up"):
        whole("x", value, 1)


@pytest.mark.parametrize("value", [-1, -1e-300, float("nan"), float("inf"), -float("inf"), 10**400], ids=repr)
def test_what_is_not_finite_or_below_0_is_refused(value):
    with pytest.raises(ValueError, match=f"x is {value!r}, expected a finite number from 0 up$"):
        number("x", value)


def test_limits():
    assert number("x", 0) == 0 and number("x", 0.999, below=1) == 0.999 and number("x", 1e-300, above=0) > 0
    with pytest.raises(ValueError, match="x is 1, expected a finite number from 0 up and below 1"):
        number("x", 1, below=1)
    with pytest.raises(ValueError, match="x is 0.0, expected a finite number above 0"):
        number("x", 0.0, above=0)


def test_whole_numbers():
    assert type(whole("x", np.int64(3))) is int and whole("x", 0) == 0
    for wrong in (1.0, np.float64(1), -1):
        with pytest.raises(ValueError, match="expected a whole number from 0 up"):
            whole("x", wrong)


def test_flags():
    for value in (True, False, np.True_, np.False_):
        assert flag("x", value) is bool(value)
    for wrong in ("no", "", 0, 1, 1.0, None, np.ones(1, bool)):
        with pytest.raises(ValueError, match="x is .*, expected True or False"):
            flag("x", wrong)
