import io

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from sklearn import neural_network
from sklearn.datasets import load_diabetes, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import scale

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.estimators import LossCurveDisplay
from fastmlp.estimators.display import COLORS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = scale(load_wine().data), load_wine().target


@pytest.fixture(autouse=True)
def _no_window(monkeypatch):
    backend = pyplot.get_backend()
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(backend)


def fitted(kind=MLPClassifier, pair=False, **params):
    options = {"eval_set": (X[::3], Y[::3])} if pair else {}
    return kind(max_iter=12, random_state=0, **params).fit(X, Y, **options)


def render(display):
    """Draw; a warning fails the test."""
    buffer = io.BytesIO()
    display.figure_.savefig(buffer, format="png")
    assert buffer.getvalue().startswith(b"\x89PNG")
    return display


def legend(display):
    """What the one legend says."""
    axes = [ax for ax in (display.score_ax_, display.ax_) if ax is not None]
    assert [ax.get_legend() is not None for ax in axes] == [True] + [False] * (len(axes) - 1)
    return [text.get_text() for text in axes[0].get_legend().get_texts()]


def test_it_is_found_at_both_doors():
    assert fastmlp.LossCurveDisplay is LossCurveDisplay


@pytest.mark.parametrize("kind", [MLPClassifier, neural_network.MLPClassifier], ids=["ours", "theirs"])
def test_a_training_loss_alone(kind):
    estimator = fitted(kind)
    display = render(LossCurveDisplay.from_estimator(estimator))
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(1, 13))
    np.testing.assert_array_equal(display.line_.get_ydata(), estimator.loss_curve_)
    assert display.line_.axes is display.ax_
    assert display.figure_ is display.ax_.figure
    assert (display.validation_line_, display.score_line_, display.score_ax_) == (None, None, None)
    assert display.best_epoch_ == np.argmin(estimator.loss_curve_) + 1
    assert legend(display) == ["training loss", f"best epoch, {display.best_epoch_}"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("epoch", "loss")
    assert 0 not in display.ax_.get_xticks()[1:-1]


def test_a_set_of_the_users():
    estimator = fitted(pair=True, learning_rate_init=0.1, alpha=10.0)
    display = render(LossCurveDisplay.from_estimator(estimator))
    np.testing.assert_array_equal(display.validation_line_.get_ydata(), estimator.validation_loss_curve_)
    np.testing.assert_array_equal(display.score_line_.get_ydata(), estimator.validation_scores_)
    assert display.score_line_.axes is display.score_ax_ is not display.ax_
    assert display.score_ax_.get_ylabel() == "validation accuracy"
    assert display.best_epoch_ == np.argmin(estimator.validation_loss_curve_) + 1 < 12
    assert display.best_.get_xydata().tolist() == [
        [display.best_epoch_, min(estimator.validation_loss_curve_)]
    ]
    best = f"best epoch, {display.best_epoch_}"
    assert legend(display) == ["training loss", "validation loss", best, "validation accuracy"]
    assert len({line.get_linestyle() for line in (display.line_, display.validation_line_)}) == 2


@pytest.mark.parametrize("kind", [MLPClassifier, neural_network.MLPClassifier], ids=["ours", "theirs"])
def test_scores_of_early_stopping(kind):
    estimator = fitted(kind, early_stopping=True, n_iter_no_change=20, learning_rate_init=0.02)
    display = render(LossCurveDisplay.from_estimator(estimator))
    scores = estimator.validation_scores_
    assert display.best_epoch_ == np.argmax(scores) + 1 < 12  # the first: its coefficients are kept
    assert display.best_.axes is display.score_ax_
    assert display.best_.get_xydata().tolist() == [[display.best_epoch_, max(scores)]]
    assert legend(display) == ["training loss", "validation accuracy", f"best epoch, {display.best_epoch_}"]


def test_scores_of_a_regressor():
    X, y = load_diabetes(return_X_y=True)
    estimator = MLPRegressor(max_iter=5, early_stopping=True).fit(scale(X), scale(y))
    display = render(LossCurveDisplay.from_estimator(estimator))
    assert display.score_ax_.get_ylabel() == "validation R²"


def test_several_on_one_picture():
    first = LossCurveDisplay.from_estimator(fitted(), name="plain")
    middle = LossCurveDisplay.from_estimator(fitted(pair=True), name="watched", ax=first.ax_)
    last = LossCurveDisplay.from_estimator(fitted(early_stopping=True), name="stopped", ax=first.ax_)
    assert first.figure_ is last.figure_
    assert middle.score_ax_ is last.score_ax_
    assert len(render(last).figure_.axes) == 2
    colors = [to_hex(display.line_.get_color()) for display in (first, middle, last)]
    assert colors == list(COLORS[:3])
    for line in (middle.validation_line_, middle.score_line_, middle.best_):
        assert line.get_color() == middle.line_.get_color()
    names = zip(("plain", "watched", "stopped"), (first, middle, last), strict=True)
    assert legend(last) == [
        *(f"{name}, best in epoch {display.best_epoch_}" for name, display in names),
        *("training loss", "validation loss", "validation accuracy"),
    ]


def test_displays_side_by_side_have_scores_of_their_own():
    _, axes = pyplot.subplots(1, 2, sharex=True)
    displays = [LossCurveDisplay.from_estimator(fitted(pair=True), ax=ax) for ax in axes]
    assert displays[0].score_ax_ is not displays[1].score_ax_
    assert len(render(displays[0]).figure_.axes) == 4


def test_lines_are_drawn_as_the_user_says():
    display = LossCurveDisplay.from_estimator(fitted(pair=True), c="black", lw=3, alpha=0.5)
    for line in (display.line_, display.validation_line_, display.score_line_):
        assert (line.get_color(), line.get_linewidth(), line.get_alpha()) == ("black", 3, 0.5)
    again = display.plot(name="again")
    assert again is display
    assert legend(render(again))[0].startswith("again, best in epoch")


def test_curves_that_began_later_end_together():
    display = LossCurveDisplay(loss=[4, 3, 2, 1], validation_loss=[3, 5], validation_scores=[0.5]).plot()
    assert display.validation_line_.get_xdata().tolist() == [3, 4]
    assert display.score_line_.get_xdata().tolist() == [4]
    assert display.best_epoch_ == 3
    render(display)


def test_numbers_that_are_none():
    nan = np.nan
    display = LossCurveDisplay(loss=[3, nan, 2], validation_scores=[nan, nan, nan]).plot(name="failed")
    assert (display.best_epoch_, display.best_) == (None, None)
    assert legend(render(display)) == ["failed", "training loss", "validation score"]
    assert LossCurveDisplay(loss=[3, nan, 2, nan]).plot().best_epoch_ == 3


def test_a_single_epoch_shows():
    display = render(LossCurveDisplay(loss=[3.0]).plot())
    assert display.line_.get_marker() == "o"
    low, high = display.ax_.get_xlim()
    assert 0 < low < 1 < high < 2


def test_what_has_no_curve_is_refused():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(MLPClassifier())
    for estimator in (fitted(solver="lbfgs"), fastmlp.MLP([13, 3]).to_estimator()):
        with pytest.raises(ValueError, match="this MLPClassifier has no curve of losses"):
            LossCurveDisplay.from_estimator(estimator)
    with pytest.raises(ValueError, match="best_by is 'validation_loss', which there is none of"):
        LossCurveDisplay(loss=[1.0], best_by="validation_loss").plot()
