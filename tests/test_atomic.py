"""Files appear whole or not at all."""

import errno
import os
import stat

import pytest

from fastmlp.atomic import safe_write


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
