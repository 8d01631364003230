"""Few digits for the comparison with other libraries."""

import pytest

from asv_benchmarks.rivals.workloads import CHECK, write_digits
from fastmlp import load_mnist


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder with few digits; those of the check are among them."""
    X, y, X_test, y_test = load_mnist()
    few = X[: CHECK.rows], y[: CHECK.rows], X_test[:200], y_test[:200]
    monkeypatch.setattr("fastmlp.load_mnist", lambda: few)
    folder = tmp_path / "digits"
    folder.mkdir()
    write_digits(folder)
    return folder
