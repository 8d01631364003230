"""What a run tells on the console while it works, and where its time goes."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO


class Clock:
    """Where the time of a run goes, in seconds by part."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.parts: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        """Add to a part, which is new or not."""
        self.parts[name] = self.parts.get(name, 0.0) + seconds

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time that the body takes."""
        start = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - start)

    def __str__(self) -> str:
        """Give the parts and the time since the clock was made."""
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.parts.items())
        return f"Time: {parts}; {time.perf_counter() - self._start:.2f} s in all"


def say(text: object, file: TextIO | None = None) -> None:
    """Print a line at once, on stdout where no file is given."""
    from tqdm import tqdm

    file = file or sys.stdout
    tqdm.write(str(text), file=file)  # keeps clear of a progress bar
    file.flush()
