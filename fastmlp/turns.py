"""Whose turn it is with a model: one call trains it, and whatever reads it meanwhile sees it whole."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

_Read = TypeVar("_Read")

_SECONDS = 1e-4  # between two looks at a model that is being trained


class Turns:
    """A context that one training call is in at a time; a second call is an error, not a wait."""

    def __init__(self) -> None:
        # who trains is set in one uninterruptible step: an interrupt between two leaves nobody in
        self._trainers: dict[str, Any] = {}
        self._n_begun = 0

    def __enter__(self) -> None:
        """Begin a training call.

        Raises
        ------
        RuntimeError
            There is another.
        """
        mine = object()
        try:
            if self._trainers.setdefault("now", mine) is not mine:
                raise RuntimeError(
                    "this model is being trained by another call; train a copy, or wait for it"
                )
            self._n_begun += 1
        except BaseException:
            if self._trainers.get("now") is mine:
                del self._trainers["now"]
            raise

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._trainers.clear()

    def read(self, get: Callable[[], _Read]) -> _Read:
        """Give what `get` reads between two training calls: it waits for one, and reads again after one."""
        while True:
            before = self._n_begun
            if not self._trainers:
                result = get()
                if before == self._n_begun:
                    return result
            else:
                time.sleep(_SECONDS)
