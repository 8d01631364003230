"""IDX files: what is read, what is refused, and what memory it takes."""

import re
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from idx_files import FORMS, idx_bytes, images, store

from fastmlp import data


class TestReadIdx:
    @settings(max_examples=60, deadline=None)
    @given(
        array=hnp.arrays(st.sampled_from("u1 i1 i2 i4 f4 f8".split()), hnp.array_shapes(max_dims=5)),
        form=st.sampled_from(FORMS),
    )
    def test_round_trip(self, array, form):
        with tempfile.TemporaryDirectory() as folder:
            got = data.read_idx(store(Path(folder), form, idx_bytes(array)))
        np.testing.assert_array_equal(got, array, strict=True)
        assert got.flags.carray  # aligned too, and so quick to read

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
            (b"\0\0\x0a\x01\0\0\0\x01" + bytes(4), "type code 0x0a", "one of 0x08, 0x09, 0x0b, 0x0c"),
            (b"\0\0\x08\x41" + b"\0\0\0\x01" * 65 + b"\0", "65 dimensions", "from 1 to 64"),
            (b"\0\0\x08\x00\0", "0 dimensions", "from 1 to 64"),
            (
                idx_bytes(np.zeros(3))[:-1],
                r"(31|at most \d+) bytes",
                r"32, as .*\(3,\) of float64.*truncated",
            ),
            (idx_bytes(np.zeros(3, np.int16)) + b"\0", "more bytes", "14, as .*overlong"),
            (b"\0\0\x0e\x01\x7f\xff\xff\xff", r"dimensions \(2147483647,\) of float64", "from 1 to"),
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
            "65 dimensions",
            "0 dimensions",
            "truncated floats",
            "overlong integers",
            "too many floats",
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
        with pytest.raises(
            ValueError, match=rf"{path}: found uint8 \(5,\), expected images, uint8 \(n, rows"
        ):
            data.load_mnist_images(path)

    def test_labels_refuse_images(self, tmp_path):
        path = store(tmp_path, "raw", idx_bytes(images(5)))
        with pytest.raises(ValueError, match=rf"{path}: found uint8 \(5, 28, 28\), expected labels"):
            data.load_mnist_labels(path)

    def test_images_refuse_what_is_no_byte(self, tmp_path):
        path = store(tmp_path, "raw", idx_bytes(images(5).astype(np.float32)))
        with pytest.raises(ValueError, match=rf"{path}: found float32 \(5, 28, 28\), expected images, uint8"):
            data.load_mnist_images(path)

    def test_labels_of_qmnist(self, tmp_path):
        path = store(tmp_path, "gz", idx_bytes(np.array([[9, *range(300, 307)], [3] + 7 * [-1]], np.int32)))
        np.testing.assert_array_equal(data.load_mnist_labels(path), np.uint8([9, 3]), strict=True)

    @pytest.mark.parametrize(
        ("labels", "found"),
        [
            (np.array([0, -1, -2], np.int32), "label -2 at 2, expected 0 to 255"),
            (np.array([0, 256], np.int16), "label 256 at 1, expected 0 to 255"),
            (np.array([0.0, 1.0]), r"float64 \(2,\), expected labels"),
            (np.zeros((2, 7), np.int32), r"int32 \(2, 7\), expected labels"),
        ],
    )
    def test_labels_refuse_what_is_no_byte(self, tmp_path, labels, found):
        path = store(tmp_path, "raw", idx_bytes(labels))
        with pytest.raises(ValueError, match=f"{path}: found {found}"):
            data.load_mnist_labels(path)

    def test_labels_refuse_what_is_no_digit(self, tmp_path):
        path = store(tmp_path, "raw", idx_bytes(np.array([0, 9, 10], np.uint8)))
        with pytest.raises(ValueError, match=f"{path}: found label 10 at 2, expected 0 to 9"):
            data.load_mnist_labels(path)
