"""What every test starts from: no switches from outside, and both back ends where it asks for `ops`."""

import importlib
import sys
from pathlib import Path

import pytest

pytest.register_assert_rewrite("arenas", "bounds", "repositories", "trees")
sys.path.append(str(Path(__file__).parents[1]))  # last: where fastmlp is installed, that is what is tested


@pytest.fixture(autouse=True)
def _no_switches(monkeypatch):
    monkeypatch.delenv("FASTMLP_SKIP_ZEROS", raising=False)
    monkeypatch.delenv("FASTMLP_NUM_THREADS", raising=False)


@pytest.fixture(params=["reference", "kernels"])
def ops(request):
    """Each back end in turn."""
    return importlib.import_module(f"fastmlp.{request.param}")
