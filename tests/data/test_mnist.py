"""MNIST as it is shipped: unpacked once, then mapped."""

import gzip
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from idx_files import idx_bytes, images

import fastmlp
from fastmlp import data
from fastmlp.data import mnist

DIGESTS = {  # SHA-256 of the decompressed files
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


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
        monkeypatch.setattr(mnist, "_SHIPPED", cache / "none")  # nothing is left to unpack
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

    @pytest.mark.parametrize(("name", "verify"), [("t10k-labels", False), ("t10k-images", True)])
    def test_mends_damage_of_the_right_size(self, cache, name, verify):
        data.load_mnist()
        path = next(cache.glob(f"{name}*"))
        damaged = bytearray(path.read_bytes())
        damaged[5000] ^= 0x80  # a label that is no digit, or a pixel
        path.write_bytes(damaged)
        check_mnist(data.load_mnist(verify=verify))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == DIGESTS[path.name]

    def test_damage_that_cannot_be_mended_is_not_used(self, cache, monkeypatch):
        data.load_mnist()
        for path in cache.iterdir():
            path.write_bytes(bytes(path.stat().st_size))

        def refuse(path):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(mnist, "safe_write", refuse)
        check_mnist(data.load_mnist(verify=True))

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

        monkeypatch.setattr("fastmlp.kernels.core.machine.cache_folder", no_home)
        check_mnist(data.load_mnist())

    def test_refuses_a_damaged_package(self, cache, monkeypatch, tmp_path):
        shipped = tmp_path / "train-images-idx3-ubyte.gz"
        shipped.write_bytes(gzip.compress(idx_bytes(images(3))))
        monkeypatch.setattr(mnist, "_SHIPPED", tmp_path)
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
        notice = (Path(data.__file__).parent / "NOTICE").read_text()
        assert dict(re.findall(r"^([0-9a-f]{64}) +\d+ +(\S+)$", notice, re.M)) == {
            digest: name for name, digest in DIGESTS.items()
        }
