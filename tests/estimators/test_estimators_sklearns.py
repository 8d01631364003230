"""The estimators under scikit-learn's own tests, and beside the oldest release that is allowed."""

import os
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

import pytest
from trees import ROOT, environment

pytestmark = pytest.mark.slow

NAMES = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
FEWEST = 42  # test functions, as release 1.7 has them
# of scikit-learn's own conftest.py, which fetches data as well
CONFTEST = """
import pytest


@pytest.fixture
def global_random_seed():
    return 42
"""


def run_pytest(*arguments, cwd, path=(ROOT,)):
    """Run pytest, with imports from some folders first; returns what became of each test function."""
    report = cwd / "report.xml"
    environ = environment(PYTHONPATH=os.pathsep.join(map(str, path)))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
        *arguments,
    ]
    child = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=600)
    assert report.is_file(), child.stdout + child.stderr
    outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        found = {part.tag for part in case} & {"failure", "error", "skipped"}
        outcomes.setdefault(case.get("name").split("[")[0], set()).update(found or {"passed"})
    return outcomes, child.stdout


def test_ours_pass_scikit_learns_tests(tmp_path):
    theirs = Path(find_spec("sklearn").origin).parent / "neural_network" / "tests" / "test_mlp.py"
    text = theirs.read_text(encoding="utf-8")
    assert text.count(NAMES) == 1
    ours = text.replace(NAMES, NAMES.replace("sklearn.neural_network", "fastmlp"))
    (tmp_path / "test_mlp.py").write_text(ours, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    outcomes, said = run_pytest("test_mlp.py", cwd=tmp_path)
    failed = {name for name, found in outcomes.items() if found & {"failure", "error"}}
    assert failed == set(), said
    assert sum("passed" in found for found in outcomes.values()) >= FEWEST, said


def test_the_oldest_scikit_learn_that_is_allowed_will_do(tmp_path):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (floor,) = (line for line in settings["project"]["dependencies"] if line.startswith("scikit-learn>="))
    oldest = (
        floor.replace(">=", "==") + ".*"
    )  # its last patch, which knows the NumPy and SciPy of this Python
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        tmp_path / "old",
        oldest,
    ]
    subprocess.run(command, check=True, timeout=600)
    path = (tmp_path / "old", ROOT, ROOT / "tests")
    version = "import sklearn; print(sklearn.__version__)"
    environ = environment(PYTHONPATH=os.pathsep.join(map(str, path)))
    child = subprocess.run(
        [sys.executable, "-c", version], env=environ, capture_output=True, text=True, check=True
    )
    assert child.stdout.startswith(floor.split(">=")[1] + ".")
    tests = [f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}", ROOT / "tests" / "estimators"]
    outcomes, said = run_pytest(*tests, cwd=tmp_path, path=path)
    failed = {name for name, found in outcomes.items() if found & {"failure", "error"}}
    assert failed == set() and "test_an_estimator_passes_the_checks" in outcomes, said
