"""Whose turn it is with a model: one call trains it, and whatever reads it meanwhile sees it whole."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

_Read = TypeVar("_Read")

_SECONDS = 1e-4  # between two looks at a model that others have


class Turns:
    """A context that one training call is in at a time; a second call is an error, not a wait."""

    def __init__(self) -> None:
        # who has it is set in one uninterruptible step: an interrupt between two leaves nobody in
        self._turn: dict[int, list[bool]] = {}  # process: [whether it trains], of one call
        self._n_trained = 0

    def __enter__(self) -> None:
        """Begin a training call.

        Raises
        ------
        RuntimeError
            There is another, or was in the process that this one was forked from.
        """
        here, mine = os.getpid(), [True]
        try:
            while (now := self._turn.setdefault(here, mine)) is not mine:
                if now[0]:
                    raise RuntimeError(
                        "this model is being trained by another call; train a copy, or wait for it"
                    )
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
            Another thread trained it when this process was forked.
        """
        before = self._n_trained
        if not self._turn:
            result = get()
            if before == self._n_trained:
                return result
        here, mine = os.getpid(), [False]
        try:
            while self._turn.setdefault(here, mine) is not mine:
                time.sleep(_SECONDS)
            self._require_whole(here)
            return get()
        finally:
            self._end(here, mine)

    def _require_whole(self, here: int) -> None:
        """Forget calls whose threads a fork has left behind; one that trained has left half of a step."""
        for process, (trains,) in self._turn.copy().items():
            if process != here:
                if trains:
                    raise RuntimeError(
                        "this process was forked while another thread trained this model, and has half of a "
                        "step of it: load or train another here, or fork while nothing trains"
                    )
                self._turn.pop(process, None)

    def _end(self, here: int, mine: list[bool]) -> None:
        if self._turn.get(here) is mine:
            self._turn.pop(here)
