"""The reference's door: the names of its functions."""

from fastmlp import reference


def test_all_names_the_public_functions():
    own = {name for name, f in vars(reference).items() if callable(f)}
    assert set(reference.__all__) == own
