"""The figures of whole programs: starting, training, memory, and another processor's vectors."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastmlp.kernels.core import machine

from .race import Bench, BenchError, Goal, Row

PACKAGE = Path(__file__).parent
# An epoch as the first thing that a program does, from the loader to the last step.
FIRST_EPOCH = """
import json, time
import fastmlp
X, y, *_ = fastmlp.load_mnist()
start = time.perf_counter()
fastmlp.train_epoch(fastmlp.DigitsClassifier(seed=0), fastmlp.DataLoader(X, y, shuffle=True, seed=0))
print(json.dumps(time.perf_counter() - start))
"""
# The system's own count starts with the memory of the parent, so where there is a better one, take that.
PEAK_MEMORY = """
import importlib, json, os, pathlib, sys
def peak():
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")) / 1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
"""
TRAIN = (
    PEAK_MEMORY
    + """
from fastmlp.cli import main
code = main(["train", "--out", sys.argv[1]])
names = [name for name, module in sys.modules.items() if getattr(module, "__spec__", None)]
print(json.dumps([code, peak(), names]))
"""
)
ONLY_IMPORT = (
    PEAK_MEMORY
    + """
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except ImportError:  # made at run time by another module
        pass
print(json.dumps(peak()))
"""
)
TILES = """
import json, sys
from dataclasses import astuple
from asv_benchmarks.figures.race import Effort, Goal
from asv_benchmarks.figures.rows import measure_tiles
from fastmlp.kernels.core import machine
effort, goal = json.loads(sys.argv[1])
rows = measure_tiles(Effort(*effort), Goal(*goal))
print(json.dumps([machine.vector_bytes(), [[row.what, row.value, row.rounds, row.note] for row in rows]]))
"""
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}
STARTS, SHORT_RUNS, RUNS = 3, 3, 2


class Child(NamedTuple):
    """A program that has ended: its time as seen from outside, and the last line that it printed."""

    seconds: float
    line: str


def run_child(*arguments: object, cache: Path, given: str = "", **settings: str) -> Child:
    """Run Python on this very package, to its end.

    Raises
    ------
    BenchError
        It failed; the text is the last line that it said.
    """
    switches = {"FASTMLP_NUM_THREADS", "FASTMLP_SKIP_ZEROS", "FASTMLP_VECTOR_BYTES"}
    environ = {name: value for name, value in os.environ.items() if name not in switches}
    path = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environ |= {"FASTMLP_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(path), **settings}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environ,
        cwd=cache,
        input=given,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - start
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise BenchError(f"a program of the benchmark failed: {said[-1]}")
    return Child(seconds, lines[-1])


def start_rows(bench: Bench) -> Iterator[Row]:
    """Start with nothing compiled, then with everything."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        first = run_child("-c", FIRST_EPOCH, cache=cache)
        yield Row("first epoch, empty cache, all compiled", None, json.loads(first.line), "s", 1, Goal(15, 6))
        yield Row("the process around it", None, first.seconds, "s", 1, note="unpacks the digits too")
        again = [run_child("-c", FIRST_EPOCH, cache=cache) for _ in range(STARTS)]
        inner = min(json.loads(child.line) for child in again)
        yield Row("first epoch, warm cache", None, inner, "s", STARTS)
        yield Row("the process around it", None, min(child.seconds for child in again), "s", STARTS)


def train_rows(bench: Bench) -> Iterator[Row]:
    """Run `fastmlp train`, with all compiled; then watch its memory."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)

        def train(run: str, *options: object) -> float:
            return run_child("-m", "fastmlp", "train", "--out", cache / run, *options, cache=cache).seconds

        train("warm", "--epochs", 1)
        short = min(train(f"short{i}", "--epochs", 1) for i in range(SHORT_RUNS))
        yield Row("fastmlp train --epochs 1", None, short, "s", SHORT_RUNS, Goal(2.5, 1.5))
        whole = min(train(f"whole{i}") for i in range(RUNS))
        yield Row("fastmlp train", None, whole, "s", RUNS, Goal(4, 2))
        if sys.platform != "win32":
            yield _memory_row(cache)


def _memory_row(cache: Path) -> Row:
    code, most, modules = json.loads(run_child("-c", TRAIN, cache / "memory", cache=cache).line)
    if code:
        raise BenchError(f"fastmlp train ended with exit code {code}")
    imports = json.loads(run_child("-c", ONLY_IMPORT, cache=cache, given=json.dumps(modules)).line)
    note = f"{most:.0f} MB in all, {imports:.0f} of the imports"
    return Row(
        "memory of fastmlp train over its imports'", None, most - imports, "MB", 1, Goal(250, 150), note
    )


def avx2_rows(bench: Bench) -> Iterator[Row]:
    """Time the tile with vectors of 32 bytes, against the peak of such vectors."""
    if "+avx2" not in machine.features().split(",") or "+fma" not in machine.features().split(","):
        return
    effort, goal = bench.effort, Goal(88, 97)
    asked = json.dumps([[effort.least, effort.most, effort.seconds, False], [goal.must, goal.aim]])
    with tempfile.TemporaryDirectory() as folder:
        width, rows = json.loads(run_child("-c", TILES, asked, cache=Path(folder), **AVX2).line)
    if width != 32:
        raise BenchError(f"with {AVX2} vectors have {width} bytes, expected 32")
    for what, value, rounds, note in rows:
        yield Row(what, 1, value, "%", rounds, goal, note)


GROUPS = {
    "Starting": start_rows,
    "Training as a program, warm": train_rows,
    "Tiles of 32-byte vectors, share of their peak": avx2_rows,
}
