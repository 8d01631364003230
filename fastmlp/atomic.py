"""Files that appear whole or not at all."""

import contextlib
import errno
import functools
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_OURS = re.compile(r"\.fastmlp-[0-9a-f]{16}(\..*)?")
_OLD = 3600.0  # seconds
_CANNOT_REPLACE = (errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES)
_KNOW_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # what such file systems say


def file_name(path: str | os.PathLike) -> str:
    """Give a file's name as text; a stream has none that could be replaced as a whole."""
    try:
        name = os.fsdecode(path)
        if b"\0" not in os.fsencode(name):
            return name
        raise ValueError(f"path is {path!r}, expected a file's name: none has a null character")
    except UnicodeError:
        raise ValueError(
            f"path is {path!r}, which is no file's name in {sys.getfilesystemencoding()}"
        ) from None
    except TypeError:
        raise TypeError(
            f"path is of type {type(path).__name__}, expected a file's name, such as 'model.safetensors'; "
            "to or from a stream copy that file's bytes"
        ) from None


@contextlib.contextmanager
def safe_write(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file so that a crash leaves either the old one or the new one, whole.

    Yields a temporary file in the same folder, with the same suffix and with the permissions of the old file,
    for the body to write. When the body succeeds that file takes the place of `path`; when it fails `path`
    stays as it was. Only where the system lets nothing take its place, as of a mount, is it written in place.
    What writers that were killed more than an hour ago have left in the folder goes.

    Raises
    ------
    FileNotFoundError
        the folder of `path` does not exist
    ValueError
        `path` is a folder or a device
    TypeError
        `path` is no name of a file
    OSError
        the folder cannot be written to, or the disk is full; it names `path`, and tells of an old file
    """
    target = _target(path)
    _clear(target.parent)
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    with _temporary(target, path, 0o666 if mode is None else mode | 0o600) as temporary:
        yield temporary
        _sync(temporary, os.O_RDWR)
        if mode is not None:
            with contextlib.suppress(OSError):  # where files have no permissions
                os.chmod(temporary, mode)
        _move(temporary, target)
        with contextlib.suppress(OSError):  # the file is there, and other systems cannot open a folder
            _sync(target.parent, os.O_RDONLY)


def try_write(path: str | os.PathLike) -> None:
    """Raise now what `safe_write` would raise before its body or at the first byte; the file stays."""
    with _temporary(_target(path), path, 0o600) as temporary:
        temporary.write_bytes(b"\0")


def _target(path: str | os.PathLike) -> Path:
    target = Path(os.path.realpath(file_name(path)))  # a link stays a link
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: found no folder {target.parent} to write in; make it first")
    if target.exists() and not target.is_file():
        raise ValueError(f"{path}: found a folder or a device, expected a file to write")
    return target


@contextlib.contextmanager
def _temporary(target: Path, path: str | os.PathLike, mode: int) -> Iterator[Path]:
    """Make a file beside another, with a lock that goes with this process; errors name the other one."""
    temporary = target.with_name(f".fastmlp-{secrets.token_hex(8)}{target.suffix}")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        if sys.platform == "win32":  # which moves no file that is open
            os.close(descriptor)
            yield temporary
        else:
            with os.fdopen(descriptor) as file:
                with contextlib.suppress(OSError):  # where there are no locks
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield temporary
    except OSError as error:
        # of the temporary file nobody has heard, and what cannot write or sync names none
        named = {str(error.filename), str(error.filename2)}
        if error.strerror and named <= {"None", str(temporary), str(target)}:
            error.filename = str(path)
            del error.filename2  # None would be shown
            if os.path.exists(target):
                error.strerror += "; the old file is still there"
        raise
    finally:
        with contextlib.suppress(OSError):  # where the disk is lost, which the error tells
            temporary.unlink(missing_ok=True)


def _move(temporary: Path, target: Path) -> None:
    try:
        os.replace(temporary, target)
    except OSError as refused:
        if refused.errno not in _CANNOT_REPLACE:  # a disk that fails would lose the old file too
            raise
        try:
            place = open(target, "wb")
        except OSError:
            raise refused from None
        try:
            with place, open(temporary, "rb") as new:
                shutil.copyfileobj(new, place)
                place.flush()
                os.fsync(place.fileno())
        except BaseException as failed:
            whole = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
            os.replace(temporary, whole)
            if not isinstance(failed, OSError):
                raise
            raise OSError(f"{target}: {failed} while it was written in place; {whole} is whole") from failed


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _KNOW_NO_SYNC:
            raise
    finally:
        os.close(descriptor)


@functools.cache  # once a folder
def _clear(folder: Path) -> None:
    """Remove temporary files of this user that are old, and whose writer is gone."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False) if _OURS.fullmatch(entry.name) else None
            if (
                found
                and stat.S_ISREG(found.st_mode)
                and found.st_uid == os.geteuid()
                and time.time() - found.st_mtime > _OLD
            ):
                with contextlib.suppress(OSError), open(entry.path, "r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while the writer lives
                    os.unlink(entry.path)
