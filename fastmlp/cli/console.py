"""What a run tells on the console while it works, and where its time goes."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

from fastmlp.start import IS_COMMAND, in_one_line


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
    """Print a line at once, on stdout where no file is given; whether anybody still reads it or not."""
    from tqdm import tqdm

    file = file or sys.stdout
    try:
        tqdm.write(str(text), file=file)  # keeps clear of a progress bar
        file.flush()
    except BrokenPipeError:  # what the run saves says the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def note(text: str) -> None:
    """Tell on stderr what a user may want to know of a command that goes on."""
    say(f"fastmlp: note: {text}", sys.stderr)


def note_boxes(path: object, characters: str) -> None:
    """Tell of characters that a picture has boxes for, if there are any."""
    if characters:
        note(f"{path}: the font lacks {characters[:50]}, which boxes stand for")


def complain(error: Exception) -> None:
    """Tell on stderr, in one line, what went wrong."""
    print(f"fastmlp: error: {in_one_line(error)}", file=sys.stderr, flush=True)


class Interrupts:
    """In its body the first Ctrl-C while `may_cut` is true interrupts, and any other waits for the end.

    So nothing that is being saved is lost, and no import of a library in C++ is cut, which may abort.
    """

    def __init__(self, may_cut: bool = False) -> None:
        self.may_cut, self._came, self._waits = may_cut, False, False

    def __enter__(self) -> Interrupts:
        self._is_main = threading.current_thread() is threading.main_thread()  # others hear no signals
        if self._is_main:
            self._before = signal.signal(signal.SIGINT, self._hear)
            self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        return self

    def _hear(self, number: int, frame: Any) -> None:
        self._came = True
        if self.may_cut:
            self.may_cut = False
            raise KeyboardInterrupt
        self._waits = True

    def _dropped(self, dropped: Any) -> None:
        """Interrupt again where Python had to drop it, as in the callbacks of a compiler."""
        if dropped.exc_type is not KeyboardInterrupt:
            self._hook(dropped)
            return
        self.may_cut = True
        threading.Timer(0.01, _thread.interrupt_main).start()  # by then the callback has returned

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._is_main:
            # a program that was interrupted is about to end, and is left alone
            ends = self._came and IS_COMMAND
            sys.unraisablehook = self._hook
            signal.signal(signal.SIGINT, signal.SIG_IGN if ends else self._before)
        if self._waits and kind is None:
            raise KeyboardInterrupt
