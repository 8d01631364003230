"""Pictures of a run: learning curves, a grid of samples, a confusion matrix."""

from __future__ import annotations

import functools
import io
import math
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.data.inputs import as_array

from .atomic import safe_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too.
_LOSS, _F1_TRAIN, _F1_TEST, _MISTAKE = "#6b6b6b", "#0072b2", "#d55e00", "#c1121f"
_LEGEND = ("loss, relative to its largest", "F1, training data", "F1, test data")
_AS_IT_STANDS: dict[str, Any] = {"parse_math": False, "usetex": False}  # a dollar sign is one
_LONGEST = 40  # characters of a name: longer ones leave no room for the picture


def plot_training_results(results: Iterable[Any], legend: Sequence[str] | None = None) -> Figure:
    """Draw the normalised loss and both F1 scores over the epochs.

    Parameters
    ----------
    results : History, or a (loss, f1_train, f1_test) for each epoch; a score may be None, and a curve without
        any score is left out
    legend : three names, of the loss, of F1 on the training data and of F1 on the test data

    Returns
    -------
    figure : matplotlib's, not attached to any window, which notebooks show; `figure.savefig(path)` writes it

    Raises
    ------
    ValueError
        There is no epoch, or the legend does not name three curves.
    """
    from matplotlib.ticker import MaxNLocator

    epochs, curves = _curves(results)
    names = _LEGEND if legend is None else tuple(legend)
    if len(names) != 3:
        raise ValueError(f"legend has {len(names)} names: expected 3, of the loss, F1 train and F1 test")
    figure = _new_figure(figsize=(8, 5), dpi=150)
    axes = figure.add_axes((0.085, 0.115, 0.825, 0.825))
    ends = []
    for values, name, color, marker in zip(curves, names, (_LOSS, _F1_TRAIN, _F1_TEST), "^os", strict=True):
        if np.isfinite(values).any():
            style = marker if len(epochs) <= 40 else ""
            axes.plot(epochs, values, color=color, marker=style, markersize=4, linewidth=1.8, label=name)
            ends.append((values[np.isfinite(values)][-1], color))
    _write_ends(axes, ends)
    axes.set(xlabel="epoch", ylabel="F1 score, relative loss", ylim=(0, 1.03))
    axes.set(xlim=epoch_limits(epochs), yticks=np.arange(11) / 10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
    axes.grid(color="#e3e3e3", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center right", frameon=True, framealpha=0.9, edgecolor="#d0d0d0")
    return figure


def _new_figure(**options: Any) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(**options)
    figure._repr_png_ = functools.partial(_as_png, figure)  # type: ignore[attr-defined]  # for notebooks
    return figure


def _as_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _as_drawn(name: Any) -> str:
    """Give a class's name without what fonts cannot draw, and not too long."""
    text = "".join(c if c.isprintable() else " " for c in str(name))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _curves(results: Iterable[Any]) -> tuple[list[int], NDArray[np.float64]]:
    results = list(results)
    rows = [(r.loss, r.f1_train, r.f1_test) if hasattr(r, "loss") else tuple(r) for r in results]
    if not rows:
        raise ValueError("results has no epoch: train for at least one before plotting")
    epochs = [getattr(r, "epoch", i) for i, r in enumerate(results)]
    curves = np.array(rows, dtype=np.float64).T  # None becomes NaN, which is not drawn
    largest = curves[0].max(initial=0.0, where=np.isfinite(curves[0]))
    curves[0] /= largest if largest > 0 else 1.0
    return epochs, curves


def epoch_limits(epochs: Sequence[float]) -> tuple[float, float]:
    """Give the limits of an axis of epochs."""
    # under 1, so that no tick stands where there is no epoch
    margin = min(0.02 * (epochs[-1] - epochs[0]), 0.9) or 0.5
    return epochs[0] - margin, epochs[-1] + margin


def _write_ends(axes: Axes, ends: list[tuple[float, str]]) -> None:
    # each last value stands beside its curve; close ones are spread so that none covers another
    height = -math.inf
    for value, color in sorted(ends):
        height = max(height + 0.035, value)
        axes.annotate(
            f"{value:.3f}",
            xy=(1.0, height),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            color=color,
            fontweight="bold",
            verticalalignment="center",
            annotation_clip=False,
        )


def plot_samples(
    images: ArrayLike,
    labels: ArrayLike,
    predictions: ArrayLike | None = None,
    *,
    class_names: Sequence[str] | None = None,
    image_shape: Sequence[int] | None = None,
    rows: int = 3,
    columns: int = 5,
) -> Figure:
    """Draw the first images in a grid, with true and predicted labels; mistakes are red and framed.

    Parameters
    ----------
    images : (n, height * width) or (n, height, width) real numbers, light on dark as in MNIST; the first
        rows * columns are drawn
    labels : (n,) integers, true classes
    predictions : (n,) integers, predicted classes
    class_names : names to write in place of the class numbers
    image_shape : (height, width) of flat images; by default they are taken to be square
    rows, columns : size of the grid

    Returns
    -------
    figure : matplotlib's, not attached to any window

    Raises
    ------
    ValueError
        The counts differ, there is no image, elements are masked, or flat images are not of the given shape.
    """
    images, labels = as_array(images, "images"), as_array(labels, "labels")
    predicted = labels if predictions is None else as_array(predictions, "predictions")
    shown = min(len(images), rows * columns)
    if not shown or len({len(images), len(labels), len(predicted)}) > 1:
        raise ValueError(
            f"found {len(images)} images, {len(labels)} labels and "
            f"{'no' if predictions is None else len(predicted)} predictions: give one of each a sample"
        )
    rows = math.ceil(shown / columns)
    pictures = _as_pictures(images[:shown], image_shape)
    white = 255 if pictures.dtype == np.uint8 else pictures.max()
    figure = _new_figure(figsize=(1.55 * columns, 1.9 * rows), dpi=150)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(
        left=0.02, right=0.98, bottom=0.025, top=1 - 0.3 / (1.9 * rows), hspace=0.28, wspace=0.12
    )
    for axes in grid[shown:]:
        axes.set_axis_off()
    for i, axes in enumerate(grid[:shown]):
        axes.imshow(pictures[i], cmap="gray", vmin=0, vmax=white, interpolation="nearest")
        axes.set(xticks=(), yticks=())
        _write_labels(axes, int(labels[i]), None if predictions is None else int(predicted[i]), class_names)
    return figure


def _as_pictures(images: NDArray[Any], image_shape: Sequence[int] | None) -> NDArray[Any]:
    if images.ndim == 3:
        return images
    if image_shape is None:
        side = math.isqrt(images.shape[1])
        image_shape = (side, side)
    if math.prod(image_shape) != images.shape[1]:
        raise ValueError(
            f"images have {images.shape[1]} pixels, which is not {image_shape[0]} x {image_shape[1]}: "
            "give image_shape=(height, width)"
        )
    return images.reshape(len(images), *image_shape)


def _write_labels(axes: Axes, label: int, predicted: int | None, class_names: Sequence[str] | None) -> None:
    given = label, label if predicted is None else predicted
    names = [_as_drawn(k if class_names is None else class_names[k]) for k in given]
    wrong = predicted is not None and predicted != label
    text = names[0]
    if predicted is not None:
        text = f"true {names[0]}, predicted {names[1]}"
        if len(text) > 20:
            text = f"true {names[0]}\npredicted {names[1]}"
    axes.set_title(
        text,
        fontsize=9,
        color=_MISTAKE if wrong else "black",
        fontweight="bold" if wrong else "normal",
        **_AS_IT_STANDS,
    )
    if wrong:
        for spine in axes.spines.values():
            spine.set(edgecolor=_MISTAKE, linewidth=3)


def plot_confusion(confusion: ArrayLike, class_names: Sequence[str] | None = None) -> Figure:
    """Draw a confusion matrix: counts as text, each row's shares as colour.

    Parameters
    ----------
    confusion : (n_classes, n_classes) counts, a row for each true class, a column for each predicted one
    class_names : names to write in place of the class numbers

    Returns
    -------
    figure : matplotlib's, not attached to any window

    Raises
    ------
    ValueError
        The matrix is not square, has masked elements, or does not have one name a class.
    """
    from matplotlib.colors import LogNorm

    counts = as_array(confusion, "confusion")
    n = len(counts)
    names = [_as_drawn(name) for name in (range(n) if class_names is None else class_names)]
    if counts.shape != (n, n) or len(names) != n:
        raise ValueError(f"confusion has shape {counts.shape} and {len(names)} names: expected n x n and n")
    of_class = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(of_class > 0, of_class, 1)
    side = min(max(6.5, 0.62 * n), 14)
    figure = _new_figure(figsize=(side + 1.3, side), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    # a logarithmic scale keeps rare mistakes visible beside a diagonal near 100 %.
    image = axes.imshow(np.ma.masked_equal(shares, 0), cmap="Blues", norm=LogNorm(1e-3, 1))
    if n <= 30:
        _write_counts(axes, counts, shares)
    axes.set(xlabel="predicted class", ylabel="true class", xticks=range(n), yticks=range(n))
    long_names = max(map(len, names)) > 3
    turned: Any = {"rotation": 45, "ha": "right"} if long_names else {}
    axes.set_xticklabels(names, **turned, **_AS_IT_STANDS)
    axes.set_yticklabels(names, **_AS_IT_STANDS)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(n - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(n - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="#dddddd", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    _draw_scale(figure, image, axes)
    return figure


def _draw_scale(figure: Figure, image: Any, axes: Axes) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, label="share of the true class's samples")
    bar.set_ticks([1e-3, 1e-2, 1e-1, 1.0], labels=["0.1 %", "1 %", "10 %", "100 %"], minor=False)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)


def _write_counts(axes: Axes, counts: NDArray[Any], shares: NDArray[Any]) -> None:
    size = 10 if len(counts) <= 15 else 7
    for (row, column), count in np.ndenumerate(counts):
        color = "#c8c8c8" if count == 0 else "white" if shares[row, column] > 0.08 else "black"
        axes.text(
            column,
            row,
            f"{count:.3g}" if counts.dtype.kind == "f" else f"{count}",
            ha="center",
            va="center",
            fontsize=size,
            color=color,
        )


def save_figure(figure: Figure, path: str | os.PathLike) -> str:
    """Write a figure as a PNG file, which appears whole or not at all.

    Returns
    -------
    Characters that the font lacks, each once: in the picture they are boxes.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = _as_png(figure)
    missing = {warning: re.match(r"Glyph (\d+) .*missing", str(warning.message)) for warning in caught}
    for warning, glyph in missing.items():
        if not glyph:
            warnings.warn(warning.message, stacklevel=2)
    with safe_write(path) as temporary:
        temporary.write_bytes(picture)
    return "".join(sorted({chr(int(glyph[1])) for glyph in missing.values() if glyph}))
