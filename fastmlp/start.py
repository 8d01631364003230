"""Imported before all else: how the command line ends where it is cut, or fails, before it has begun."""

import sys
from pathlib import Path
from typing import Any


def _is_command() -> bool:
    words, name = sys.orig_argv, (sys.argv or [""])[0]
    return (name == "-m" and ("-m", "fastmlp") in zip(words, words[1:], strict=False)) or (
        Path(name).stem == "fastmlp"
    )


def in_one_line(error: BaseException) -> str:
    """Say what went wrong, and of errors that nobody expects the type too."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    expected = isinstance(error, ValueError | OSError | FloatingPointError | RuntimeError) and text
    return text if expected else f"{type(error).__name__}: {text}"


def _tell(kind: Any, error: BaseException, trace: Any) -> None:
    interrupted = isinstance(error, KeyboardInterrupt)
    print(f"fastmlp: {'interrupted' if interrupted else f'error: {in_one_line(error)}'}", file=sys.stderr)


IS_COMMAND = _is_command()  # this process is `fastmlp` or `python -m fastmlp`
if IS_COMMAND:
    sys.excepthook = _tell
