"""`fastmlp bench`: how fast this machine trains."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fastmlp import __version__
from fastmlp.atomic import safe_write
from fastmlp.kernels.core import machine

from .arguments import add_command, whole_number

HEADING = f"{'':<48}threads{'measured':>11}{'of peak':>13}{'rounds':>8}"


def add(commands: Any) -> None:
    """Add the command and its arguments."""
    argument = add_command(
        commands,
        bench,
        "measure how fast this machine trains",
        "Check the kernels against the reference, then measure this processor's peak, how\n"
        "near to it the register tile and whole epochs come, and predictions. Takes less\n"
        "than a minute, in which the machine should do nothing else.",
        "fastmlp bench --threads 1 2 --json figures.json",
    ).add_argument
    argument("--json", type=Path, metavar="FILE", help="write all figures to a file too")
    argument(
        "--threads",
        type=whole_number(1, 1024),
        nargs="+",
        default=[],
        metavar="N",
        help="numbers of threads to measure (default: one, and as many as the machine grants)",
    )


def bench(args: argparse.Namespace) -> int:
    """Check, measure and print every figure; write them as JSON where asked."""
    from fastmlp import bench as measuring  # of no use to the other commands

    report = describe()
    print(f"fastmlp {report['fastmlp']}, {report['processor']}, vectors of {report['vector_bytes']} bytes\n")
    print(HEADING)
    bar = tqdm(bar_format="{desc}", leave=False, disable=None)
    # opened before anything is measured, so that a wrong path shows now
    with safe_write(args.json) if args.json else contextlib.nullcontext() as file, bar:
        figures = []
        for figure in measuring.measure(args.threads, say=bar.set_description):
            figures.append(figure._asdict())
            tqdm.write(line(**figures[-1]))  # keeps clear of the bar
            sys.stdout.flush()
        if file:
            text = json.dumps(report | {"figures": figures}, indent=1, ensure_ascii=False)
            file.write_text(text + "\n", encoding="utf-8")
    return 0


def describe() -> dict[str, str | int]:
    """Name the version, the time and the machine."""
    return {
        "fastmlp": __version__,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "processor": machine.processor(),
        "vector_bytes": machine.VECTOR_BYTES,
        "threads": machine.get_num_threads(),
    }


def line(what: str, threads: int | None, value: float, unit: str, share: float | None, rounds: int) -> str:
    """Line of the table; threads are `auto` where the work decides."""
    of_peak = "" if share is None else f"{100 * share:.1f} %"
    return f"{what:<48}{threads or 'auto':>7}{number(value):>11} {unit:<4}{of_peak:>8}{rounds:>8}"


def number(value: float) -> str:
    """Write three digits, or all before the point."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
