"""The swap: both fits, what is said of them, and the picture."""

import re

import numpy as np
import pytest
from PIL import Image
from sklearn import neural_network
from threadpoolctl import threadpool_info

import fastmlp
from asv_benchmarks import estimators, swap


@pytest.fixture
def few(monkeypatch):
    """Digits for a moment's fit."""
    X, y, X_test, y_test = fastmlp.load_mnist()
    monkeypatch.setattr(fastmlp, "load_mnist", lambda: (X[:600], y[:600], X_test[:300], y_test[:300]))


def test_it_prints_the_line_and_both_times_and_draws(few, capsys, tmp_path):
    assert swap.main(["--epochs", "3", "--rows", "500", "--out", str(tmp_path / "swap.png")]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "-from sklearn.neural_network import MLPClassifier\n+from fastmlp import MLPClassifier\n"
    )
    assert re.search(
        r"scikit-learn \S+ +\S+ m?s    on [12] threads?,.*\n +fastmlp \S+ +\S+ m?s +\S+ times as fast\n", out
    )
    assert "max_iter=3" in out and "classed alike         300 of 300" in out
    assert "Iteration" not in out
    with Image.open(tmp_path / "swap.png") as image:
        assert image.size == (1500, 630) and np.asarray(image.convert("L")).std() > 10


def test_the_picture_shows_the_curves_and_times_of_the_fits(few):
    X, y, *_ = fastmlp.load_mnist()
    result = swap.swap(X[:500] / 255, y[:500], 4)
    assert all(estimator.n_iter_ == 4 for estimator in result.estimators.values())
    assert result.distance <= 1e-12
    curves, bars = swap.draw(result).axes
    drawn = [line.get_ydata() for line in curves.lines]
    assert [line.get_label() for line in curves.lines] == ["scikit-learn", "fastmlp"]
    np.testing.assert_array_equal(drawn, [result.estimators[name].loss_curve_ for name in result.estimators])
    assert [bar.get_width() for bar in bars.patches] == [*result.seconds.values()]
    said = swap.text(result._replace(seconds={"scikit-learn": 30.0, "fastmlp": 0.5}), X[500:] / 255, y[500:])
    assert re.search(r" 30.0 s    on .*\n.* 500 ms    60.0 times as fast\n", said)
    low, high = curves.get_ylim()
    assert low < np.min(drawn) and np.max(drawn) < high


def test_scikit_learn_has_the_threads_that_suit_it_and_ours_its_own(few, monkeypatch):
    used = []

    class Classifier(neural_network.MLPClassifier):
        def fit(self, X, y):
            used.append([e["num_threads"] for e in threadpool_info() if e["user_api"] == "blas"][0])
            return super().fit(X, y)

    X, y, *_ = fastmlp.load_mnist()
    seconds = iter([3.0, 2.0])
    monkeypatch.setattr(neural_network, "MLPClassifier", Classifier)
    monkeypatch.setattr(swap.machine, "get_num_threads", lambda: 2)
    monkeypatch.setattr(swap, "timed", lambda call: lambda: call() and next(seconds))
    result = swap.swap(X[:500] / 255, y[:500], 2)
    assert (result.n_threads, used) == (2, [1, 2, 2])
    assert result.estimators["fastmlp"].n_threads is None


def test_another_curve_is_an_error_and_no_picture(few, monkeypatch, capsys, tmp_path):
    class Wrong(fastmlp.MLPClassifier):
        def _init_coef(self, fan_in, fan_out, dtype):
            coef, intercept = super()._init_coef(fan_in, fan_out, dtype)
            return coef * (1 + 1e-7), intercept

    monkeypatch.setattr(fastmlp, "MLPClassifier", Wrong)
    assert swap.main(["--epochs", "2", "--rows", "500", "--out", str(tmp_path / "swap.png")]) == 1
    assert re.match("error: losses: off scikit-learn's by", capsys.readouterr().err)
    assert not [*tmp_path.iterdir()]


def test_a_wrong_path_shows_before_anything_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(swap, "swap", None)
    assert swap.main(["--out", str(tmp_path / "none" / "x.png")]) == 1
    assert "make it first" in capsys.readouterr().err


def test_wrong_usage_and_help(capsys):
    assert swap.main(["--epochs", "0"]) == 2
    assert swap.main(["--help"]) == 0
    assert "+from fastmlp import MLPClassifier" in capsys.readouterr().out


@pytest.mark.parametrize("library", [neural_network, fastmlp])
def test_ctrl_c_ends_more_than_the_fit_that_it_comes_in(library, few, monkeypatch, capsys, tmp_path):
    class Interrupted(library.MLPClassifier):
        def _update_no_improvement_count(self, *args):
            raise KeyboardInterrupt  # of which fits make a warning

    monkeypatch.setattr(library, "MLPClassifier", Interrupted)
    assert swap.main(["--out", str(tmp_path / "swap.png")]) == 130
    assert "nothing is written" in capsys.readouterr().err and not [*tmp_path.iterdir()]
    assert estimators.main(["--only", "cancer"]) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
