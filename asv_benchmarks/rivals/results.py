"""The results as JSON: rows that a later run may replace one by one, and what is computed from them."""

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.atomic import safe_write
from fastmlp.kernels.core import machine

from .registry import ENTRIES, OWN
from .workloads import WORKLOADS

FORMAT = 1
DIFFERS = 1.15  # between two measurements of fastmlp: then the machine was not the same
FILE = Path(__file__).with_name("results.json")
Results = dict[str, Any]
Row = dict[str, Any]


def empty() -> Results:
    """Results of nothing yet, on this machine."""
    return {"format": FORMAT, "machine": describe_machine(), "learning_rate": None, "checks": [], "rows": []}


def describe_machine() -> dict[str, Any]:
    """Name the processor, the system and how many threads there are."""
    return {
        "processor": processor(),
        "compiled_for": machine.processor(),
        "threads": machine.default_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def processor() -> str:
    """Name that the system gives the processor, or that Numba does."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else machine.processor()


def now() -> str:
    """Date and time, with the zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def read(path: str | os.PathLike) -> Results:
    """Read results.

    Raises
    ------
    ValueError
        The file does not hold what this command writes.
    """
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: found no JSON ({error}), expected results of the rivals") from error
    found = results.get("format") if isinstance(results, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path}: found format {found}, expected {FORMAT}; measure again, into a new file")
    return results


def write(path: str | os.PathLike, results: Results) -> None:
    """Write results; the file appears whole or not at all."""
    with safe_write(path) as temporary:
        text = json.dumps(results, indent=1, ensure_ascii=False)
        # numbers in a row stand in one line
        text = re.sub(r"\[[^\[\]{}\"]+\]", lambda found: " ".join(found[0].split()), text)
        temporary.write_text(text + "\n", encoding="utf-8")


def digest(results: Results) -> str:
    """SHA-256 of the content, whatever its layout in the file."""
    content = json.dumps(results, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def merge(results: Results, rows: Sequence[Row], checks: Sequence[Row] = ()) -> Results:
    """Replace what is there of the same workload and rival, and put all in the order of the tables."""
    measured = {(row["workload"], row["rival"]) for row in rows}
    kept = [row for row in results["rows"] if (row["workload"], row["rival"]) not in measured]
    checked = {check["rival"] for check in checks}
    kept_checks = [check for check in results["checks"] if check["rival"] not in checked]
    return results | {
        "rows": sorted([*kept, *rows], key=_place),
        "checks": sorted([*kept_checks, *checks], key=lambda check: _index(ENTRIES, check["rival"])),
    }


def _place(row: Row) -> tuple[int, int, int]:
    return _index(WORKLOADS, row["workload"]), _index(ENTRIES, row["rival"]), row["threads"]


def _index(names: dict[str, Any], name: str) -> int:
    return list(names).index(name)


def best_rows(results: Results, workload: str) -> dict[str, Row]:
    """Give each rival's row of the number of threads that it is fastest on, the fastest rival first."""
    best: dict[str, Row] = {}
    for row in sorted(results["rows"], key=lambda row: row["median_ms"]):
        if row["workload"] == workload:
            best.setdefault(row["rival"], row)
    return best


def ratios(results: Results, workload: str) -> dict[str, float]:
    """Say how many times as long as fastmlp each rival takes; nothing where fastmlp was not measured."""
    best = best_rows(results, workload)
    if OWN not in best:
        return {}
    return {rival: row["median_ms"] / best[OWN]["median_ms"] for rival, row in best.items()}


def compiling(results: Results, row: Row) -> tuple[float, float] | None:
    """Say what compiling took of a row's workload and rival: in the first process, and at best in another.

    A rival's processes share a cache that is empty at first; None where nothing was compiled.
    """
    alike = (row["workload"], row["rival"])
    seconds = [r["compile_s"] for r in results["rows"] if (r["workload"], r["rival"]) == alike]
    return None if None in seconds else (max(seconds), min(seconds))


def spread(row: Row) -> float:
    """Half of the distance between the quartiles of a row's runs, as a share of their median."""
    lower, middle, upper = np.percentile(row["runs_ms"], [25, 50, 75])
    return float((upper - lower) / 2 / middle)


def unsteady(rows: Sequence[Row]) -> list[str]:
    """Name the cells of fastmlp whose two turns differ too much."""
    lines = []
    for row in rows:
        turns = row.get("turns_ms", [1])
        if max(turns) > DIFFERS * min(turns):
            before, after = turns
            lines.append(
                f"{row['workload']}: fastmlp on {row['threads']} took {before:.4g} ms before the others and "
                f"{after:.4g} ms after them"
            )
    return lines
