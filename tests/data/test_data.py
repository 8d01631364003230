"""Files, labels and the loader: what is read, what is refused, and what is not copied."""

import gzip
import hashlib
import itertools
import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastmlp
from fastmlp import data, idx, reference
from fastmlp.data import DataLoader, Facts, prepare_inputs, prepare_labels, to_one_hot

DIGESTS = {  # SHA-256 of the decompressed files
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def idx_bytes(array):
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def store(folder, form, content, method=zipfile.ZIP_DEFLATED):
    """Write content in one of the forms that are read; give the path to read."""
    if form == "raw":
        path = folder / "file"
        path.write_bytes(content)
    elif form == "gz":
        path = folder / "file.gz"
        path.write_bytes(gzip.compress(content, 1))
    else:
        path = folder / "archive.zip" / "inner" / "file"
        with zipfile.ZipFile(folder / "archive.zip", "w", method) as archive:
            archive.writestr("inner/file", gzip.compress(content) if form == "gz in zip" else content)
    return path


def images(n, rows=28, columns=28):
    return np.random.default_rng(n).integers(0, 256, (n, rows, columns), dtype=np.uint8)


FORMS = ["raw", "gz", "zip", "gz in zip"]


class TestReadIdx:
    @settings(max_examples=40, deadline=None)
    @given(
        array=hnp.arrays(np.uint8, st.one_of(*(hnp.array_shapes(min_dims=d, max_dims=d) for d in (1, 3)))),
        form=st.sampled_from(FORMS),
    )
    def test_round_trip(self, array, form):
        with tempfile.TemporaryDirectory() as folder:
            got = data.read_idx(store(Path(folder), form, idx_bytes(array)))
        np.testing.assert_array_equal(got, array, strict=True)

    def test_takes_a_string(self, tmp_path):
        path = store(tmp_path, "zip", idx_bytes(images(2)))
        assert data.read_idx(str(path)).shape == (2, 28, 28)

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize(
        "content, found, expected",
        [
            (b"", "the end of the file within its header", "4 bytes"),
            (b"\0\0\x08", "the end of the file within its header", "4 bytes"),
            (b"\0\0\x08\x03\0\0\0\x05\0\0", "the end of the file within its header", "12 bytes"),
            (
                idx_bytes(images(3))[:-1],
                r"(2367|at most \d+) bytes",
                r"2368, as .*\(3, 28, 28\).*truncated",
            ),
            (idx_bytes(images(3)) + b"\0", "more bytes", "2368, as .*overlong"),
            (b"\x12\x34\x08\x03" + bytes(12), "magic 0x12340803", "0x00000803"),
            (b"\0\0\x0d\x01\0\0\0\x01" + bytes(4), "type code 0x0d", r"0x08 \(unsigned bytes\)"),
            (b"\0\0\x08\x02\0\0\0\x01\0\0\0\x01\0", "2 dimensions", r"3 \(images\) or 1"),
            (b"\0\0\x08\x00\0", "0 dimensions", r"3 \(images\) or 1"),
            (b"\0\0\x08\x01\0\0\0\0", r"dimensions \(0,\)", "from 1 to"),
            (b"\0\0\x08\x03\0\0\0\x05\0\0\0\0\0\0\0\x02", r"dimensions \(5, 0, 2\)", "from 1 to"),
            (b"\0\0\x08\x03" + b"\xff" * 12, r"dimensions \(4294967295, ", "from 1 to 8589934592 bytes"),
            (b"\0\0\x08\x01\xff\xff\xff\xff" + bytes(9), "at most", r"4294967303, as .*truncated"),
            # the product is a multiple of 2**64, which 64-bit arithmetic would take for 0
            (b"\0\0\x08\x03\x80\0\0\0\x80\0\0\0\0\0\0\x04", r"dimensions \(2147483648, 2", "from 1 to"),
        ],
        ids=[
            "empty",
            "cut in magic",
            "cut in dimensions",
            "truncated",
            "overlong",
            "magic",
            "type code",
            "2 dimensions",
            "0 dimensions",
            "size 0",
            "a side of 0",
            "absurd",
            "absurd for its length",
            "product wraps",
        ],
    )
    def test_refuses_bad_content(self, tmp_path, form, content, found, expected):
        path = store(tmp_path, form, content)
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: found {found}.*expected.*{expected}"):
            data.read_idx(path)

    def test_refuses_a_bad_checksum_of_gzip(self, tmp_path):
        path = store(tmp_path, "gz", idx_bytes(images(3)))
        damaged = bytearray(path.read_bytes())
        damaged[-8] ^= 1  # the last eight bytes are checksum and length
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path}: found unreadable .*CRC.*expected a sound file"):
            data.read_idx(path)

    def test_refuses_a_bad_checksum_of_a_zip_member(self, tmp_path):
        content = idx_bytes(images(3))
        path = store(tmp_path, "zip", content, zipfile.ZIP_STORED)
        archive = tmp_path / "archive.zip"
        damaged = bytearray(archive.read_bytes())
        damaged[damaged.index(content) + 100] ^= 1
        archive.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path}: found unreadable .*CRC.*expected a sound file"):
            data.read_idx(path)

    @pytest.mark.parametrize("cut", [1, 9, 1000])
    def test_refuses_truncated_gzip(self, tmp_path, cut):
        path = store(tmp_path, "gz", idx_bytes(images(3)))
        path.write_bytes(path.read_bytes()[:-cut])
        with pytest.raises(
            ValueError, match=f"{path}: found unreadable .*ended before .*expected a sound file"
        ):
            data.read_idx(path)

    def test_refuses_damaged_deflate_data(self, tmp_path):
        path = store(tmp_path, "gz", idx_bytes(images(3)))
        path.write_bytes(path.read_bytes()[:10] + b"\xff" * 100)
        with pytest.raises(ValueError, match=f"{path}: found unreadable .*expected a sound file"):
            data.read_idx(path)

    def test_refuses_an_archive_without_a_member(self, tmp_path):
        archive = store(tmp_path, "zip", idx_bytes(images(3))).parents[1]
        with pytest.raises(ValueError, match=f"found a zip archive, .*{archive}/member-name"):
            data.read_idx(archive)

    def test_refuses_other_compression_in_a_zip(self, tmp_path):
        path = store(tmp_path, "zip", idx_bytes(images(3)), zipfile.ZIP_BZIP2)
        with pytest.raises(ValueError, match=f"{path}: found compression 12, expected stored or deflated"):
            data.read_idx(path)

    def test_refuses_a_damaged_archive(self, tmp_path):
        path = store(tmp_path, "zip", idx_bytes(images(3)))
        archive = tmp_path / "archive.zip"
        damaged = bytearray(archive.read_bytes())
        damaged[-6:-2] = b"\xff\xff\xff\x7f"  # where the list of members starts
        archive.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path}: found unreadable .*expected a sound file"):
            data.read_idx(path)

    def test_refuses_a_path_through_a_file(self, tmp_path):
        path = store(tmp_path, "raw", idx_bytes(images(3))) / "member"
        with pytest.raises(ValueError, match=f"{path}: found unreadable .*not a zip file"):
            data.read_idx(path)

    def test_refuses_a_missing_member(self, tmp_path):
        archive = store(tmp_path, "zip", idx_bytes(images(3))).parents[1]
        with pytest.raises(FileNotFoundError, match=f"{archive}: found no member other, .*inner/file"):
            data.read_idx(archive / "other")

    def test_refuses_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=f"{tmp_path}/none: found no such file, expected an IDX"):
            data.read_idx(tmp_path / "none")

    def test_refuses_a_folder(self, tmp_path):
        with pytest.raises(ValueError, match=f"{tmp_path}: found a folder .*expected an IDX file"):
            data.read_idx(tmp_path)


class TestMemory:
    LEGAL = 8 * 2**20

    def peak_of_reading(self, path):
        tracemalloc.start()
        try:
            data.read_idx(path)
            refused = False
        except ValueError:
            refused = True
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak, refused

    @pytest.mark.parametrize("form", FORMS)
    def test_a_legal_file_takes_less_than_twice_its_size(self, tmp_path, form):
        path = store(tmp_path, form, idx_bytes(np.ones(self.LEGAL, np.uint8)))
        peak, refused = self.peak_of_reading(path)
        assert not refused and self.LEGAL <= peak < 2 * self.LEGAL

    @pytest.mark.parametrize("form", ["gz", "zip", "gz in zip"])
    def test_a_bomb_takes_less_than_twice_what_it_announces(self, tmp_path, form):
        announced = b"\0\0\x08\x01" + self.LEGAL.to_bytes(4, "big")
        path = store(tmp_path, form, announced + bytes(8 * self.LEGAL))
        peak, refused = self.peak_of_reading(path)
        assert refused and peak < 2 * self.LEGAL

    @pytest.mark.parametrize("form", FORMS)
    def test_a_small_file_cannot_announce_a_large_array(self, tmp_path, form):
        path = store(tmp_path, form, b"\0\0\x08\x01" + (2**32 - 1).to_bytes(4, "big"))
        peak, refused = self.peak_of_reading(path)
        assert refused and peak < 2**20

    def test_an_archive_cannot_lie_about_a_member(self, tmp_path):
        content = b"\0\0\x08\x01" + (2**31).to_bytes(4, "big")
        path = store(tmp_path, "zip", content, zipfile.ZIP_STORED)
        archive = tmp_path / "archive.zip"
        size = len(content).to_bytes(4, "little")
        archive.write_bytes(
            archive.read_bytes().replace(size + size, size + (2**31 + 8).to_bytes(4, "little"))
        )
        peak, refused = self.peak_of_reading(path)
        assert refused and peak < 2**20


class TestLoadMnistFiles:
    @pytest.mark.parametrize("form", FORMS)
    def test_images_are_rows(self, tmp_path, form):
        got = data.load_mnist_images(store(tmp_path, form, idx_bytes(images(5))))
        np.testing.assert_array_equal(got, images(5).reshape(5, 784), strict=True)

    @pytest.mark.parametrize("form", FORMS)
    def test_labels(self, tmp_path, form):
        labels = np.arange(10, dtype=np.uint8)
        got = data.load_mnist_labels(store(tmp_path, form, idx_bytes(labels)))
        np.testing.assert_array_equal(got, labels, strict=True)

    def test_images_refuse_labels(self, tmp_path):
        path = store(tmp_path, "raw", idx_bytes(np.arange(5, dtype=np.uint8)))
        with pytest.raises(ValueError, match=f"{path}: found labels .*expected images .*0x00000803"):
            data.load_mnist_images(path)

    def test_labels_refuse_images(self, tmp_path):
        path = store(tmp_path, "raw", idx_bytes(images(5)))
        with pytest.raises(ValueError, match=f"{path}: found images .*expected labels .*0x00000801"):
            data.load_mnist_labels(path)

    def test_labels_refuse_what_is_no_digit(self, tmp_path):
        path = store(tmp_path, "raw", idx_bytes(np.array([0, 9, 10], np.uint8)))
        with pytest.raises(ValueError, match=f"{path}: found label 10 at 2, expected 0 to 9"):
            data.load_mnist_labels(path)


def write_set(folder, prefix="", test="t10k", mark="-", gz=False, **replaced):
    """Write a data set of 6 and 4 images of 5 x 7; give its arrays by name."""
    arrays = {
        "train-images": images(6, 5, 7),
        "train-labels": np.array([0, 1, 2, 0, 1, 2], np.uint8),
        "test-images": images(4, 5, 7),
        "test-labels": np.array([2, 1, 0, 0], np.uint8),
    } | {name.replace("_", "-"): array for name, array in replaced.items()}
    for name, array in arrays.items():
        path = (
            folder / f"{prefix}{name.replace('test', test)}{mark}idx{array.ndim}-ubyte{'.gz' if gz else ''}"
        )
        path.write_bytes(gzip.compress(idx_bytes(array)) if gz else idx_bytes(array))
    return arrays


class TestLoadIdxDataset:
    @pytest.mark.parametrize("gz", [False, True])
    @pytest.mark.parametrize("mark", ["-", "."])
    @pytest.mark.parametrize("prefix, test", [("", "t10k"), ("emnist-digits-", "test")])
    def test_reads_every_naming(self, tmp_path, prefix, test, mark, gz):
        arrays = write_set(tmp_path, prefix, test, mark, gz)
        got = data.load_idx_dataset(tmp_path, flatten=False)
        for array, expected in zip(got, arrays.values(), strict=True):
            np.testing.assert_array_equal(array, expected, strict=True)

    def test_flattens(self, tmp_path):
        arrays = write_set(tmp_path)
        X_train, _, X_test, _ = data.load_idx_dataset(str(tmp_path))
        np.testing.assert_array_equal(X_train, arrays["train-images"].reshape(6, 35), strict=True)
        np.testing.assert_array_equal(X_test, arrays["test-images"].reshape(4, 35), strict=True)

    def test_prefers_the_raw_twin(self, tmp_path):
        write_set(tmp_path, gz=True)
        arrays = write_set(tmp_path, train_labels=np.ones(6, np.uint8), test_labels=np.zeros(4, np.uint8))
        np.testing.assert_array_equal(data.load_idx_dataset(tmp_path)[1], arrays["train-labels"])

    @pytest.mark.parametrize(
        "replaced, message",
        [
            (
                {"train_labels": np.zeros(7, np.uint8)},
                "train-labels-idx1-ubyte: found 7 labels, expected 6, .*train-images",
            ),
            (
                {"test_images": images(3, 5, 7)},
                "t10k-labels-idx1-ubyte: found 4 labels, expected 3, .*t10k-images",
            ),
            (
                {"test_images": images(4, 7, 5)},
                "t10k-images-idx3-ubyte: found images of 7 x 5, expected 5 x 7 .*train-images",
            ),
            (
                {"test_labels": np.array([0, 3, 1, 2], np.uint8)},
                "t10k-labels-idx1-ubyte: found label 3 at 1, expected 0 to 2, .*train-labels",
            ),
        ],
    )
    def test_refuses_files_that_do_not_fit(self, tmp_path, replaced, message):
        write_set(tmp_path, **replaced)
        with pytest.raises(ValueError, match=f"^{tmp_path}/{message}"):
            data.load_idx_dataset(tmp_path)

    def test_refuses_labels_under_an_image_name(self, tmp_path):
        write_set(tmp_path)
        path = tmp_path / "train-images-idx3-ubyte"
        path.write_bytes(idx_bytes(np.zeros(6, np.uint8)))
        with pytest.raises(ValueError, match=f"{path}: found labels .*expected images"):
            data.load_idx_dataset(tmp_path)

    def test_refuses_a_missing_file(self, tmp_path):
        write_set(tmp_path)
        (tmp_path / "t10k-labels-idx1-ubyte").unlink()
        message = f"{tmp_path}: found no such file, expected one t10k- or test-labels-idx1-ubyte"
        with pytest.raises(FileNotFoundError, match=message):
            data.load_idx_dataset(tmp_path)

    def test_refuses_two_sets_in_one_folder(self, tmp_path):
        write_set(tmp_path)
        write_set(tmp_path, prefix="emnist-")
        message = f"{tmp_path}: found emnist-train-images-idx3-ubyte, train-images-idx3-ubyte; expected one"
        with pytest.raises(ValueError, match=message):
            data.load_idx_dataset(tmp_path)

    def test_refuses_a_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=f"{tmp_path}/none: found no such folder, expected"):
            data.load_idx_dataset(tmp_path / "none")

    def test_refuses_a_file(self, tmp_path):
        path = store(tmp_path, "raw", b"")
        with pytest.raises(ValueError, match=f"{path}: found a file, expected a folder"):
            data.load_idx_dataset(path)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTMLP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist"


def check_mnist(arrays):
    """Check the digests, the headers put back."""
    headers = ["0803 0000ea60 0000001c 0000001c", "0801 0000ea60"]
    headers += ["0803 00002710 0000001c 0000001c", "0801 00002710"]
    assert [a.shape for a in arrays] == [(60000, 784), (60000,), (10000, 784), (10000,)]
    for array, header, digest in zip(arrays, headers, DIGESTS.values(), strict=True):
        assert type(array) is np.ndarray and array.dtype == np.uint8 and not array.flags.writeable
        assert hashlib.sha256(bytes.fromhex("0000" + header) + array.tobytes()).hexdigest() == digest


class TestLoadMnist:
    def test_unpacks_once_then_maps(self, cache, monkeypatch):
        check_mnist(data.load_mnist())
        sizes = {path.name: path.stat().st_size for path in cache.iterdir()}
        assert sizes == dict(zip(DIGESTS, [47_040_016, 60_008, 7_840_016, 10_008], strict=True))
        monkeypatch.setattr(idx, "_SHIPPED", cache / "none")  # nothing is left to unpack
        start = time.perf_counter()
        arrays = data.load_mnist()
        assert time.perf_counter() - start < 0.05
        check_mnist(arrays)

    def test_mends_files_of_a_wrong_size(self, cache):
        data.load_mnist()
        images_path, labels_path = cache / "t10k-images-idx3-ubyte", cache / "t10k-labels-idx1-ubyte"
        os.truncate(images_path, 5000)
        labels_path.write_bytes(labels_path.read_bytes() + b"\0")
        check_mnist(data.load_mnist())
        assert (images_path.stat().st_size, labels_path.stat().st_size) == (7_840_016, 10_008)

    def test_loads_into_memory_where_nothing_can_be_written(self, cache):
        cache.parent.write_bytes(b"")  # a file where the folder should be, which stops root too
        check_mnist(data.load_mnist())
        assert cache.parent.read_bytes() == b""

    def test_loads_into_memory_where_a_folder_has_a_files_name(self, cache):
        (cache / "t10k-images-idx3-ubyte").mkdir(parents=True)
        check_mnist(data.load_mnist())

    def test_loads_into_memory_without_a_home(self, monkeypatch):
        def no_home():
            raise RuntimeError("no home directory")

        monkeypatch.setattr("fastmlp.kernels.machine.cache_folder", no_home)
        check_mnist(data.load_mnist())

    def test_refuses_a_damaged_package(self, cache, monkeypatch, tmp_path):
        shipped = tmp_path / "train-images-idx3-ubyte.gz"
        shipped.write_bytes(gzip.compress(idx_bytes(images(3))))
        monkeypatch.setattr(idx, "_SHIPPED", tmp_path)
        with pytest.raises(ValueError, match=f"{shipped}: found SHA-256 [0-9a-f]{{64}}, expected ba891046"):
            data.load_mnist()
        assert not cache.exists()

    def test_two_processes_at_once(self, cache):
        code = "from fastmlp.data import load_mnist; print(*(int(a.sum(dtype=int)) for a in load_mnist()))"
        root = Path(fastmlp.__file__).parents[1]
        command = [sys.executable, "-c", code]
        running = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        outputs = [process.communicate(timeout=60)[0] for process in running]
        assert outputs == [f"{' '.join(str(a.sum(dtype=int)) for a in data.load_mnist())}\n"] * 2
        assert sorted(path.name for path in cache.iterdir()) == sorted(DIGESTS)

    def test_the_notice_lists_the_digests(self):
        notice = (Path(data.__file__).parent / "mnist" / "NOTICE").read_text()
        assert dict(re.findall(r"^([0-9a-f]{64}) +\d+ +(\S+)$", notice, re.M)) == {
            digest: name for name, digest in DIGESTS.items()
        }


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


def memory_map(folder, X):
    X.tofile(folder / "X")
    return np.memmap(folder / "X", X.dtype, "r", shape=X.shape)


def read_only(X):
    X.flags.writeable = False
    return X


LAYOUTS = {
    "C": lambda X, folder: X,
    "Fortran": lambda X, folder: np.asfortranarray(X),
    "strided": lambda X, folder: X[::2, 1::3],
    "reversed": lambda X, folder: X[::-1, ::-1],
    "read-only": lambda X, folder: read_only(X),
    "memory map": lambda X, folder: memory_map(folder, X),
}


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
            (np.zeros((2, 3, 4)), r"\(2, 3, 4\).*X\.reshape\(len\(X\), -1\)"),
            (np.zeros(3), r"\(3,\).*X\.reshape\(1, -1\)"),
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


def make_set(n=10, n_features=5):
    X = np.random.default_rng(n).standard_normal((n, n_features)).astype(np.float32)
    return X, np.arange(n) % 3


class TestOrders:
    @pytest.mark.parametrize("seed, words", [(7, [7]), ([7, 8], [7, 8]), ((7,), [7]), (np.int8(7), [7])])
    def test_pass_e_is_seeded_with_e(self, seed, words):
        loader = DataLoader(*make_set(), shuffle=True, seed=seed)
        for e in range(3):
            expected = np.random.default_rng([*words, e]).permutation(10)
            np.testing.assert_array_equal(loader.next_order(), expected)

    def test_a_generator_gives_its_next_permutation(self):
        loader = DataLoader(*make_set(), shuffle=True, seed=np.random.default_rng(3))
        twin = np.random.default_rng(3)
        for _ in range(3):
            np.testing.assert_array_equal(loader.next_order(), twin.permutation(10))

    def test_none_draws_a_seed_once(self):
        first, second = (DataLoader(*make_set(1000), shuffle=True) for _ in range(2))
        copy = pickle.loads(pickle.dumps(first))
        assert (first.next_order() != second.next_order()).any()
        copy.next_order()
        np.testing.assert_array_equal(first.next_order(), copy.next_order())

    def test_without_shuffle_samples_come_as_they_stand(self):
        loader = DataLoader(*make_set(), seed=7)
        for _ in range(2):
            np.testing.assert_array_equal(loader.next_order(), np.arange(10))

    def test_epoch_order(self):
        np.testing.assert_array_equal(
            data.epoch_order(99, [5, 2]), np.random.default_rng([5, 2]).permutation(99)
        )

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_orders_are_int64(self, shuffle):
        assert DataLoader(*make_set(), shuffle=shuffle).next_order().dtype == np.int64
        assert data.epoch_order(5, 0).dtype == np.int64

    @pytest.mark.parametrize(
        "n, batch_size, drop_last, length, used",
        [
            (10, 3, False, 4, 10),
            (10, 3, True, 3, 9),
            (9, 3, False, 3, 9),
            (9, 3, True, 3, 9),
            (2, 128, False, 1, 2),
        ],
    )
    def test_length(self, n, batch_size, drop_last, length, used):
        loader = DataLoader(*make_set(n), batch_size, drop_last=drop_last)
        assert len(loader) == length == len(list(loader))
        np.testing.assert_array_equal(loader.next_order(), np.arange(used))

    def test_a_pass_counts_when_it_begins(self):
        loader = DataLoader(*make_set(), shuffle=True, seed=7)
        iter(loader)
        loader.batches()
        loader.batches(reuse=True)
        np.testing.assert_array_equal(loader.next_order(), np.random.default_rng([7, 3]).permutation(10))


class TestBatches:
    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("reuse", [False, True])
    @pytest.mark.parametrize("drop_last", [False, True])
    def test_come_in_the_order_of_the_pass(self, tmp_path, layout, reuse, drop_last):
        X = LAYOUTS[layout](np.arange(20 * 7, dtype=np.uint8).reshape(20, 7), tmp_path)
        y = np.arange(len(X))
        loaders = [DataLoader(X, y, 4, shuffle=True, seed=1, drop_last=drop_last) for _ in range(2)]
        for _ in range(2):
            order = loaders[0].next_order()
            batches = [(a.copy(), b.copy()) for a, b in loaders[1].batches(reuse)]
            assert [len(b) for _, b in batches] == [len(order[i : i + 4]) for i in range(0, len(order), 4)]
            np.testing.assert_array_equal(np.concatenate([a for a, _ in batches]), X[order], strict=True)
            np.testing.assert_array_equal(np.concatenate([b for _, b in batches]), order, strict=True)

    def test_are_fresh(self):
        X, y = make_set()
        loader = DataLoader(X, y, 3)
        arrays = [array for batch in loader for array in batch] + [X, loader.y]
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))

    def test_reuse_one_buffer(self):
        loader = DataLoader(*make_set(), 3)
        arrays = list(loader.batches(reuse=True))
        assert {X.ctypes.data for X, _ in arrays} == {arrays[0][0].ctypes.data}
        assert {y.ctypes.data for _, y in arrays} == {arrays[0][1].ctypes.data}

    @pytest.mark.parametrize("layout, bound", [("C", 1), ("Fortran", 2)])
    def test_reuse_allocates_a_batch_at_most(self, tmp_path, layout, bound):
        X = LAYOUTS[layout](np.ones((5000, 1000), np.uint8), tmp_path)
        loader = DataLoader(X, np.zeros(5000, int), 500)
        tracemalloc.start()
        for _ in loader.batches(reuse=True):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < (bound + 0.2) * 500 * 1000

    def test_rows_of_labels(self):
        X, y = make_set()
        rows = to_one_hot(y, 3)
        for reuse in (False, True):
            got = [b.copy() for _, b in DataLoader(X, rows, 3).batches(reuse)]
            np.testing.assert_array_equal(np.concatenate(got), rows.astype(np.float64), strict=True)

    def test_create_batches(self):
        X, y = make_set()
        got = list(data.create_batches(X, y, 4, shuffle=True, seed=5))
        expected = list(DataLoader(X, y, 4, shuffle=True, seed=5))
        assert [len(a) for a, _ in got] == [4, 4, 2]
        for pair, expected_pair in zip(got, expected, strict=True):
            np.testing.assert_array_equal(pair[0], expected_pair[0], strict=True)
            np.testing.assert_array_equal(pair[1], expected_pair[1], strict=True)

    def test_create_batches_keeps_the_order_by_default(self):
        X, y = make_set()
        np.testing.assert_array_equal(np.concatenate([a for a, _ in data.create_batches(X, y, 4)]), X)


class TestDataLoader:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_does_not_copy_inputs(self, tmp_path, layout):
        X = LAYOUTS[layout](np.arange(70, dtype=np.float32).reshape(10, 7), tmp_path)
        assert DataLoader(X, np.zeros(len(X), int)).X.ctypes.data == X.ctypes.data

    def test_copies_labels(self):
        X, y = make_set()
        loader = DataLoader(X, y)
        y[:] = 99
        assert loader.y.max() == 2

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
    def test_facts(self, monkeypatch, ops, dtype):
        monkeypatch.setattr(fastmlp, "kernels", ops)
        X = np.array([[0, 3, 0], [7, 0, 0]], dtype)
        assert DataLoader(X, [4, 2]).facts == Facts(2, 3, True, 7.0, 1 / 3, None, 2, 4)
        assert DataLoader(X, [[0, 1], [1, 0]]).facts == Facts(2, 3, True, 7.0, 1 / 3, 2, None, None)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_facts_of_what_is_not_finite(self, monkeypatch, ops, value):
        monkeypatch.setattr(fastmlp, "kernels", ops)
        facts = DataLoader([[0, 1.5], [value, -2]], [0, 1]).facts
        assert not facts.finite and facts.density == 0.75

    @pytest.mark.parametrize(
        "switch, density, filled",
        [
            ("on", 1.0, True),
            ("off", 0.1, False),
            ("auto", 0.1, True),
            ("auto", 0.9, False),
            (None, 0.1, True),
            (None, 0.9, False),
        ],
    )
    def test_masks(self, monkeypatch, switch, density, filled):
        if switch:
            monkeypatch.setenv("FASTMLP_SKIP_ZEROS", switch)
        X = (np.random.default_rng(0).random((20, 70)) < density).astype(np.float32)
        expected = np.zeros((20, 2) if filled else (0, 0), np.uint64)
        if filled:
            reference.zero_masks(X, expected)
        np.testing.assert_array_equal(DataLoader(X, np.zeros(20, int)).masks, expected, strict=True)

    def test_refuses_another_switch(self, monkeypatch):
        monkeypatch.setenv("FASTMLP_SKIP_ZEROS", "yes")
        with pytest.raises(ValueError, match="FASTMLP_SKIP_ZEROS is 'yes'; set it to auto, on or off"):
            DataLoader(*make_set())

    @pytest.mark.parametrize("seed", [7, (1, 2), np.random.default_rng(3)])
    def test_a_pickle_goes_on_from_the_same_pass(self, seed):
        loader = DataLoader(*make_set(), 3, shuffle=True, seed=seed, drop_last=True)
        loader.next_order()
        copy = pickle.loads(pickle.dumps(loader))
        np.testing.assert_array_equal(copy.next_order(), loader.next_order())
        np.testing.assert_array_equal(copy.X, loader.X)
        np.testing.assert_array_equal(copy.y, loader.y)
        assert (copy.facts, len(copy), copy.masks.shape) == (loader.facts, len(loader), loader.masks.shape)

    @pytest.mark.parametrize(
        "options, error, message",
        [
            ({"batch_size": 0}, ValueError, "batch_size is 0, expected at least 1"),
            ({"batch_size": "a"}, TypeError, "batch_size is 'a', expected a whole number"),
            ({"batch_size": 2.0}, TypeError, "batch_size is 2.0, expected a whole number"),
            ({"seed": -1}, ValueError, "seed is -1, expected no number below 0"),
            ({"seed": [3, -1]}, ValueError, r"seed is \[3, -1\], expected no number below 0"),
            ({"seed": 1.5}, TypeError, "seed is 1.5, expected an int"),
            ({"seed": "12"}, TypeError, "seed is '12', expected an int"),
            ({"drop_last": True, "batch_size": 11}, ValueError, "no batch: 10 samples, batch_size 11"),
        ],
    )
    def test_refuses_options(self, options, error, message):
        with pytest.raises(error, match=message):
            DataLoader(*make_set(), **options)

    @pytest.mark.parametrize(
        "X, y, message",
        [
            (np.zeros((0, 5)), np.zeros(0, int), r"\(0, 5\), expected at least one sample"),
            (np.zeros((5, 0)), np.zeros(5, int), r"\(5, 0\), expected at least one sample"),
            (np.zeros((5, 2)), np.zeros(4, int), "y has 4 labels, expected 5, one for each row of X"),
            (np.zeros((5, 2, 2)), np.zeros(5, int), r"\(5, 2, 2\).*reshape"),
            (np.zeros((5, 2)), np.zeros((5, 1), int), r"\(5, 1\).*ravel"),
        ],
    )
    def test_refuses_data(self, X, y, message):
        with pytest.raises(ValueError, match=message):
            DataLoader(X, y)
