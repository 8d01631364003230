"""The kernels' own tests in a process where an index out of range raises; the canary says that it does."""

import re
import subprocess
import sys

import pytest
from trees import ROOT, environment, python

CANARY = """
import numpy as np
from fastmlp.kernels.core.jit import entry

@entry("y")
def canary(x, y):
    y[0] = x[x.shape[0]]

canary(np.arange(3.0)[:2], np.zeros(1))
"""


CHECKED = {"NUMBA_BOUNDSCHECK": "1"}


def passes(folder, *files):
    """The number of tests in these files that pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *files]
    child = subprocess.run(
        command, env=environment(cache=folder, **CHECKED), cwd=ROOT, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stdout[-4000:] + child.stderr[-2000:]
    print(child.stdout.splitlines()[-1])
    return int(re.search(r"(\d+) passed", child.stdout)[1])


def test_the_canary_raises_and_without_the_check_it_reads_what_lies_behind(tmp_path):
    child = python("-c", CANARY, cache=tmp_path, **CHECKED)
    assert child.returncode == 1 and child.stderr.strip().splitlines()[-1].startswith("IndexError")
    assert python("-c", CANARY + "print('read')", cache=tmp_path).stdout == "read\n"


@pytest.mark.slow
def test_no_kernel_has_an_index_out_of_range(tmp_path):
    assert passes(tmp_path, "tests/kernels/test_kernels_margins.py") > 40


@pytest.mark.nightly
def test_no_test_of_kernels_or_models_finds_an_index_out_of_range(tmp_path):
    above = ("steps", "model_outputs", "layers", "inference", "parameters")
    files = [ROOT / "tests" / f"test_{name}.py" for name in above]
    assert passes(tmp_path, *files, *(ROOT / "tests" / "kernels").glob("test_*.py")) > 2000
