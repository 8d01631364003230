"""Numbers as the command line reads them; what it refuses is in test_train.py."""

import pytest

from fastmlp.cli.arguments import positive, scale_factor, whole_number


@pytest.mark.parametrize(
    ("text", "value"), [("1/255", 1 / 255), ("0.25", 0.25), ("3e-3", 3e-3), ("0.5/2", 0.25)]
)
def test_a_scale_is_a_number_or_a_fraction(text, value):
    assert scale_factor(text) == value


def test_bounds_of_whole_numbers_are_included():
    assert [whole_number(1, 4)(text) for text in "14"] == [1, 4]
    assert whole_number(0)("123456789012345678901") == 123456789012345678901


def test_a_positive_number_may_be_small():
    assert positive("1e-300") == 1e-300
