"""Labels as the kernels take them."""

import numpy as np
import pytest

from fastmlp.data import prepare_labels, to_one_hot


class TestToOneHot:
    def test_rows(self):
        got = to_one_hot([2, 0, 2], 4)
        expected = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]], np.float32)
        np.testing.assert_array_equal(got, expected, strict=True)

    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64, bool])
    def test_takes_any_integers(self, dtype):
        np.testing.assert_array_equal(to_one_hot(np.array([1, 0], dtype), 2), [[0, 1], [1, 0]])

    @pytest.mark.parametrize(
        "labels, message",
        [
            ([0, 3, 1], r"labels\[1\] is 3, expected 0 to 2 for 3 classes"),
            ([0, -1], r"\[1\] is -1, expected labels from 0 up"),
            ([0.0, 1.0], r"float64, expected integer labels; try .*astype\(int\)"),
            ([[0], [1]], r"\(2, 1\).*ravel\(\)"),
            ([[1, 0, 0]], r"shape \(1, 3\), expected \(batch,\) integers"),
            (3, "single number"),
        ],
    )
    def test_refuses(self, labels, message):
        with pytest.raises(ValueError, match=message):
            to_one_hot(labels, 3)


class TestPrepareLabels:
    @pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.uint64, ">i4"])
    def test_integers(self, dtype):
        y = np.array([1, 0, 1], dtype)
        got = prepare_labels(y, 3)
        np.testing.assert_array_equal(got, np.array([1, 0, 1], np.int64), strict=True)
        assert not np.shares_memory(got, y)

    @pytest.mark.parametrize("dtype", [bool, int, np.float32, np.float64])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_rows(self, dtype, order):
        y = np.array([[0, 1, 0], [1, 0, 0]], dtype, order=order)
        got = prepare_labels(y, 2)
        np.testing.assert_array_equal(got, y.astype(np.float64), strict=True)
        assert got.flags.c_contiguous and not np.shares_memory(got, y)

    def test_rows_of_rounded_probabilities(self):
        y = np.random.default_rng(0).dirichlet(np.ones(10), 1000).astype(np.float32)
        np.testing.assert_array_equal(prepare_labels(y, 1000), y.astype(np.float64))

    @pytest.mark.parametrize(
        "excess, legal", [(0.9e-6, True), (-0.9e-6, True), (1.1e-6, False), (-1.1e-6, False)]
    )
    def test_rows_sum_to_1_within_a_millionth(self, excess, legal):
        y = [[0.5, 0.5], [0.25, 0.75 + excess]]
        if legal:
            assert prepare_labels(y, 2)[1, 1] == 0.75 + excess
        else:
            with pytest.raises(ValueError, match=r"y\[1\] sums to .*expected 1"):
                prepare_labels(y, 2)

    @pytest.mark.parametrize(
        "y, message",
        [
            (np.zeros((3, 1), int), r"\(3, 1\), a column.*ravel\(\)"),
            (np.ones((3, 1)), r"\(3, 1\), a column.*ravel\(\)"),
            (np.zeros((4, 1), int), r"\(4, 1\), a column.*ravel\(\)"),
            (np.zeros((3, 2, 2)), r"\(3, 2, 2\), expected \(n,\) integers"),
            (np.zeros(3), r"float64, expected integer labels; try y\.astype\(int\)"),
            (np.zeros(4, int), "y has 4 labels, expected 3"),
            (np.ones((2, 2)), "y has 2 labels, expected 3"),
            ([0, -7, 1], r"y\[1\] is -7, expected labels from 0 up"),
            (np.array([0, 2**64 - 1, 1], np.uint64), r"y\[1\] is 18446744073709551615, expected labels"),
            (["a", "b", "c"], "<U1, expected real numbers"),
            (7, "single number 7"),
            ([[1, 0], [0, 1], [0, np.nan]], r"y\[2\] is .*nan.*finite"),
            ([[1, 0], [np.inf, -np.inf], [0, 1]], r"y\[1\] is .*inf.*finite"),
            ([[1, 0], [1.5, -0.5], [0, 1]], r"y\[1\] is .*-0\.5.*none below 0"),
            ([[1, 0], [0, 1], [0, 0]], r"y\[2\] sums to 0\.0, expected 1"),
            (np.zeros((3, 0)), r"y\[0\] sums to 0\.0, expected 1"),
            ([[1, 0], [0, 1], [1]], "y is no array .*expected rows of equal length"),
        ],
    )
    def test_refuses(self, y, message):
        with pytest.raises(ValueError, match=message):
            prepare_labels(y, 3)

    def test_takes_masked_arrays_without_masked_elements(self):
        y = np.ma.array([1, 0, 1], mask=[0, 0, 0])
        np.testing.assert_array_equal(prepare_labels(y, 3), np.array([1, 0, 1]), strict=True)

    @pytest.mark.parametrize("rows", [False, True])
    def test_refuses_masked_elements(self, rows):
        y = np.ma.array(np.eye(2)[[1, 0, 1]] if rows else [1, 0, 1])
        y[1] = np.ma.masked
        with pytest.raises(ValueError, match="y has masked elements, .*leave out the rows that hold them"):
            prepare_labels(y, 3)
        with pytest.raises(ValueError, match=r"y\[1\] has masked elements"):
            prepare_labels(list(y), 3)
        assert prepare_labels(y[[0, 2]], 2).tolist() == y[[0, 2]].tolist()
        with pytest.raises(ValueError, match="y has masked elements"):
            to_one_hot(y, 2)
