"""A figure with its goal, as a line of a table and as JSON."""

import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass
from typing import Any

from fastmlp.cli import bench
from fastmlp.cli.bench import number


@dataclass(frozen=True)
class Goal:
    """What a figure must reach, and what it aims at; where the aim is lower, less is better."""

    must: float
    aim: float

    def grade(self, value: float) -> str:
        """Say which of the two a figure reaches."""
        sign = 1 if self.aim > self.must else -1
        for name, goal in (("aim", self.aim), ("must", self.must)):
            if sign * value >= sign * goal:
                return name
        return "missed"


@dataclass(frozen=True)
class Row:
    """One figure, the best of so many rounds."""

    what: str
    threads: int | None  # None: as many as the work wants
    value: float
    unit: str
    rounds: int
    goal: Goal | None = None
    note: str = ""

    @property
    def grade(self) -> str | None:
        """What the figure reaches, where there is a goal."""
        return self.goal and self.goal.grade(self.value)


def describe() -> dict[str, Any]:
    """Name the machine, the versions and the time; `rows` is empty yet."""
    packages = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "llvmlite")}
    return bench.describe() | {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "rows": [],
    }


def heading(title: str) -> str:
    """First line of a group's table."""
    return f"\n{title:<48}{'threads':>7}{'measured':>10}{'must':>11}{'aim':>6}{'rounds':>15}"


def line(row: Row) -> str:
    """Line of the table."""
    threads = "auto" if row.threads is None else str(row.threads)
    must, aim = (f"{row.goal.must:g}", f"{row.goal.aim:g}") if row.goal else ("", "")
    goal = f"{must:>6}{aim:>6}  {row.grade or '':<7}"
    figures = f"{threads:>7}{number(row.value):>10} {row.unit:<4}{goal}{row.rounds:>6}"
    return f"  {row.what:<46}{figures}  {row.note}".rstrip()


def to_json(title: str, row: Row) -> dict[str, Any]:
    """One row of the report."""
    entry = {"group": title, **asdict(row), "value": float(row.value), "grade": row.grade}
    return entry | (entry.pop("goal") or {"must": None, "aim": None})


def text(report: dict[str, Any]) -> str:
    """Report as a file holds it."""
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"
