"""MNIST, which comes with the package."""

import contextlib
import hashlib
import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastmlp.atomic import safe_write
from fastmlp.kernels.core import machine

from .idx import read_whole

_SHIPPED = Path(__file__).parent
_MNIST = {  # of the decompressed files, the length of the header and the shape of what follows it
    "train-images-idx3-ubyte": (16, (60_000, 784)),
    "train-labels-idx1-ubyte": (8, (60_000,)),
    "t10k-images-idx3-ubyte": (16, (10_000, 784)),
    "t10k-labels-idx1-ubyte": (8, (10_000,)),
}
_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load_mnist(verify: bool = False) -> tuple[NDArray[np.uint8], ...]:
    """Load the MNIST data set that is shipped with the package.

    The first call unpacks it into the user's cache folder (FASTMLP_CACHE overrides which), and that and later
    calls map those files into memory. Where the folder cannot be written, each call unpacks into memory. The
    arrays are read-only. An unpacked file that is damaged is unpacked again.

    Parameters
    ----------
    verify : look for damage in the images too, by the SHA-256 of their files, which takes a fraction of a
        second; else only their sizes are checked, and the labels

    Returns
    -------
    X_train, y_train, X_test, y_test : uint8, (60000, 784), (60000,), (10000, 784) and (10000,)

    Raises
    ------
    ValueError
        A shipped file is damaged.
    """
    try:
        folder = machine.cache_folder() / "mnist"
    except RuntimeError:  # there is no home directory
        return tuple(_view(name, _unpack(name)) for name in _MNIST)
    return tuple(_open_mnist(name, folder / name, verify or "labels" in name) for name in _MNIST)


def _open_mnist(name: str, path: Path, verify: bool) -> NDArray[np.uint8]:
    array = _map(name, path, verify)
    if array is not None:
        return array
    content = _unpack(name)
    with contextlib.suppress(OSError, ValueError):  # not writable, or a folder has the file's name
        machine.make_folder(path.parent)
        with safe_write(path) as temporary:
            content.tofile(temporary)
    mapped = _map(name, path, verify)
    return _view(name, content) if mapped is None else mapped


def _map(name: str, path: Path, verify: bool) -> NDArray[np.uint8] | None:
    """Map an unpacked file; None where there is none of the right size and, if asked, digest."""
    offset, shape = _MNIST[name]
    try:
        with open(path, "rb") as stream:
            # reading beyond the end of a truncated file's map would kill the process
            if os.fstat(stream.fileno()).st_size != offset + math.prod(shape):
                return None
            if verify and hashlib.file_digest(stream, "sha256").hexdigest() != _SHA256[name]:
                return None
            return np.memmap(stream, np.uint8, "r", offset, shape).view(np.ndarray)
    except OSError:
        return None


def _unpack(name: str) -> NDArray[np.uint8]:
    """Give all bytes of a shipped file, decompressed and checked."""
    path = _SHIPPED / f"{name}.gz"
    content, _, _ = read_whole(path)
    digest = hashlib.sha256(content.data).hexdigest()
    if digest != _SHA256[name]:
        raise ValueError(f"{path}: found SHA-256 {digest}, expected {_SHA256[name]}; install fastmlp again")
    return content


def _view(name: str, content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    offset, shape = _MNIST[name]
    array = content[offset:].reshape(shape)
    array.flags.writeable = False  # as a mapped one is
    return array
