"""Whose turn it is with a model: one call trains it, and whatever reads it meanwhile sees it whole."""

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
        self._turn: dict[str, list[int]] = {}  # "now": of one call, whether it trains and its thread
        self._n_trained = 0

    def __enter__(self) -> None:
        """Begin a training call.

        Raises
        ------
        RuntimeError
            There is another.
        """
        mine = [True, threading.get_ident()]
        try:
            while (now := self._turn.setdefault("now", mine)) is not mine:
                if now[0]:
                    raise RuntimeError(_TRAINS)
                time.sleep(_SECONDS)
            self._n_trained += 1
        except BaseException:
            self._end(mine)
            raise

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._turn.clear()

    def read(self, get: Callable[[], _Read]) -> _Read:
        """Give what `get` reads while nothing trains: beside other readers, else in a turn of its own.

        Raises
        ------
        RuntimeError
            It is this thread that trains, and would wait for itself.
        """
        before = self._n_trained
        if not self._turn:
            result = get()
            if before == self._n_trained:
                return result
        mine = [False, threading.get_ident()]
        try:
            while (now := self._turn.setdefault("now", mine)) is not mine:
                if now[1] == mine[1]:
                    raise RuntimeError(_TRAINS)
                time.sleep(_SECONDS)
            return get()
        finally:
            self._end(mine)

    def _end(self, mine: list[int]) -> None:
        if self._turn.get("now") is mine:
            self._turn.clear()
