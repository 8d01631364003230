"""`fastmlp bench`: how fast this machine trains."""

from __future__ import annotations

import argparse
import contextlib
import sys

from tqdm import tqdm

from fastmlp.atomic import safe_write


def bench(args: argparse.Namespace) -> int:
    """Check, measure and print every figure; write them as JSON where asked."""
    from . import bench as measuring  # of no use to the other commands

    effort = measuring.QUICK if args.quick else measuring.FULL
    asked = measuring.Bench(sorted({*args.threads}) or measuring.default_threads(), effort)
    # opened before anything is measured, so that a wrong path shows now
    with safe_write(args.json) if args.json else contextlib.nullcontext() as file:
        report = measuring.run(asked, _say)
        if file:
            measuring.write_json(file, report)
    return 0


def _say(text: str) -> None:
    tqdm.write(text)  # keeps clear of the progress bar
    sys.stdout.flush()
