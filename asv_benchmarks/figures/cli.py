"""The command line of the figures."""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fastmlp import bench
from fastmlp.atomic import safe_write
from fastmlp.cli.arguments import whole_number
from fastmlp.kernels.core import machine

from . import inference, kernels, prices, programs, report, tiles, training
from .races import Effort, Plan

FULL, QUICK = Effort(seconds=1.5, least=7), Effort(seconds=0.15, least=3)
GROUPS = tiles.GROUPS | training.GROUPS | prices.GROUPS | inference.GROUPS | kernels.GROUPS
IN_PROCESSES = programs.IN_PROCESSES | tiles.IN_PROCESSES
DESCRIPTION = """\
Take every figure that fastmlp is held to on this machine, and print it beside
what it must reach and what it aims at: the tile, training, prices of optimizers
and activations, inference, each kernel beside its twin in NumPy, and whole
programs. All is compared with the reference before it is timed. Takes some three
minutes, in which nothing else should run.

`fastmlp bench` is the short form, for any machine and without goals."""
EPILOG = f"""\
groups:
{chr(10).join(f"  {title}" for title in GROUPS | IN_PROCESSES)}

reading a line:
  forward, 128 x 784 x 128   1   98.8 %   93   98  aim   108  220.1 µs
  on 1 thread 98.8 % of what its multipliers can do; 93 must be reached, 98 is aimed
  at, and reached; the best of 108 rounds. Goals are those of two cores with vectors
  of 64 bytes: elsewhere shares of peak can be compared with them, and times cannot.

examples:
  python -m asv_benchmarks.figures                     everything
  python -m asv_benchmarks.figures --quick             a first look, too short to quote
  python -m asv_benchmarks.figures --threads 1 --json before.json
                                                       one thread alone, kept in a file"""
WHAT_IT_IS = """\
Each figure is the best of the rounds stated last, but for prices and the recipe, which are of medians. In a
round all that is compared runs once, one after the other. Shares of peak are of the fused multiply-adds that
as many threads can do, timed in the same rounds; they count the operations of dense products of the real
columns. Timed epochs draw a new order and gather its rows. Threads are auto where they are as many as the
work wants."""


def parser() -> argparse.ArgumentParser:
    """Arguments and their help."""
    made = argparse.ArgumentParser(
        prog="python -m asv_benchmarks.figures",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--json", type=Path, metavar="FILE", help="write all figures to a file too")
    threads = "numbers of threads to measure (default: one, and as many as the machine grants)"
    add("--threads", type=whole_number(1, 1024), nargs="+", default=[], metavar="N", help=threads)
    add("--quick", action="store_true", help="fewer rounds, and no programs started: under a minute")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Check, measure and print every figure; write them as JSON where asked.

    Returns
    -------
    0; 1 where a result is wrong or the file cannot be written; 2 for wrong usage; 130 for Ctrl-C.
    """
    try:
        args = parser().parse_args(argv)
        counts = sorted({*args.threads} or {1, machine.get_num_threads()})
        # opened before anything is measured, so that a wrong path shows now
        with safe_write(args.json) if args.json else contextlib.nullcontext() as file:
            result = run(Plan(counts, QUICK if args.quick else FULL), {} if args.quick else IN_PROCESSES)
            if file:
                file.write_text(report.text(result), encoding="utf-8")
        return 0
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        print("interrupted; nothing is written", file=sys.stderr)
        return 130
    except (AssertionError, RuntimeError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def run(plan: Plan, in_processes: dict[str, Any]) -> dict[str, Any]:
    """Check, then measure all groups, saying each row as it is known; give the report."""
    groups: dict[str, Callable[[Plan], Any]] = GROUPS | in_processes
    result = report.describe()
    say(f"{result['processor']}, vectors of {result['vector_bytes']} bytes, fastmlp {result['fastmlp']}\n")
    say(WHAT_IT_IS + "\n")
    with bench.threads(None), tqdm(total=len(groups), leave=False, disable=None, bar_format="{desc}") as bar:
        bar.set_description("checking against the reference")
        say(check(plan))
        time.sleep(bench.BLAS_PAUSE)
        for title, measure in groups.items():
            bar.set_description(f"measuring: {title}")
            say(report.heading(title))
            for row in measure(plan):
                result["rows"].append(report.to_json(title, row))
                say(report.line(row))
    return result


def check(plan: Plan) -> str:
    """Compare all that will be timed with the reference in float64; say what was compared."""
    bench.tile_timers()
    n_kernels = kernels.check()
    n_networks = training.check(plan)
    n_variants = prices.check(plan)
    return (
        f"Checked against the reference: the tile, {n_kernels} kernels, epochs of {n_networks} networks and "
        "of MNIST,\nskipping zeros and not, on each number of threads, and those of all "
        f"{n_variants} prices."
    )


def say(text: str) -> None:
    """Print at once, clear of the progress bar."""
    tqdm.write(text)
    sys.stdout.flush()
