"""The command line of the comparison."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fastmlp.cli.arguments import whole_number
from fastmlp.kernels.core import machine

from . import chart, readme, session, table
from . import results as store
from .jobs import Effort
from .registry import ENTRIES, OWN, Entry
from .runner import Failure, Runner
from .workloads import WORKLOADS, Workload, write_digits

QUICK = Effort(epochs=3, seconds=0.2, rounds=1, seeds=2, grid_seeds=1)
DESCRIPTION = """\
Compare fastmlp with other libraries, each at its best on this processor: on one
and two threads, in the fastest of several honest settings, from the same initial
weights, over the same batches, in float32 (the notebook's loop: float64).

First every rival trains on a few batches, and its losses are compared with
fastmlp's; one that computes something else is named and not timed. Then each is
timed in a process of its own, with nothing else running. A timed epoch draws a
new order and gathers its rows; compiling is told apart."""
EPILOG = f"""\
rivals:    {" ".join(ENTRIES)}
workloads: {" ".join(WORKLOADS)}

examples:
  python -m asv_benchmarks.rivals                    everything: about half an hour
  python -m asv_benchmarks.rivals --quick            a first look; nothing is written
  python -m asv_benchmarks.rivals --only torch jax --workloads wide-512
                                                     these rows again, into the same results
  python -m asv_benchmarks.rivals --readme           the README's table and chart, from the results

Rivals that are not installed are named and left out; pip install ".[rivals]" installs all."""


def parser() -> argparse.ArgumentParser:
    """Arguments and their help."""
    made = argparse.ArgumentParser(
        prog="python -m asv_benchmarks.rivals",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    for option, names, what in (
        ("--only", ENTRIES, "measure these; fastmlp runs beside them"),
        ("--workloads", WORKLOADS, "measure on these"),
    ):
        name = option.removeprefix("--").removesuffix("s").replace("only", "rival").upper()
        text = f"{what}, and rows of others stay as they are (default: all)"
        add(option, nargs="+", choices=names, metavar=name, default=list(names), help=text)
    epochs = f"timed epochs of a cell, at least; more where they are fast (default: {Effort().epochs})"
    add("--epochs", type=whole_number(1), metavar="N", help=epochs)
    seed = "of initial weights and orders (default: %(default)s)"
    add("--seed", type=whole_number(0), default=0, metavar="N", help=seed)
    quick = "a few epochs of each, too few to quote; without --out nothing is written"
    add("--quick", action="store_true", help=quick)
    out = "results to write, or to replace rows of (default: results.json beside this command)"
    add("--out", type=Path, metavar="JSON", help=out)
    page = "measure nothing: put the results' tables into README.md and their chart into docs"
    add("--readme", action="store_true", help=page)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, or write what was compared into the README.

    Returns
    -------
    0; 1 where a rival failed, or the README could not be written; 2 for wrong usage; 130 for Ctrl-C.
    """
    try:
        args = parser().parse_args(argv)
        return write_readme(args.out or store.FILE) if args.readme else compare(args)
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        print("interrupted; results are as they were", file=sys.stderr)
        return 130
    except (Failure, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def write_readme(path: Path) -> int:
    """Put table and chart of results into the README."""
    results = store.read(path)
    readme.insert(readme.README, table.render(results))
    chart.save(results, chart.FILE)
    print(f"wrote {readme.README.name} and {chart.FILE.name} from {path.name}")
    return 0


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    print(line, flush=True)


def installed(names: Sequence[str]) -> list[Entry]:
    """Give the rivals that can run, and name the others."""
    entries = [ENTRIES[name] for name in dict.fromkeys(names)]
    for entry in entries:
        if entry.missing():
            say(entry.missing_message())
    return [entry for entry in entries if not entry.missing()]


def compare(args: argparse.Namespace) -> int:
    """Check, measure, merge, print and write."""
    out = args.out or (None if args.quick else store.FILE)
    if out and not out.parent.is_dir():
        raise FileNotFoundError(f"{out}: found no folder {out.parent} to write in; make it first")
    old = older_results(out, args)
    effort = QUICK if args.quick else Effort()
    effort = replace(effort, epochs=args.epochs or effort.epochs)
    workloads = [WORKLOADS[name] for name in dict.fromkeys(args.workloads)]
    here = old["machine"]
    say(f"{here['processor']} ({here['compiled_for']}), {here['threads']} threads, Python {here['python']}")
    with tempfile.TemporaryDirectory(prefix="rivals-") as folder:
        runner = Runner(Path(folder), effort, args.seed, machine.default_threads(), say)
        new, notes = run(runner, installed(args.only), workloads, old)
    say("\n" + table.render(new))
    for note in notes:
        say(f"\nNote: {note}")
    if out and new["rows"]:
        store.write(out, new)
        say(f"\nwrote {out.name}; python -m asv_benchmarks.rivals --readme puts it into the README")
    for failure in runner.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if runner.failures else 0


def older_results(path: Path | None, args: argparse.Namespace) -> store.Results:
    """Read what a partial run merges into; a run of everything starts from nothing.

    Raises
    ------
    ValueError
        They are of another machine.
    """
    new = store.empty()
    everything = set(args.only) == set(ENTRIES) and set(args.workloads) == set(WORKLOADS)
    if everything or path is None or not path.exists():
        return new
    old = store.read(path)
    there, here = old["machine"]["processor"], new["machine"]["processor"]
    if (there, old["machine"]["threads"]) != (here, new["machine"]["threads"]):
        raise ValueError(
            f"{path}: found results of {old['machine']['threads']} threads of {there}, expected "
            f"{new['machine']['threads']} of {here}; measure everything, or give another file with --out"
        )
    return old | {"machine": new["machine"]}


def run(
    runner: Runner, entries: Sequence[Entry], workloads: Sequence[Workload], old: store.Results
) -> tuple[store.Results, list[str]]:
    """Measure; give the merged results, and what should be known of them."""
    write_digits(runner.folder)
    say("checking that all compute the same")
    kinds = {workload.kind for workload in workloads}
    passed, checks = runner.check_all(entries, with_recipe="recipe" in kinds)
    if not passed:
        return old, []
    rate = old["learning_rate"]
    named = {entry.name for entry in passed}
    if "reach" in kinds and (rate is None or OWN in named):
        say("choosing a learning rate with fastmlp")
        rate = runner.child("grid", ENTRIES[OWN], WORKLOADS["accuracy"], min(2, runner.available))
    if "recipe" in kinds:
        for entry in (entry for entry in passed if entry.lacks):
            runner.say(f"    {entry.title} is not in the recipe's race: {entry.lacks}")
    cells = session.plan([session.with_rate(w, rate) for w in workloads], passed, runner.available)
    rows = session.measure(runner, cells)
    new, warnings = session.keep(old, rows, checks, named)
    return new | {"learning_rate": rate}, [*store.unsteady(rows), *warnings]
