"""Inputs as the kernels take them: what is converted, refused, and not copied."""

import re

import numpy as np
import pandas
import pytest
from layouts import LAYOUTS

from fastmlp.data import prepare_inputs


class TestPrepareInputs:
    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
    def test_does_not_copy(self, tmp_path, layout, dtype):
        X = LAYOUTS[layout](np.arange(70).reshape(10, 7).astype(dtype), tmp_path)
        got = prepare_inputs(X)
        assert type(got) is np.ndarray and got.dtype == dtype and got.strides == X.strides
        assert got.ctypes.data == X.ctypes.data

    @pytest.mark.parametrize(
        "dtype, expected",
        [
            (bool, np.float32),
            (np.int8, np.float32),
            (np.uint16, np.float32),
            (np.float16, np.float32),
            (">f4", np.float32),
            (np.int32, np.float64),
            (np.int64, np.float64),
            (np.uint64, np.float64),
            (">f8", np.float64),
            (np.longdouble, np.float64),
        ],
    )
    def test_converts(self, dtype, expected):
        got = prepare_inputs(np.array([[0, 1], [1, 0]], dtype))
        np.testing.assert_array_equal(got, np.array([[0, 1], [1, 0]], expected), strict=True)
        assert got.dtype.isnative

    @pytest.mark.skipif(np.finfo(np.longdouble).bits == 64, reason="long double is float64 here")
    def test_what_no_float64_holds_becomes_infinite(self):
        assert prepare_inputs(np.full((1, 2), np.finfo(np.longdouble).max)).tolist() == [[np.inf, np.inf]]

    def test_takes_lists(self):
        np.testing.assert_array_equal(prepare_inputs([[1, 2.5]]), np.array([[1, 2.5]]), strict=True)

    def test_aligns(self):
        X = np.frombuffer(bytes(1 + 4 * 6), np.uint8)[1:].view(np.float32).reshape(2, 3)
        assert not X.flags.aligned
        assert prepare_inputs(X).flags.aligned

    @pytest.mark.parametrize(
        "X, message",
        [
            (np.zeros((2, 3, 4)), r"\(2, 3, 4\).*np\.reshape\(X, \(2, 12\)\)"),
            (np.zeros(3), r"\(3,\).*np\.reshape\(X, \(1, -1\)\)"),
            (1.0, "single number 1.0"),
            (np.zeros((2, 2), complex), "complex128, expected real numbers"),
            ([["a", "b"]], "<U1, expected real numbers"),
            (np.zeros((2, 2), object), "object, expected real numbers"),
            (np.zeros((2, 2), "M8[s]"), r"datetime64\[s\], expected real numbers"),
            ([[1, 2], [3]], "X is no array .*expected rows of equal length"),
        ],
    )
    def test_refuses(self, X, message):
        with pytest.raises(ValueError, match=message):
            prepare_inputs(X)

    def test_takes_masked_arrays_without_masked_elements(self):
        X = np.ma.array([[1.0, 2.0], [3.0, 4.0]])
        for given in (X, np.ma.array(X, mask=np.zeros((2, 2), bool)), list(X), [X[0].tolist(), X[1]]):
            got = prepare_inputs(given)
            assert type(got) is np.ndarray and got.tolist() == X.tolist()

    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, bool])
    def test_refuses_masked_elements(self, dtype):
        X = np.ma.array(np.ones((3, 2)), dtype=dtype)
        X[2, 0] = np.ma.masked
        remedy = re.escape("leave out the rows that hold them, or fill them, as in X.filled(0)")
        with pytest.raises(ValueError, match=f"X has masked elements.*{remedy}"):
            prepare_inputs(X)
        np.testing.assert_array_equal(prepare_inputs(X.filled(0)), X.filled(0))
        np.testing.assert_array_equal(prepare_inputs(X[:2]), [[1, 1], [1, 1]])

    def test_names_what_is_masked_in_a_list(self):
        X = [np.ma.array([1.0, 2.0]), np.ma.array([1.0, 2.0], mask=[1, 0])]
        with pytest.raises(ValueError, match=re.escape("X[1] has masked elements, ")):
            prepare_inputs(X)
        X[1] = X[1].filled(0)  # as the text says
        assert prepare_inputs(X).tolist() == [[1, 2], [0, 2]]
        with pytest.raises(ValueError, match=re.escape("X[0][1] has masked elements, ")):
            prepare_inputs(([1.0, np.ma.masked], [1.0, 2.0]))

    @pytest.mark.parametrize(
        "dtype, n_bytes, times",
        [("f2", 4, 2), ("i2", 4, 2), (">f4", 4, 1), (">f8", 8, 1), ("?", 4, 4), ("i4", 8, 2)],
    )
    def test_warns_of_a_memory_map_that_is_copied(self, tmp_path, dtype, n_bytes, times):
        mapped = np.memmap(tmp_path / "X", dtype, "w+", shape=(1000, 8))
        for X in (mapped, mapped[::2], np.asarray(mapped)[:500], np.frombuffer(memoryview(mapped), dtype)):
            X = X.reshape(-1, 8)
            said = (
                rf"a copy of {X.size * n_bytes:,} bytes is made in float\d+, {times} times the file; a map of"
            )
            with pytest.warns(UserWarning, match=said):
                got = prepare_inputs(X)
            np.testing.assert_array_equal(got, X)
        prepare_inputs(mapped.astype(dtype))  # what lies in memory is converted without a word

    def test_takes_wide_frames(self):
        X = pandas.DataFrame(
            {i: pandas.array([i, 1], "Int64") if i % 2 else [True, False] for i in range(300)}
        )
        got = prepare_inputs(X)
        np.testing.assert_array_equal(got, X.to_numpy(dtype=np.float64), strict=True)

    def test_rows_among_objects_are_told_apart(self):
        X = np.empty(2, object)
        for given, remedy in (([[1, 2], [3, 4]], True), ([[1, 2], 3], False), ([[1, 2], [3, [4]]], False)):
            X[0], X[1] = given
            with pytest.raises(ValueError, match="object, with the element .* expected real") as caught:
                prepare_inputs(X)
            assert str(caught.value).endswith("; try np.stack(list(X))") == remedy
