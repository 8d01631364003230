"""Checkpoints: a run as a file that it can be completed from, to the same bits."""

import functools
import hashlib
import json
import math
import operator
import os
import time
from dataclasses import asdict, astuple, dataclass, fields
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import schedules
from fastmlp.atomic import try_write
from fastmlp.data import DataLoader
from fastmlp.export.safetensors import open_file, read_header, write_file
from fastmlp.model import MLP
from fastmlp.optimizers import Optimizer

from .history import History, Record
from .stopping import EarlyStopping, Watch

FORMAT = 1
_SECONDS = 1.0  # between two checkpoints where nothing else is asked for
_CHUNK = 2**24  # bytes of a data set that are copied at a time
_EXPECTED = "a checkpoint that fastmlp wrote"


@dataclass(frozen=True)
class Checkpoint:
    """Where and when `fit` writes checkpoints: at the ends of epochs, and always when it ends in any way.

    Parameters
    ----------
    path : the file, replaced as a whole
    epochs : write after so many epochs
    seconds : write at the end of the first epoch, and of any that ends so long after the last time; with
        epochs too, whichever comes first. With neither, it is one second

    Raises
    ------
    ValueError
        A value is not of its kind.
    """

    path: str | os.PathLike
    epochs: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise ValueError(f"path is {self.path!r}, expected the path of a file")
        epochs, seconds = self.epochs, self.seconds
        whole = isinstance(epochs, int | np.integer) and not isinstance(epochs, bool)
        if epochs is not None and not (whole and epochs >= 1):
            raise ValueError(f"epochs is {epochs!r}, expected a whole number from 1 up, or None")
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if seconds is not None and not (number and 0 <= seconds < math.inf):
            raise ValueError(f"seconds is {seconds!r}, expected a finite number from 0 up, or None")

    def is_due(self, epochs: int, seconds: float) -> bool:
        """Tell whether so many epochs and seconds after the last time another one is to be written."""
        if self.epochs is not None and epochs >= self.epochs:
            return True
        least = _SECONDS if self.epochs is None and self.seconds is None else self.seconds
        return least is not None and seconds >= least


def as_checkpoint(given: Any) -> Checkpoint | None:
    """Give a Checkpoint for the path of one, once its file can be written.

    Raises
    ------
    ValueError
        It is neither, or its path is a folder.
    OSError
        Its folder is not there, or cannot be written to.
    """
    if isinstance(given, str | os.PathLike):
        given = Checkpoint(given)
    if not isinstance(given, Checkpoint | None):
        raise ValueError(f"checkpoint is {given!r}, expected a path, fastmlp.Checkpoint(…) or None")
    if given:
        try_write(given.path)
    return given


@dataclass
class Run:
    """A run of `fit`, and where it stands."""

    history: History
    first: int = 0  # number of its first epoch; earlier ones are of the run that it goes on from
    ended: bool = False  # before its last epoch, by patience or a callback


# --- how runs begin --------------------------------------------------------------------------------------


def begin_run(loader: DataLoader, history: History | None) -> Run:
    """Begin a run, in the orders that follow those of a finished run's history where there is one.

    Raises
    ------
    ValueError
        The loader has another seed than that run, or what is given is no History.
    """
    if not isinstance(history, History | None):
        raise ValueError(f"history is of type {type(history).__name__}, expected a History, or None")
    seed, drawn, n_passes = loader.position()
    if history is None:
        return Run(History(seed=_seed_of_orders(loader), first_pass=n_passes))
    if not loader.shuffle or history.seed is None:
        loader.go_to(history.first_pass + history.next_epoch)
    else:
        if not drawn and seed != list(history.seed):
            given = "a Generator" if seed is None else _seed_of_orders(loader)
            raise ValueError(f"seed is {given}, expected {history.seed}, which history has, or None")
        loader.go_to(history.first_pass + history.next_epoch, history.seed)
    records, seed_now = list(history.records), _seed_of_orders(loader)
    return Run(History(records, seed=seed_now, first_pass=history.first_pass), history.next_epoch)


def resume_run(
    path: str | os.PathLike, facts: dict[str, Any], model: MLP, loader: DataLoader, watch: Watch
) -> Run:
    """Have model, loader and watch as they were when a checkpoint was written; a seed that was drawn too.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged or none of fastmlp's, or it is of another run than the facts describe.
    """
    found = _read(path)
    _, drawn, _ = loader.position()
    if drawn:
        facts["seed"] = found["facts"]["seed"]
    difference = _difference(facts, found["facts"])
    if difference:
        raise ValueError(f"{path} is of another run: {difference}")
    try:
        if found["watch"]["kept"] is not None:  # which the run may end with
            model._checked_state(found["watch"]["kept"])
        model.set_state(found["state"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    watch.set_state(found["watch"])
    history: History = found["history"]
    loader.go_to(history.first_pass + history.next_epoch, history.seed)
    return Run(history, found["first"], found["ended"])


def needs_total(optimizer: Optimizer) -> bool:
    """Whether rates depend on the length of the run."""
    lr = optimizer.lr
    if isinstance(lr, schedules.Schedule):
        return lr.needs_total
    return callable(lr) and not schedules._takes_epoch(lr)


# --- what a run is ---------------------------------------------------------------------------------------


def describe_run(
    model: MLP,
    loader: DataLoader,
    test: DataLoader | None,
    optimizer: Optimizer,
    early_stopping: EarlyStopping | None,
    epochs: int,
    **options: Any,
) -> dict[str, Any]:
    """Give what two runs must have in common for one to complete the other, as JSON holds it.

    Raises
    ------
    ValueError
        The orders come from a Generator, which cannot be made again.
    """
    if loader.shuffle and _seed_of_orders(loader) is None:
        raise ValueError("seed is a Generator, whose orders no other run can go on with: give a number")
    facts = {
        "model": model.config() | {"ops": model._ops.__name__},
        "optimizer": _describe_optimizer(optimizer),
        "batch_size": loader.batch_size,
        "drop_last": loader.drop_last,
        "shuffle": loader.shuffle,
        "seed": _seed_of_orders(loader),
        "epochs": epochs if needs_total(optimizer) else None,
        **options,
        "early_stopping": early_stopping and asdict(early_stopping),
        "data": _describe_data(loader),
        "validation_data": test and _describe_data(test),
    }
    return json.loads(_to_json(facts, sort_keys=False))


def _seed_of_orders(loader: DataLoader) -> tuple[int, ...] | None:
    seed, _, _ = loader.position()
    return tuple(seed) if loader.shuffle and seed is not None else None


def _describe_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    values, lr = dict(vars(optimizer)), optimizer.lr
    if isinstance(lr, schedules.Schedule):
        values["lr"] = asdict(lr)
    elif callable(lr):  # of a function only the name is known
        values["lr"] = getattr(lr, "__qualname__", type(lr).__qualname__)
    return {"class": type(optimizer).__name__, **values}


def _describe_data(loader: DataLoader) -> dict[str, Any]:
    names = ("X", "y", "weights")
    arrays = {name: array for name in names if (array := getattr(loader, name, None)) is not None}
    kinds = {name: [array.dtype.name, *array.shape] for name, array in arrays.items()}
    return {**kinds, "digest": _digest(arrays.values())}


def _digest(parts: Any) -> str:
    """Hash arrays and bytes, one after the other; arrays as C order has them, and in any layout."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray) and len(part):
            rows = max(1, _CHUNK // max(1, part[0].nbytes))
            for start in range(0, len(part), rows):
                digest.update(part[start : start + rows].tobytes())
        elif isinstance(part, bytes):
            digest.update(part)
    return digest.hexdigest()


def _difference(here: Any, there: Any, name: str = "") -> str | None:
    """Name the first value in which two descriptions differ."""
    if not isinstance(here, dict) or not isinstance(there, dict):
        return None if here == there else f"{name} is {here!r} here and {there!r} in the file"
    for key in here | there:
        difference = _difference(here.get(key), there.get(key), f"{name}.{key}" if name else key)
        if difference:
            return difference
    return None


# --- files -----------------------------------------------------------------------------------------------


class Writer:
    """Writes a run's checkpoints at their times; as a context, at the end too, however that comes.

    An epoch that did not end leaves weights in the model that no checkpoint may have. So what a checkpoint
    holds is taken at the end of each epoch, whether it is time to write or not.
    """

    def __init__(
        self, checkpoint: Checkpoint | None, facts: dict[str, Any], run: Run, model: MLP, watch: Watch
    ) -> None:
        self._checkpoint, self._facts, self._run = checkpoint, facts, run
        self._model, self._watch = model, watch
        self._written: tuple[Any, bool] = None, False
        self._last_epochs, self._last_time = len(run.history), -math.inf
        if checkpoint:
            self._taken = self._take()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._checkpoint is None or self._is_written():
            return
        try:
            self._write()
        except Exception as failed:
            if error is None:
                raise
            error.add_note(f"The last checkpoint could not be written: {failed}")

    def epoch_ended(self) -> None:
        """Look at an epoch whose record is in the history, and which the watch has seen."""
        if self._checkpoint is None:
            return
        self._taken = self._take()
        epochs = len(self._run.history) - self._last_epochs
        if self._checkpoint.is_due(epochs, time.monotonic() - self._last_time):
            self._write()

    def _is_written(self) -> bool:
        taken, ended = self._written
        return taken is self._taken and ended == self._run.ended

    def _take(self) -> tuple[int, dict[str, Any], dict[str, Any]]:
        return len(self._run.history), self._watch.model_state(), self._watch.state()

    def _write(self) -> None:
        assert self._checkpoint is not None
        run, taken = self._run, self._taken
        n, state, watch = taken
        history = run.history
        tensors: dict[str, NDArray[Any]] = {}
        content = {
            "checkpoint": FORMAT,
            "facts": self._facts,
            "first": run.first,
            "ended": run.ended and n == len(history),
            "first_pass": history.first_pass,
            "columns": [column.name for column in fields(Record)],
            "records": [astuple(record) for record in history.records[:n]],
            "state": _without_arrays(state, "state", tensors),
            "watch": _without_arrays(watch, "watch", tensors),
        }
        digest = _digest([_to_json(content).encode(), *map(tensors.get, sorted(tensors))])
        write_file(self._checkpoint.path, _to_json(content | {"digest": digest}), tensors)
        self._last_epochs, self._last_time = n, time.monotonic()
        self._written = taken, run.ended


def _read(path: str | os.PathLike) -> dict[str, Any]:
    """Give what a checkpoint holds, once it is known to be whole."""
    with open_file(path, _EXPECTED) as file:
        header = read_header(path, file, _EXPECTED)
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    try:
        content = json.loads(header)
        if content.get("checkpoint") != FORMAT:
            kind = f"a checkpoint of format {content['checkpoint']}" if "checkpoint" in content else "none"
            raise _Foreign(f"found {kind}, expected {_EXPECTED}, of format {FORMAT}")
        whole, digest = _to_json(content) == header, content.pop("digest")
        parts = [_to_json(content).encode(), *map(tensors.get, sorted(tensors))]
        # the text too, for another last digit may be the same number
        if not whole or digest != _digest(parts):
            raise _Foreign(f"found a damaged file, whose digest is another, expected {_EXPECTED}")
        content["history"] = _history(content)
        for name in ("state", "watch"):
            content[name] = _with_arrays(content[name], tensors)
        return content
    except _Foreign as error:
        raise ValueError(f"{path}: {str(error)[:400]}") from None
    except (AttributeError, IndexError, KeyError, TypeError, RecursionError, ValueError) as error:
        raise ValueError(
            f"{path}: found a damaged file ({repr(error)[:400]}), expected {_EXPECTED}"
        ) from error


class _Foreign(ValueError):
    """What is wrong with a file, in words."""


def _history(content: dict[str, Any]) -> History:
    """Give a checkpoint's history, once what a run goes on from is of its kind; digests can be forged."""
    names, watch, seed = content["columns"], content["watch"], content["facts"]["seed"]
    records = [Record(**dict(zip(names, row, strict=True))) for row in content["records"]]
    history = History(records, seed=None if seed is None else tuple(seed), first_pass=content["first_pass"])
    counts = [content["first"], history.first_pass, watch["waited"], *(record.epoch for record in records)]
    right = all(type(count) is int and 0 <= count < 2**31 for count in counts)
    right = right and content["first"] <= history.next_epoch and type(content["ended"]) is bool
    right = right and all(type(number) is int and number >= 0 for number in history.seed or ())
    right = right and isinstance(watch["best"], float | int) and "kept" in watch
    kinds = {column.name: column.type for column in fields(Record)}
    for record in records:
        right = right and all(isinstance(value, kinds[name] | int) for name, value in vars(record).items())
    if not right:
        raise _Foreign(f"found numbers that no run has, expected {_EXPECTED}")
    return history


def _without_arrays(value: Any, name: str, tensors: dict[str, NDArray[Any]]) -> Any:
    """Put a name in the place of each array, which goes to the tensors."""
    if isinstance(value, np.ndarray):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, list):
        return [_without_arrays(part, f"{name}.{i}", tensors) for i, part in enumerate(value)]
    if isinstance(value, dict):
        return {key: _without_arrays(part, f"{name}.{key}", tensors) for key, part in value.items()}
    return value


def _with_arrays(value: Any, tensors: dict[str, NDArray[Any]]) -> Any:
    """Undo `_without_arrays`."""
    if isinstance(value, list):
        return [_with_arrays(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"tensor"}:
        return tensors[value["tensor"]]
    return {key: _with_arrays(part, tensors) for key, part in value.items()}


# numbers of NumPy's become Python's
_to_json = functools.partial(json.dumps, sort_keys=True, default=operator.methodcaller("item"))
