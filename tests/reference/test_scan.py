"""The reference's pass over a data set."""

import numpy as np
import pytest

from fastmlp import reference


def test_scan():
    assert reference.scan(np.array([[0, 200], [255, 0]], np.uint8)) == (True, 255.0, 0.5)
    assert reference.scan(np.array([[-3.0, 2.0, 0.0, -0.0]])) == (True, 3.0, 0.5)
    assert reference.scan(np.array([[np.nan, 2.0]])) == (False, np.inf, 1.0)
    assert reference.scan(np.array([[-np.inf, 0.0]], np.float32)) == (False, np.inf, 0.5)
    assert reference.scan(np.empty((0, 4))) == (True, 0.0, 0.0)


@pytest.mark.parametrize("n_features", [1, 63, 64, 65, 784])
def test_zero_masks(n_features):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((5, n_features)) * (rng.random((5, n_features)) < 0.3)
    x[0, -1] = np.nan
    masks = np.full((5, -(-n_features // 64)), np.uint64(2**64 - 1))
    reference.zero_masks(x, masks)
    for i, j in np.ndindex(5, 64 * masks.shape[1]):
        bit = int(masks[i, j // 64]) >> (j % 64) & 1
        assert bit == (j < n_features and x[i, j] != 0)
