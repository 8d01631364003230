"""How the command line ends before it has begun, and that a library which fails is none."""

import os
import signal
import subprocess
import sys

import pytest
from small_runs import ROOT

WAYS = {
    "module": ["-m", "fastmlp", "info"],
    "module, with options": ["-X", "utf8", "-m", "fastmlp", "info"],
    "script": ["fastmlp", "info"],
    "library": ["-c", "import fastmlp", "-m", "fastmlp"],
}


def run(way, folder, **environ):
    (folder / "fastmlp").write_text("from fastmlp.cli.main import main\nraise SystemExit(main())\n")
    arguments = [str(folder / word) if word == "fastmlp" and way == "script" else word for word in WAYS[way]]
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": path} | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_setting_is_told_in_one_line(tmp_path, way):
    done = run(way, tmp_path, FASTMLP_VECTOR_BYTES="48")
    assert done.returncode == 1
    said = "FASTMLP_VECTOR_BYTES is '48'; set it to 64, 32 or 16, or unset it\n"
    if way == "library":
        assert "Traceback" in done.stderr and done.stderr.endswith(f"ValueError: {said}")
    else:
        assert done.stderr == f"fastmlp: error: {said}"


@pytest.mark.skipif(os.name != "posix", reason="Python ends otherwise there")
@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_while_it_is_imported_shows_no_traceback(tmp_path, way):
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text("raise KeyboardInterrupt")
    done = run(way, tmp_path)
    assert done.returncode == -signal.SIGINT
    assert ("Traceback" in done.stderr) if way == "library" else done.stderr == "fastmlp: interrupted\n"


def test_what_nobody_expects_has_its_type(tmp_path):
    (tmp_path / "numba.py").write_text("import no_such_module")
    done = run("module", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("fastmlp: error: ModuleNotFoundError: No module named 'no_such_module'")
