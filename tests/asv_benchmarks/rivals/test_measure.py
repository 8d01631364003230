"""What a rival measures; and that it computes the same, in training and in naming classes."""

import re
from dataclasses import replace

import numpy as np
import pytest
from rival_rows import TINY, a_job

import fastmlp
from asv_benchmarks.rivals import measure, runner
from asv_benchmarks.rivals.base import Task
from asv_benchmarks.rivals.registry import ENTRIES, Entry
from asv_benchmarks.rivals.workloads import CHECK, WORKLOADS
from fastmlp import MLP, reference
from fastmlp.data import epoch_order

OWN_RIVALS = ("fastmlp", "reference", "sklearn", "notebook")  # whose libraries are dependencies


def make_runner(digits, lines=None):
    return runner.Runner(digits, TINY, 0, 1, (lines if lines is not None else []).append)


@pytest.mark.parametrize("name", OWN_RIVALS)
@pytest.mark.parametrize(
    ("sizes", "dtype", "scale"), [((784, 16, 10), np.uint8, 1 / 255), ((784, 12, 9, 10), np.float32, 1.0)]
)
def test_a_rival_trains_as_the_reference_does(name, sizes, dtype, scale, digits):
    X, y, X_test, _ = (np.load(digits / f"{part}.npy") for part in ("X", "y", "X_test", "y_test"))
    X, y = (X[:300] if dtype == np.uint8 else X[:300].astype(np.float32) / 255), y[:300]
    task = Task(sizes, 64, 0.1, scale)
    truth = MLP(sizes, scale=scale, seed=1, dtype=np.float64, ops=reference)
    weights = MLP(sizes, seed=1).get_weights()
    truth.set_weights(weights)
    expected = np.empty(5)
    truth.run_epoch(fastmlp.DataLoader(X, y, 64), epoch_order(300, [1, 0]), task.lr, expected)
    child = measure.Child(a_job(name, digits))
    for setting in child.rival.settings(X.dtype):
        rival = child.rival(task, 1, setting)
        rival.prepare(X, y)
        for _ in range(2):  # weights that are set again start again
            rival.set_weights(weights)
            losses = rival.epoch(epoch_order(300, [1, 0]))
            # float32 rounds each of five steps a few hundred times at most, by 6e-8
            np.testing.assert_allclose(losses, expected, rtol=1e-4)
        for got, exact in zip(rival.get_weights(), truth.get_weights(), strict=True):
            np.testing.assert_allclose(got, exact, rtol=0, atol=1e-4 * np.abs(exact).max())
    for setting in child.rival.settings(X.dtype, training=False):
        rival = child.rival(task, 1, setting)
        rival.set_weights(truth.get_weights())
        classes = np.asarray(rival.classifier(X_test)())
        assert np.mean(classes == truth.predict(X_test)) >= 0.99  # two logits may be nearly the same


def test_a_sklearn_that_would_leave_rows_out_is_an_error(digits):
    child = measure.Child(a_job("sklearn", digits))
    rival = child.set_up("float32")
    rival.prepare(np.zeros((256, 784), np.uint8), np.arange(256) % 10)
    with pytest.raises(ValueError, match="order of 128 rows, but scikit-learn visits all 256"):
        rival.epoch(np.arange(128))


WRONG = """
from asv_benchmarks.rivals.rival_fastmlp import Reference
class Wrong(Reference):
    def epoch(self, order, rates=None):
        return 1.002 * super().epoch(order, rates)
class Broken(Reference):
    def prepare(self, X, y):
        raise OSError("no such luck")
"""


def stranger(name):
    return Entry(name, f"the {name} one", f"the {name} one {{}}", f"strangers:{name}", {"numpy": "numpy"}, "")


@pytest.fixture
def strangers(tmp_path, monkeypatch):
    (tmp_path / "strangers.py").write_text(WRONG, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return [stranger("Wrong"), stranger("Broken")]


def test_a_wrong_loss_is_refused_and_what_is_right_is_not(digits, strangers):
    lines = []
    tested = make_runner(digits, lines)
    passed, checks = tested.check_all([*strangers, ENTRIES["sklearn"]])  # in processes of their own
    assert [entry.name for entry in passed] == [check["rival"] for check in checks] == ["sklearn"]
    wrong, broken = tested.failures
    assert re.match(
        r"the Wrong one is not timed: the loss of batch 0 is \d.*, expected \d.* within 0.001", wrong
    )
    assert broken == "the Broken one is not timed: a program of the benchmark failed: OSError: no such luck"
    assert 0 < checks[0]["largest_differences"]["float32"] < 1e-5 and lines[-1].startswith(
        "    scikit-learn: the"
    )


def test_losses_are_compared_one_by_one():
    expected = np.array([2.0, 1.0, 0.5])
    assert runner.compare({"a": [2.0, 1.0005, 0.5]}, expected)["a"] == pytest.approx(5e-4)
    for losses in ([2.0, 1.0, 0.501], [np.nan, 1.0, 0.5], [2.0, np.inf, 0.5], [2.0, -1.0, 0.5]):
        with pytest.raises(runner.Failure, match="the loss of batch"):
            runner.compare({"right": expected, "a": losses}, expected)
    with pytest.raises(runner.Failure, match=r"2 losses of 3 batches \(a\)"):
        runner.compare({"a": [2.0, 1.0]}, expected)


def test_wrong_classes_are_not_timed(digits, monkeypatch):
    child = measure.Child(a_job("reference", digits, replace(WORKLOADS["predict-1"], rows=50)))
    monkeypatch.setattr(child.rival, "classifier", lambda self, X: lambda: np.zeros(len(X), int))
    with pytest.raises(ValueError, match="% of the classes are not fastmlp's"):
        measure.predict(child)


def test_an_epoch_that_diverges_is_an_error(digits):
    child = measure.Child(a_job("reference", digits, replace(CHECK, lr=1e30)))
    with pytest.raises(FloatingPointError):
        measure.train(child)


def test_a_slow_number_of_threads_gets_a_look_only(digits):
    child = measure.Child(replace(a_job("reference", digits), to_beat_ms=10.0))
    goes_on = child.goes_on
    assert not goes_on([0.02] * 3, 12, 0.0, tried=0.02) and goes_on([0.02] * 2, 12, 0.0, tried=0.02)
    assert goes_on([0.009] * 3, 12, 0.0, tried=0.02)  # it was not slow after all
    assert goes_on([0.012] * 3, 12, 0.0, tried=0.012) and not goes_on([0.012] * 12, 12, 0.0, tried=0.012)
    assert goes_on([0.012] * 12, 12, 1.0, tried=0.012)
