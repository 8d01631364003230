"""Files that appear whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def file_name(path: str | os.PathLike) -> str:
    """Give a file's name as text; a stream has none that could be replaced as a whole."""
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(
            f"path is of type {type(path).__name__}, expected a file's name, such as 'model.safetensors'; "
            "to or from a stream copy that file's bytes"
        ) from None


@contextlib.contextmanager
def safe_write(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file so that a crash leaves either the old one or the new one, whole.

    Yields a temporary path in the same folder and with the same suffix, for the body to write. When the body
    succeeds that file takes the place of `path`; when it fails `path` stays as it was.

    Raises
    ------
    FileNotFoundError
        the folder of `path` does not exist
    ValueError
        `path` is a folder or a device
    TypeError
        `path` is no name of a file
    """
    target = Path(os.path.realpath(file_name(path)))  # a link stays a link
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: found no folder {target.parent} to write in; make it first")
    if target.exists() and not target.is_file():
        raise ValueError(f"{path}: found a folder or a device, expected a file to write")
    temporary = target.with_name(f".fastmlp-{secrets.token_hex(8)}{target.suffix}")
    try:
        yield temporary
        _sync(temporary, os.O_RDWR)
        os.replace(temporary, target)
        if os.name == "posix":  # other systems cannot open a folder
            _sync(target.parent, os.O_RDONLY)
    except OSError as error:
        if error.filename == str(temporary):  # of which nobody has heard
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
