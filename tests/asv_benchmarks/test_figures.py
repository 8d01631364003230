"""`fastmlp bench`: its peak is one, its counting right, its table whole, and what is wrong ends it."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from trees import python

from fastmlp import (
    bench,
    bench_cases,
    bench_checks,
    bench_processes,
    bench_race,
    bench_rows,
    cli,
    kernels,
    load_mnist,
    reference,
)
from fastmlp.bench_race import BenchError, Effort, Goal, Row
from fastmlp.kernels.core import machine, peak, simd

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
ONCE = Effort(least=1, most=1, seconds=0, processes=False)
FIGURES = {
    (93, 98), (86, 93), (80, 88), (88, 94), (85, 92), (75, 88), (65, 40), (30, 19), (125, 80), (59, 38),
    (16, 28), (3, 1), (15, 8), (85, 95), (35, 15), (25, 10), (30, 10), (15, 6), (2.5, 1.5), (4, 2),
    (250, 150), (88, 97),
}  # fmt: skip


@pytest.fixture(autouse=True)
def default_threads():
    yield
    machine.set_num_threads(None)


@pytest.fixture
def tiny(monkeypatch):
    """A run of few digits, small networks, short loops and one round; processes are not started."""
    X, y, X_test, y_test = load_mnist()
    digits = X[:600], y[:600], X_test[:100], y_test[:100]
    small = tuple(replace(n, sizes=(20, 9, 7, 3), batch=8, rows=40) for n in bench_cases.NETWORKS)
    for module in (bench_rows, bench_checks):
        monkeypatch.setattr(module, "load_mnist", lambda: digits)
        monkeypatch.setattr(module, "NETWORKS", small)
    for effort in ("QUICK", "FULL"):
        monkeypatch.setattr(bench, effort, replace(ONCE, processes=effort == "FULL"))
    monkeypatch.setattr(bench_race, "ABOVE_PEAK", math.inf)  # one round on a busy machine says nothing
    monkeypatch.setattr(peak, "FMAS", 1 << 16)
    monkeypatch.setattr(peak, "FMAS_TOGETHER", 1 << 16)
    monkeypatch.setattr(bench_rows, "PREDICTIONS", 2)


# --- the peak --------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("n_chains", peak.CHAINS)
@pytest.mark.parametrize("members", [1, 3])
def test_every_chain_of_the_peak_takes_every_step(n_chains, members, dtype):
    machine.set_num_threads(members)
    lanes = simd.VECTOR_BYTES // np.dtype(dtype).itemsize
    for n in (1, 2, 1001):
        ones, sums = np.ones((2, lanes), dtype), np.zeros((members, lanes), dtype)
        threads.share_out(peak._run, 1, ones, sums, n_chains, n)
        assert (sums == sum(1 + chain + n for chain in range(n_chains))).all()


ASSEMBLY = """
import numpy as np
from fastmlp.kernels.core import peak
peak.rate(peak.CHAINS[0], fmas=1000)
(assembly,) = peak._run.dispatcher.inspect_asm().values()
print(assembly)
"""


@pytest.mark.skipif(machine.vector_bytes() != 64, reason="reads the code of AVX-512")
def test_the_loops_of_the_peak_are_nothing_but_their_chains(tmp_path):
    child = python("-c", ASSEMBLY, cache=tmp_path)
    assert child.returncode == 0, child.stderr
    bodies = re.findall(r"^(\.L\w+):\n((?:(?!\.L\w+:).*\n)*?)\s+j\w+\s+\1\n", child.stdout, re.MULTILINE)
    loops = [body for _, body in bodies if re.search(r"vfmadd.*zmm", body)]
    steps = [re.findall(r"vfmadd\w+\s.*(%zmm\d+)$", body, re.MULTILINE) for body in loops]
    assert sorted(len(set(sums)) for sums in steps) == sorted(peak.CHAINS)
    for body, sums in zip(loops, steps, strict=True):
        assert len(sums) % len(set(sums)) == 0
        assert not re.search(r"vmov.*zmm|\(%", body)  # no memory, no copies


def test_measure_peak_gives_a_rate():
    for n in (1, 2):
        machine.set_num_threads(n)
        assert 1e8 < machine.measure_peak(runs=1) < 1e13


def test_a_tile_above_the_peak_is_an_error_after_one_repetition(tiny, monkeypatch, capsys):
    rates = []
    monkeypatch.setattr(bench_race, "ABOVE_PEAK", 1.03)
    monkeypatch.setattr(peak, "rate", lambda n_chains, *args, **options: rates.append(n_chains) or 1e6)
    tiles = bench_rows.GROUPS["Tiles, share of one thread's peak"]
    with pytest.raises(BenchError, match="forward|step.* % of what was measured as peak, twice"):
        list(tiles(bench.Bench((1,), ONCE)))
    assert len(rates) >= 2 * bench_race.PEAK_RUNS
    assert cli.main(["bench", "--quick", "--threads", "1"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("fastmlp: error: ") and "twice" in captured.err
    assert "784-128-10" not in captured.out  # nothing is printed after it


def test_a_tile_above_the_peak_once_is_measured_again(monkeypatch):
    monkeypatch.setattr(peak, "rate", lambda *args, **options: 100.0)
    seconds = iter([0.9, 1.0])
    result = bench_race.race_with_peak({"tile": (100, lambda: next(seconds))}, 1, ONCE)["tile"]
    assert (result.seconds, result.share, result.rounds) == (1.0, 1.0, 1)


# --- counting --------------------------------------------------------------------------------------------


def test_operations_of_an_epoch():
    assert bench_cases.epoch_flop((3, 5), 7) == 2 * 7 * 2 * 15
    assert bench_cases.epoch_flop((3, 5, 2), 7) == 2 * 7 * (2 * (15 + 10) + 10)
    assert bench_cases.epoch_flop((784, 128, 10), 128) == pytest.approx(52.4e6, rel=2e-3)


@pytest.mark.parametrize(
    ("goal", "grades"),
    [
        (Goal(93, 98), {98: "aim", 97.9: "must", 93: "must", 92.9: "missed"}),
        (Goal(3, 1), {-2: "aim", 1: "aim", 3: "must", 3.1: "missed"}),
    ],
)
def test_grades(goal, grades):
    assert {value: goal.grade(value) for value in grades} == grades


def test_a_race_runs_everything_in_turn_and_keeps_the_best():
    log, results = [], {"a": iter([3.0, 1.0, 2.0]), "b": iter([5.0, 6.0, 4.0])}
    field = {name: lambda name=name: log.append(name) or next(results[name]) for name in results}
    best, rounds = bench_race.race(field, Effort(least=3, most=9, seconds=0, processes=False))
    assert (best, rounds, log) == ({"a": 1.0, "b": 4.0}, 3, list("ababab"))
    one = {"a": lambda: 1.0}
    assert bench_race.race(one, Effort(least=1, most=9, seconds=60, processes=False))[1] == 9


def test_threads_are_set_for_a_while():
    machine.set_num_threads(3)
    assert bench_race.on_threads(2, lambda: machine.explicit_threads())() == 2
    assert bench_race.on_threads(None, lambda: machine.explicit_threads())() is None
    assert machine.explicit_threads() == 3


# --- the check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear_relu_forward", "sgd_step", "infer", "zero_masks"])
def test_a_wrong_kernel_is_found_before_anything_is_timed(name, tiny, monkeypatch, capsys):
    monkeypatch.setattr(kernels, name, lambda *args: None)
    assert cli.main(["bench", "--quick", "--threads", "1"]) == 1
    captured = capsys.readouterr()
    assert re.match(rf"fastmlp: error: {name}, .* is wrong: .* from the reference", captured.err)
    assert "threads" not in captured.out.splitlines()[-1] and "measured" not in captured.out


def test_a_wrong_epoch_is_found(tiny, monkeypatch):
    right = reference._backward_and_step
    monkeypatch.setattr(reference, "_backward_and_step", lambda layers, lr: right(layers, 1.01 * lr))
    with pytest.raises(BenchError, match="an epoch of 20-9-7-3, 1 threads,.* is wrong"):
        bench_checks.check([1])


@pytest.mark.parametrize("name", ["forward_tiles", "step_tiles"])
def test_a_wrong_tile_is_found(name, monkeypatch):
    bench_checks.check_tiles(bench_cases.make_tiles())
    monkeypatch.setattr(peak, name, lambda *args: None)
    with pytest.raises(BenchError, match="the .*tile.* is wrong"):
        bench_checks.check_tiles(bench_cases.make_tiles())


# --- the whole -------------------------------------------------------------------------------------------


def fake_child(*arguments, cache, given="", **settings):
    """Answer as the programs of the benchmark would, at once."""
    code = arguments[1]
    answers = {
        bench_processes.FIRST_EPOCH: 5.0,
        bench_processes.TRAIN: [0, 300.0, ["json"]],
        bench_processes.ONLY_IMPORT: 190.0,
        bench_processes.TILES: [
            32,
            [["forward", 97.5, 7, "210 µs"], ["weight gradient with step", 90.0, 7, ""]],
        ],
    }
    return bench_processes.Child(2.25, json.dumps(answers.get(code, "Saved")))


def test_a_run_prints_every_figure_and_writes_it(tiny, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench_processes, "run_child", fake_child)
    monkeypatch.setattr(machine, "features", lambda: "+avx2,+fma,+avx512f,+avx512vl")
    file = tmp_path / "figures.json"
    assert cli.main(["bench", "--threads", "2", "1", "--json", str(file)]) == 0
    out, report = capsys.readouterr().out, json.loads(file.read_text(encoding="utf-8"))
    rows = report["rows"]
    assert {(row["must"], row["aim"]) for row in rows if row["must"] is not None} == FIGURES
    assert {row["group"] for row in rows} == {*bench_rows.GROUPS, *bench_processes.GROUPS}
    for row in rows:
        assert math.isfinite(row["value"]) and row["rounds"] >= 1
        assert row["unit"] in ("GF/s", "%", "µs", "ms", "s", "x", "MB") and row["threads"] in (None, 1, 2)
        assert row["grade"] == (
            None if row["must"] is None else Goal(row["must"], row["aim"]).grade(row["value"])
        )
        assert out.count(f"\n  {row['what']} ") >= 1
    assert len([line for line in out.splitlines() if line.startswith("  ")]) == len(rows)
    memory = next(row for row in rows if row["unit"] == "MB")
    assert (memory["value"], memory["grade"]) == (110, "aim")
    assert report["processor"] == machine.processor() and report["packages"].keys() == {
        "numpy",
        "numba",
        "llvmlite",
    }
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", report["date"])
    assert machine.explicit_threads() is None


def test_a_quick_run_starts_no_program(tiny, monkeypatch, capsys):
    monkeypatch.setattr(bench_processes, "run_child", None)
    assert cli.main(["bench", "--quick", "--threads", "1"]) == 0
    assert "Starting" not in capsys.readouterr().out


def test_a_wrong_path_shows_before_anything_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench, "run", None)
    assert cli.main(["bench", "--json", str(tmp_path / "none" / "x.json")]) == 1
    assert "make it first" in capsys.readouterr().err
    assert cli.main(["bench", "--threads", "0"]) == 2


def test_lines_are_in_columns():
    lines = [
        bench.heading("Group"),
        bench.line(Row("something", 2, 1234.5, "µs", 20, Goal(65, 40), "a note")),
        bench.line(Row("something else", None, 3.14159, "GF/s", 7)),
    ]
    assert lines[1].split() == ["something", "2", "1,234", "µs", "65", "40", "missed", "20", "a", "note"]
    assert lines[2].split() == ["something", "else", "auto", "3.14", "GF/s", "7"]
    heading = lines[0].lstrip("\n")
    for title, texts in {
        "threads": ("2", "auto"),
        "measured": ("1,234", "3.14"),
        "must": ("65",),
        "aim": ("40",),
        "rounds": ("20", "7"),
    }.items():
        end = heading.index(title) + len(title)
        assert all(any(line[:end].endswith(text) for line in lines[1:]) for text in texts), title


# --- programs --------------------------------------------------------------------------------------------


def test_a_program_that_fails_is_an_error(tmp_path):
    with pytest.raises(BenchError, match="a program of the benchmark failed: ZeroDivisionError"):
        bench_processes.run_child("-c", "1 / 0", cache=tmp_path)


def test_programs_run_this_package_in_their_own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTMLP_NUM_THREADS", "7")
    code = (
        "import fastmlp.kernels.machine as m, fastmlp;"
        "print(fastmlp.__file__, m.cache_folder(), m.explicit_threads(), m.processor())"
    )
    child = bench_processes.run_child("-c", code, cache=tmp_path, **bench_processes.AVX2)
    assert child.line.split() == [
        str(bench_processes.PACKAGE / "__init__.py"),
        str(tmp_path),
        "None",
        "haswell",
    ]
    assert child.seconds > 0


def test_memory_is_that_of_the_program_itself(tmp_path):
    here = np.ones(200 << 17)  # 200 MB of this process, which a child must not inherit
    measure = bench_processes.PEAK_MEMORY + "\nroom = bytearray({} << 20)\nprint(peak())"
    small, large = (
        float(bench_processes.run_child("-c", measure.format(mb), cache=tmp_path).line) for mb in (0, 64)
    )
    assert 60 < large - small < 70 and small < 100 and here.all()
    imports = bench_processes.run_child(
        "-c", bench_processes.ONLY_IMPORT, cache=tmp_path, given='["decimal", "no.such"]'
    )
    assert float(imports.line) < 100
