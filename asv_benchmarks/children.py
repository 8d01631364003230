"""Programs in processes of their own, which run this very package."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import fastmlp
from fastmlp.bench import BenchError

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = dict.fromkeys((Path(fastmlp.__file__).parents[1], ROOT))  # folders of fastmlp and of this suite
SWITCHES = {"FASTMLP_NUM_THREADS", "FASTMLP_SKIP_ZEROS", "FASTMLP_VECTOR_BYTES"}


class Child(NamedTuple):
    """A program that has ended: its time as seen from outside, and the last line that it printed."""

    seconds: float
    line: str


def run_child(*arguments: object, cache: Path, given: str = "", **settings: str) -> Child:
    """Run Python to its end, with compiled code and unpacked data in `cache`.

    Raises
    ------
    BenchError
        It failed; the text is the last line that it said.
    """
    environ = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    path = [*map(str, PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
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
