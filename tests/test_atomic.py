"""Files appear whole or not at all."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest
from sources import ROOT

from fastmlp import atomic
from fastmlp.atomic import safe_write, try_write

REPLACE = os.replace


def failing(function, where, code):
    """Make a function of `os` fail for a path, or for a descriptor of one."""

    def wrapped(*args):
        given = args[1] if function is REPLACE else args[0]
        if os.path.samestat(os.fstat(given), os.stat(where)) if isinstance(given, int) else given == where:
            raise OSError(code, os.strerror(code), str(args[0]))
        return function(*args)

    return wrapped


def test_an_error_of_the_temporary_file_names_the_file(tmp_path):
    with pytest.raises(PermissionError) as raised, safe_write(tmp_path / "m") as temporary:
        raise PermissionError(errno.EACCES, "Permission denied", str(temporary))
    assert raised.value.filename == str(tmp_path / "m")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "m"
    path.write_text("old")
    with pytest.raises(type(error)), safe_write(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_at_the_end_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"), safe_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="found no folder .*nowhere to write in"):
        with safe_write(tmp_path / "nowhere" / "m"):
            pass
    with pytest.raises(ValueError, match="found a folder"), safe_write(tmp_path):
        pass


def test_the_temporary_file_keeps_suffix_folder_and_permissions(tmp_path):
    path = tmp_path / "picture.png"
    with safe_write(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".png" and temporary != path
        temporary.write_text("new")
        assert not path.exists()
    other = tmp_path / "other"
    other.write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with safe_write(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "new"
    with pytest.raises(ValueError, match="device"), safe_write(os.devnull):
        pass


# --- what file systems cannot do -------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("name", ["fsync", "open"])
def test_a_file_is_written_where_its_folder_cannot_be_synced(tmp_path, monkeypatch, name, code):
    monkeypatch.setattr(os, name, failing(getattr(os, name), tmp_path, code))
    for content in "first", "second":
        with safe_write(tmp_path / "m") as temporary:
            temporary.write_text(content)
        assert (tmp_path / "m").read_text() == content


@pytest.mark.parametrize(
    ("code", "fails"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)]
)
def test_a_file_system_that_knows_no_sync_is_not_one_that_fails(tmp_path, monkeypatch, code, fails):
    def fsync(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    try:
        with safe_write(tmp_path / "m") as temporary:
            temporary.write_text("new")
    except OSError as error:
        assert fails and error.errno == code and not [*tmp_path.iterdir()]
    else:
        assert not fails and (tmp_path / "m").read_text() == "new"


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EXDEV, errno.EPERM])
def test_a_file_that_cannot_be_replaced_is_written_in_place(tmp_path, monkeypatch, code):
    path = tmp_path / "m"
    path.write_text("old and longer")
    place = path.stat().st_ino
    monkeypatch.setattr(os, "replace", failing(os.replace, path, code))
    with pytest.raises(KeyboardInterrupt), safe_write(path) as temporary:
        raise KeyboardInterrupt
    assert path.read_text() == "old and longer"
    with safe_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and path.stat().st_ino == place
    assert [*tmp_path.iterdir()] == [path]


def test_what_could_not_be_written_in_place_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "m"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", failing(os.replace, path, errno.EBUSY))
    monkeypatch.setattr(os, "fsync", failing(os.fsync, path, errno.ENOSPC))
    with pytest.raises(OSError, match=f"{path}: .*No space left on device.*; {path}.* is whole") as caught:
        with safe_write(path) as temporary:
            temporary.write_text("new")
    (kept,) = {*tmp_path.iterdir()} - {path}
    assert str(kept) in str(caught.value) and kept.read_text() == "new"
    kept.unlink()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfileobj", interrupt)
    with pytest.raises(KeyboardInterrupt), safe_write(path) as temporary:
        temporary.write_text("newer")
    (kept,) = {*tmp_path.iterdir()} - {path}
    assert kept.read_text() == "newer"


def test_a_file_that_can_neither_be_replaced_nor_written_is_named(tmp_path, monkeypatch):
    def deny(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = tmp_path / "m"
    path.write_text("old")
    with pytest.raises(OSError, match="Device or resource busy") as caught, safe_write(path) as temporary:
        temporary.write_text("new")
        monkeypatch.setattr(os, "replace", failing(os.replace, path, errno.EBUSY))
        monkeypatch.setattr("builtins.open", deny)
    monkeypatch.undo()
    assert caught.value.filename == str(path)
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


# --- permissions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o664, 0o755])
def test_permissions_stay_and_are_never_wider(tmp_path, mode):
    path = tmp_path / "m"
    path.write_text("old")
    path.chmod(mode)
    with safe_write(path) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) & ~mode & 0o077 == 0
        temporary.write_text("new")
    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == mode


# --- before long work ------------------------------------------------------------------------------------


def test_trying_says_what_writing_would_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "m"
    try_write(path)
    assert not [*tmp_path.iterdir()]
    path.write_text("old")
    try_write(path)
    assert [*tmp_path.iterdir()] == [path] and path.read_text() == "old"
    with pytest.raises(FileNotFoundError, match="found no folder .*nowhere to write in; make it first"):
        try_write(tmp_path / "nowhere" / "m")
    for place in tmp_path, os.devnull:
        with pytest.raises(ValueError, match="found a folder or a device"):
            try_write(place)

    def refuse(opened, *_):
        raise OSError(errno.EROFS, "Read-only file system", str(opened))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="Read-only file system") as caught:
        try_write(path)
    assert caught.value.filename == str(path)


# --- what a killed process leaves ------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from fastmlp.atomic import safe_write
with safe_write(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print(temporary, flush=True)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    input()
"""


def begin_to_write(path, ending):
    command = [sys.executable, "-c", KILLED, str(path), ending]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    child = subprocess.Popen(command, cwd=ROOT, **pipes)
    return child, child.stdout.readline().strip()


def age(path, seconds=3700):
    os.utime(path, (time.time() - seconds,) * 2, follow_symlinks=False)


def write(path):
    atomic._clear.cache_clear()
    with safe_write(path) as temporary:
        temporary.write_text("new")


def test_what_a_killed_process_left_goes_when_it_is_old(tmp_path):
    child, left = begin_to_write(tmp_path / "m.png", "kill")
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    write(tmp_path / "m")
    assert os.path.exists(left)
    age(left)
    write(tmp_path / "m")
    assert [*tmp_path.iterdir()] == [tmp_path / "m"]


def test_what_a_living_process_writes_stays(tmp_path):
    child, written = begin_to_write(tmp_path / "a", "live")
    age(written)
    write(tmp_path / "b")
    assert os.path.exists(written)
    child.communicate("\n")
    assert child.returncode == 0 and {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_only_old_temporary_files_of_this_user_go(tmp_path, monkeypatch):
    name = ".fastmlp-" + "0" * 15
    (tmp_path / "precious").write_text("kept")
    (tmp_path / (name + "1")).symlink_to(tmp_path / "precious")
    (tmp_path / (name + "2")).mkdir()
    os.mkfifo(tmp_path / (name + "3"))
    for other in name, name + "x", name[1:] + "1", name + "11":
        (tmp_path / other).write_text("")
    before = {*tmp_path.iterdir()}
    for path in before:
        age(path)
    (tmp_path / (name + "4.safetensors")).write_text("young")
    write(tmp_path / "m")
    assert {*tmp_path.iterdir()} == before | {tmp_path / "m", tmp_path / (name + "4.safetensors")}
    age(tmp_path / (name + "4.safetensors"))
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    write(tmp_path / "m")
    assert (tmp_path / (name + "4.safetensors")).exists()
    monkeypatch.undo()
    write(tmp_path / "m")
    assert {*tmp_path.iterdir()} == before | {tmp_path / "m"}
