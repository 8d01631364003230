"""Files on disks that fail: at each call in turn, when full, and when they become read-only."""

import errno
import os

import pytest
from disks import python_on_disk

from fastmlp.atomic import safe_write

CALLS = ("open", "fsync", "replace", "chmod", "scandir", "write", "unlink")


@pytest.mark.parametrize("lost", [False, True], ids=["one fails", "all fail from there"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE])
def test_whichever_call_fails_the_file_is_the_old_or_the_new_one_and_an_error_says_so(tmp_path, code, lost):
    path, outcomes = tmp_path / "m", []
    while not outcomes or outcomes[-1] != "new, and nothing failed":
        path.write_text("old")
        outcomes.append(attempt(path, len(outcomes), code, lost))
        assert path.read_text() == outcomes[-1][:3], outcomes
        left = {*tmp_path.iterdir()} - {path}
        assert not left or lost
        for each in left:
            each.unlink()
    assert outcomes.count("old") >= 3


def attempt(path, failing, code, lost):
    """Write a file while one call of `os` fails, or all from there."""
    with pytest.MonkeyPatch.context() as patch:
        left = [failing]

        def counted(function):
            def wrapped(first, *args, **kwargs):
                left[0] -= 1
                if left[0] == -1 or (lost and left[0] < 0):
                    raise OSError(code, os.strerror(code), *[first] * isinstance(first, os.PathLike))
                return function(first, *args, **kwargs)

            return wrapped

        for name in CALLS:
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            with safe_write(path) as temporary:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_TRUNC)
                os.write(descriptor, b"new")
                os.close(descriptor)
        except OSError as error:
            said = f"{error.strerror}: {error.filename}"
            assert said == f"{os.strerror(code)}; the old file is still there: {path}"
            return "old"
    return "new" if left[0] < 0 else "new, and nothing failed"


WRITES = """
from pathlib import Path
from fastmlp import MLP, History
from fastmlp.atomic import safe_write, try_write
from fastmlp.training.history import Record

def in_bytes(path):
    with safe_write(path) as temporary:
        temporary.write_bytes(bytes(1 << 17))

def in_lines(path):
    with safe_write(path) as temporary, open(temporary, "w") as file:
        print("a line" * 10_000, file=file)

folder = Path(sys.argv[1])
record = Record(epoch=0, loss=1.0, mean_loss=1.0, f1_train=None, f1_test=None, seconds=1.0)
writers = {
    "bytes": in_bytes,
    "lines": in_lines,
    "model": MLP((300, 100, 3), seed=0).save,
    "history": History([record] * 1000).to_csv,
}
for name in writers:
    (folder / name).write_text("old")
if sys.argv[2] == "full":
    with open(folder / "filler", "wb", 0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
else:
    mount("remount,ro")
for name, write in [*writers.items(), ("bytes", try_write)]:
    try:
        write(folder / name)
        print("written")
    except OSError as error:
        print(error)
    assert (folder / name).read_text() == "old"
print(*sorted(path.name for path in folder.iterdir()))
"""
SAID = {"full": "[Errno 28] No space left on device", "read-only": "[Errno 30] Read-only file system"}


@pytest.mark.parametrize("end", SAID)
def test_on_a_full_or_read_only_disk_the_old_file_stays_and_the_error_names_it(tmp_path, end):
    child = python_on_disk(tmp_path, "32k", WRITES, tmp_path, end)
    assert child.returncode == 0, child.stderr
    *said, names = child.stdout.splitlines()
    written = ["bytes", "lines", "model", "history", "bytes"]
    assert said == [f"{SAID[end]}; the old file is still there: '{tmp_path / name}'" for name in written]
    assert names.split() == sorted({*written} | ({"filler"} if end == "full" else set()))
