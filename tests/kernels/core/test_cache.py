"""Files of compiled code: damaged ones are compiled anew, and those that others can write are never read."""

import os
import random
import stat
import tempfile
from pathlib import Path

import numba
import pytest
from code_steps import STEP, code_files, result_of, step
from disks import python_on_disk
from trees import python

from fastmlp.kernels.core import cache, machine

OWNED = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners and permissions")
ROOT_ONLY = pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="needs to be root")
CODE = {"code": bytes(range(256)) * 20}
ANOTHER = 12345  # a user


@pytest.fixture
def kept(tmp_path):
    """A file with code, as a user's of umask 0 writes it."""
    before = os.umask(0)
    file = cache.CodeFile(tmp_path / "stamp" / "f.code")
    machine.make_folder(tmp_path / "stamp")
    file.save("key", CODE)
    os.umask(before)
    return file


# --- damage ----------------------------------------------------------------------------------------------


def test_a_file_gives_the_code_of_its_key_and_is_one_file(kept):
    assert kept.load("key") == CODE and kept.load("other") is None
    kept.save("other", "more")
    assert kept.load("other") == "more" and kept.load("key") is None
    assert [*kept._path.parent.iterdir()] == [kept._path]


def test_a_bit_that_has_changed_anywhere_and_a_file_cut_anywhere_are_noticed(kept, monkeypatch):
    monkeypatch.setattr(cache.pickle, "loads", lambda content: pytest.fail("unpickled what is damaged"))
    whole, draw = kept._path.read_bytes(), random.Random(0)
    for place in {0, 31, 32, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(200))}:
        scrambled = bytearray(whole)
        scrambled[place] ^= 1 << draw.randrange(8)
        for damaged in (scrambled, whole[:place], whole[:place] + bytes(len(whole) - place), whole + b"\0"):
            kept._path.write_bytes(damaged)
            assert damaged == whole or kept.load("key") is None, place
    kept._path.unlink()
    assert kept.load("key") is None
    kept._path.mkdir()
    assert kept.load("key") is None


@pytest.mark.parametrize("place", ["stamp/g.code", "other/f.code"])
def test_a_file_under_another_name_or_of_other_sources_is_not_read(kept, tmp_path, place):
    other = tmp_path / place
    other.parent.mkdir(exist_ok=True)
    kept._path.rename(other)
    assert cache.CodeFile(other).load("key") is None


def test_damaged_code_is_compiled_anew_and_written_over(tmp_path):
    assert step(cache=tmp_path)[1] > 0
    (file,) = code_files(tmp_path)
    whole = file.read_bytes()
    middle = len(whole) // 2
    scrambled = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damaged in (b"", b"garbage", whole[:-1], scrambled):
        file.write_bytes(damaged)
        value, compiled, said = step(cache=tmp_path)
        assert value == -1 and compiled > 0 and not said
        assert step(cache=tmp_path) == (-1, 0, "")


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(kept, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match=r"No space left on device: '.*f\.code'"):
        kept.save("key", CODE)
    assert kept.load("key") == CODE and [*kept._path.parent.iterdir()] == [kept._path]


# --- whose it may be -------------------------------------------------------------------------------------


@OWNED
def test_a_file_that_others_can_write_is_not_read(kept, monkeypatch):
    assert stat.S_IMODE(kept._path.stat().st_mode) == 0o644 and kept.load("key") == CODE
    for mode in (0o664, 0o646, 0o666):
        kept._path.chmod(mode)
        assert kept.load("key") is None
    kept._path.chmod(0o600)
    assert kept.load("key") == CODE
    give_away(kept._path, monkeypatch)
    assert kept.load("key") is None


def give_away(path, monkeypatch):
    """Have a file or a folder belong to another user, who is not root."""
    if os.geteuid() == 0:
        os.chown(path, ANOTHER, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: ANOTHER)


@OWNED
@pytest.mark.parametrize(
    ("mode", "parents", "found"),
    [
        (0o755, 0o755, None),
        (0o700, 0o755, None),
        (0o775, 0o755, "code/stamp"),
        (0o757, 0o755, "code/stamp"),
        (0o1777, 0o755, "code/stamp"),  # others cannot replace what is there, but add to it
        (0o755, 0o757, "code"),
        (0o755, 0o1777, None),
        (0o755, 0o1775, None),
    ],
)
def test_a_folder_is_private_and_nobody_can_replace_it(tmp_path, mode, parents, found):
    folder = tmp_path / "code" / "stamp"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    folder.parent.chmod(parents)
    assert cache.open_to_others(folder) == (found and tmp_path / found)


@OWNED
def test_a_folder_far_above_counts_and_so_does_where_a_link_leads_and_lies(tmp_path):
    open_, private = tmp_path / "open", tmp_path / "private"
    for folder in (open_ / "a" / "b", private / "a" / "b"):
        folder.mkdir(parents=True)
    open_.chmod(0o777)
    assert cache.open_to_others(open_ / "a" / "b") == open_
    (private / "link").symlink_to(open_ / "a")
    (open_ / "link").symlink_to(private / "a")
    (private / "to private").symlink_to(private / "a")
    assert cache.open_to_others(private / "link" / "b") == open_
    assert cache.open_to_others(open_ / "link" / "b") == open_
    assert cache.open_to_others(private / "to private" / "b") is None


@OWNED
def test_a_group_that_has_others_in_it_is_not_this_user(tmp_path, monkeypatch):
    grp, pwd = pytest.importorskip("grp"), pytest.importorskip("pwd")
    folder = tmp_path / "code" / "stamp"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o775)
    group, user = grp.struct_group(("me", "x", 7, [])), pwd.struct_passwd(("me", "x", 7, 7, "", "/", ""))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: user)
    for members, name, found in (
        ([], "me", None),
        (["me"], "me", None),
        (["me", "you"], "me", folder.parent),
        ([], "lab", folder.parent),  # it may be the first group of many
    ):
        group = grp.struct_group((name, "x", 7, members))
        monkeypatch.setattr(grp, "getgrgid", lambda gid, group=group: group)
        assert cache.open_to_others(folder) == found


@ROOT_ONLY
def test_folders_of_another_user_are_open_to_that_user(tmp_path, monkeypatch):
    folder = tmp_path / "code" / "stamp"
    folder.mkdir(parents=True)
    for place in (folder, folder.parent):
        os.chown(place, ANOTHER, -1)
        assert cache.open_to_others(folder) == place
        monkeypatch.setattr(os, "geteuid", lambda: ANOTHER)
        assert cache.open_to_others(folder) is None  # root's own are above
        monkeypatch.undo()
        os.chown(place, 0, -1)


@OWNED
def test_code_that_others_can_write_is_neither_used_nor_written_over(tmp_path):
    """From this test's own folder, whose bits are as the system's temporary folder has them."""
    step(cache=tmp_path)
    (file,) = code_files(tmp_path)
    file.parent.chmod(0o775)
    value, compiled, said = step(cache=tmp_path)
    assert value == -1 and compiled > 0
    assert said.count("UserWarning") == 1 and f"{file.parent} can be written by other users" in said
    file.parent.chmod(0o755)
    tmp_path.chmod(0o777)
    value, compiled, said = step(cache=tmp_path)
    assert value == -1 and compiled > 0 and f"{tmp_path} can be written by other users" in said
    tmp_path.chmod(0o755)
    file.chmod(0o664)
    value, compiled, said = step(cache=tmp_path)
    assert value == -1 and compiled > 0 and not said
    assert step(cache=tmp_path) == (-1, 0, "")  # written anew, by its owner alone


# --- read only -------------------------------------------------------------------------------------------

# What Python imports late is imported while all can still be read: another kernel is compiled, and forgotten.
AS_ANOTHER = f"""
import grp, os, pwd, sys
import numpy as np
from fastmlp import kernels
from fastmlp.kernels.core import jit
kernels.scan(np.zeros((1, 1), np.uint8))
jit.code_folder.cache_clear()
os.environ["FASTMLP_CACHE"] = sys.argv.pop(1)
os.setgroups([]), os.setgid({ANOTHER}), os.setuid({ANOTHER})
"""


@pytest.fixture
def public():
    """A folder that others may look into, as they may not into pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def others_may_read(file):
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in Path(file).resolve().parents)


@ROOT_ONLY
@pytest.mark.skipif(
    not (others_may_read(__file__) and others_may_read(numba.__file__)),
    reason="others may not read this environment",
)
def test_code_that_root_has_kept_is_used_by_others_and_not_written(public, tmp_path):
    def as_another(*dtype):
        code = AS_ANOTHER + STEP
        return result_of(python("-W", "always", "-c", code, public, *dtype, cache=tmp_path))

    step(cache=public)
    before = {path: path.stat().st_mtime_ns for path in public.rglob("*")}
    assert as_another() == (-1, 0, "")
    value, compiled, said = as_another("float64")  # which nobody has kept
    assert value == -1 and compiled > 0
    assert said.count("UserWarning") == 1 and "Permission denied" in said and "set FASTMLP_CACHE" in said
    assert {path: path.stat().st_mtime_ns for path in public.rglob("*")} == before
    (file,) = code_files(public)
    file.parent.chmod(0o775)
    value, compiled, said = as_another()
    assert value == -1 and compiled > 0 and f"{file.parent} can be written by other users" in said
    file.parent.chmod(0o700)
    value, compiled, said = as_another()
    assert value == -1 and compiled > 0 and said.count("UserWarning") == 1


READ_ONLY = f"""
def run(*words):
    subprocess.run([sys.executable, "-W", "always", "-c", {STEP!r}, *words], check=True)
run()
mount("remount,ro")
run()
run("float64")
"""


def test_code_on_a_disk_that_is_read_only_is_used(tmp_path):
    child = python_on_disk(tmp_path, "4m", READ_ONLY, cache=tmp_path)
    assert child.returncode == 0, child.stderr
    (first, second, third) = (line.split() for line in child.stdout.splitlines())
    assert first[0] == second[0] == third[0] == "-1.0"
    assert int(first[1]) > 0 and int(second[1]) == 0 and int(third[1]) > 0
    assert child.stderr.count("UserWarning") == 1 and "Read-only file system" in child.stderr
