"""The figures of whole programs: starting, training and memory."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from asv_benchmarks.children import run_child
from fastmlp.bench import BenchError

from .races import Plan
from .report import Goal, Row

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
from fastmlp.cli.main import main
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
STARTS, SHORT_RUNS, RUNS = 3, 3, 2


def start_rows(plan: Plan) -> Iterator[Row]:
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


def train_rows(plan: Plan) -> Iterator[Row]:
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


IN_PROCESSES = {
    "Starting": start_rows,
    "Training as a program, warm": train_rows,
}
