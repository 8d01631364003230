"""Whose turn it is with a model: one call trains it, and whatever reads it meanwhile sees it whole."""

import time
from collections.abc import Callable
from typing import TypeVar

_Read = TypeVar("_Read")

_SECONDS = 1e-4  # between two looks at a model that others have


class Turns:
    """A context that one training call is in at a time; a second call is an error, not a wait."""

    def __init__(self) -> None:
        # who has it is set in one uninterruptible step: an interrupt between two leaves nobody in
        self._turn: dict[str, list[bool]] = {}  # "now": [whether it trains], of one call
        self._n_trained = 0

    def __enter__(self) -> None:
        """Begin a training call.

        Raises
        ------
        RuntimeError
            There is another.
        """
        mine = [True]
        try:
            while (now := self._turn.setdefault("now", mine)) is not mine:
                if now[0]:
                    raise RuntimeError(
                        "this model is being trained by another call; train a copy, or wait for it"
                    )
                time.sleep(_SECONDS)
            self._n_trained += 1
        except BaseException:
            self._end(mine)
            raise

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._turn.clear()

    def read(self, get: Callable[[], _Read]) -> _Read:
        """Give what `get` reads while nothing trains: beside other readers, else in a turn of its own."""
        before = self._n_trained
        if not self._turn:
            result = get()
            if before == self._n_trained:
                return result
        mine = [False]
        try:
            while self._turn.setdefault("now", mine) is not mine:
                time.sleep(_SECONDS)
            return get()
        finally:
            self._end(mine)

    def _end(self, mine: list[bool]) -> None:
        if self._turn.get("now") is mine:
            self._turn.clear()
