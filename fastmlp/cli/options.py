"""What `fastmlp train` is told: its options, and what of the library they stand for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastmlp import schedules
from fastmlp.config import ACTIVATIONS
from fastmlp.optimizers import SGD, Adam
from fastmlp.training import EarlyStopping

from .arguments import fraction, number, positive, rates, scale_factor, share, whole_number
from .data import add_data

# which options make the facts that a checkpoint's run must have in common with the one that resumes it
_OPTIONS_OF = {
    "model": "--data (with its options) or --hidden",
    "model.activations": "--activation",
    "model.dropout": "--dropout",
    "model.scale": "--scale",
    "optimizer": "--optimizer",
    "optimizer.lr": "--lr, --schedule or --warmup",
    "optimizer.momentum": "--momentum",
    "optimizer.nesterov": "--momentum",
    "optimizer.l2": "--l2",
    "optimizer.weight_decay": "--weight-decay",
    "batch_size": "--batch-size",
    "seed": "--seed",
    "epochs": "--epochs, on which its --schedule depends",
    "ema": "--ema",
    "label_smoothing": "--label-smoothing",
    "early_stopping": "--patience",
    "data": "--data (with its options) or --holdout",
    "validation_data": "--data (with its options) or --holdout",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options, in groups."""
    _add_data(parser.add_argument_group("the data").add_argument)
    _add_network(parser.add_argument_group("the network").add_argument)
    _add_training(parser.add_argument_group("training").add_argument)
    _add_steps(parser.add_argument_group("steps of the weights").add_argument)
    _add_files(parser.add_argument_group("what is kept, and the machine").add_argument)
    _add_recipe(parser.add_argument_group("a recipe in place of all that").add_argument)


def _add_data(argument: Any) -> None:
    add_data(argument)
    argument(
        "--scale",
        type=scale_factor,
        default=1.0,
        metavar="FACTOR",
        help="what every pixel is multiplied by, a number or a fraction such as 1/255; scaled pixels want "
        "a learning rate around 0.1 (default: 1, pixels from 0 to 255)",
    )
    argument(
        "--holdout",
        type=share,
        metavar="SHARE",
        help="hold back this share of the training images, such as 0.1, drawn by the seed, and score them "
        "after each epoch; the test images are then scored once, at the end, so that nothing was chosen by "
        "them (default: none, the test images are scored after each epoch)",
    )


def _add_network(argument: Any) -> None:
    argument(
        "--hidden",
        type=whole_number(1),
        nargs="+",
        default=[128],
        metavar="N",
        help="widths of the hidden layers (default: one of 128)",
    )
    argument(
        "--activation",
        choices=ACTIVATIONS,
        default="relu",
        metavar="NAME",
        help=f"of the hidden layers: {', '.join(ACTIVATIONS)} (default: %(default)s)",
    )
    argument(
        "--dropout",
        type=rates,
        default=0.0,
        metavar="RATE",
        help="share of the hidden units that each step leaves out, such as 0.5; or two with a comma between "
        "them, of the pixels and of the hidden units, such as 0.2,0.5 (default: none)",
    )


def _add_training(argument: Any) -> None:
    count = whole_number(1)
    argument(
        "--epochs",
        type=count,
        default=20,
        metavar="N",
        help="passes over the data, counted from the run's beginning (default: %(default)s)",
    )
    argument(
        "--batch-size", type=count, default=128, metavar="N", help="samples a step (default: %(default)s)"
    )
    argument(
        "--label-smoothing",
        type=fraction,
        default=0.0,
        metavar="SHARE",
        help="share of each label that goes to all classes alike, such as 0.1 (default: none)",
    )
    argument(
        "--ema",
        type=share,
        metavar="DECAY",
        help="score and save a moving average of the weights, which keeps this share of itself in a step, "
        "such as 0.999 (default: the weights themselves)",
    )
    argument(
        "--patience",
        type=count,
        metavar="N",
        help="end the run after N epochs without a smaller loss, of images held back where there are any, "
        "else of training, and keep the best weights (default: all epochs, the last weights)",
    )
    argument(
        "--seed",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="seed of the first weights, the samples' order and what is held back (default: %(default)s)",
    )


def _add_steps(argument: Any) -> None:
    argument(
        "--lr",
        type=positive,
        default=0.001,
        metavar="RATE",
        help="learning rate, with a schedule the highest one (default: %(default)s)",
    )
    argument(
        "--optimizer",
        choices=("sgd", "adam"),
        default="sgd",
        help="how weights move; adam wants a learning rate around 0.001 (default: %(default)s)",
    )
    argument(
        "--momentum",
        type=fraction,
        default=0.0,
        metavar="M",
        help="momentum of sgd, with Nesterov's look ahead, such as 0.9; it wants a learning rate a tenth as "
        "high (default: none)",
    )
    argument(
        "--schedule",
        choices=("constant", "linear", "cosine", "one_cycle"),
        default="constant",
        help="how the learning rate goes over the run: linear falls to 0 in a line, cosine in half a cosine, "
        "one_cycle rises first and then falls to almost nothing (default: %(default)s)",
    )
    argument(
        "--warmup",
        type=fraction,
        metavar="SHARE",
        help="share of the steps in which the rate of a schedule rises, such as 0.1 (default: 0.3 for "
        "one_cycle, else none)",
    )
    argument(
        "--weight-decay",
        type=number,
        default=0.0,
        metavar="RATE",
        help="weights shrink at each step by this times the learning rate; with adam this is AdamW "
        "(default: none)",
    )
    argument(
        "--l2",
        type=number,
        default=0.0,
        metavar="FACTOR",
        help="penalty of large weights, which joins the gradient divided by the batch (default: none)",
    )


def _add_files(argument: Any) -> None:
    argument(
        "--out", type=Path, metavar="FOLDER", help="where to save (default: a new folder runs/DATE_TIME)"
    )
    argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="keep here, epoch by epoch, what the run can be completed from if it is cut (default: nothing)",
    )
    argument(
        "--resume",
        action="store_true",
        help="complete the run of --checkpoint FILE, told as it was, with the results that it would have "
        "had; where there is no such file the run begins. A run that had ended saves its results again",
    )
    argument(
        "--threads",
        type=whole_number(1, 1024),
        metavar="N",
        help="threads to use (default: FASTMLP_NUM_THREADS, else as many as the machine grants)",
    )


def _add_recipe(argument: Any) -> None:
    argument(
        "--recipe",
        choices=("98",),
        help="train 784-128-10 on MNIST until 98 %% of the test digits are right, by the fastest way found; "
        "of the options above it takes --seed, --out and --threads",
    )
    argument(
        "--seeds",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="try so many seeds, from --seed on, print medians, and save the first (default: %(default)s)",
    )


def _check_recipe(args: argparse.Namespace) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    own = {"recipe", "seeds", "seed", "out", "threads"} if args.recipe else {*vars(args)} - {"seeds"}
    for name, default in vars(parser.parse_args([])).items():
        if name not in own and getattr(args, name) != default:
            option = f"--{name.replace('_', '-')}"
            if args.recipe:
                args.refuse(f"{option} does not go with --recipe, which has its own: leave one of them out")
            args.refuse(f"{option} goes with --recipe 98: add it")


def check_options(args: argparse.Namespace) -> None:
    """Refuse options that do not go together as wrong usage."""
    _check_recipe(args)
    if args.optimizer == "adam" and args.momentum:
        args.refuse(
            f"--momentum goes with --optimizer sgd; adam has its own: leave --momentum {args.momentum:g} out"
        )
    if args.schedule == "constant" and args.warmup is not None:
        args.refuse(f"--warmup {args.warmup:g} wants a schedule: add --schedule linear, cosine or one_cycle")
    if args.resume and not args.checkpoint:
        args.refuse("--resume goes with --checkpoint: add --checkpoint FILE, the file to go on from")


def make_optimizer(args: argparse.Namespace) -> SGD | Adam:
    """Give the optimizer with its schedule."""
    lr, kept = args.lr, {"weight_decay": args.weight_decay, "l2": args.l2}
    if args.schedule == "one_cycle":
        lr = schedules.one_cycle(lr, **({} if args.warmup is None else {"warmup": args.warmup}))
    elif args.schedule != "constant":
        lr = getattr(schedules, args.schedule)(lr, 0.0, args.warmup or 0.0)
    if args.optimizer == "adam":
        return Adam(lr, **kept)
    return SGD(lr, momentum=args.momentum, nesterov=args.momentum > 0, **kept)


def make_stopping(args: argparse.Namespace) -> EarlyStopping | None:
    """Give the end by patience, where there is one."""
    if not args.patience:
        return None
    # the test images may choose nothing
    return EarlyStopping(args.patience, "loss" if args.holdout else "train_loss")


def describe_options(args: argparse.Namespace) -> str:
    """Name the options that make the run, those that are off left out."""
    momentum = f" with momentum {args.momentum:g}" if args.momentum else ""
    schedule = "" if args.schedule == "constant" else f" ({args.schedule})"
    parts = [
        f"epochs {args.epochs}, batch size {args.batch_size}, {args.optimizer}{momentum}, {args.activation}, "
        f"learning rate {args.lr:g}{schedule}, scale {args.scale:g}"
    ]
    for name in ("warmup", "weight_decay", "l2", "dropout", "label_smoothing", "ema", "patience"):
        if value := getattr(args, name):
            shown = " and ".join(f"{number:g}" for number in (value if isinstance(value, tuple) else [value]))
            parts.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join([*parts, f"seed {args.seed}"])


def remedy_for(difference: str) -> str:
    """Say what to do where a checkpoint cannot be resumed.

    Parameters
    ----------
    difference : `fit`'s text: "FILE is of another run: FACT is … here and … in the file", or another
    """
    _, of_another_run, rest = difference.partition(" is of another run: ")
    name = rest.partition(" is ")[0] if of_another_run else ""
    while name and name not in _OPTIONS_OF:
        name = name.rpartition(".")[0]
    give = f"give that run's {_OPTIONS_OF[name]}, or " if name else ""
    return f"{give}name another --checkpoint to begin anew"
