"""The progress bar: where it is shown, and that it changes nothing."""

import io
import sys

import numpy as np
import pytest
from models import bits
from runs import make_samples, make_small

from fastmlp import fit, kernels
from fastmlp.training.progress import Bar


@pytest.fixture
def data():
    return make_samples()


@pytest.mark.parametrize(
    ("progress", "terminal", "shown"),
    [("auto", False, False), ("auto", True, True), (True, False, True), (False, True, False)],
)
def test_a_bar_is_shown_where_it_is_wanted(data, capsys, monkeypatch, progress, terminal, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    model, twin = make_small(kernels), make_small(kernels)
    fit(model, *data, epochs=3, batch_size=16, seed=0, progress=progress)
    out, err = capsys.readouterr()
    assert out == "" and ("/21" in err) == shown == bool(err)
    fit(twin, *data, epochs=3, batch_size=16, seed=0, progress=False)
    assert bits(model) == bits(twin)


def test_without_a_console_there_is_no_bar(data, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    assert len(fit(make_small(kernels), *data, epochs=2)) == 2


def test_a_notebook_has_a_bar_unasked(data, monkeypatch):
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr("sys.stderr", stream)
    fit(make_small(kernels), *data, epochs=3, batch_size=16)
    assert not stream.isatty() and "/21" in stream.getvalue()


def test_what_a_callback_prints_has_lines_of_its_own(data, monkeypatch):
    screen = io.StringIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, screen)
    fit(make_small(kernels), *data, epochs=3, callbacks=[lambda record: print("said")], progress=True)
    *lines, _ = screen.getvalue().split("said\n")
    assert len(lines) == 3 and all("%|" in line and line.endswith(" \r") for line in lines)


@pytest.mark.parametrize("progress", ["off", "True", ""])
def test_another_word_is_refused(data, progress):
    with pytest.raises(ValueError, match=f"progress is '{progress}', expected True, False or 'auto'"):
        fit(make_small(kernels), *data, epochs=1, progress=progress)


def test_a_bar_counts_the_batches_of_all_epochs():
    bar = Bar(n_batches=3, epochs=2)
    bar.start()
    for losses in ([1.0, 2.0, 3.0], [4.0, np.nan, np.nan]):
        bar.follow(np.array(losses))
    bar.close()
    assert (bar._bar.n, bar._bar.total) == (4, 6)


def test_a_bar_that_was_never_started_closes():
    Bar(n_batches=3, epochs=2).close()
