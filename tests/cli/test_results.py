"""Where a run saves: what is refused before it begins, and what is left when it fails."""

import pytest
from small_runs import files

from fastmlp.cli.results import places


class Failed(Exception):
    pass


def test_folders_are_made_and_go_again_where_nothing_was_saved(tmp_path):
    out, checkpoint = tmp_path / "a" / "run", tmp_path / "b" / "checkpoint"
    with pytest.raises(Failed), places(out, checkpoint, False) as folder:
        assert folder == out and out.is_dir() and checkpoint.parent.is_dir()
        raise Failed
    assert not out.exists() and not checkpoint.parent.exists()
    with pytest.raises(Failed), places(out, checkpoint, False):
        checkpoint.write_text("kept")
        raise Failed
    assert not out.exists() and files(checkpoint.parent) == {"checkpoint"}


def test_a_folder_that_was_there_for_the_checkpoint_stays(tmp_path):
    (tmp_path / "kept").mkdir()
    with pytest.raises(Failed), places(tmp_path / "run", tmp_path / "kept" / "checkpoint", False):
        raise Failed
    assert files(tmp_path) == {"kept"}


@pytest.mark.parametrize(
    ("out", "checkpoint", "reason"),
    [
        ("run", "folder", "checkpoint .*folder is a folder, expected a file, such as .*folder/checkpoint"),
        ("run", "run", "run is a folder, expected a file, such as .*run/checkpoint"),
        ("run", "file", "file exists already: add --resume to go on with its run, or name another file"),
        ("run", "run/any.safetensors", "is in the folder of --out, .* another name such as .*run/checkpoint"),
        ("run", "run/history.csv", "is in the folder of --out"),
        ("folder/../run", "run/any.safetensors", "is in the folder of --out"),
        ("earlier", None, "earlier holds history.csv of an earlier run: give another --out"),
    ],
)
def test_what_would_be_lost_or_confused_is_refused(tmp_path, out, checkpoint, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "history.csv").write_text("precious")
    (tmp_path / "file").write_text("precious")
    before = files(tmp_path)
    with pytest.raises(ValueError, match=reason):
        with places(tmp_path / out, checkpoint and tmp_path / checkpoint, False):
            pytest.fail("it has begun")
    assert files(tmp_path) == before


def test_files_of_the_run_that_is_resumed_may_be_there(tmp_path):
    (tmp_path / "history.csv").write_text("")
    (tmp_path / "checkpoint").write_text("")
    with places(tmp_path, tmp_path / "checkpoint", True) as folder:
        assert folder == tmp_path


def test_a_remedy_that_is_given_works(tmp_path):
    with places(tmp_path / "run", tmp_path / "run" / "checkpoint", False):
        pass
