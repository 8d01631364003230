"""What the commands' arguments share: how a command is added, and how numbers are read and refused."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODEL: dict[str, Any] = {"type": Path, "metavar": "MODEL", "help": "model file that `fastmlp train` saved"}


def add_command(
    commands: Any, run: Callable[[argparse.Namespace], int], summary: str, description: str, example: str
) -> argparse.ArgumentParser:
    """Add a command of the function's name that calls it, and return its parser.

    Its arguments get an attribute `refuse`, which ends the program as wrong usage, with the text that it is
    given.

    Parameters
    ----------
    commands : what argparse's `add_subparsers` returned
    run : takes the arguments and returns the exit code
    summary : a line for the list of commands
    description : lines for the command's own help
    example : a command line that runs, shown there too
    """
    command = commands.add_parser(
        run.__name__,
        help=summary,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run, refuse=command.error)
    return command


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Make a reader of whole numbers from `least` to `most`, both included."""

    def parse(text: str) -> int:
        if text.isdecimal() and least <= int(text) and (most is None or int(text) <= most):
            return int(text)
        bounds = f"from {least}" if most is None else f"from {least} to {most}"
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number {bounds}")

    return parse


def positive(text: str) -> float:
    """Read a finite number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < math.inf:
            return value
    raise argparse.ArgumentTypeError(f"found {text!r}, expected a finite number above 0")


def number(text: str) -> float:
    """Read a finite number from 0 up."""
    with contextlib.suppress(ValueError):
        if 0 <= (value := float(text)) < math.inf:
            return value
    raise argparse.ArgumentTypeError(f"found {text!r}, expected a finite number from 0 up")


def fraction(text: str) -> float:
    """Read a number from 0 to below 1."""
    with contextlib.suppress(ValueError):
        if 0 <= (value := float(text)) < 1:
            return value
    raise argparse.ArgumentTypeError(f"found {text!r}, expected a number from 0 to below 1")


def share(text: str) -> float:
    """Read a number between 0 and 1."""
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < 1:
            return value
    raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0 and below 1")


def rates(text: str) -> float | tuple[float, float]:
    """Read a number from 0 to below 1, or two with a comma between them."""
    with contextlib.suppress(argparse.ArgumentTypeError, ValueError):
        first, comma, second = text.partition(",")
        return (fraction(first), fraction(second)) if comma else fraction(first)
    raise argparse.ArgumentTypeError(
        f"found {text!r}, expected a rate from 0 to below 1, or two such as 0.2,0.5: of pixels, hidden units"
    )


def scale_factor(text: str) -> float:
    """Read a finite number above 0, or a fraction of two such as 1/255."""
    numerator, slash, denominator = text.partition("/")
    return positive(str(positive(numerator) / positive(denominator))) if slash else positive(text)
