"""Checkpoints of runs that are killed at random moments, or whose disk is lost, full or read-only."""

import json
import os
import subprocess
import sys

import pytest
from cut_runs import RUNS
from disks import python_on_disk
from trees import ROOT, environment

THREADS = [1, 2]


def crash(*words, alone=()):
    """Have a run crash at random moments, as `crashes` does: its figures."""
    command = [*alone, sys.executable, "-m", "crashes", *map(str, words)]
    pipes = {"capture_output": True, "text": True, "timeout": 3600}
    child = subprocess.run(command, env=environment(), cwd=ROOT, **pipes)
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)


def test_whenever_it_is_killed_a_run_is_completed_as_if_it_never_stopped(tmp_path):
    found = crash("adam, ema", 2, 100, tmp_path)
    assert found["crashes"] == 100 and not [*tmp_path.glob(".fastmlp-*")]


@pytest.mark.nightly
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("run", RUNS)
def test_every_kind_of_run_is_completed_after_kills(tmp_path, run, threads):
    found = crash(run, threads, 100, tmp_path)
    assert found["within a write"] > 0  # else the moments were not those that count
    print(found)


@pytest.mark.nightly
@pytest.mark.parametrize("threads", THREADS)
def test_a_run_is_completed_after_its_disk_was_lost_with_all_that_was_not_synced(tmp_path, threads):
    """As after a power failure, on ext4 without what helps those who do not sync."""
    if sys.platform != "linux" or os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        pytest.skip("needs to be root, with loop devices")
    (tmp_path / "disk").mkdir()
    disk = tmp_path / "disk", tmp_path / "image"
    found = crash("adam, ema", threads, 100, *disk, alone=("unshare", "-m"))
    assert found["within a write"] > 0
    print(found)


# --- a disk that is full or read-only --------------------------------------------------------------------

ENDS = {
    "full": (
        """
with open(folder / "filler", "wb", 0) as file, contextlib.suppress(OSError):
    while True:
        file.write(bytes(4096))
""",
        "No space left on device",
    ),
    "read-only": ("mount('remount,ro')", "Read-only file system"),
}
TRAIN = """
import contextlib
from pathlib import Path
import cut_runs as t
from fastmlp import Checkpoint
folder = Path(sys.argv[1])
path, end = folder / "checkpoint", compile(sys.argv[2], "end", "exec")
model = t.make_model()
try:
    every = Checkpoint(path, seconds=0)
    t.train(model, "adam, ema", checkpoint=every, callbacks=[lambda r: r.epoch == 3 and exec(end)])
except OSError as error:
    print(error)
    print(len(error.history), t.n_epochs_in(path), *sorted(p.name for p in folder.iterdir()))
try:
    model.save(path)
except OSError as error:
    print(error)
mount("remount,rw,size=1m")
other, twin = t.make_model(), t.make_model()
expected = t.outcome(twin, t.train(twin, "adam, ema"))
print(t.outcome(other, t.train(other, "adam, ema", resume=path, checkpoint=path)) == expected)
"""


@pytest.mark.parametrize("end", ENDS)
def test_a_run_whose_disk_is_full_or_read_only_says_that_the_old_file_is_there(tmp_path, end):
    code, said = ENDS[end]
    child = python_on_disk(tmp_path, "64k", TRAIN, tmp_path, code)
    assert child.returncode == 0, child.stderr
    message, found, of_model, same = child.stdout.splitlines()
    path = tmp_path / "checkpoint"
    assert message.endswith(f"{said}; the old file is still there: '{path}'") and of_model == message
    assert found == "5 4 checkpoint" + " filler" * (end == "full")
    assert same == "True"
