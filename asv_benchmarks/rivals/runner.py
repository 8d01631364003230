"""Children and what they are started with; the check that comes before any timing."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import fastmlp
from asv_benchmarks.children import run_child
from fastmlp import schedules
from fastmlp.bench import BenchError
from fastmlp.cli import recipe
from fastmlp.data import epoch_order

from .jobs import Effort, Job
from .registry import AFFINITY, Entry, limits, thread_counts
from .results import Row
from .workloads import CHECK, RECIPE_CHECK, RECIPE_STEPS, Workload, training_data

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

    def check_all(self, entries: Sequence[Entry], with_recipe: bool = False) -> tuple[list[Entry], list[Row]]:
        """Give those that compute what fastmlp does, and what was found; the others are named.

        The recipe's steps are compared too, where it will be timed and a rival can take them.
        """
        workloads = [CHECK, RECIPE_CHECK] if with_recipe else [CHECK]
        expected = {w.name: expected_losses(self.folder, self.seed, w) for w in workloads}
        passed, rows = [], []
        for entry in entries:
            threads, largest = thread_counts(entry, self.available)[0], {}
            try:
                for workload in workloads[: 1 if entry.lacks else None]:
                    found = self.child("check", entry, workload, threads)["losses"]
                    prefix = "" if workload is CHECK else "98 % recipe, "
                    for setting, most in compare(found, expected[workload.name]).items():
                        largest[prefix + setting] = most
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


def expected_losses(folder: Path, seed: int, workload: Workload) -> np.ndarray:
    """Losses of fastmlp on the batches of a check; of the recipe as `fastmlp train --recipe 98` has it."""
    X, y = training_data(workload, folder)
    loader, options = fastmlp.DataLoader(X, y, workload.batch_size), {}
    losses, rates = np.full(len(loader), np.nan), workload.lr
    if workload.kind == "recipe":
        model = fastmlp.DigitsClassifier(seed=seed, **recipe.MODEL)
        rates = schedules.rates(recipe.OPTIMIZER, 0, len(losses), RECIPE_STEPS)
        options = {"optimizer": recipe.OPTIMIZER, "label_smoothing": recipe.SMOOTHING}
    else:
        model = fastmlp.MLP(workload.sizes, scale=workload.scale, seed=seed)
    model.run_epoch(loader, epoch_order(len(X), [seed, 0]), rates, losses, **options)
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
