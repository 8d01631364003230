"""A picture of how estimators were trained, in scikit-learn's display idiom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from fastmlp.plotting import epoch_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, told apart by colour-blind readers too; black and yellow are left out
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DOTS = (0, (1, 1.4))


class LossCurveDisplay:
    """The losses of training, epoch by epoch; a validation set's loss and scores where there are any.

    Make it by `from_estimator`; its `plot` draws it again. One colour is one estimator: the training loss is
    drawn solid, the validation loss dashed, the scores dotted and on an axis of their own, and the best epoch
    is a dot on the curve by which it is the best. The legend has a line for an estimator that has a name.

    Parameters
    ----------
    loss : (n_epochs,) training loss
    validation_loss : (n,) loss of the validation set in the last n epochs, or None
    validation_scores : (n,) its scores, the higher the better, or None
    best_by : loss, validation_loss or validation_scores; None for the first there is of validation_loss,
        validation_scores and loss
    name : of the estimator, for the legend
    score_name : of the scores, for their axis

    Attributes
    ----------
    best_epoch_ : the first of the best epochs, counted from 1; None where all are NaN
    ax_, figure_ : matplotlib's
    score_ax_ : the axes of the scores, or None
    line_, validation_line_, score_line_, best_ : the lines and the dot; None for what there is not

    Examples
    --------
    >>> from fastmlp import LossCurveDisplay
    >>> first = LossCurveDisplay.from_estimator(narrow, name="10 units")  # doctest: +SKIP
    >>> LossCurveDisplay.from_estimator(wide, name="100 units", ax=first.ax_)  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        loss: ArrayLike,
        validation_loss: ArrayLike | None = None,
        validation_scores: ArrayLike | None = None,
        best_by: str | None = None,
        name: str | None = None,
        score_name: str = "score",
    ) -> None:
        self.loss, self.validation_loss, self.validation_scores = loss, validation_loss, validation_scores
        self.best_by, self.name, self.score_name = best_by, name, score_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Axes | None = None, name: str | None = None, **line_kw: Any
    ) -> LossCurveDisplay:
        """Draw the curves of a fitted estimator, of ours or of scikit-learn's.

        Parameters
        ----------
        estimator : fitted by sgd or adam
        ax : axes to draw into, those of another display for a comparison; None for a new figure
        name : for the legend
        line_kw : of all lines, as matplotlib's `plot` takes them, such as color

        Raises
        ------
        sklearn.exceptions.NotFittedError
            It is not fitted.
        ValueError
            It has no epochs, as after a fit by lbfgs.
        """
        check_is_fitted(estimator)
        if not getattr(estimator, "loss_curve_", None):
            raise ValueError(
                f"this {type(estimator).__name__} has no curve of losses: it was not trained by sgd or adam"
            )
        display = cls(
            loss=estimator.loss_curve_,
            validation_loss=getattr(estimator, "validation_loss_curve_", None) or None,
            validation_scores=getattr(estimator, "validation_scores_", None) or None,
            best_by="validation_scores" if estimator.early_stopping else None,
            name=name,
            score_name="accuracy" if is_classifier(estimator) else "R²",
        )
        return display.plot(ax, **line_kw)

    def plot(self, ax: Axes | None = None, *, name: str | None = None, **line_kw: Any) -> LossCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax, line_kw : as for `from_estimator`
        name : in place of the display's own

        Returns
        -------
        self
        """
        from matplotlib import cbook, pyplot
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        if ax is None:
            _, ax = pyplot.subplots(layout="constrained")
        name = self.name if name is None else name
        self.ax_, self.figure_, self.score_ax_ = ax, ax.figure, _score_axes_of(ax)
        line_kw = {"color": _next_color(ax), "linewidth": 1.8} | cbook.normalize_kwargs(line_kw, Line2D)
        self.validation_line_ = self.score_line_ = None
        self.line_ = self._draw(ax, self.loss, "-", "training loss", line_kw)
        if self.validation_loss is not None:
            self.validation_line_ = self._draw(ax, self.validation_loss, "--", "validation loss", line_kw)
        if self.validation_scores is not None:
            what = f"validation {self.score_name}"
            if self.score_ax_ is None:
                self.score_ax_ = _add_score_axes(ax, what)
            self.score_line_ = self._draw(self.score_ax_, self.validation_scores, _DOTS, what, line_kw)
        self._mark_the_best()
        if name is not None:  # one line of the legend for all; what begins so has none of its own
            for line in (self.line_, self.validation_line_, self.score_line_, self.best_):
                if line is not None:
                    line.set_label(f"_{line.get_label()}")
            best = "" if self.best_epoch_ is None else f", best in epoch {self.best_epoch_}"
            self.line_.set_label(f"{name}{best}")
        ax.set(xlabel="epoch", ylabel="loss", xlim=epoch_limits([1, ax.dataLim.x1]))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
        ax.grid(color="#e3e3e3", linewidth=0.8)
        ax.spines[["top", "right"]].set_visible(False)
        _write_legend([ax] if self.score_ax_ is None else [ax, self.score_ax_])
        return self

    def _draw(self, ax: Axes, values: Any, style: Any, what: str, line_kw: Any) -> Any:
        epochs = len(np.asarray(self.loss)) - len(values) + 1 + np.arange(len(values))
        marker = "o" if len(values) == 1 else ""
        kw = {"linestyle": style, "marker": marker, "markersize": 4, "label": what}
        return ax.plot(epochs, values, **kw | line_kw)[0]

    def _mark_the_best(self) -> None:
        lines = {
            "validation_loss": self.validation_line_,
            "validation_scores": self.score_line_,
            "loss": self.line_,
        }
        line = lines[self.best_by or next(key for key, line in lines.items() if line is not None)]
        self.best_ = self.best_epoch_ = None
        if line is None:
            raise ValueError(f"best_by is {self.best_by!r}, which there is none of")
        epochs, values = line.get_data()
        if np.isnan(values).all():
            return
        best = int(np.nanargmax(values) if line is self.score_line_ else np.nanargmin(values))
        self.best_epoch_ = int(epochs[best])
        self.best_ = line.axes.plot(
            *(epochs[best], values[best], "o"),
            markersize=8,
            markeredgecolor="white",
            color=line.get_color(),
            label=f"best epoch, {self.best_epoch_}",
        )[0]


def _write_legend(axes: list[Axes]) -> None:
    """Write one legend of all lines, above both axes."""
    from matplotlib.lines import Line2D

    lines = {line: str(line.get_label()) for ax in axes for line in ax.lines}
    shown: list[Any] = [line for line, what in lines.items() if not what.startswith("_")]
    styles: dict[str, Any] = {"validation loss": "--", axes[-1].get_ylabel(): _DOTS}
    hidden = {what: style for what, style in styles.items() if f"_{what}" in lines.values()}
    if hidden:
        for what, style in {"training loss": "-", **hidden}.items():
            shown.append(Line2D([], [], color="#6b6b6b", linestyle=style, label=what))
    for ax in axes:
        if legend := ax.get_legend():
            legend.remove()
    place: Any = "upper right" if len(axes) == 1 else "center right"
    axes[-1].legend(handles=shown, loc=place, framealpha=0.9, edgecolor="#d0d0d0")


def _next_color(ax: Axes) -> str:
    """Give the first colour that no line has."""
    from matplotlib.colors import to_hex

    used = [to_hex(line.get_color()) for line in ax.lines]
    return min(COLORS, key=used.count)


def _score_axes_of(ax: Axes) -> Axes | None:
    """Find the axes that `_add_score_axes` has added."""
    place = ax.get_position().bounds
    for other in ax.figure.axes:
        if other.get_label() == "score" and other.get_position().bounds == place and other is not ax:
            return other
    return None


def _add_score_axes(ax: Axes, name: str) -> Axes:
    scores = ax.twinx()
    scores.set(ylabel=name, label="score")
    scores.spines[["top", "left", "bottom"]].set_visible(False)
    return scores
