"""Files of compiled code: read where nobody else can have written them, and where they are whole."""

import contextlib
import hashlib
import os
import pickle
import secrets
import stat
from pathlib import Path

from numba.core.serialize import dumps

_DIGEST = hashlib.sha256
_BYTES = _DIGEST().digest_size
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def open_to_others(folder: Path) -> Path | None:
    """Give the folder, or one that it lies in, if it lets others than root and this user in.

    Above the folder a sticky bit keeps others from replacing it, and a group of one is no other. None where
    only root and this user can, or where files have no owners.
    """
    if not hasattr(os, "geteuid"):
        return None
    real = folder.resolve()
    if not _is_private(real.stat()):
        return folder
    for place in dict.fromkeys((*folder.parents, *real.parents)):
        state = place.stat()
        owned = _is_trusted(state.st_uid) or _is_from_outside(state.st_uid)
        sticky, by_all, by_group = (state.st_mode & bit for bit in (stat.S_ISVTX, stat.S_IWOTH, stat.S_IWGRP))
        if not owned or not sticky and (by_all or by_group and not _is_alone(state)):
            return place
    return None


def _is_trusted(owner: int) -> bool:
    return owner in (0, os.geteuid())


def _is_private(state: os.stat_result) -> bool:
    """Whether only root or this user can write."""
    return _is_trusted(state.st_uid) and not state.st_mode & _OTHERS


def _is_alone(state: os.stat_result) -> bool:
    """Whether a group is its owner's own, as many systems give each user one, and let it write."""
    import grp  # which Windows has not
    import pwd

    with contextlib.suppress(KeyError):
        owner, group = pwd.getpwuid(state.st_uid).pw_name, grp.getgrgid(state.st_gid)
        return group.gr_name == owner and not {*group.gr_mem} - {owner}
    return False


def _is_from_outside(owner: int) -> bool:
    """Whether a container shows an owner that it has no number for, as it does the system's root."""
    try:
        ranges = [map(int, line.split()) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    except OSError:
        return False
    return not any(first <= owner < first + n for first, _, n in ranges)


class CodeFile:
    """The code of one variant of a kernel and what it is of, behind a digest of both and of the file's place.

    Only a file with that digest is unpickled, and its code run: bytes that a disk has scrambled, half a file,
    or another one under its name are noticed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, key):
        """Give the code that was saved under a key; None where there is none, whole, in a private file."""
        try:
            with open(self._path, "rb") as file:
                if hasattr(os, "geteuid") and not _is_private(os.fstat(file.fileno())):
                    return None
                content = file.read()
        except OSError:
            return None
        if content[:_BYTES] != self._digest(content[_BYTES:]):
            return None
        found, code = pickle.loads(content[_BYTES:])
        return code if found == key else None

    def save(self, key, code) -> None:
        """Write the file as a whole, for everybody to read."""
        content = dumps((key, code))
        temporary = self._path.with_name(f".{secrets.token_hex(8)}")
        try:
            with open(temporary, "xb", opener=lambda path, flags: os.open(path, flags, 0o644)) as file:
                file.write(self._digest(content))
                file.write(content)
            os.replace(temporary, self._path)
        except OSError as error:
            error.filename = str(self._path)
            del error.filename2  # None would be shown
            raise
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _digest(self, content: bytes) -> bytes:
        place = f"{self._path.parent.name}/{self._path.name}\0".encode()
        return _DIGEST(place + content).digest()
