"""Files of the IDX format: raw, gzip-compressed, or in a zip archive."""

import contextlib
import gzip
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.atomic import file_name

PathLike = str | os.PathLike[str]

_LARGEST = 2**33  # bytes; the largest known set of this kind, MNIST8M, takes 6.4e9
_DEFLATE_RATIO = 1032  # deflate cannot expand further, so a small file cannot claim a large array
_CHUNK = 2**20  # gzip and zip streams copy each read once; what is asked of them at a time bounds that copy
_DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}  # by the type code
_MOST_DIMENSIONS = 64  # of NumPy's arrays
_QMNIST_COLUMNS = 8  # the digit, and who wrote it where
# what the gzip and zip modules raise for damaged data; RuntimeError also for an encrypted member
_UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, UnicodeDecodeError)


def read_idx(path: PathLike) -> NDArray[Any]:
    """Read an IDX file of any type and shape, such as unsigned bytes of (n,) labels or (n, rows, columns).

    Parameters
    ----------
    path : the file, raw or gzip-compressed, recognised by its content; for a member of a zip archive the
        archive's path followed by the member's name, as in `archive.zip/folder/train-images-idx3-ubyte`

    Returns
    -------
    array : uint8, int8, int16, int32, float32 or float64 in the machine's order of bytes, of the file's shape

    Raises
    ------
    FileNotFoundError
        There is no such file, or no such member in the archive.
    ValueError
        The file is a folder, damaged, truncated or overlong, or it is no IDX file.
    TypeError
        `path` is no name of a file.
    """
    content, dtype, shape = read_whole(path)
    array = content[-dtype.itemsize * math.prod(shape) :].view(dtype).reshape(shape)
    return array if dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder())


def load_mnist_images(path: PathLike) -> NDArray[np.uint8]:
    """Read an IDX file of images, each as one row of pixels.

    Parameters
    ----------
    path : the file, raw, gzip-compressed or `archive.zip/member-name`, as for `read_idx`

    Returns
    -------
    images : uint8, (n_images, rows * columns); 784 columns for MNIST

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_idx` does, and for a file that does not hold images.
    """
    return flat(read_images(path))


def load_mnist_labels(path: PathLike) -> NDArray[np.uint8]:
    """Read an IDX file of labels from 0 to 9; of QMNIST's, which say more of each image, the digits.

    Parameters
    ----------
    path : the file, raw, gzip-compressed or `archive.zip/member-name`, as for `read_idx`

    Returns
    -------
    labels : uint8, (n_images,)

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_idx` does, and for a file that does not hold labels, or labels above 9.
    """
    labels = read_labels(path)
    check_labels(path, labels, 10, "the digits; read_idx reads labels of other sets")
    return labels


def read_whole(path: PathLike) -> tuple[NDArray[np.uint8], np.dtype[Any], tuple[int, ...]]:
    """Read an IDX file, checked as `read_idx` does.

    Returns
    -------
    content : uint8, (length,), all bytes of the decompressed file, its header included; what follows that is
        aligned for its type
    dtype : the type that the header announces
    shape : the dimensions that it announces
    """
    try:
        with _open(Path(file_name(path))) as (stream, most):
            return _read_stream(path, stream, most)
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise ValueError(
            f"{path}: found unreadable or damaged data ({error}), expected a sound file"
        ) from error


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple[Any, int]]:
    """Yield the decompressed stream of a file and a bound of its length in bytes."""
    with _open_stored(path) as (stored, size):
        if stored.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=stored) as stream:
                yield stream, size * _DEFLATE_RATIO
        else:
            yield stored, size


@contextlib.contextmanager
def _open_stored(path: Path) -> Iterator[tuple[Any, int]]:
    """Yield the stream of a file or of a member of a zip archive, and a bound of its length in bytes."""
    if path.exists():
        if not path.is_file():
            raise ValueError(f"{path}: found a folder or a device, expected an IDX file")
        with open(path, "rb") as stream:
            yield stream, path.stat().st_size
        return
    archive = next((parent for parent in path.parents if parent.is_file()), None)
    if archive is None:
        raise FileNotFoundError(f"{path}: found no such file, expected an IDX file")
    with zipfile.ZipFile(archive) as zipped:
        member = _find_member(zipped, archive, path.relative_to(archive).as_posix())
        with zipped.open(member) as stream:
            # the archive may lie about the member's size, yet not beyond what its own length can hold
            yield stream, min(member.file_size, archive.stat().st_size * _DEFLATE_RATIO)


def _find_member(zipped: zipfile.ZipFile, archive: Path, name: str) -> zipfile.ZipInfo:
    members = files_in(zipped)
    if name not in members:
        names = ", ".join(list(members)[:8])
        raise FileNotFoundError(f"{archive}: found no member {name}, expected one of: {names}")
    member = zipped.getinfo(members[name])
    # other methods expand without bound in one read
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f"{archive}/{name}: found compression {member.compress_type}, expected stored or deflated"
        )
    return member


def files_in(zipped: zipfile.ZipFile) -> dict[str, str]:
    """Give the names of an archive's files as they stand in it, by their paths as they should."""
    paths = {name.replace("\\", "/"): name for name in zipped.namelist()}  # so some archives have them
    return {str(PurePosixPath(path)): name for path, name in paths.items() if not path.endswith("/")}


def _read_stream(
    path: PathLike, stream: Any, most: int
) -> tuple[NDArray[np.uint8], np.dtype[Any], tuple[int, ...]]:
    header, dtype, shape = _read_header(path, stream)
    length = len(header) + dtype.itemsize * math.prod(shape)
    expected = f"expected {length}, as its header announces {shape} of {dtype.name}"
    if length > most:  # checked before so much is allocated
        raise ValueError(f"{path}: found at most {most} bytes, {expected}; the file is truncated")
    before = -len(header) % 8
    content = np.empty(before + length, np.uint8)[before:]
    content[: len(header)] = np.frombuffer(header, np.uint8)
    filled = len(header)
    while count := stream.readinto(content.data[filled : filled + _CHUNK]):
        filled += count
    if filled < length:
        raise ValueError(f"{path}: found {filled} bytes, {expected}; the file is truncated")
    if stream.read(1):  # reaching the end also checks the checksum of compressed data
        raise ValueError(f"{path}: found more bytes, {expected}; the file is overlong")
    return content, dtype, shape


def _read_header(path: PathLike, stream: Any) -> tuple[bytes, np.dtype[Any], tuple[int, ...]]:
    magic = _read_exactly(path, stream, 4)
    if magic == b"PK\x03\x04":
        raise ValueError(
            f"{path}: found a zip archive, expected an IDX file; name a member as {path}/member-name"
        )
    if magic[:2] != b"\0\0":
        raise ValueError(
            f"{path}: found magic 0x{magic.hex()}, expected 0x00000803 (images), 0x00000801 (labels) or "
            "another that begins with 0x0000"
        )
    if magic[2] not in _DTYPES:
        codes = ", ".join(f"0x{code:02x}" for code in _DTYPES)
        raise ValueError(f"{path}: found type code 0x{magic[2]:02x}, expected one of {codes}")
    if not 1 <= magic[3] <= _MOST_DIMENSIONS:
        raise ValueError(f"{path}: found {magic[3]} dimensions, expected from 1 to {_MOST_DIMENSIONS}")
    dtype, sizes = np.dtype(_DTYPES[magic[2]]), _read_exactly(path, stream, 4 * magic[3])
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
    if not 0 < dtype.itemsize * math.prod(shape) <= _LARGEST:
        raise ValueError(
            f"{path}: found dimensions {shape} of {dtype.name}, expected from 1 to {_LARGEST} bytes in all"
        )
    return magic + sizes, dtype, shape


def _read_exactly(path: PathLike, stream: Any, length: int) -> bytes:
    found = stream.read(length)
    if len(found) < length:
        raise ValueError(
            f"{path}: found the end of the file within its header, expected {length} bytes there"
        )
    return found


def read_images(path: PathLike) -> NDArray[np.uint8]:
    """Read an IDX file of images, uint8 (n, rows, columns)."""
    images = read_idx(path)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ValueError(f"{path}: found {_kind(images)}, expected images, uint8 (n, rows, columns)")
    return images


def read_labels(path: PathLike) -> NDArray[np.uint8]:
    """Read an IDX file of labels, (n,) integers that a byte holds, or the first of QMNIST's eight columns."""
    found = read_idx(path)
    labels = found[:, 0] if found.ndim == 2 and found.shape[1] == _QMNIST_COLUMNS else found
    if labels.ndim != 1 or labels.dtype.kind == "f":
        raise ValueError(f"{path}: found {_kind(found)}, expected labels, uint8 (n,)")
    if labels.min() < 0:
        i = int(labels.argmin())
        raise ValueError(f"{path}: found label {labels[i]} at {i}, expected 0 to 255")
    check_labels(path, labels, 256, "which are bytes")
    return labels.astype(np.uint8, copy=False)


def check_labels(path: PathLike, labels: NDArray[Any], n_classes: int, what: str) -> None:
    """Refuse labels from `n_classes` up; `what` says of what there are so many."""
    if labels.max() >= n_classes:
        i = int(labels.argmax())
        raise ValueError(f"{path}: found label {labels[i]} at {i}, expected 0 to {n_classes - 1}, {what}")


def flat(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give each image as one row of pixels."""
    return images.reshape(len(images), -1)


def _kind(array: NDArray[Any]) -> str:
    return f"{array.dtype} {array.shape}"
