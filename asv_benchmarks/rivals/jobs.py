"""What a child is told to do, and how long to measure."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    epochs: int = 12  # timed at least, or chunks of calls
    seconds: float = 1.0  # of timing at least
    rounds: int = 2  # of finding the fastest setting
    seeds: int = 10  # of a race to an accuracy, and of the recipe: initial weights and orders
    grid_seeds: int = 3  # of choosing its learning rate


@dataclass(frozen=True)
class Job:
    """What a child does; `workload` and `effort` hold the fields of a Workload and an Effort."""

    what: str  # check, train, predict, reach, grid or recipe
    code: str  # module:class
    workload: dict[str, Any]
    effort: dict[str, Any]
    folder: str  # of the digits
    threads: int
    affinity: bool  # hold the process to as many processors
    seed: int
    to_beat_ms: float | None = None  # on another number of threads; a slower one is timed only shortly
