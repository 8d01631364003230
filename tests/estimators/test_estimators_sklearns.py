"""scikit-learn's own tests of its multilayer perceptrons, with ours in their place."""

import re
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

import pytest
from repositories import environment, run
from trees import ROOT

NAMES = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
# the tests that ours need not pass, by name, and why
EXCEPTIONS = {}
# scikit-learn's own conftest.py, which has more than the tests ask for, may want what is not installed
CONFTEST = """
import pytest


@pytest.fixture
def global_random_seed():
    return 42
"""


def outcomes(report):
    """What became of each test function: the worst of its cases."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        name = case.get("name").split("[")[0]
        outcome = next(
            (child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed"
        )
        found.setdefault(name, set()).add(outcome)
    return found


@pytest.mark.slow
def test_ours_pass_scikit_learns_tests(tmp_path):
    theirs = Path(find_spec("sklearn").origin).parent / "neural_network" / "tests" / "test_mlp.py"
    text = theirs.read_text(encoding="utf-8")
    assert text.count(NAMES) == 1
    (tmp_path / "test_mlp.py").write_text(
        text.replace(NAMES, NAMES.replace("sklearn.neural_network", "fastmlp"))
    )
    (tmp_path / "conftest.py").write_text(CONFTEST)
    environ = environment(tmp_path) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    run(sys.executable, "-c", "import fastmlp", cwd=tmp_path, environ=environ)
    said = run(*command, "|| true", cwd=tmp_path, environ=environ).stdout
    found = outcomes(tmp_path / "report.xml")
    assert found
