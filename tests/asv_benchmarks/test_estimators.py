"""The table of the estimators beside scikit-learn's: its lines, its checks and its arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import neural_network

import fastmlp
from asv_benchmarks import estimators
from asv_benchmarks.benchmarks import _checks
from asv_benchmarks.estimators import CONTESTS
from asv_benchmarks.figures.report import Goal

GOALS = [(4, 8), (4, 8), (5, 10), (6, 12), (4, 8), (2, 3.5), (3, 6), (2, 5), (1.5, 3)]


@pytest.fixture
def tiny(monkeypatch):
    """One round of few rows and epochs, in this process."""

    def cut(contest):
        def few():
            X, y = contest.data()
            return X[:200], y[:200]

        few_epochs = {"max_iter": min(2, contest.options.get("max_iter", 2))}
        options = contest.options | few_epochs | {"hidden_layer_sizes": (7,), "batch_size": 64}
        return replace(contest, data=few, options=options, calls=1)

    digits = [part[:200] for part in fastmlp.load_mnist()]
    monkeypatch.setattr(fastmlp, "load_mnist", lambda: digits)
    monkeypatch.setattr(estimators, "CONTESTS", {name: cut(each) for name, each in CONTESTS.items()})
    monkeypatch.setattr(estimators, "GRID", {"alpha": [1e-4, 1.0]})
    monkeypatch.setattr(estimators, "SECONDS", 0.0)
    monkeypatch.setattr(estimators, "LEAST", 1)
    monkeypatch.setattr(estimators, "BLAS_PAUSE", 0.0)


def test_the_goals_are_those_of_the_task():
    assert [(contest.goal.must, contest.goal.aim) for contest in CONTESTS.values()] == GOALS


def test_a_search_is_of_24_candidates():
    assert np.prod([len(values) for values in estimators.GRID.values()]) == 24


@pytest.mark.parametrize("name", [name for name in CONTESTS if name != "grid"])
def test_a_line_is_checked_and_raced(name, tiny, capsys):
    assert estimators.main(["--only", name]) == 0
    heading, line = capsys.readouterr().out.splitlines()[-2:]
    assert heading.split()[-4:] == ["measured", "must", "aim", "rounds"]
    contest = CONTESTS[name]
    assert line.startswith(f"  {contest.what} ") and f"{contest.goal.must:g}" in line
    assert "scikit-learn" in line and " x " in line


def test_a_search_is_raced_with_two_workers(tiny, capsys):
    assert estimators.main(["--only", "grid"]) == 0
    captured = capsys.readouterr()
    assert CONTESTS["grid"].what in captured.out and "Warning" not in captured.err


def test_both_libraries_get_the_same_but_for_threads():
    for contest in CONTESTS.values():
        theirs, ours = (estimators.estimator(contest, library, 2) for library in estimators.LIBRARIES)
        assert theirs.get_params().items() <= ours.get_params().items()
        assert ours.n_threads == 2 and type(theirs) is getattr(neural_network, contest.kind)


def test_a_ratio_is_of_the_better_medians():
    times = {
        (neural_network, 1): 8.0,
        (neural_network, 2): 6.0,
        (fastmlp, 1): 1.5,
        (fastmlp, 2): 2.0,
    }
    row = estimators.row(CONTESTS["digits"], times, 5)
    assert (row.value, row.threads, row.rounds, row.goal) == (4.0, 1, 5, Goal(4, 8))
    assert row.note == "1.50 s, scikit-learn 6.00 s on 2" and row.grade == "must"


def test_a_call_of_several_is_divided_once(tiny, monkeypatch):
    calls, clock = [], iter(range(1000))
    contest = replace(
        CONTESTS["one-row"], action=lambda *args: lambda: calls.append(1), calls=10, counts=(1,)
    )
    monkeypatch.setattr(estimators, "check", lambda *args: None)
    monkeypatch.setattr("fastmlp.bench.time.perf_counter", lambda: next(clock))
    row = estimators.measure(replace(contest, data=lambda: (None, None)))
    assert len(calls) == 20 and row.note.startswith("100 ms, scikit-learn 100 ms")


@pytest.mark.parametrize("name", ["cancer", "lbfgs", "one-row", "regression"])
def test_what_differs_is_not_timed(name, tiny, monkeypatch, capsys):
    kind = CONTESTS[name].kind

    class Wrong(getattr(fastmlp, kind)):
        def _init_coef(self, fan_in, fan_out, dtype):
            coef, intercept = super()._init_coef(fan_in, fan_out, dtype)
            return (1.1 * coef).astype(dtype), intercept

    Wrong.__name__ = kind
    monkeypatch.setattr(fastmlp, kind, Wrong)
    monkeypatch.setattr(estimators, "timed", None)
    assert estimators.main(["--only", name]) == 1
    assert "off scikit-learn's by" in capsys.readouterr().err


def test_nan_and_another_shape_are_differences():
    right = np.array([1.0, 2.0])
    for wrong in ([1.0, np.nan], [1.0, 2.0 + 1e-8], [[1.0, 2.0]]):
        with pytest.raises(AssertionError, match="predictions: "):
            _checks.require_same_outcome(right, np.array(wrong), 1e-9)
    _checks.require_same_outcome(right, right + 1e-9, 1e-9)


def test_wrong_usage(capsys):
    assert estimators.main(["--only", "everything"]) == 2
    assert "mnist-sgd" in capsys.readouterr().err
