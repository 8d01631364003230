"""Labels as the kernels take them, and weights of rows."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from fastmlp.data import class_weights, labels_for, prepare_labels, prepare_weights, to_one_hot
from fastmlp.data.labels import warn_of_absent_classes


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
            ([0, 3, 1], "labels has the label 3, expected 0 to 2 of 3 classes"),
            ([0, -1], r"the label -1, expected 0 to 2 .* labels = np.unique\(np.ravel\(labels\), return_inv"),
            ([0.0, 1.0], r"floats, expected \(n,\) integer labels; try np.ravel\(labels\).astype\(int\)"),
            ([0.5, 1.0], r"labels\[0\] is 0.5, expected integer labels"),
            ([[0], [1]], r"\(2, 1\).*np.ravel\(labels\)"),
            ([[1, 0, 0]], r"shape \(1, 3\), expected \(batch,\) integers; try np.argmax\(labels, axis=1\)"),
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

    @pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2)])
    def test_targets(self, shape):
        y = np.linspace(-1e300, 1e5, np.prod(shape)).reshape(shape)
        got = prepare_labels(y, 3)
        np.testing.assert_array_equal(got, y, strict=True)
        assert not np.shares_memory(got, y)

    def test_integers_below_0(self):
        np.testing.assert_array_equal(prepare_labels(np.int8([-1, 3]), 2), np.array([-1, 3]), strict=True)

    @pytest.mark.parametrize(
        "y, message",
        [
            (np.zeros((4, 1), int), "y has 4 labels, expected 3"),
            (np.zeros((3, 2, 2)), r"\(3, 2, 2\), expected \(n,\) integers"),
            (np.zeros((3, 0)), r"\(3, 0\), expected \(n,\) integers"),
            (np.zeros(4, int), "y has 4 labels, expected 3"),
            (np.ones((2, 2)), "y has 2 labels, expected 3"),
            (np.array([0, 2**64 - 1, 1], np.uint64), r"y\[1\] is 18446744073709551615, expected integers"),
            (["a", "b", "c"], "<U1, expected real numbers"),
            (7, "single number 7"),
            ([0, 1, np.nan], r"y\[2\] is nan, expected finite numbers"),
            ([[1, 0], [0, 1], [0, np.nan]], r"y\[2\] is .*nan.*finite"),
            ([[1, 0], [np.inf, -np.inf], [0, 1]], r"y\[1\] is .*inf.*finite"),
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
        with pytest.raises(ValueError, match="labels has masked elements"):
            to_one_hot(y, 2)


class TestLabelsFor:
    @pytest.mark.parametrize(
        "y", [[2, 0, 1], np.eye(3), np.full((3, 3), 1 / 3)], ids=["integers", "one-hot", "rows"]
    )
    def test_softmax_takes_them_as_they_are(self, y):
        y = prepare_labels(y, 3)
        assert labels_for(y, "softmax", 3) is y

    def test_softmax_of_one_class(self):
        for y in ([0, 0], [[1.0], [1.0]]):
            np.testing.assert_array_equal(labels_for(prepare_labels(y, 2), "softmax", 1), y)

    @pytest.mark.parametrize(
        "excess, legal", [(0.9e-6, True), (-0.9e-6, True), (1.1e-6, False), (-1.1e-6, False)]
    )
    def test_rows_sum_to_1_within_a_millionth(self, excess, legal):
        y = prepare_labels([[0.5, 0.5], [0.25, 0.75 + excess]], 2)
        if legal:
            assert labels_for(y, "softmax", 2)[1, 1] == 0.75 + excess
        else:
            with pytest.raises(ValueError, match=r"y\[1\] sums to .*expected 1"):
                labels_for(y, "softmax", 2)

    @pytest.mark.parametrize("n_classes", [2, 10, 1000])
    @pytest.mark.parametrize("dtype", [np.float16, ">f2"])
    def test_rows_of_half_precision_sum_to_1_within_its_rounding(self, n_classes, dtype):
        shares = np.random.default_rng(0).dirichlet(np.ones(n_classes), 500)
        rounded = shares.astype(dtype)
        by_own_sum = rounded / rounded.sum(axis=1, keepdims=True)  # the remedy, in half precision too
        for y in (rounded, by_own_sum):
            got = labels_for(prepare_labels(y, 500), "softmax", n_classes)
            np.testing.assert_array_equal(got, y.astype(np.float64), strict=True)
        assert np.abs(rounded.astype(float).sum(axis=1) - 1).max() > 1e-5
        with pytest.raises(ValueError, match="sums to .*expected 1; divide each row by its sum"):
            labels_for(prepare_labels(rounded.astype(np.float64), 500), "softmax", n_classes)
        with pytest.raises(ValueError, match="divide each row by its sum|none below 0 or above 1"):
            labels_for(prepare_labels(rounded * np.float16(1.003), 500), "softmax", n_classes)

    @pytest.mark.parametrize(
        "output, y",
        [
            ("logistic", [0, 1, 1]),
            ("logistic", [False, True, True]),
            ("logistic", [0.0, 0.25, 1.0]),
            ("identity", [-3, 0, 2]),
            ("identity", [-3.5, 1e300, 2.0]),
            ("exp", [0, 7, 2]),
            ("exp", [0.0, 1e300, 2.5]),
        ],
    )
    @pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3)])
    def test_targets(self, output, y, shape):
        expected = np.array(y, np.float64).reshape(shape if len(shape) == 2 else (3, 1))
        given = prepare_labels(np.reshape(y, shape), shape[0])
        got = labels_for(given, output, expected.shape[1])
        np.testing.assert_array_equal(got, expected, strict=True)
        assert got.flags.c_contiguous

    @pytest.mark.parametrize(
        "output, y, n_out, message",
        [
            ("softmax", [0, -7, 1], 3, r"the label -7, expected .* return_inverse=True\)\[1\]$"),
            ("softmax", [0, 3, 1], 3, "y has the label 3, expected 0 to 2 of 3 classes"),
            ("softmax", [0, 3, 1, 2, 5], 3, r"try .*\[1\] and 5 classes$"),
            ("softmax", [0.0, 1.0], 3, r"floats, expected .*integer labels; try np.ravel\(y\).astype\(int\)"),
            ("softmax", [0.0, 1.5], 3, r"y\[1\] is 1\.5, expected integer labels; .* output='identity'"),
            ("softmax", [0.0, 1e300], 3, "y has the label 1000000"),
            ("softmax", [[0], [1]], 3, r"\(2, 1\), a column.*np.ravel\(y\)"),
            (
                "softmax",
                [0, 1],
                1,
                "y has the label 1, expected 0 to 0 of 1 classes; two classes want output='log",
            ),
            ("softmax", [0.0, 1.0], 1, "y has the label 1, .* two classes want output='logistic'"),
            (
                "softmax",
                [[0], [1]],
                1,
                r"y\[0\] sums to 0\.0, expected 1; two classes want output='logistic'",
            ),
            ("softmax", [[1.0], [0.5]], 1, r"y\[1\] sums to 0\.5, expected 1"),
            (
                "softmax",
                [[1, 1, 1], [0, 1, 0]],
                3,
                r"y\[0\] sums to 3\.0, .* labels a row want output='logistic'",
            ),
            (
                "softmax",
                [[1, 1, 0], [0, 0, 0]],
                3,
                r"y\[1\] sums to 0\.0, expected 1; leave out the rows of zeros",
            ),
            ("softmax", [[0.5, 1, 0], [0, 0, 1]], 3, r"y\[0\] sums to 1\.5, .* divide each row by its sum$"),
            ("softmax", [[2.5, 1], [1, 0]], 2, r"none below 0 or above 1; numbers .* output='identity'"),
            ("logistic", [-1, 1], 1, r"y\[0\] is -1, expected 0 or 1; try y = np.unique"),
            ("softmax", np.eye(4), 3, "y has 4 columns, expected 3, the model's classes"),
            ("softmax", [[1, 0], [1.5, -0.5]], 2, r"y\[1\] is .*-0\.5.*none below 0"),
            ("softmax", [[1, 0], [0, 0]], 2, r"y\[1\] sums to 0\.0, expected 1"),
            ("logistic", [0, 1, 2], 1, r"y\[2\] is 2, expected 0 or 1"),
            ("logistic", [0, -1], 1, r"y\[1\] is -1, expected 0 or 1"),
            ("logistic", [0, 1.5], 1, r"y\[1\] is 1\.5, expected probabilities, none below 0 or above 1"),
            ("logistic", [[0, 1], [1, -0.5]], 2, r"y\[1\] is \[ 1\.  -0\.5\], expected probabilities"),
            ("logistic", [0, 1], 2, r"y has shape \(2,\), expected \(n, 2\), a column for each output"),
            ("logistic", [[0, 1]], 1, "y has 2 columns, expected 1, the model's outputs"),
            ("identity", [0.5], 2, r"y has shape \(1,\), expected \(n, 2\)"),
            ("identity", [[0.5]], 2, "y has 1 columns, expected 2"),
            ("exp", [1, 0, -1], 1, r"y\[2\] is -1, expected none below 0"),
            ("exp", [[1, 0], [2, -0.5]], 2, r"y\[1\] is .*, expected none below 0"),
            ("sigmoid", [1], 1, "output is 'sigmoid', expected one of softmax, logistic, identity, exp"),
        ],
    )
    def test_refuses(self, output, y, n_out, message):
        with pytest.raises(ValueError, match=message):
            labels_for(prepare_labels(y, len(y)), output, n_out)

    @pytest.mark.parametrize("output", ["softmax", "logistic", "identity", "exp"])
    def test_no_rows(self, output):
        assert len(labels_for(prepare_labels(np.zeros(0, int), 0), output, 1)) == 0


class TestPrepareWeights:
    @pytest.mark.parametrize("dtype", [bool, int, np.float32, np.float64])
    def test_copies(self, dtype):
        given = np.array([1, 0, 1], dtype)
        got = prepare_weights(given, 3)
        np.testing.assert_array_equal(got, np.array([1.0, 0, 1]), strict=True)
        assert not np.shares_memory(got, given)

    @pytest.mark.parametrize(
        "given, message",
        [
            ([1, 2], r"sample_weight has shape \(2,\), expected \(3,\), one for each row of X"),
            (np.ones((3, 1)), r"sample_weight has shape \(3, 1\).*; try np.ravel\(sample_weight\)$"),
            ([1, np.nan, 1], r"sample_weight\[1\] is nan, expected a finite number from 0 up"),
            ([1, 1, np.inf], r"sample_weight\[2\] is inf"),
            ([-0.5, 1, 1], r"sample_weight\[0\] is -0\.5"),
            ([0, 0, 0], r"sample_weight sums to 0\.0, expected a finite number above 0"),
            ([1e308, 1e308, 1], "sample_weight sums to inf"),
            (["a", "b", "c"], "sample_weight has dtype <U1"),
            (np.ma.array([1, 1, 1], mask=[0, 1, 0]), "sample_weight has masked elements"),
        ],
    )
    def test_refuses(self, given, message):
        with pytest.raises(ValueError, match=message):
            prepare_weights(given, 3)


class TestClassWeights:
    Y = np.array([3, 0, 3, 3, 7, 0, -2])

    @pytest.mark.parametrize(
        "class_weight", ["balanced", {3: 0.5, 0: 2, 7: 0, -2: 9}, {np.int64(3): 0.5}, {}], ids=str
    )
    def test_are_those_of_scikit_learn(self, class_weight):
        classes = np.unique(self.Y)
        by_class = compute_class_weight(class_weight, classes=classes, y=self.Y)
        expected = by_class[np.searchsorted(classes, self.Y)]
        np.testing.assert_array_equal(class_weights(self.Y, class_weight), expected, strict=True)

    def test_of_no_labels(self):
        assert class_weights(np.zeros(0, int), "balanced").shape == (0,)

    @pytest.mark.parametrize(
        "y, class_weight, message",
        [
            (Y, "even", "class_weight is 'even', expected 'balanced' or a weight for each class"),
            (Y, [1, 2], r"class_weight is \[1, 2\]"),
            (Y, {0: 1, 5: 2, "a": 1}, r"names \[5, 'a'\], which y lacks; it has \[-2, 0, 3, 7\]"),
            (Y, {3: -1}, r"class_weight\[3\] is -1\.0, expected a finite number from 0 up"),
            (Y, {7: np.nan}, r"class_weight\[7\] is nan"),
            (Y, {7: "a"}, "class_weight has dtype"),
            (
                Y.astype(float),
                "balanced",
                r"y is float64 of shape \(7,\), .*; try np.ravel\(y\).astype\(int\)",
            ),
            (np.eye(3), "balanced", r"y is float64 of shape \(3, 3\), .*; try np.argmax\(y, axis=1\)"),
        ],
    )
    def test_refuses(self, y, class_weight, message):
        with pytest.raises(ValueError, match=message):
            class_weights(y, class_weight)


class TestWarnOfAbsentClasses:
    @pytest.mark.parametrize(
        "y, n_out, expected",
        [
            ([10, 20, 30], 31, r"y has 3 of the model's 31 classes.* np.unique\(.*, and a last width of 3$"),
            ([0, 4], 5, "y has 2 of the model's 5 classes"),
            (np.eye(5)[[1, 3, 3]], 5, "without its columns of zeros, and a last width of 2$"),
        ],
    )
    def test_fewer_than_half(self, y, n_out, expected):
        with pytest.warns(UserWarning, match=expected):
            warn_of_absent_classes(labels_for(prepare_labels(y, len(y)), "softmax", n_out), n_out)

    @pytest.mark.parametrize("y, n_out", [([0, 3], 4), ([1, 0, 1], 3), (np.full((1, 5), 0.2), 5), ([0], 1)])
    def test_half_or_more_are_quiet(self, y, n_out):
        warn_of_absent_classes(labels_for(prepare_labels(y, len(y)), "softmax", n_out), n_out)
