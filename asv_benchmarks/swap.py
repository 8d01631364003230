"""`python -m asv_benchmarks.swap`, from the root of the project: a line changes, the time, and no curve."""

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn import neural_network
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import fastmlp
from fastmlp.atomic import safe_write
from fastmlp.bench import BLAS_PAUSE, timed
from fastmlp.cli.arguments import whole_number
from fastmlp.cli.bench import number
from fastmlp.kernels.core import machine

from .benchmarks._checks import require_same_outcome
from .children import ROOT
from .estimators import duration, plain_fits

DIFF = "-from sklearn.neural_network import MLPClassifier\n+from fastmlp import MLPClassifier"
DESCRIPTION = f"""\
Fit the same classifier twice, on MNIST from 0 to 1 in float64, with one line changed:

{DIFF}

All else is the default, and the random_state is one; but scikit-learn has as many
threads as it is faster with, one or all. Prints both times, and how far the curves are
apart; draws them, and the times beside them. A first epoch of either, in which ours is
compiled, is not counted."""
LIBRARIES = {"scikit-learn": neural_network, "fastmlp": fastmlp}
LIMIT = 1e-9  # how far two curves may be apart, as a share of the largest loss
# Okabe and Ito's blue over a pale grey, as in rivals.png
BLUE, PALE, INK, GREY, LINE = "#0072b2", "#b9c6d1", "#1a1a1a", "#5c5c5c", "#e3e3e3"


class Swap(NamedTuple):
    """Both fits, by library: estimators and seconds."""

    estimators: dict[str, Any]
    seconds: dict[str, float]
    n_threads: int  # of scikit-learn's

    @property
    def ratio(self) -> float:
        """How many times as long scikit-learn took."""
        theirs, ours = self.seconds.values()
        return theirs / ours

    @property
    def distance(self) -> float:
        """Largest difference between the curves, as a share of the largest loss."""
        theirs, ours = (np.array(estimator.loss_curve_) for estimator in self.estimators.values())
        return float(np.abs(ours - theirs).max() / theirs.max())


class EpochsOf(io.TextIOBase):
    """What a verbose fit writes to: a line is an epoch of the bar."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def write(self, text: str) -> int:
        """Count lines."""
        self.bar.update(text.count("\n"))
        return len(text)


def swap(X: NDArray[Any], y: NDArray[Any], n_epochs: int) -> Swap:
    """Fit scikit-learn's classifier and ours, and see that they are the same.

    Raises
    ------
    AssertionError
        Losses or coefficients differ by more than rounding.
    """
    with plain_fits():
        result = Swap({}, {}, better_threads(X, y))
        fastmlp.MLPClassifier(max_iter=1).fit(X, y)  # compiles
        for name, library in LIBRARIES.items():
            estimator = library.MLPClassifier(random_state=0, max_iter=n_epochs, verbose=True)
            with tqdm(total=n_epochs, desc=name, unit="epoch", leave=False, disable=None) as bar:
                with contextlib.redirect_stdout(EpochsOf(bar)), threadpool_limits(result.n_threads, "blas"):
                    start = time.perf_counter()
                    estimator.fit(X, y)
                    result.seconds[name] = time.perf_counter() - start
            result.estimators[name] = estimator
            time.sleep(BLAS_PAUSE)
    require_same_outcome(*result.estimators.values(), limit=LIMIT)
    return result


def better_threads(X: NDArray[Any], y: NDArray[Any]) -> int:
    """Number of threads, one or all, with which scikit-learn's first epoch takes less time."""
    times = {}
    for n in (1, machine.get_num_threads()):
        with threadpool_limits(n, "blas"):
            times[n] = timed(partial(neural_network.MLPClassifier(max_iter=1).fit, X, y))()
        time.sleep(BLAS_PAUSE)
    return min(times, key=lambda n: times[n])


def text(result: Swap, X_test: NDArray[Any], y_test: NDArray[Any]) -> str:
    """Say what changed, what did not, and what that gained."""
    theirs, ours = (estimator.predict(X_test) for estimator in result.estimators.values())
    versions = sklearn.__version__, fastmlp.__version__
    times = [
        f"  {name + ' ' + version:<22}{duration(seconds):>9}"
        for (name, seconds), version in zip(result.seconds.items(), versions, strict=True)
    ]
    n_alike, n_epochs = np.count_nonzero(theirs == ours), result.estimators["fastmlp"].n_iter_
    of_threads = f"{result.n_threads} threads" if result.n_threads > 1 else "1 thread"
    return "\n".join(
        (
            DIFF,
            "",
            f"MLPClassifier(random_state=0, max_iter={n_epochs}).fit(X, y)",
            f"{times[0]}    on {of_threads}, which suits it better",
            f"{times[1]}    {number(result.ratio)} times as fast",
            "",
            f"largest difference of the curves  {result.distance:.1e} of the largest loss",
            f"test digits classed alike         {n_alike:,} of {len(y_test):,}",
            f"test digits classed right         {100 * np.mean(ours == y_test):.2f} %",
        )
    )


# --- the picture -----------------------------------------------------------------------------------------


def draw(result: Swap) -> Figure:
    """Draw both curves, one on the other, and both times beside them."""
    figure = Figure(figsize=(10, 4.2), dpi=150)
    curves = figure.add_axes((0.06, 0.14, 0.47, 0.7))
    bars = figure.add_axes((0.66, 0.14, 0.32, 0.7))
    draw_curves(curves, result)
    draw_times(bars, result)
    return figure


def draw_curves(axes: Axes, result: Swap) -> None:
    """Draw scikit-learn's curve thick and pale, and ours thin and dark on it."""
    styles: dict[str, dict[str, Any]] = {
        "scikit-learn": {"color": PALE, "linewidth": 11, "solid_capstyle": "round"},
        "fastmlp": {"color": BLUE, "linewidth": 1.8, "marker": "o", "markersize": 4},
    }
    for name, estimator in result.estimators.items():
        curve = estimator.loss_curve_
        axes.plot(range(1, len(curve) + 1), curve, label=name, **styles[name])
    axes.set_yscale("log")
    ticks = [
        tick
        for tick in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)
        if tick >= min(curve) / 2
    ]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(min(curve) / 1.3, max(curve) * 1.3)
    axes.minorticks_off()
    axes.set_xlabel("epoch", color=GREY)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(color=LINE, linewidth=0.8)
    axes.legend(frameon=False, fontsize=11)
    dress(axes, "The same curve", f"training loss of each epoch; the two differ by {result.distance:.0e}")


def draw_times(axes: Axes, result: Swap) -> None:
    """Draw a bar for each library."""
    names, seconds = zip(*result.seconds.items(), strict=True)
    axes.barh(names, seconds, color=(PALE, BLUE), height=0.55)
    for place, value in enumerate(seconds):
        style = {"size": 13, "weight": "bold", "color": (INK, BLUE)[place]}
        axes.annotate(
            duration(value), (value, place), (6, 0), textcoords="offset points", va="center", **style
        )
    axes.set_ylim(1.6, -0.6)
    axes.set_xlim(0, 1.28 * max(seconds))
    axes.set_xticks(())
    axes.tick_params(length=0, labelsize=12)
    estimator = result.estimators["fastmlp"]
    n_rows = estimator.t_ // estimator.n_iter_
    subtitle = f"{estimator.n_iter_} epochs of {n_rows:,} digits, in float64"
    dress(axes, f"{number(result.ratio)} times as fast", subtitle)


def dress(axes: Axes, title: str, subtitle: str) -> None:
    """Write what a panel shows above it."""
    axes.set_title(f"{title}\n", size=15, weight="bold", color=INK, loc="left", pad=6)
    axes.annotate(
        subtitle, (0, 1), (0, 9), xycoords="axes fraction", textcoords="offset points", size=10.5, color=GREY
    )
    axes.spines[:].set_visible(False)


# --- the command -----------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Swap, say so and draw it.

    Returns
    -------
    0; 1 where the two differ or the picture cannot be written; 2 for wrong usage; 130 for Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m asv_benchmarks.swap",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=ROOT / "docs" / "swap.png", metavar="PNG", help="default: docs/swap.png")
    add("--epochs", type=whole_number(2), default=20, metavar="N", help="default: 20")
    rows = "train on the first N images alone, for a quick look"
    add("--rows", type=whole_number(500), metavar="N", help=rows)
    try:
        args = parser.parse_args(argv)
        X, y, X_test, y_test = fastmlp.load_mnist()
        with safe_write(args.out) as file:  # opened first, so that a wrong path shows now
            result = swap(X[: args.rows] / 255, y[: args.rows], args.epochs)
            print(text(result, X_test / 255, y_test))
            draw(result).savefig(file, format="png")
        print(f"\nwrote {args.out}")
        return 0
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        print("interrupted; nothing is written", file=sys.stderr)
        return 130
    except (AssertionError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
