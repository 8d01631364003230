"""The chart: how many times as long as fastmlp each rival takes, on one scale for all workloads."""

import math
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from asv_benchmarks.children import ROOT
from fastmlp.atomic import safe_write
from fastmlp.cli.bench import number

from . import results as store
from .registry import ENTRIES, OWN
from .results import Results
from .table import duration, present
from .workloads import WORKLOADS

FILE = ROOT / "docs" / "rivals.png"
KEY = "results-sha256"  # of the PNG's text, to tell whose chart it is
# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, SLOWER, FASTER, INK, GREY, LINE = "#0072b2", "#8fa3b0", "#d55e00", "#1a1a1a", "#5c5c5c", "#dcdcdc"
TITLES = {
    "notebook": ("MNIST", "784-128-10, batch 128"),
    "dense": ("Dense data", "784-128-10, batch 128"),
    "wide-512": ("Dense data", "784-512-512-10, batch 128"),
    "wide-1024": ("Dense data", "784-1024-1024-10, batch 256"),
    "small": ("MNIST", "784-32-10, batch 32"),
    "accuracy": ("MNIST to 97 %", "784-128-10, batch 128"),
    "recipe": ("MNIST, 98 % recipe", "784-128-10, batch 128"),
    "predict-1": ("Class of one digit", "784-128-10"),
    "predict-10000": ("Classes of 10,000", "784-128-10"),
}
UNITS = {"train": "an epoch", "reach": "in all", "recipe": "in all", "predict": "a call"}
N_COLUMNS = 3


def draw(results: Results) -> Figure:
    """Draw a panel for each workload, with the same rivals in the same places."""
    workloads, rivals = present(results)
    n_rows = math.ceil(len(workloads) / N_COLUMNS)
    n_columns = min(N_COLUMNS, len(workloads))
    figure = Figure(figsize=(1.7 + 2.7 * n_columns, 0.7 + (0.95 + 0.27 * len(rivals)) * n_rows), dpi=150)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    low, high = limits(results)
    for axes, workload in zip(panels, workloads, strict=False):
        draw_panel(axes, results, workload.name, rivals)
        axes.set_xlim(low, high)
    for axes in panels[len(workloads) :]:
        axes.set_axis_off()
    figure.supxlabel("times as long as fastmlp, logarithmic", size=11, color=GREY, y=0.01)
    figure.tight_layout(w_pad=2, h_pad=1.6)
    return figure


def limits(results: Results) -> tuple[float, float]:
    """Axis from the smallest ratio to the largest, with room for its label."""
    workloads, _ = present(results)
    ratios = [1.0, *(r for workload in workloads for r in store.ratios(results, workload.name).values())]
    span = max(ratios) / min(ratios)
    return min(ratios) / span**0.05, max(ratios) * span**0.33


def draw_panel(axes: Axes, results: Results, name: str, rivals: list[str]) -> None:
    """Draw one workload: bars from 1, to the right where a rival takes longer."""
    ratios, best = store.ratios(results, name), store.best_rows(results, name)
    axes.set_xscale("log")
    for place, rival in enumerate(rivals):
        if rival == OWN and rival in best:
            text = f"{duration(best[OWN]['median_ms'])} {UNITS[WORKLOADS[name].kind]}"
            _write(axes, 1, place, text, BLUE, weight="bold")
        elif rival in ratios:
            ratio = ratios[rival]
            axes.barh(place, ratio - 1, left=1, height=0.68, color=SLOWER if ratio >= 1 else FASTER)
            _write(axes, max(ratio, 1), place, f"{number(ratio)}×", INK if ratio >= 1 else FASTER)
    axes.axvline(1, color=BLUE, linewidth=2)
    _dress(axes, name, rivals)


def _write(axes: Axes, x: float, place: int, text: str, color: str, **style: Any) -> None:
    axes.annotate(
        text, (x, place), (5, 0), textcoords="offset points", va="center", size=11, color=color, **style
    )


def _dress(axes: Axes, name: str, rivals: list[str]) -> None:
    title, subtitle = TITLES[name]
    axes.set_title(f"{title}\n", size=12.5, weight="bold", color=INK, loc="left", pad=4)
    axes.annotate(
        subtitle, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", size=10, color=GREY
    )
    axes.set_yticks(range(len(rivals)), [ENTRIES[rival].title for rival in rivals], size=11.5)
    axes.set_ylim(len(rivals) - 0.4, -0.6)
    ticks = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], size=10, color=GREY)
    axes.minorticks_off()
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def save(results: Results, path: Path) -> None:
    """Write the chart, with the digest of its results among its text."""
    with safe_write(path) as temporary:
        draw(results).savefig(temporary, format="png", metadata={KEY: store.digest(results)})


def digest_of(path: Path) -> str | None:
    """Digest of the results that a chart was drawn from; None where it does not say."""
    with Image.open(path) as image:
        return image.info.get(KEY)
