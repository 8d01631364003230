"""The figures that the project is held to: all with their goals, checked, graded and written."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from asv_benchmarks.benchmarks import dropout, inference, linear, losses, optimizers, scan
from asv_benchmarks.children import Child, run_child
from asv_benchmarks.figures import cli, prices, programs, races, report, tiles, training
from asv_benchmarks.figures import inference as own_inference
from asv_benchmarks.figures import kernels as own_kernels
from asv_benchmarks.figures.races import Effort, Plan
from asv_benchmarks.figures.report import Goal, Row
from fastmlp import bench, kernels, load_mnist
from fastmlp.bench import BenchError
from fastmlp.kernels.core import machine, peak

ONCE = Effort(seconds=0, least=1)
FIGURES = {
    (93, 98), (86, 93), (80, 88), (88, 94), (85, 92), (75, 88), (65, 40), (30, 19), (125, 80), (59, 38),
    (16, 28), (3, 1), (15, 8), (85, 95), (35, 15), (25, 10), (30, 10), (15, 6), (2.5, 1.5), (4, 2),
    (250, 150), (88, 97), (1.2, 1.1), (1.5, 1.25), (1.45, 1.2), (1.4, 1.2), (1.9, 1.5),
    (1.15, 1.05), (0.45, 0.2),
}  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    """A run of few digits, small networks, short loops and one round."""
    X, y, X_test, y_test = load_mnist()
    digits = X[:600], y[:600], X_test[:100], y_test[:100]
    for module in (training, prices, own_inference, own_kernels):
        monkeypatch.setattr(module, "load_mnist", lambda: digits)
    small = tuple(replace(n, sizes=(20, 9, 7, 3), batch=8, rows=40) for n in training.NETWORKS)
    monkeypatch.setattr(training, "NETWORKS", small)
    monkeypatch.setattr(own_kernels, "DIGITS", 100)
    monkeypatch.setattr(own_inference, "PREDICTIONS", 2)
    for name in ("FULL", "QUICK"):
        monkeypatch.setattr(cli, name, ONCE)
    monkeypatch.setattr(races, "ABOVE_PEAK", math.inf)  # one round on a busy machine says nothing
    rate = peak.rate
    monkeypatch.setattr(peak, "rate", lambda n_chains, fmas=None: rate(n_chains, fmas=1 << 16))


@pytest.fixture
def fresh():
    """Pairs of kernels that are compared anew."""
    for module in (dropout, inference, linear, losses, optimizers, scan):
        module.checked_pair.cache_clear()
    yield
    for module in (dropout, inference, linear, losses, optimizers, scan):
        module.checked_pair.cache_clear()


# --- goals, races and the peak ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goal", "grades"),
    [
        (Goal(93, 98), {98: "aim", 97.9: "must", 93: "must", 92.9: "missed"}),
        (Goal(3, 1), {-2: "aim", 1: "aim", 3: "must", 3.1: "missed"}),
    ],
)
def test_grades(goal, grades):
    assert {value: goal.grade(value) for value in grades} == grades


def test_a_tile_above_the_peak_is_an_error_after_one_repetition(tiny, monkeypatch, capsys):
    rates = []
    monkeypatch.setattr(races, "ABOVE_PEAK", 1.03)
    monkeypatch.setattr(peak, "rate", lambda n_chains, fmas=None: rates.append(n_chains) or 1e6)
    with pytest.raises(BenchError, match="forward|step.* % of what was measured as peak, twice"):
        list(tiles.tile_rows(Plan((1,), ONCE)))
    assert rates.count(peak.CHAINS[-1]) == 2
    assert cli.main(["--quick", "--threads", "1"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and "twice" in captured.err
    assert "784-128-10, batch 128" not in captured.out  # nothing is printed after it


def test_a_share_above_the_peak_once_is_measured_again(monkeypatch):
    monkeypatch.setattr(peak, "rate", lambda n_chains, fmas=None: 100.0)
    seconds = iter([0.9, 1.0])
    ran = races.race_with_peak({"tile": (100, lambda: next(seconds))}, 1, ONCE)
    assert (ran.seconds["tile"], ran.shares["tile"], ran.rounds) == (1.0, 1.0, 1)


def test_several_threads_may_be_above_the_peak_of_a_busy_machine(monkeypatch):
    monkeypatch.setattr(peak, "rate", lambda n_chains, fmas=None: 100.0)
    assert races.race_with_peak({"tile": (100, lambda: 0.5)}, 2, ONCE).shares["tile"] == 2.0


def test_medians_leave_out_the_first_round():
    seconds = {"a": iter([50, 1, 9, 2]), "b": iter([0, 5, 5, 5])}
    timers = {name: lambda runs=runs: next(runs) for name, runs in seconds.items()}
    assert races.race_for_medians(timers, Effort(0, 3)) == ({"a": 2, "b": 5}, 3)


def test_a_price_is_a_ratio_to_plain_steps_and_has_its_goal_on_two_threads(tiny, monkeypatch):
    raced = []

    def race_for_medians(timers, effort):
        raced.append(list(timers))
        return {name: 2.0 if name == "plain" else 3.0 for name in timers}, 7

    monkeypatch.setattr(prices, "race_for_medians", race_for_medians)
    rows = list(prices.price_rows(Plan((1, 2), ONCE)))
    assert {(row.value, row.threads, row.rounds) for row in rows} == {(1.5, 2, 7)}
    assert {names[0] for names in raced} == {"plain"} and sum(map(len, raced)) == len(rows) + 3
    assert [row.what for row in rows if row.goal is None] == ["centered, MNIST", "the recipe for 98 %, MNIST"]
    assert all(row.goal is None for row in prices.price_rows(Plan((1,), ONCE)))


# --- the check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["linear_relu_forward", "softmax_cross_entropy", "sgd_step", "infer", "zero_masks"]
)
def test_a_wrong_kernel_is_found_before_anything_is_timed(name, tiny, fresh, monkeypatch, capsys):
    monkeypatch.setattr(bench, "race", None)
    monkeypatch.setattr(kernels, name, lambda *args: None)
    assert cli.main(["--quick", "--threads", "1"]) == 1
    captured = capsys.readouterr()
    assert re.match(rf"error: (kernels\.)?{name}.*(off the reference|the back ends differ)", captured.err)
    assert "measured" not in captured.out.splitlines()[-1]


def test_epochs_are_checked_on_every_number_of_threads_and_without_skipping(tiny, monkeypatch):
    checked = []

    def check_epoch(counts, sizes, loader, scale):
        checked.append((tuple(counts), tuple(sizes), loader.masks.size > 0))

    monkeypatch.setattr(training, "check_epoch", check_epoch)
    assert training.check(Plan((1, 2), ONCE)) == 4
    digits, small = (784, 128, 10), (20, 9, 7, 3)
    assert checked == [
        ((1, 2), digits, True), ((1, 2), digits, False),
        *[((1, 2), small, False)] * 3, ((2,), small, False),
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", ["Adam", "gelu", "the recipe for 98 %"])
def test_a_price_that_is_paid_for_something_else_is_found(wrong, tiny, monkeypatch):
    train = prices.Heat.train

    def mistaken(self, model, loader, variant, **changed):
        if variant.name == wrong and model.ops is kernels:
            variant = replace(variant, smoothing=0.2)
        return train(self, model, loader, variant, **changed)

    assert prices.check(Plan((1, 2), ONCE)) == 13
    monkeypatch.setattr(prices.Heat, "train", mistaken)
    with pytest.raises(BenchError, match=f"an epoch, {wrong}, .* is wrong"):
        prices.check(Plan((1, 2), ONCE))


def test_what_is_raced_with_the_reference_was_compared_with_it(tiny, fresh):
    case = next(case for case in own_kernels.cases() if case.name == "softmax_cross_entropy, 128 x 10")
    one, auto = case.pair(1), case.pair(None)
    assert one is case.pair(1) is not auto  # the same calls are timed, and each number of threads has its own
    assert one.keys() == {"reference", "kernels"}


def test_every_kernel_is_in_the_table():
    names = {re.match(r"\w+", case.name)[0] for case in own_kernels.cases()}
    general = "linear_activation_forward", "linear_activation_backward"  # one body with those for ReLU
    small = "add_outer"  # beside the backward pass that it completes
    assert names | {"plan", "train_epoch", small, *general} == {*kernels.__all__}


def test_a_first_layer_has_no_gradient_of_its_input():
    case = own_kernels.layer("linear_relu_backward", 784, 128, first=True)
    whole = own_kernels.layer("linear_relu_backward", 784, 128)
    assert case.flop * 2 == whole.flop and case.name == "linear_relu_backward, 128 x 784 x 128, no dx"
    assert case.pair(1)["kernels"].args[-3] is None and whole.pair(1)["kernels"].args[-3] is not None


# --- the whole -------------------------------------------------------------------------------------------


def fake_child(*arguments, cache, given="", **settings):
    """Answer as the programs of the benchmark would, at once."""
    code = arguments[1]
    answers = {
        programs.FIRST_EPOCH: 5.0,
        programs.TRAIN: [0, 300.0, ["json"]],
        programs.ONLY_IMPORT: 190.0,
        tiles.TILES: [32, [["forward", 97.5, 7, "210 µs"], ["weight gradient with step", 90.0, 7, ""]]],
    }
    return Child(2.25, json.dumps(answers.get(code, "Saved")))


def test_a_run_prints_every_figure_and_writes_it(tiny, monkeypatch, capsys, tmp_path):
    for module in (programs, tiles):
        monkeypatch.setattr(module, "run_child", fake_child)
    monkeypatch.setattr(machine, "features", lambda: "+avx2,+fma,+avx512f,+avx512vl")
    file = tmp_path / "figures.json"
    assert cli.main(["--threads", "2", "1", "--json", str(file)]) == 0
    out, written = capsys.readouterr().out, json.loads(file.read_text(encoding="utf-8"))
    rows = written["rows"]
    assert {(row["must"], row["aim"]) for row in rows if row["must"] is not None} == FIGURES
    assert {row["group"] for row in rows} == {*cli.GROUPS, *cli.IN_PROCESSES}
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
    assert written["processor"] == machine.processor()
    assert written["packages"].keys() == {"numpy", "numba", "llvmlite"}
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", written["date"])
    assert machine.explicit_threads() is None


def test_a_quick_run_starts_no_program(tiny, monkeypatch, capsys):
    for module in (programs, tiles):
        monkeypatch.setattr(module, "run_child", None)
    assert cli.main(["--quick", "--threads", "1"]) == 0
    assert "Starting" not in capsys.readouterr().out


def test_a_wrong_path_shows_before_anything_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cli, "run", None)
    assert cli.main(["--json", str(tmp_path / "none" / "x.json")]) == 1
    assert "make it first" in capsys.readouterr().err
    assert cli.main(["--threads", "0"]) == 2


def test_help_teaches(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {title}\n" in shown for title in (*cli.GROUPS, *cli.IN_PROCESSES)) and "examples:" in shown
    assert max(map(len, shown.splitlines())) <= 90


def test_ctrl_c_is_told(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", interrupted)
    assert cli.main([]) == 130 and "interrupted" in capsys.readouterr().err


def test_lines_are_in_columns():
    lines = [
        report.heading("Group"),
        report.line(Row("something", 2, 1234.5, "µs", 20, Goal(65, 40), "a note")),
        report.line(Row("something else", None, 3.14159, "GF/s", 7)),
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


def test_the_tile_of_another_processor_runs_in_a_program(tmp_path, monkeypatch):
    if "+avx2" not in machine.features():
        pytest.skip("needs AVX2")
    monkeypatch.setenv("FASTMLP_CACHE", str(tmp_path))
    rows = list(tiles.avx2_rows(Plan((1,), ONCE)))
    assert [row.what.split(",")[0] for row in rows] == ["forward", "weight gradient with step"]
    assert all(0 < row.value < 200 and row.goal == tiles.AVX2_GOAL for row in rows)


def test_memory_is_that_of_the_program_itself(tmp_path):
    here = np.ones(200 << 17)  # 200 MB of this process, which a child must not inherit
    measure = programs.PEAK_MEMORY + "\nroom = bytearray({} << 20)\nprint(peak())"
    small, large = (float(run_child("-c", measure.format(mb), cache=tmp_path).line) for mb in (0, 64))
    assert 60 < large - small < 70 and small < 100 and here.all()
    imports = run_child("-c", programs.ONLY_IMPORT, cache=tmp_path, given='["decimal", "no.such"]')
    assert float(imports.line) < 100
