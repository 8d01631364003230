"""What the processor does at most, and how near to it the tile comes."""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from asv_benchmarks.children import run_child
from fastmlp.bench import BLAS_PAUSE, PEAK, BenchError, tile_timers
from fastmlp.kernels.core import machine

from .races import Plan, race_with_peak
from .report import Goal, Row

TILE_GOAL, AVX2_GOAL = Goal(93, 98), Goal(88, 97)
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}
TILES = """
import json, sys
from asv_benchmarks.figures.tiles import tile_rows
from asv_benchmarks.figures.races import Effort, Plan
from fastmlp.kernels.core import machine
rows = tile_rows(Plan((1,), Effort(*json.loads(sys.argv[1]))))
print(json.dumps([machine.VECTOR_BYTES, [[row.what, row.value, row.rounds, row.note] for row in rows]]))
"""


def peak_rows(plan: Plan) -> Iterator[Row]:
    """Tell what so many threads do at once."""
    for n in plan.threads:
        ran = race_with_peak({}, n, plan.effort)
        yield Row(PEAK, n, ran.peak / 1e9, "GF/s", ran.rounds)


def tile_rows(plan: Plan) -> Iterator[Row]:
    """Time the tile alone at the first layer of the notebook's network."""
    timers = tile_timers()
    time.sleep(BLAS_PAUSE)
    ran = race_with_peak(timers, 1, plan.effort)
    for name, seconds in ran.seconds.items():
        what = name.removeprefix("tile, ")
        yield Row(what, 1, 100 * ran.shares[name], "%", ran.rounds, TILE_GOAL, f"{1e6 * seconds:.1f} µs")


def avx2_rows(plan: Plan) -> Iterator[Row]:
    """Time the tile with vectors of 32 bytes, against the peak of such vectors."""
    if not {"+avx2", "+fma"} <= {*machine.features().split(",")}:
        return
    with tempfile.TemporaryDirectory() as folder:
        child = run_child("-c", TILES, json.dumps(plan.effort), cache=Path(folder), **AVX2)
    width, rows = json.loads(child.line)
    if width != 32:
        raise BenchError(f"with {AVX2} vectors have {width} bytes, expected 32")
    for what, value, rounds, note in rows:
        yield Row(what, 1, value, "%", rounds, AVX2_GOAL, note)


GROUPS = {"Machine": peak_rows, "Tiles, share of one thread's peak": tile_rows}
IN_PROCESSES = {"Tiles of 32-byte vectors, share of their peak": avx2_rows}
