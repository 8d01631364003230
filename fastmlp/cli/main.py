"""The command line: its arguments, its exit codes, and how it tells what went wrong."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastmlp import __version__

from .bench import bench
from .evaluate import evaluate
from .info import info
from .predict import predict
from .train import train

_DATA: dict[str, Any] = {
    "type": Path,
    "metavar": "FOLDER",
    "help": "folder of four IDX files, named as MNIST's are (default: MNIST, which is built in)",
}
_MODEL: dict[str, Any] = {"type": Path, "metavar": "MODEL", "help": "model file that `fastmlp train` saved"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name, by default those of the process.

    Returns
    -------
    int
        0; 1 for a failure, told in one line on stderr; 2 for wrong usage; 130 for Ctrl-C.
    """
    for name in ("stdout", "stderr"):  # a program without a console may have none
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))
    try:
        args = _parser().parse_args(argv)
        code = args.run(args)
        sys.stdout.flush()
        return code
    except SystemExit as end:  # argparse has shown its help, its version or what is wrong
        return int(end.code or 0)
    except KeyboardInterrupt:
        print("fastmlp: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:
        print(f"fastmlp: error: {_in_one_line(error)}", file=sys.stderr)
        return 1


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    expected = isinstance(error, ValueError | OSError | FloatingPointError | RuntimeError) and text
    return text if expected else f"{type(error).__name__}: {text}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastmlp",
        description="Train and use multilayer perceptrons on this machine's processor.",
        epilog="Try `fastmlp train`; `fastmlp COMMAND --help` explains a command and gives an example.",
    )
    parser.add_argument("--version", action="version", version=f"fastmlp {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (_add_train, _add_evaluate, _add_predict, _add_info, _add_bench):
        add(commands)
    return parser


def _add_command(
    commands: Any, run: Callable[[argparse.Namespace], int], summary: str, description: str, example: str
) -> Callable[..., Any]:
    command = commands.add_parser(
        run.__name__,
        help=summary,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command.add_argument


def _add_train(commands: Any) -> None:
    add = _add_command(
        commands,
        train,
        "train a classifier of images",
        "Train a classifier on MNIST's 60,000 digits, or on any data set in the same\n"
        "format, and print its loss and F1 scores after each epoch. The model, its\n"
        "history and two pictures are saved in a folder. Ctrl-C ends the run early and\n"
        "saves what there is.",
        "fastmlp train --hidden 128 64 --scale 1/255 --lr 0.1 --epochs 5 --out runs/deeper",
    )
    count = _whole_number(1)
    add("--data", **_DATA)
    add(
        "--hidden",
        type=count,
        nargs="+",
        default=[128],
        metavar="N",
        help="widths of the hidden layers (default: one of 128)",
    )
    add("--epochs", type=count, default=20, metavar="N", help="passes over the data (default: %(default)s)")
    add("--batch-size", type=count, default=128, metavar="N", help="samples a step (default: %(default)s)")
    add("--lr", type=_positive, default=0.001, metavar="RATE", help="learning rate (default: %(default)s)")
    add(
        "--scale",
        type=_scale,
        default=1.0,
        metavar="FACTOR",
        help="what every pixel is multiplied by, a number or a fraction such as 1/255; scaled pixels want "
        "a learning rate around 0.1 (default: 1, pixels from 0 to 255)",
    )
    add(
        "--seed",
        type=_whole_number(0),
        default=0,
        metavar="N",
        help="seed of the first weights and of the samples' order (default: %(default)s)",
    )
    add(
        "--threads",
        type=_whole_number(1, 1024),
        metavar="N",
        help="threads to use (default: FASTMLP_NUM_THREADS, else as many as the machine grants)",
    )
    add("--out", type=Path, metavar="FOLDER", help="where to save (default: a new folder runs/DATE_TIME)")


def _add_evaluate(commands: Any) -> None:
    add = _add_command(
        commands,
        evaluate,
        "score a saved model on test data",
        "Print precision, recall and F1 score of each class on the test images of MNIST,\n"
        "or of any data set in the same format, and save the confusion matrix as a\n"
        "picture.",
        "fastmlp evaluate runs/deeper/model.safetensors",
    )
    add("model", **_MODEL)
    add("--data", **_DATA)
    add("--out", type=Path, metavar="PNG", help="the picture (default: confusion.png beside the model)")


def _add_predict(commands: Any) -> None:
    add = _add_command(
        commands,
        predict,
        "tell what images show",
        "Print the class of each image and its probability. An image is a picture such as\n"
        "a PNG, in grey or in colour, or an IDX file with any number of them. Its sides\n"
        "must be those of the images that the model was trained on, and it must be light\n"
        "on dark, as MNIST is, or come with --invert.",
        "fastmlp predict runs/deeper/model.safetensors digit.png --invert",
    )
    add("model", **_MODEL)
    add("images", type=Path, nargs="+", metavar="IMAGE", help="picture or IDX file")
    add("--invert", action="store_true", help="the images are dark on light (default: light on dark)")


def _add_info(commands: Any) -> None:
    _add_command(
        commands,
        info,
        "describe this installation and machine",
        "Print the versions in use, the processor, its features, threads and vectors, the\n"
        "folder of unpacked data and compiled code, and the environment variables that\n"
        "change these.",
        "fastmlp info",
    )


def _add_bench(commands: Any) -> None:
    add = _add_command(
        commands,
        bench,
        "measure how fast this machine trains",
        "Check the kernels against the reference, then measure them, whole epochs, inference\n"
        "and this program itself, and print each figure beside what it must reach and what\n"
        "it aims at. Takes about two minutes, in which the machine should do nothing else.",
        "fastmlp bench --threads 1 2 --json figures.json",
    )
    add("--json", type=Path, metavar="FILE", help="write all figures to a file too")
    add(
        "--threads",
        type=_whole_number(1, 1024),
        nargs="+",
        default=[],
        metavar="N",
        help="numbers of threads to measure (default: one, and as many as the machine grants)",
    )
    add("--quick", action="store_true", help="fewer rounds, and no programs started: half a minute")


def _whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if text.isdecimal() and least <= int(text) and (most is None or int(text) <= most):
            return int(text)
        bounds = f"from {least}" if most is None else f"from {least} to {most}"
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number {bounds}")

    return parse


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < math.inf:
            return value
    raise argparse.ArgumentTypeError(f"found {text!r}, expected a finite number above 0")


def _scale(text: str) -> float:
    numerator, slash, denominator = text.partition("/")
    return _positive(str(_positive(numerator) / _positive(denominator))) if slash else _positive(text)
