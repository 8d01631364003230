"""What every test starts from: no switches from outside, and both back ends where it asks for `ops`."""

import importlib
import os
from pathlib import Path

import pytest
from hypothesis import settings

from fastmlp.kernels.core import machine
from fastmlp.kernels.core import threads as regions

SHARED = [path.stem for path in Path(__file__).parent.glob("*.py") if not path.match("test_*")]
pytest.register_assert_rewrite(*SHARED)

# the same examples in every run; HYPOTHESIS_PROFILE=nightly draws more of them, and others each time
settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=200)
settings.register_profile("nightly", database=None, deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def _no_switches(monkeypatch):
    monkeypatch.delenv("FASTMLP_SKIP_ZEROS", raising=False)
    monkeypatch.delenv("FASTMLP_NUM_THREADS", raising=False)


@pytest.fixture(params=["reference", "kernels"])
def ops(request):
    """Each back end in turn."""
    return importlib.import_module(f"fastmlp.{request.param}")


@pytest.fixture
def threads(monkeypatch):
    """Sets the number of threads, also of the smallest kernels, until the test is over."""
    monkeypatch.setattr(regions, "CALL_WORK", 1)
    yield machine.set_num_threads
    machine.set_num_threads(None)
