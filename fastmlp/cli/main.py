"""The command line: which commands there are, their exit codes, and how it is told what went wrong."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from fastmlp import __version__

from . import bench, evaluate, info, predict, train
from .console import complain, note


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : the arguments after the program's name, by default those of the process

    Returns
    -------
    0; 1 for a failure, told in one line on stderr; 2 for wrong usage; 130 for Ctrl-C.
    """
    for name in ("stdout", "stderr"):  # a program without a console may have none
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))
        with contextlib.suppress(AttributeError, OSError):  # what others have put there may not have it
            # names of files and classes may have what the console cannot show
            getattr(sys, name).reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = _run(argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("fastmlp: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
            complain(error)
        _drop_unwritten()
        return 1


def _run(argv: Sequence[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    try:
        # the words themselves, for a command that tells how to call it again
        args = _parser().parse_args(argv, argparse.Namespace(argv=list(argv)))
        return args.run(args)
    except SystemExit as end:  # argparse has shown its help, its version or what is wrong
        return int(end.code or 0)


def _show_warning(message: Warning | str, *place: Any, **line: Any) -> None:
    note(" ".join(str(message).split()))


def _drop_unwritten() -> None:
    try:
        sys.stdout.flush()
    except OSError:  # the interpreter flushes again when it ends, and would complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastmlp",
        description="Train and use multilayer perceptrons on this machine's processor.",
        epilog="Try `fastmlp train`; `fastmlp COMMAND --help` explains a command and gives an example.",
    )
    parser.add_argument("--version", action="version", version=f"fastmlp {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (train, evaluate, predict, info, bench):
        command.add(commands)
    return parser
