"""The progress bar of a run."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BAR_SECONDS = 0.1  # between two looks at an epoch's losses


class Bar:
    """A progress bar over the batches of all epochs, moved by a thread that looks at their losses."""

    def __init__(self, n_batches: int, epochs: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=epochs * n_batches, unit=" batches", unit_scale=True, dynamic_ncols=True, leave=False
        )
        self._now: tuple[int, NDArray[Any]] = 0, np.empty(0)  # batches of earlier epochs; this one's losses
        self._ended, self._wake = False, threading.Event()
        self._drawing, self._is_aside = threading.Lock(), False
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        """Show the bar; close must follow, even if Ctrl-C comes in here."""
        self._thread.start()

    def close(self) -> None:
        """Show the last state, and end."""
        self._ended = True  # so the thread ends even if Ctrl-C comes in the next line
        self._wake.set()
        with contextlib.suppress(RuntimeError):  # not started, because Ctrl-C came first
            self._thread.join()
        self._bar.close()

    def follow(self, losses: NDArray[Any]) -> None:
        """Begin an epoch: a loss is NaN until its batch has come."""
        done, before = self._now
        self._now = done + len(before), losses

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Keep the bar off the screen, so that what others print there has lines of its own."""
        with self._drawing:
            self._is_aside = True
            self._bar.clear()
        try:
            yield
        finally:
            with self._drawing:
                self._is_aside = False
                self._bar.n += self._count()
                self._bar.refresh()

    def _look(self) -> None:
        while not self._ended:
            self._wake.wait(_BAR_SECONDS)
            with self._drawing:
                if not self._is_aside:
                    self._bar.update(self._count())

    def _count(self) -> int:
        """Count the batches that are new."""
        done, losses = self._now
        return done + int(np.count_nonzero(~np.isnan(losses))) - self._bar.n
