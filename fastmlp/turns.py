"""Whose turn it is with a model: one call trains it, and whatever reads it meanwhile sees it whole."""

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

_Read = TypeVar("_Read")

_TRAINS = "this model is being trained by another call; train a copy, or wait for it"
_SECONDS = 1e-4  # between two looks at a model that others have


class Turns:
    """A context that one training call is in at a time; a second call is an error, not a wait."""

    def __init__(self) -> None:
        # who has it is set in one uninterruptible step: an interrupt between two leaves nobody in
        self._turn: dict[int, list[int]] = {}  # process: of one call, whether it trains and its thread
        self._n_trained = 0

    def __enter__(self) -> None:
        """Begin a training call.

        Raises
        ------
        RuntimeError
            There is another, or was in the process that this one was forked from.
        """
        here, mine = os.getpid(), [True, threading.get_ident()]
        try:
            while (now := self._turn.setdefault(here, mine)) is not mine:
                if now[0]:
                    raise RuntimeError(_TRAINS)
                time.sleep(_SECONDS)
            self._require_whole(here)
            self._n_trained += 1
        except BaseException:
            self._end(here, mine)
            raise

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._turn.pop(os.getpid(), None)

    def read(self, get: Callable[[], _Read]) -> _Read:
        """Give what `get` reads while nothing trains: beside other readers, else in a turn of its own.

        Raises
        ------
        RuntimeError
            It is this thread that trains, and would wait for itself; or another thread trained the model
            when this process was forked.
        """
        before = self._n_trained
        if not self._turn:
            result = get()
            if before == self._n_trained:
                return result
        here, mine = os.getpid(), [False, threading.get_ident()]
        try:
            while (now := self._turn.setdefault(here, mine)) is not mine:
                if now[1] == mine[1]:
                    raise RuntimeError(_TRAINS)
                time.sleep(_SECONDS)
            self._require_whole(here)
            return get()
        finally:
            self._end(here, mine)

    def _require_whole(self, here: int) -> None:
        """Forget calls whose threads a fork has left behind; one that trained has left half of a step."""
        for process, (trains, _) in self._turn.copy().items():
            if process != here:
                if trains:
                    raise RuntimeError(
                        "this process was forked while another thread trained this model, and has half of a "
                        "step of it: load or train another here, or fork while nothing trains"
                    )
                self._turn.pop(process, None)

    def _end(self, here: int, mine: list[int]) -> None:
        if self._turn.get(here) is mine:
            self._turn.pop(here)
