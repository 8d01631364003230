"""IDX files, as MNIST and the sets made after it come in: raw, gzip-compressed, or in a zip archive."""

import contextlib
import gzip
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PathLike = str | os.PathLike[str]

_LARGEST = 2**33  # bytes; the largest known set of this kind, MNIST8M, takes 6.4e9
_DEFLATE_RATIO = 1032  # deflate cannot expand further, so a small file cannot claim a large array
_CHUNK = 2**20  # gzip and zip streams copy each read once; what is asked of them at a time bounds that copy
_UNSIGNED_BYTE = 0x08
# what the gzip and zip modules raise for damaged data; RuntimeError also for an encrypted member
_UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, UnicodeDecodeError)


def read_idx(path: PathLike) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes with one dimension (labels) or three (images).

    Parameters
    ----------
    path : the file, raw or gzip-compressed, recognised by its content; for a member of a zip archive the
        archive's path followed by the member's name, as in `archive.zip/folder/train-images-idx3-ubyte`

    Returns
    -------
    array : uint8, (n,) or (n, rows, columns)

    Raises
    ------
    FileNotFoundError
        There is no such file, or no such member in the archive.
    ValueError
        The file is a folder, damaged, truncated or overlong, or it is no such IDX file.
    """
    content, shape = read_whole(path)
    return content[-math.prod(shape) :].reshape(shape)


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
    return _flatten(_read_images(path))


def load_mnist_labels(path: PathLike) -> NDArray[np.uint8]:
    """Read an IDX file of labels from 0 to 9.

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
    labels = _read_labels(path)
    _check_labels(path, labels, 10, "the digits; read_idx reads labels of other sets")
    return labels


def load_idx_dataset(folder: PathLike, flatten: bool = True) -> tuple[NDArray[np.uint8], ...]:
    """Read a data set that is laid out as MNIST is: Fashion-MNIST, KMNIST, EMNIST digits and the like.

    The folder holds four files, `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same two for
    `t10k` or `test`; `-` or `.` before `idx`, with or without `.gz` and a prefix such as `emnist-digits-`.
    Of a file and its compressed twin the former is read.

    Parameters
    ----------
    folder : the folder
    flatten : give each image as one row of pixels

    Returns
    -------
    X_train, y_train, X_test, y_test : uint8, (n, rows * columns), or (n, rows, columns) without `flatten`;
        (n,); and the same for the test data

    Raises
    ------
    FileNotFoundError
        The folder, or one of the four files, is missing.
    ValueError
        A file is bad, as `read_idx` says; or several fit the same name, images and labels differ in number,
        images differ in size, or test labels exceed those of training.
    """
    paths = [
        _find(Path(folder), part, kind) for part in ("train", "t10k|test") for kind in ("images", "labels")
    ]
    X_train, y_train = _read_pair(*paths[:2])
    X_test, y_test = _read_pair(*paths[2:])
    if X_test.shape[1:] != X_train.shape[1:]:
        raise ValueError(
            f"{paths[2]}: found images of {_sides(X_test)}, expected {_sides(X_train)} as in {paths[0]}"
        )
    _check_labels(paths[3], y_test, int(y_train.max()) + 1, f"the classes of {paths[1]}")
    if flatten:
        X_train, X_test = _flatten(X_train), _flatten(X_test)
    return X_train, y_train, X_test, y_test


def read_whole(path: PathLike) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """Read an IDX file, checked as `read_idx` does.

    Returns
    -------
    content : uint8, (length,), all bytes of the decompressed file, its header included
    shape : the dimensions that the header announces
    """
    try:
        with _open(Path(path)) as (stream, most):
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
    if name not in zipped.namelist():
        names = ", ".join(zipped.namelist()[:8])
        raise FileNotFoundError(f"{archive}: found no member {name}, expected one of: {names}")
    member = zipped.getinfo(name)
    # other methods expand without bound in one read
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f"{archive}/{name}: found compression {member.compress_type}, expected stored or deflated"
        )
    return member


def _read_stream(path: PathLike, stream: Any, most: int) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    header, shape = _read_header(path, stream)
    length = len(header) + math.prod(shape)
    expected = f"expected {length}, as its header announces {shape}"
    if length > most:  # checked before so much is allocated
        raise ValueError(f"{path}: found at most {most} bytes, {expected}; the file is truncated")
    content = np.empty(length, np.uint8)
    content[: len(header)] = np.frombuffer(header, np.uint8)
    filled = len(header)
    while count := stream.readinto(content.data[filled : filled + _CHUNK]):
        filled += count
    if filled < length:
        raise ValueError(f"{path}: found {filled} bytes, {expected}; the file is truncated")
    if stream.read(1):  # reaching the end also checks the checksum of compressed data
        raise ValueError(f"{path}: found more bytes, {expected}; the file is overlong")
    return content, shape


def _read_header(path: PathLike, stream: Any) -> tuple[bytes, tuple[int, ...]]:
    magic = _read_exactly(path, stream, 4)
    if magic == b"PK\x03\x04":
        raise ValueError(
            f"{path}: found a zip archive, expected an IDX file; name a member as {path}/member-name"
        )
    if magic[:2] != b"\0\0":
        raise ValueError(
            f"{path}: found magic 0x{magic.hex()}, expected 0x00000803 (images) or 0x00000801 (labels)"
        )
    if magic[2] != _UNSIGNED_BYTE:
        raise ValueError(f"{path}: found type code 0x{magic[2]:02x}, expected 0x08 (unsigned bytes)")
    if magic[3] not in (1, 3):
        raise ValueError(f"{path}: found {magic[3]} dimensions, expected 3 (images) or 1 (labels)")
    sizes = _read_exactly(path, stream, 4 * magic[3])
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
    if not 0 < math.prod(shape) <= _LARGEST:
        raise ValueError(f"{path}: found dimensions {shape}, expected from 1 to {_LARGEST} bytes in all")
    return magic + sizes, shape


def _read_exactly(path: PathLike, stream: Any, length: int) -> bytes:
    found = stream.read(length)
    if len(found) < length:
        raise ValueError(
            f"{path}: found the end of the file within its header, expected {length} bytes there"
        )
    return found


def _read_images(path: PathLike) -> NDArray[np.uint8]:
    images = read_idx(path)
    if images.ndim != 3:
        raise ValueError(f"{path}: found labels (magic 0x00000801), expected images (magic 0x00000803)")
    return images


def _read_labels(path: PathLike) -> NDArray[np.uint8]:
    labels = read_idx(path)
    if labels.ndim != 1:
        raise ValueError(f"{path}: found images (magic 0x00000803), expected labels (magic 0x00000801)")
    return labels


def _read_pair(images_path: Path, labels_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = _read_images(images_path), _read_labels(labels_path)
    if len(images) != len(labels):
        raise ValueError(
            f"{labels_path}: found {len(labels)} labels, expected {len(images)}, as in {images_path}"
        )
    return images, labels


def _find(folder: Path, part: str, kind: str) -> Path:
    """Find the file of a part, `train` or `t10k|test`, and a kind, `images` or `labels`."""
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: found no such folder, expected one that holds four IDX files")
    if not folder.is_dir():
        raise ValueError(f"{folder}: found a file, expected a folder of four IDX files")
    name = f"{kind}-idx{3 if kind == 'images' else 1}-ubyte"
    pattern = re.compile(rf"(.*[-_.])?({part})-{name.replace('-idx', '[-.]idx')}(\.gz)?")
    found = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
    found = [path for path in found if path.suffix != ".gz" or path.with_suffix("") not in found]
    expected = f"one {part.replace('|', '- or ')}-{name}, raw or .gz"
    if not found:
        raise FileNotFoundError(f"{folder}: found no such file, expected {expected}")
    if len(found) > 1:
        raise ValueError(f"{folder}: found {', '.join(path.name for path in found)}; expected {expected}")
    return found[0]


def _check_labels(path: PathLike, labels: NDArray[np.uint8], n_classes: int, what: str) -> None:
    if labels.max() >= n_classes:
        i = int(labels.argmax())
        raise ValueError(f"{path}: found label {labels[i]} at {i}, expected 0 to {n_classes - 1}, {what}")


def _flatten(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images.reshape(len(images), -1)


def _sides(images: NDArray[np.uint8]) -> str:
    return f"{images.shape[1]} x {images.shape[2]}"
