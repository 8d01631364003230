"""A run: the cells of every workload, fastmlp before and after the others, and what is kept of them."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from . import results as store
from .registry import ENTRIES, OWN, Entry, thread_counts
from .results import Results, Row
from .runner import Failure, Runner
from .workloads import Workload


@dataclass(frozen=True)
class Cell:
    """What one process measures."""

    workload: Workload
    entry: Entry
    threads: int
    turn: str  # before or after the others; empty for these

    def __str__(self) -> str:
        turn = f", {self.turn} the others" if self.turn else ""
        return f"{self.workload.name}: {self.entry.title} on {self.threads}{turn}"


def plan(workloads: Sequence[Workload], entries: Sequence[Entry], available: int) -> list[Cell]:
    """List all cells: in each workload fastmlp, the others, and fastmlp again."""

    def cells(workload: Workload, entry: Entry, turn: str = "") -> list[Cell]:
        return [Cell(workload, entry, n, turn) for n in thread_counts(entry, available)]

    own, others = ENTRIES[OWN], [entry for entry in entries if entry.name != OWN]
    planned = []
    for workload in workloads:
        planned += cells(workload, own, "before")
        for entry in others:
            if workload.kind != "recipe" or not entry.lacks:
                planned += cells(workload, entry)
        planned += cells(workload, own, "after")
    return planned


def measure(runner: Runner, cells: Sequence[Cell]) -> list[Row]:
    """Run all cells, saying what is known and how long the rest may take; failures are named and left out."""
    rows: list[Row] = []
    start, done, total = time.perf_counter(), 0.0, sum(cell.workload.cost for cell in cells)
    for i, cell in enumerate(cells, 1):
        runner.say(f"[{i}/{len(cells)}] {cell} ...")
        try:
            known = [row["median_ms"] for row in rows if _same(row, cell)]
            to_beat = min(known, default=None)
            found = runner.child(cell.workload.kind, cell.entry, cell.workload, cell.threads, to_beat)
        except Failure as failure:
            runner.fail(f"{cell} failed: {failure}")
            continue
        finally:
            done += cell.workload.cost
        rows.append(describe(runner, cell, found))
        left = (time.perf_counter() - start) / done * (total - done)
        runner.say(f"    {found['median_ms']:.4g} ms, {found['setting']}; about {remaining(left)} left")
    return join_turns(rows)


def remaining(seconds: float) -> str:
    """Write a rough time."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _same(row: Row, cell: Cell) -> bool:
    """Tell whether a row is of a cell's workload and rival, on another number of threads."""
    key = row["workload"], row["rival"]
    return key == (cell.workload.name, cell.entry.name) and row["threads"] != cell.threads


def describe(runner: Runner, cell: Cell, found: dict[str, Any]) -> Row:
    """Say of a result whose it is, when it was taken and how."""
    return {
        "workload": cell.workload.name,
        "rival": cell.entry.name,
        "version": cell.entry.with_versions(),
        "threads": cell.threads,
        "held_by": cell.entry.limit,
        "date": store.now(),
        "effort": asdict(runner.effort) | {"seed": runner.seed},
        **found,
    }


def join_turns(rows: Sequence[Row]) -> list[Row]:
    """Make one row of two of the same cell, with the median of both."""
    joined: dict[tuple, Row] = {}
    for row in rows:
        key = row["workload"], row["rival"], row["threads"]
        joined[key] = _join(joined[key], row) if key in joined else row
    return list(joined.values())


def _join(before: Row, after: Row) -> Row:
    runs = before["runs_ms"] + after["runs_ms"]
    both: dict[str, Any] = {"runs_ms": runs, "median_ms": float(np.median(runs))}
    both |= {name: before[name] + after[name] for name in ("epochs", "scores") if name in before}
    if before["compile_s"] is not None:  # the second finds the code of the first
        both["compile_s"] = max(before["compile_s"], after["compile_s"])
    return before | both | {"turns_ms": [before["median_ms"], after["median_ms"]]}


def keep(
    old: Results, rows: Sequence[Row], checks: Sequence[Row], named: set[str]
) -> tuple[Results, list[str]]:
    """Merge what was measured of those named into older results.

    fastmlp runs beside whoever is named. Where it was not named, its older row stays, and a different one now
    is worth a warning, because ratios are between rows of the file.
    """
    has_own = {row["workload"] for row in old["rows"] if row["rival"] == OWN}
    new = [row for row in rows if row["rival"] in named or row["workload"] not in has_own]
    warnings = []
    for workload in sorted({row["workload"] for row in rows} & has_own):
        if OWN in named:
            continue
        then, now = (store.best_rows({"rows": r}, workload)[OWN]["median_ms"] for r in (old["rows"], rows))
        if max(then, now) > store.DIFFERS * min(then, now):
            warnings.append(
                f"{workload}: fastmlp takes {now:.4g} ms now and {then:.4g} ms in the results: "
                "the machine is not as it was, and new ratios are not right; measure fastmlp with the others"
            )
    return store.merge(old, new, checks), warnings


def with_rate(workload: Workload, learning_rate: dict[str, Any] | None) -> Workload:
    """Give a race to an accuracy the learning rate that was chosen for it."""
    return (
        replace(workload, lr=learning_rate["lr"]) if workload.kind == "reach" and learning_rate else workload
    )
