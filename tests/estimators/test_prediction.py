"""Predictions read coefficients where they lie, and a row's does not depend on the others."""

import numpy as np
import pytest
from twins import assert_close, load, make, quietly

from fastmlp.config import ACTIVATIONS

COMMON = {"hidden_layer_sizes": (9, 6), "random_state": 1, "max_iter": 2, "batch_size": 50}
X, Y = load("digits", 300)


def both(**parameters):
    pair = make("digits", **COMMON | parameters)
    for it in pair:
        quietly(it.fit, X, Y)
    return pair


CHANGES = {
    "as they are": lambda a: a,
    "Fortran order": np.asfortranarray,
    "float32": lambda a: a.astype(np.float32),
    "backwards": lambda a: a[::-1],
    "every second one of more": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "integers": lambda a: np.rint(10 * a).astype(int),
    "big-endian": lambda a: a.astype(">f8"),
}


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_coefficients_of_any_layout_are_read(change, kind):
    pair = both()
    for it in pair:
        it.coefs_, it.intercepts_ = ([change(a) for a in arrays] for arrays in (it.coefs_, it.intercepts_))
        for array in it.coefs_ + it.intercepts_:
            array.flags.writeable = False
    got, expected = (it.predict_proba(X.astype(kind)) for it in pair)
    assert got.dtype == expected.dtype
    assert_close(got, expected, 1e-4 if got.dtype == np.float32 else 1e-9)


def test_what_is_written_counts_at_once():
    pair = both()
    for it in pair:
        it.coefs_[0] *= 1.5
        it.intercepts_[2][3] += 2
    assert_close(pair[0].predict_proba(X), pair[1].predict_proba(X), 1e-9)
    np.testing.assert_array_equal(pair[0].network_.predict_proba(X), pair[0].predict_proba(X))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_predictions_are_bit_by_bit_the_networks_and_each_rows_own(activation, dtype):
    it = make("digits", **COMMON)[0].set_params(activation=activation, dtype=dtype)
    quietly(it.fit, X, Y)
    many = np.tile(X, (5, 1))  # more than are looked at at once
    whole = it.predict_proba(many)
    np.testing.assert_array_equal(whole, it.network_.predict_proba(many.astype(it.coefs_[0].dtype)))
    np.testing.assert_array_equal(whole[:300], whole[-300:])
    for row in (0, 7, 299):
        np.testing.assert_array_equal(it.predict_proba(X[row : row + 1]), whole[row : row + 1])
    np.testing.assert_array_equal(it.predict_proba(np.asfortranarray(X)), whole[:300])


def test_a_network_without_hidden_layers_predicts():
    pair = both(hidden_layer_sizes=())
    assert_close(pair[0].predict_proba(X), pair[1].predict_proba(X), 1e-9)
