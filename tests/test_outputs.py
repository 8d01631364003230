"""What a model says of its last layer's numbers."""

import numpy as np
import pytest

from fastmlp.outputs import predictions, probabilities

Z = [[0.5, -1.0, 2.0], [0.0, -3.0, -0.25], [-200.0, 200.0, 0.0]]
EACH_DTYPE = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@EACH_DTYPE
class TestPredictions:
    def test_softmax(self, dtype):
        got = predictions("softmax", np.array(Z, dtype))
        np.testing.assert_array_equal(got, np.array([2, 0, 1]), strict=True)

    def test_logistic(self, dtype):
        z = np.array(Z, dtype)
        expected = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]])
        np.testing.assert_array_equal(predictions("logistic", z), expected, strict=True)
        np.testing.assert_array_equal(predictions("logistic", z[:, :1]), expected[:, 0], strict=True)

    def test_identity(self, dtype):
        z = np.array(Z, dtype)
        np.testing.assert_array_equal(predictions("identity", z), z, strict=True)
        np.testing.assert_array_equal(predictions("identity", z[:, :1]), z[:, 0], strict=True)

    def test_exp(self, dtype):
        z = np.array(Z, dtype)
        with np.errstate(over="ignore"):
            expected = np.exp(z)
        assert np.isinf(expected).any() == (dtype == np.float32)
        np.testing.assert_array_equal(predictions("exp", z[:, :1].copy()), expected[:, 0], strict=True)
        np.testing.assert_array_equal(predictions("exp", z), expected, strict=True)

    @pytest.mark.parametrize("output", ["softmax", "logistic", "identity", "exp"])
    def test_no_rows(self, dtype, output):
        for n_out in (1, 3):
            shape = (0,) if n_out == 1 or output == "softmax" else (0, 3)
            assert predictions(output, np.empty((0, n_out), dtype)).shape == shape


@EACH_DTYPE
class TestProbabilities:
    def test_softmax(self, dtype):
        z = np.array(Z, dtype)
        p = np.exp(z.astype(np.longdouble))
        expected = p / p.sum(axis=1, keepdims=True)
        got = probabilities("softmax", z.copy())
        # (n_classes + 4) u + 2 u max|z - max| of each, as the loss's; what is below the normal numbers goes
        u = np.finfo(dtype).eps / 2
        bound = expected * u * (7 + 2 * np.abs(z - z.max(axis=1, keepdims=True))) + np.finfo(dtype).tiny
        assert got.dtype == dtype and (np.abs(got - expected) <= bound).all()

    def test_logistic(self, dtype):
        z = np.array(Z, dtype)
        expected = 1 / (1 + np.exp(-z.astype(np.longdouble)))
        got = probabilities("logistic", z.copy())
        # exp within 2 u, a sum and a quotient
        bound = expected * 5 * np.finfo(dtype).eps / 2 + np.finfo(dtype).tiny
        assert got.dtype == dtype and (np.abs(got - expected) <= bound).all()

    def test_one_logistic_unit_has_two_classes(self, dtype):
        z = np.array(Z, dtype).reshape(-1, 1)
        got = probabilities("logistic", z.copy())
        expected = probabilities("logistic", np.hstack([-z, z]))
        np.testing.assert_array_equal(got, expected, strict=True)
        np.testing.assert_allclose(got.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(got.argmax(axis=1), predictions("logistic", z))

    def test_no_rows(self, dtype):
        for output in ("softmax", "logistic"):
            assert probabilities(output, np.empty((0, 3), dtype)).shape == (0, 3)
        assert probabilities("logistic", np.empty((0, 1), dtype)).shape == (0, 2)

    @pytest.mark.parametrize("output", ["identity", "exp"])
    def test_targets_have_none(self, dtype, output):
        with pytest.raises(ValueError, match=rf"output is {output}, which has no .*; use predict\(X\)"):
            probabilities(output, np.array(Z, dtype))
