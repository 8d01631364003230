"""What tests of the measuring share: the folder that they import from, and threads that are given back."""

import sys
from pathlib import Path

import pytest

import fastmlp

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # last, so that an installed fastmlp stays the one that is tested


@pytest.fixture(autouse=True)
def default_threads():
    yield
    fastmlp.set_num_threads(None)
