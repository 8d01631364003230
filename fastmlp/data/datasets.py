"""Data sets of four IDX files, laid out as MNIST is: found in folders and zip archives, and read."""

import contextlib
import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.atomic import file_name

from .idx import PathLike, check_labels, files_in, flat, read_images, read_labels

_SLOTS = ("train", "images"), ("train", "labels"), ("t10k- or test", "images"), ("t10k- or test", "labels")
_NAME = re.compile(
    r"((?P<prefix>.*)[-_.])?(?P<part>train|t10k|test)-"
    r"((?P<images>images)[-.]idx3-ubyte|labels[-.]idx(1-ubyte|2-int))(?P<gz>\.gz)?"
)
_DEPTH = 2  # folders down, as in MNIST/raw


class _File(NamedTuple):
    path: PurePosixPath  # from the folder or the archive
    slot: int  # which of the four it may be
    home: PurePosixPath  # the folder of its set
    prefix: str
    is_gz: bool


def load_idx_dataset(
    folder: PathLike,
    flatten: bool = True,
    *,
    name: str | None = None,
    transpose: bool = False,
    first_label: int = 0,
) -> tuple[NDArray[np.uint8], ...]:
    """Read a data set that is laid out as MNIST is: Fashion-MNIST, KMNIST, QMNIST, EMNIST and the like.

    It is four files, `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same two for `t10k` or
    `test`; `-` or `.` before `idx`, with or without `.gz` and a prefix such as `emnist-digits-`; of labels
    also QMNIST's `idx2-int`, whose first column is read. Of a file and its compressed twin the former is
    read. They lie in the folder itself or up to two folders down, the nearest are taken.

    Of EMNIST's sets the images lie on their side, and the letters' labels count from 1: read them with
    `name="letters", transpose=True, first_label=1`.

    Parameters
    ----------
    folder : the folder, a zip archive, or a folder in one as in `archive.zip/folder`
    flatten : give each image as one row of pixels
    name : which set, where there are several: a word of its files' prefix or of its folder, or all of that
    transpose : swap rows and columns of each image
    first_label : label of the first class, which becomes 0; others follow it

    Returns
    -------
    X_train, y_train, X_test, y_test : uint8, (n, rows * columns), or (n, rows, columns) without `flatten`;
        (n,); and the same for the test data

    Raises
    ------
    FileNotFoundError
        The folder, or one of the four files, is missing.
    ValueError
        A file is bad, as `read_idx` says; or there are several sets, or none of that name, images and labels
        differ in number, images differ in size, labels are below `first_label`, or test labels exceed those
        of training.
    """
    if isinstance(first_label, bool) or not isinstance(first_label, int | np.integer) or first_label < 0:
        raise ValueError(f"first_label is {first_label!r}, expected a whole number from 0 up")
    paths = find_dataset(folder, name)
    X_train, y_train = _read_pair(paths[0], paths[1], first_label)
    X_test, y_test = _read_pair(paths[2], paths[3], first_label)
    if X_test.shape[1:] != X_train.shape[1:]:
        raise ValueError(
            f"{paths[2]}: found images of {_sides(X_test)}, expected {_sides(X_train)} as in {paths[0]}"
        )
    from_there = f", counted from {first_label}" if first_label else ""
    check_labels(paths[3], y_test, int(y_train.max()) + 1, f"the classes of {paths[1]}{from_there}")
    if transpose:
        X_train, X_test = (np.ascontiguousarray(X.swapaxes(1, 2)) for X in (X_train, X_test))
    if flatten:
        X_train, X_test = flat(X_train), flat(X_test)
    return X_train, y_train, X_test, y_test


def find_dataset(folder: PathLike, name: str | None = None) -> list[Path]:
    """Find the four files that `load_idx_dataset` reads: images, labels, and both of the test data."""
    if not isinstance(name, str | None):
        raise ValueError(f"name is {name!r}, expected text, or None")
    source = Path(file_name(folder))
    files = [file for text in _list(source) if (file := _as_file(text))]
    if not files:
        raise FileNotFoundError(
            f"{source}: found no IDX files, expected four such as train-images-idx3-ubyte, raw or .gz, here "
            f"or up to {_DEPTH} folders down"
        )
    sets: dict[str, list[_File]] = defaultdict(list)
    for file in files:
        sets[str(file.home / file.prefix) if file.prefix else str(file.home)].append(file)
    sets = {"" if label == "." else label: sets[label] for label in sorted(sets)}
    named = _named(source, sets, name)
    nearest = min(len(of[0].home.parts) for of in named.values())
    near = {label: of for label, of in named.items() if len(of[0].home.parts) == nearest}
    whole = {label: of for label, of in near.items() if len({file.slot for file in of}) == len(_SLOTS)}
    if len(whole) > 1:
        raise ValueError(f"{source}: found the sets {_quoted(whole)}; {_say_which(whole)}")
    label, chosen = max(near.items(), key=lambda item: len({file.slot for file in item[1]}))
    return [source / _in_slot(source, label, chosen, slot) for slot in range(len(_SLOTS))]


def _list(source: Path) -> Iterator[str]:
    """Give the paths of the files in a folder or an archive."""
    archive = next((path for path in (source, *source.parents) if path.is_file()), None)
    if archive is not None:
        return _list_archive(source, archive)
    if not source.exists():
        raise FileNotFoundError(f"{source}: found no such folder, expected one that holds four IDX files")
    if not source.is_dir():
        raise ValueError(f"{source}: found a device, expected a folder of four IDX files")
    return _list_folder(source, _DEPTH)


def _list_archive(source: Path, archive: Path) -> Iterator[str]:
    try:
        with zipfile.ZipFile(archive) as zipped:
            names = files_in(zipped)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{source}: found a file, expected a folder of four IDX files, or a zip archive of them ({error})"
        ) from None
    inside = "" if source == archive else f"{source.relative_to(archive).as_posix()}/"
    return (name.removeprefix(inside) for name in names if name.startswith(inside))


def _list_folder(folder: Path, depth: int) -> Iterator[str]:
    with os.scandir(folder) as entries:  # quicker than paths, where there are many
        for entry in entries:
            if entry.is_file():
                yield entry.name
            elif depth and entry.is_dir():
                with contextlib.suppress(PermissionError):
                    yield from (
                        f"{entry.name}/{name}" for name in _list_folder(folder / entry.name, depth - 1)
                    )


def _as_file(name: str) -> _File | None:
    found = _NAME.fullmatch(name.rpartition("/")[2])
    path = PurePosixPath(name if found else "")
    # hidden ones are of the system, and so is __MACOSX; a member's path may not lead out of its archive
    if not found or any(part.startswith((".", "__", "/")) for part in path.parts):
        return None
    slot = 2 * (found["part"] != "train") + (not found["images"])
    # some archives unpack each file into a folder of its name
    home = path.parent.parent if _NAME.fullmatch(path.parent.name) else path.parent
    return _File(path, slot, home, found["prefix"] or "", bool(found["gz"]))


def _named(source: Path, sets: dict[str, list[_File]], name: str | None) -> dict[str, list[_File]]:
    """Give the sets of a name: that of which it is all, else those of which it is a word."""
    if name is None:
        return sets
    if name in sets:
        return {name: sets[name]}
    word = re.compile(rf"(?<![^-_./]){re.escape(name)}(?![^-_./])", re.IGNORECASE)
    named = {label: of for label, of in sets.items() if name and word.search(label)}
    if not named:
        raise ValueError(f"{source}: found no set {name!r}, only {_quoted(sets)}; {_say_which(sets)}")
    return named


def _in_slot(source: Path, label: str, files: list[_File], slot: int) -> PurePosixPath:
    part, kind = _SLOTS[slot]
    expected = f"one {part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte, raw or .gz"
    found = [file for file in files if file.slot == slot]
    if not found:
        of_which = f" in the set {label!r}" if label else ""
        raise FileNotFoundError(f"{source}: found no such file{of_which}, expected {expected}")
    ranks = [(len(file.path.parts), file.is_gz) for file in found]
    best = sorted(str(file.path) for file, rank in zip(found, ranks, strict=True) if rank == min(ranks))
    if len(best) > 1:
        raise ValueError(f"{source}: found {', '.join(best)}; expected {expected}: move the others away")
    return PurePosixPath(best[0])


def _quoted(sets: dict[str, list[_File]]) -> str:
    return ", ".join(map(repr, sets))


def _say_which(sets: dict[str, list[_File]]) -> str:
    return f"give one as name={next(iter(sets))!r}, or --set on the command line"


def _read_pair(
    images_path: Path, labels_path: Path, first_label: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = read_images(images_path), read_labels(labels_path)
    if len(images) != len(labels):
        raise ValueError(
            f"{labels_path}: found {len(labels)} labels, expected {len(images)}, as in {images_path}"
        )
    if labels.min() < first_label:
        i = int(labels.argmin())
        raise ValueError(f"{labels_path}: found label {labels[i]} at {i}, expected {first_label} and up")
    return images, labels - np.uint8(first_label)


def _sides(images: NDArray[np.uint8]) -> str:
    return f"{images.shape[1]} x {images.shape[2]}"
