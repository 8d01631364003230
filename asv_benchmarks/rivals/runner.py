"""Children and what they are started with; the check that comes before any timing."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import fastmlp
from asv_benchmarks.children import run_child
from fastmlp.bench import BenchError
from fastmlp.data import epoch_order

from .jobs import Effort, Job
from .registry import AFFINITY, Entry, limits, thread_counts
from .results import Row
from .workloads import CHECK, Workload, training_data

CLOSE = 1e-3  # relative: far above what float32 rounds in twenty steps, far below what another update does
Say = Callable[[str], None]


class Failure(RuntimeError):
    """A rival cannot be timed; the text says why."""


class Runner:
    """Starts children, one at a time, on digits that lie in a temporary folder; remembers what failed."""

    def __init__(self, folder: Path, effort: Effort, seed: int, available: int, say: Say) -> None:
        self.folder, self.effort, self.seed, self.available = folder, effort, seed, available
        self.say = say
        self.failures: list[str] = []

    def fail(self, message: str) -> None:
        """Name a failure; it will be in the exit code too."""
        self.failures.append(message)
        self.say(f"    {message}")

    def child(
        self, what: str, entry: Entry, workload: Workload, threads: int, to_beat_ms: float | None = None
    ) -> dict[str, Any]:
        """Run a job to its end, in a process of its own.

        Raises
        ------
        Failure
            The process failed.
        """
        job = Job(
            what,
            entry.code,
            asdict(workload),
            asdict(self.effort),
            str(self.folder),
            threads,
            affinity=entry.limit == AFFINITY,
            seed=self.seed,
            to_beat_ms=to_beat_ms,
        )
        # empty at first, so that the first process of a rival compiles all that the workload needs
        cache = self.folder / f"{workload.name}-{entry.name}"
        cache.mkdir(exist_ok=True)
        return start(job, cache)

    def check_all(self, entries: Sequence[Entry]) -> tuple[list[Entry], list[Row]]:
        """Give those that compute what fastmlp does, and what was found; the others are named."""
        expected = expected_losses(self.folder, self.seed)
        passed, rows = [], []
        for entry in entries:
            threads = thread_counts(entry, self.available)[0]
            try:
                largest = compare(self.child("check", entry, CHECK, threads)["losses"], expected)
            except Failure as failure:
                self.fail(f"{entry.title} is not timed: {failure}")
                continue
            self.say(f"    {entry.title}: the same, within {max(largest.values()):.1e}")
            passed.append(entry)
            rows.append(
                {"rival": entry.name, "version": entry.with_versions(), "largest_differences": largest}
            )
        return passed, rows


def start(job: Job, cache: Path) -> dict[str, Any]:
    """Do a job in a process of its own, which keeps compiled code in `cache`.

    Raises
    ------
    Failure
        The process failed; the text is the last line that it said.
    """
    variables = limits(job.threads) | {"TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor")}
    try:
        done = run_child(
            "-m", f"{__package__}.child", cache=cache, given=json.dumps(asdict(job)), **variables
        )
    except BenchError as error:
        raise Failure(str(error)) from error
    return json.loads(done.line)


def expected_losses(folder: Path, seed: int) -> np.ndarray:
    """Losses of fastmlp on the batches of the check."""
    X, y = training_data(CHECK, folder)
    model = fastmlp.MLP(CHECK.sizes, scale=CHECK.scale, seed=seed)
    loader = fastmlp.DataLoader(X, y, CHECK.batch_size)
    losses = np.full(len(loader), np.nan)
    model.run_epoch(loader, epoch_order(len(X), [seed, 0]), CHECK.lr, losses)
    return losses


def compare(found: dict[str, Sequence[float]], expected: np.ndarray) -> dict[str, float]:
    """Compare the losses of each setting with those expected.

    Returns
    -------
    Largest relative difference of each setting.

    Raises
    ------
    Failure
        One is too large, or a batch is missing; the text names the setting and the batch.
    """
    largest = {}
    for setting, losses in found.items():
        if len(losses) != len(expected):
            raise Failure(f"{len(losses)} losses of {len(expected)} batches ({setting})")
        differences = np.abs(np.asarray(losses, np.float64) / expected - 1)
        if not (differences <= CLOSE).all():  # false for NaN
            batch = int((differences <= CLOSE).argmin())
            raise Failure(
                f"the loss of batch {batch} is {losses[batch]:.6g}, expected {expected[batch]:.6g} within "
                f"{CLOSE:g} of it ({setting}): it does not compute what fastmlp does"
            )
        largest[setting] = float(differences.max())
    return largest
