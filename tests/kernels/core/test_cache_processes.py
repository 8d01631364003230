"""One cache, many processes: they race, are killed, find it cleared, damaged or of another machine."""

import random
import shutil
import subprocess
import sys
import time

import pytest
from code_steps import STEP, code_files, step
from disks import python_on_disk
from trees import ROOT, copy_tree, environment

# an epoch of a network, whose weights it prints, beside STEP
EPOCH = """
import hashlib
import cut_runs
model = cut_runs.make_model()
cut_runs.train(model, "adam, ema", 2)
print(hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest())
"""


def start(code, cache):
    command = [sys.executable, "-W", "always", "-c", code]
    environ, pipes = environment(cache=cache), {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environ, cwd=ROOT, text=True, **pipes)


def end(child):
    """What a child has printed."""
    out, err = child.communicate(timeout=3600)
    assert (child.returncode, err) == (0, ""), err
    return out


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """Digest of the weights after EPOCH, and a cache with its code."""
    cache = tmp_path_factory.mktemp("whole")
    return end(start(EPOCH, cache)), cache


@pytest.mark.parametrize("n", [5, pytest.param(20, marks=pytest.mark.nightly)])
def test_processes_that_race_on_an_empty_cache_agree_and_leave_a_file_a_variant(tmp_path, n):
    values = [end(child).split()[0] for child in [start(STEP, tmp_path) for _ in range(n)]]
    assert values == ["-1.0"] * n
    assert step(cache=tmp_path) == (-1, 0, "")
    (folder,) = (tmp_path / "code").iterdir()
    assert [*folder.iterdir()] == code_files(tmp_path) and len(code_files(tmp_path)) == 1


@pytest.mark.nightly
def test_20_processes_that_train_on_an_empty_cache_come_to_the_same_bits(tmp_path, digest):
    expected, whole = digest
    assert {end(child) for child in [start(EPOCH, tmp_path) for _ in range(20)]} == {expected}
    assert [file.name for file in code_files(tmp_path)] == [file.name for file in code_files(whole)]
    assert len([*next((tmp_path / "code").iterdir()).iterdir()]) == len(code_files(whole))


@pytest.mark.nightly
def test_a_cache_that_is_cleared_again_and_again_stops_nobody(tmp_path, digest):
    expected, _ = digest
    children = [start(EPOCH, tmp_path) for _ in range(4)]
    while any(child.poll() is None for child in children):
        shutil.rmtree(tmp_path / "code", ignore_errors=True)
        time.sleep(0.01)
    for child in children:
        out, err = child.communicate()
        assert (child.returncode, out) == (0, expected), err
        assert not err or "compiles anew in every process" in err


@pytest.mark.nightly
def test_processes_that_are_killed_while_they_compile_leave_nothing_that_harms(tmp_path):
    begin, draw, n_kept = time.monotonic(), random.Random(0), 0
    end(start(STEP, tmp_path / "first"))
    whole, cache = time.monotonic() - begin, tmp_path / "cache"
    for _ in range(40):
        child = start(STEP, cache)
        time.sleep(draw.uniform(0.3, 1.2) * whole)
        child.kill()
        child.communicate()
        if code_files(cache):
            assert step(cache=cache) == (-1, 0, "")
            shutil.rmtree(cache)
            n_kept += 1
    assert 0 < n_kept < 40
    print(f"40 killed, {40 - n_kept} before they had kept any code")


@pytest.mark.nightly
def test_no_damage_to_a_file_of_code_changes_what_it_computes(tmp_path):
    """A bit, a cut, a run of bytes, or the end in zeros."""
    assert step(cache=tmp_path)[0] == -1
    (file,), draw = code_files(tmp_path), random.Random(0)
    whole = file.read_bytes()
    for trial in range(60):
        content = bytearray(whole)
        place = draw.randrange(len(content))
        if trial % 4 == 0:
            content[place] ^= 1 << draw.randrange(8)
        elif trial % 4 == 1:
            del content[place:]
        elif trial % 4 == 2:
            content[place : place + 64] = draw.randbytes(len(content[place : place + 64]))
        else:
            content[place:] = bytes(len(content) - place)
        file.write_bytes(content)
        value, compiled, said = step(cache=tmp_path)
        assert value == -1 and compiled > 0 and not said, trial
    assert step(cache=tmp_path) == (-1, 0, "")


OF_ANOTHER = """
from fastmlp.kernels.core import machine
machine.{name} = lambda: "of another"
"""


@pytest.mark.parametrize("name", ["processor", "features"])
def test_code_of_another_processor_is_neither_run_nor_lost(tmp_path, name):
    other = OF_ANOTHER.format(name=name) + STEP
    assert step(code=other, cache=tmp_path)[1] > 0
    value, compiled, _ = step(cache=tmp_path)
    assert value == -1 and compiled > 0
    assert step(code=other, cache=tmp_path) == step(cache=tmp_path) == (-1, 0, "")


# --- installed by others ---------------------------------------------------------------------------------

INSTALLED = f"""
import os, shutil
tree, nowhere = sys.argv[1:]
shutil.copytree(nowhere, tree, dirs_exist_ok=True)
environ = os.environ | {{"PYTHONPATH": tree, "HOME": nowhere + "/file"}}
del environ["FASTMLP_CACHE"], environ["PYTHONDONTWRITEBYTECODE"]
def run(**more):
    command = [sys.executable, "-W", "always", "-c", {STEP!r}]
    subprocess.run(command, check=True, env=environ | more, cwd=tree)
run(FASTMLP_CACHE=tree + "/cache")
mount("remount,ro")
run(FASTMLP_CACHE=tree + "/cache")
print("no home", file=sys.stderr, flush=True)
run()
"""


def test_a_read_only_installation_runs_with_the_code_in_it_and_without_a_home(tmp_path):
    tree, disk = copy_tree(tmp_path / "tree"), tmp_path / "disk"
    (tree / "file").touch()  # no folder can be made in a file, not even by root
    disk.mkdir()
    child = python_on_disk(disk, "16m", INSTALLED, disk, tree, cache=tmp_path)
    assert child.returncode == 0, child.stderr
    first, second, homeless = (line.split() for line in child.stdout.splitlines())
    assert first[0] == second[0] == homeless[0] == "-1.0"
    assert int(first[1]) > 0 and int(second[1]) == 0 and int(homeless[1]) > 0
    before, after = child.stderr.split("no home\n")
    assert not before and after.count("UserWarning") == 1 and "compiles anew in every process" in after
