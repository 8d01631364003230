"""When a run ends early, and which of its weights it leaves."""

import contextlib
import math
from dataclasses import dataclass
from typing import Any, Literal

from fastmlp.model import MLP
from fastmlp.numbers import number, whole

from .history import Record


@dataclass(frozen=True)
class EarlyStopping:
    """End a run whose monitored value no longer gets better.

    Parameters
    ----------
    patience : epochs in a row, none better than the best by more than min_delta, after which the run ends
    monitor : "loss" or "score", of the validation data where there are any, else of the training data;
        "train_loss", always of the training data
    min_delta : from 0 up
    restore_best : leave the weights of the best epoch, however the run ends, not those of the last

    Raises
    ------
    ValueError
        A value is not of its kind.
    """

    patience: int = 10
    monitor: Literal["loss", "score", "train_loss"] = "loss"
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", whole("patience", self.patience, 1))
        if not isinstance(self.monitor, str) or self.monitor not in ("loss", "score", "train_loss"):
            raise ValueError(f"monitor is {self.monitor!r}, expected 'loss', 'score' or 'train_loss'")
        object.__setattr__(self, "min_delta", number("min_delta", self.min_delta))

    def value(self, record: Record) -> float:
        """Give what is monitored, the smaller the better."""
        if self.monitor == "score":
            score = record.score_train if record.score_test is None else record.score_test
            return math.nan if score is None else -score
        validated = self.monitor == "loss" and record.validation_loss is not None
        return record.validation_loss if validated else record.mean_loss  # type: ignore[return-value]


class Watch:
    """Keeps the state of a model that its run is to leave, and counts the epochs since it got better."""

    def __init__(self, model: MLP, stopping: EarlyStopping | None) -> None:
        self._model, self._stopping = model, stopping
        self._best, self._waited = math.inf, 0
        # the record of the last epoch that was looked at; the state to leave; whether it is of that epoch
        self._last: tuple[Record | None, dict[str, Any], bool] = None, model.get_state(), True
        self._before: tuple[Record | None, dict[str, Any], bool] | None = None  # the same of the one before

    def ended(self, record: Record) -> bool:
        """Look at an epoch that has ended; tell whether it is to be the last."""
        stopping, better = self._stopping, True
        best, waited = self._best, self._waited
        if stopping:
            value = stopping.value(record)
            waited = 0 if value < best - stopping.min_delta else waited + 1
            better = value < best
            best = value if better else best
        is_kept = better or not (stopping and stopping.restore_best)
        # the last one in one assignment, so that Ctrl-C comes before all of it or after
        last = record, self._model.get_state() if is_kept else self._last[1], is_kept
        self._before, self._last = self._last, last
        self._best, self._waited = best, waited
        return stopping is not None and waited >= stopping.patience

    def has_seen(self, record: Record) -> bool:
        """Tell whether an epoch, the last one or one before it, was looked at to the end."""
        return self._last[0] is record

    def go_back(self) -> None:
        """Forget the last epoch where it was to leave its weights: they have no finite loss."""
        if self._before and self._last[2]:
            self._last, self._before = self._before, None

    def state(self) -> dict[str, Any]:
        """Give what another watch goes on from; "kept" is None where it is the model's state."""
        _, kept, is_kept = self._last
        return {"best": self._best, "waited": self._waited, "kept": None if is_kept else kept}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave, once the model has the state that it had then."""
        self._best, self._waited = state["best"], state["waited"]
        is_kept = state["kept"] is None
        self._last = None, self._model.get_state() if is_kept else state["kept"], is_kept

    def model_state(self) -> dict[str, Any]:
        """Give the model's state after the epoch that was looked at last, copied once at most."""
        _, kept, is_kept = self._last
        return kept if is_kept else self._model.get_state()

    def restore(self, broken: bool) -> None:
        """Put the kept state back where a later one is in the model; broken: an epoch may not have ended."""
        _, kept, is_kept = self._last
        if broken or not is_kept:
            with contextlib.suppress(ValueError, RuntimeError):  # not finite at the start; trained by others
                self._model.set_state(kept)
