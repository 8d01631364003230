"""Measurements: every figure that fastmlp is held to, taken on this machine and printed beside its goals."""

import importlib.metadata
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fastmlp.kernels.core import machine

from . import __version__, bench_checks, bench_processes, bench_rows
from .race import BLAS_PAUSE, Bench, Effort, Row, threads

WHAT_IT_IS = """\
Each figure is the best of the rounds stated last. In a round all that is compared runs once, one after the
other. Shares of peak are of the fused multiply-adds that as many threads can do, timed in the same rounds;
they count the operations of dense products of the real columns. Timed epochs draw a new order and gather its
rows. Threads are auto where they are as many as the work wants."""

FULL = Effort(least=7, most=200, seconds=1.5, processes=True)
QUICK = Effort(least=3, most=100, seconds=0.15, processes=False)


def default_threads() -> tuple[int, ...]:
    """One thread, and all that the machine grants."""
    return tuple(sorted({1, machine.get_num_threads()}))


def run(bench: Bench, say: Callable[[str], None]) -> dict[str, Any]:
    """Check, then measure all groups, saying each row as it is known.

    Returns
    -------
    Report to be written as JSON.

    Raises
    ------
    BenchError
        A check failed, or the peak is not one.
    """
    groups = bench_rows.GROUPS | (bench_processes.GROUPS if bench.effort.processes else {})
    report = describe()
    say(f"{report['processor']}, vectors of {report['vector_bytes']} bytes, fastmlp {report['fastmlp']}\n")
    say(WHAT_IT_IS + "\n")
    shown = {"leave": False, "disable": None, "bar_format": "{desc}"}
    with threads(None), tqdm(total=len(groups), **shown) as bar:
        bar.set_description("checking against the reference")
        say(bench_checks.check(bench.threads))
        time.sleep(BLAS_PAUSE)
        for title, measure in groups.items():
            bar.set_description(f"measuring: {title}")
            say(heading(title))
            for row in measure(bench):
                report["rows"].append(to_json(title, row))
                say(line(row))
    return report


def describe() -> dict[str, Any]:
    """Name the machine, the versions and the time; `rows` is empty yet."""
    packages = ("numpy", "numba", "llvmlite")
    return {
        "fastmlp": __version__,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "processor": machine.processor(),
        "vector_bytes": machine.vector_bytes(),
        "threads": machine.get_num_threads(),
        "rows": [],
    }


def heading(title: str) -> str:
    """First line of a group's table."""
    return f"\n{title:<48}{'threads':>7}{'measured':>10}{'must':>11}{'aim':>6}{'rounds':>15}"


def line(row: Row) -> str:
    """Line of the table."""
    threads = "auto" if row.threads is None else str(row.threads)
    must, aim, grade = ("", "", "")
    if row.goal:
        must, aim, grade = f"{row.goal.must:g}", f"{row.goal.aim:g}", row.goal.grade(row.value)
    figures = f"{threads:>7}{number(row.value):>10} {row.unit:<4}{must:>6}{aim:>6}  {grade:<7}{row.rounds:>6}"
    return f"  {row.what:<46}{figures}  {row.note}".rstrip()


def number(value: float) -> str:
    """Three digits, or all before the point."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def to_json(title: str, row: Row) -> dict[str, Any]:
    """One row of the report."""
    entry = {"group": title, **asdict(row), "value": float(row.value)}
    goal = entry.pop("goal") or {"must": None, "aim": None}
    return entry | goal | {"grade": row.goal.grade(row.value) if row.goal else None}


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write a report."""
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
