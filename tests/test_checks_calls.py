"""Thousands of public calls with odd arguments: taken, or refused in words, and then nothing is changed."""

import traceback
import warnings
from pathlib import Path

import pytest
from cut_runs import repr_of
from doors import DOORS, ODD

import fastmlp
from fastmlp import set_num_threads

REFUSALS = ValueError, TypeError, RuntimeError, FloatingPointError, FileNotFoundError


def look(model):
    return repr_of(model.get_state()), model.config(), [w.tobytes() for w in model.get_weights()]


def is_refused(door, argument, odd):
    """Call; whether it is refused by a line of ours that raises, and not by chance further down."""
    model = door.make()
    before = look(model)
    try:
        with warnings.catch_warnings(action="ignore"):
            door.call(model, **door.good | {argument: odd})
        return False
    except REFUSALS as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        homes = [Path(package.__file__).parent for package in (fastmlp, fastmlp.kernels)]  # a clone has two
        ours = any(Path(last.filename).is_relative_to(home) for home in homes)
        assert last.line.startswith("raise") and ours, repr(error)
        assert len(str(error)) > 10 and look(model) == before, error
        return True
    finally:
        set_num_threads(None)


@pytest.mark.parametrize("name", DOORS)
def test_an_odd_call_is_refused_in_words_and_changes_nothing(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    n, door = 0, DOORS[name]
    for argument in door.good:
        for what, odd in ODD.items():
            try:
                n += is_refused(door, argument, odd)
            except BaseException as error:
                error.add_note(f"{argument} is {what}")
                raise
    assert n > len(ODD) // 2
