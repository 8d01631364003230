"""The comparison with other libraries: its check, its timing, its results, and that the README shows them."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp import MLP, load_mnist, reference
from fastmlp.data import epoch_order

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # last, so that an installed fastmlp stays the one that is tested

from asv_benchmarks.rivals import chart, cli, measure, readme, registry, runner, session, table  # noqa: E402
from asv_benchmarks.rivals import child as child_module  # noqa: E402
from asv_benchmarks.rivals import results as store  # noqa: E402
from asv_benchmarks.rivals.base import Task  # noqa: E402
from asv_benchmarks.rivals.jobs import Effort, Job  # noqa: E402
from asv_benchmarks.rivals.registry import ENTRIES, Entry  # noqa: E402
from asv_benchmarks.rivals.workloads import CHECK, WORKLOADS, write_digits  # noqa: E402

OWN_RIVALS = ("fastmlp", "reference", "sklearn", "notebook")  # whose libraries are dependencies
TINY = Effort(epochs=2, seconds=0, rounds=1, seeds=1, grid_seeds=1)


@pytest.fixture(autouse=True)
def default_threads():
    yield
    fastmlp.set_num_threads(None)


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder with few digits; those of the check are among them."""
    X, y, X_test, y_test = load_mnist()
    few = X[: CHECK.rows], y[: CHECK.rows], X_test[:200], y_test[:200]
    monkeypatch.setattr("fastmlp.load_mnist", lambda: few)
    folder = tmp_path / "digits"
    folder.mkdir()
    write_digits(folder)
    return folder


@pytest.fixture
def here(monkeypatch):
    """Do jobs in this very process, as a process of their own takes seconds to start."""
    jobs = []

    def start(job, cache):
        jobs.append(job)
        return json.loads(json.dumps(child_module.JOBS[job.what](measure.Child(job))))

    monkeypatch.setattr(runner, "start", start)
    return jobs


def make_runner(digits, lines=None):
    return runner.Runner(digits, TINY, 0, 1, (lines if lines is not None else []).append)


def a_job(name, digits, workload=CHECK, what="check"):
    effort = vars(TINY)
    return Job(
        what, ENTRIES[name].code, vars(workload), effort, str(digits), threads=1, affinity=False, seed=0
    )


def row(workload, rival, median, threads=1, **more):
    return {
        "workload": workload, "rival": rival, "version": f"{rival} 1.0", "threads": threads,
        "date": "2026-01-02T03:04:05+0000", "effort": {"epochs": 12}, "setting": "uint8",
        "median_ms": median, "runs_ms": [median] * 12, "compile_s": 0.5, "accuracy": 0.9,
        "steps": 469, "epochs": [3] * 12, **more,
    }  # fmt: skip


def some_results(*rows):
    return store.merge(store.empty() | {"learning_rate": {"lr": 0.3}}, rows)


# --- what is committed -----------------------------------------------------------------------------------


def test_the_readme_shows_the_committed_results():
    _, between, _ = readme.split(readme.README)
    assert between == table.render(store.read(store.FILE)), (
        "README.md does not show the results; run python -m asv_benchmarks.rivals --readme"
    )


def test_the_chart_is_of_the_committed_results():
    assert chart.digest_of(chart.FILE) == store.digest(store.read(store.FILE)), (
        "docs/rivals.png is of other results; run python -m asv_benchmarks.rivals --readme"
    )


def test_the_committed_results_have_no_rival_that_computes_something_else():
    results = store.read(store.FILE)
    checked = {check["rival"]: check["largest_differences"] for check in results["checks"]}
    assert {row["rival"] for row in results["rows"]} == {*checked}
    assert max(value for found in checked.values() for value in found.values()) <= runner.CLOSE


# --- rivals compute the same -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN_RIVALS)
@pytest.mark.parametrize(
    ("sizes", "dtype", "scale"), [((784, 16, 10), np.uint8, 1 / 255), ((784, 12, 9, 10), np.float32, 1.0)]
)
def test_a_rival_trains_as_the_reference_does(name, sizes, dtype, scale, digits):
    X, y, X_test, _ = (np.load(digits / f"{part}.npy") for part in ("X", "y", "X_test", "y_test"))
    X, y = (X[:300] if dtype == np.uint8 else X[:300].astype(np.float32) / 255), y[:300]
    task = Task(sizes, 64, 0.1, scale)
    truth = MLP(sizes, scale=scale, seed=1, dtype=np.float64, ops=reference)
    weights = MLP(sizes, seed=1).get_weights()
    truth.set_weights(weights)
    expected = np.empty(5)
    truth.run_epoch(fastmlp.DataLoader(X, y, 64), epoch_order(300, [1, 0]), task.lr, expected)
    child = measure.Child(a_job(name, digits))
    for setting in child.rival.settings(X.dtype):
        rival = child.rival(task, 1, setting)
        rival.prepare(X, y)
        for _ in range(2):  # weights that are set again start again
            rival.set_weights(weights)
            losses = rival.epoch(epoch_order(300, [1, 0]))
            # float32 rounds each of five steps a few hundred times at most, by 6e-8
            np.testing.assert_allclose(losses, expected, rtol=1e-4)
        for got, exact in zip(rival.get_weights(), truth.get_weights(), strict=True):
            np.testing.assert_allclose(got, exact, rtol=0, atol=1e-4 * np.abs(exact).max())
    for setting in child.rival.settings(X.dtype, training=False):
        rival = child.rival(task, 1, setting)
        rival.set_weights(truth.get_weights())
        classes = np.asarray(rival.classifier(X_test)())
        assert np.mean(classes == truth.predict(X_test)) >= 0.99  # two logits may be nearly the same


def test_a_sklearn_that_would_leave_rows_out_is_an_error(digits):
    child = measure.Child(a_job("sklearn", digits))
    rival = child.set_up("float32")
    rival.prepare(np.zeros((256, 784), np.uint8), np.arange(256) % 10)
    with pytest.raises(ValueError, match="order of 128 rows, but scikit-learn visits all 256"):
        rival.epoch(np.arange(128))


WRONG = """
from asv_benchmarks.rivals.rival_fastmlp import Reference
class Wrong(Reference):
    def epoch(self, order):
        return 1.002 * super().epoch(order)
class Broken(Reference):
    def prepare(self, X, y):
        raise OSError("no such luck")
"""


def stranger(name):
    return Entry(name, f"the {name} one", f"the {name} one {{}}", f"strangers:{name}", {"numpy": "numpy"}, "")


@pytest.fixture
def strangers(tmp_path, monkeypatch):
    (tmp_path / "strangers.py").write_text(WRONG, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return [stranger("Wrong"), stranger("Broken")]


def test_a_wrong_loss_is_refused_and_what_is_right_is_not(digits, strangers):
    lines = []
    tested = make_runner(digits, lines)
    passed, checks = tested.check_all([*strangers, ENTRIES["sklearn"]])  # in processes of their own
    assert [entry.name for entry in passed] == [check["rival"] for check in checks] == ["sklearn"]
    wrong, broken = tested.failures
    assert re.match(
        r"the Wrong one is not timed: the loss of batch 0 is \d.*, expected \d.* within 0.001", wrong
    )
    assert broken == "the Broken one is not timed: a program of the benchmark failed: OSError: no such luck"
    assert 0 < checks[0]["largest_differences"]["float32"] < 1e-5 and lines[-1].startswith(
        "    scikit-learn: the"
    )


def test_losses_are_compared_one_by_one():
    expected = np.array([2.0, 1.0, 0.5])
    assert runner.compare({"a": [2.0, 1.0005, 0.5]}, expected)["a"] == pytest.approx(5e-4)
    for losses in ([2.0, 1.0, 0.501], [np.nan, 1.0, 0.5], [2.0, np.inf, 0.5], [2.0, -1.0, 0.5]):
        with pytest.raises(runner.Failure, match="the loss of batch"):
            runner.compare({"right": expected, "a": losses}, expected)
    with pytest.raises(runner.Failure, match=r"2 losses of 3 batches \(a\)"):
        runner.compare({"a": [2.0, 1.0]}, expected)


def test_wrong_classes_are_not_timed(digits, monkeypatch):
    child = measure.Child(a_job("reference", digits, replace(WORKLOADS["predict-1"], rows=50)))
    monkeypatch.setattr(child.rival, "classifier", lambda self, X: lambda: np.zeros(len(X), int))
    with pytest.raises(ValueError, match="% of the classes are not fastmlp's"):
        measure.predict(child)


def test_an_epoch_that_diverges_is_an_error(digits):
    child = measure.Child(a_job("reference", digits, replace(CHECK, lr=1e30)))
    with pytest.raises(FloatingPointError):
        measure.train(child)


# --- a run -----------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(digits, here, monkeypatch):
    """The command with small workloads of each kind, on one thread."""
    small = {
        "notebook": replace(WORKLOADS["notebook"], sizes=(784, 32, 10), lr=1e-4),
        "dense": replace(WORKLOADS["dense"], sizes=(20, 8, 10), batch_size=16, batches=2),
        "predict-1": replace(WORKLOADS["predict-1"], sizes=(784, 8, 10)),
        "accuracy": replace(WORKLOADS["accuracy"], sizes=(784, 8, 10)),
    }
    monkeypatch.setattr(cli, "WORKLOADS", small)
    monkeypatch.setattr(cli, "QUICK", TINY)
    monkeypatch.setattr(cli.machine, "default_threads", lambda: 1)
    monkeypatch.setattr("asv_benchmarks.rivals.reach.TARGET", 0.3)
    monkeypatch.setattr("asv_benchmarks.rivals.reach.RATES", (0.1, 0.3))
    monkeypatch.setattr("asv_benchmarks.rivals.reach.HELD_BACK", 500)
    return here


def test_a_run_checks_measures_and_writes(tiny, tmp_path, capsys):
    out = tmp_path / "figures.json"
    assert cli.main(["--quick", "--only", "fastmlp", "sklearn", "reference", "--out", str(out)]) == 0
    assert [job.what for job in tiny][:4] == ["check", "check", "check", "grid"]
    assert "check" not in [job.what for job in tiny][4:]
    results, printed = store.read(out), capsys.readouterr().out
    kinds = {"notebook", "dense", "predict-1", "accuracy"}
    assert {(row["workload"], row["rival"]) for row in results["rows"]} == {
        (kind, rival) for kind in kinds for rival in ("fastmlp", "sklearn", "reference")
    }
    for found in results["rows"]:
        own = found["rival"] == "fastmlp"
        least = 1 if found["workload"] == "accuracy" else 2
        assert len(found["runs_ms"]) >= least * (1 + own) and ("turns_ms" in found) == own
        assert (
            found["median_ms"] == pytest.approx(np.median(found["runs_ms"]), rel=1e-5)
            and found["median_ms"] > 0
        )
        assert found["threads"] == 1 and re.fullmatch(r".*\d+\.\d+.*", found["version"])
    notebook = store.best_rows(results, "notebook")
    assert notebook["sklearn"]["steps"] == 21
    # the same updates give the same model, but for a digit on the edge
    scores = [found["accuracy"] for found in notebook.values()]
    assert max(scores) - min(scores) <= 0.01 and min(scores) > 0.15
    assert results["learning_rate"]["lr"] in (0.1, 0.3)
    assert "[15/16] accuracy: scikit-learn on 1" in printed or "[14/16]" in printed
    assert " left\n" in printed and table.render(results) in printed


def test_a_part_of_a_run_replaces_its_rows_only(tiny, tmp_path, capsys):
    out = tmp_path / "figures.json"
    old = [row("dense", "fastmlp", 1e6), row("dense", "sklearn", 2e6), row("notebook", "sklearn", 5.0)]
    store.write(out, some_results(*old, row("dense", "jax", 3e6)))
    assert cli.main(["--quick", "--only", "sklearn", "--workloads", "dense", "--out", str(out)]) == 0
    rows = {(row["workload"], row["rival"]): row for row in store.read(out)["rows"]}
    assert rows["dense", "fastmlp"]["median_ms"] == 1e6 and rows["dense", "jax"]["median_ms"] == 3e6
    assert rows["notebook", "sklearn"]["median_ms"] == 5.0
    new = rows["dense", "sklearn"]["median_ms"]
    assert 0 < new < 1e5
    assert store.ratios(store.read(out), "dense")["sklearn"] == pytest.approx(new / 1e6)
    assert "the machine is not as it was" in capsys.readouterr().out


def test_failures_are_in_the_exit_code_and_the_rest_is_kept(tiny, tmp_path, capsys, monkeypatch):
    right = runner.start

    def start(job, cache):
        if job.what == "train" and "sklearn" in job.code:
            raise runner.Failure("it stumbled")
        return right(job, cache)

    monkeypatch.setattr(runner, "start", start)
    out = tmp_path / "figures.json"
    names = ["--only", "sklearn", "reference", "--workloads", "dense", "--out", str(out)]
    assert cli.main(["--quick", *names]) == 1
    assert {row["rival"] for row in store.read(out)["rows"]} == {"fastmlp", "reference"}
    assert "failed: dense: scikit-learn on 1 failed: it stumbled" in capsys.readouterr().err


def test_a_quick_run_writes_nothing_by_itself(tiny, monkeypatch, capsys):
    monkeypatch.setattr(store, "write", None)
    assert cli.main(["--quick", "--only", "fastmlp", "--workloads", "dense"]) == 0
    assert "wrote" not in capsys.readouterr().out


def test_results_of_another_machine_are_not_mixed_with(tiny, tmp_path, capsys):
    out = tmp_path / "figures.json"
    other = some_results(row("dense", "jax", 1.0))
    store.write(out, other | {"machine": other["machine"] | {"processor": "an abacus"}})
    assert cli.main(["--quick", "--only", "sklearn", "--out", str(out)]) == 1
    assert "of an abacus, expected" in capsys.readouterr().err and not tiny


def test_help_teaches(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name}" in shown for name in (*ENTRIES, *WORKLOADS)) and "examples:" in shown


@pytest.mark.parametrize("wrong", [["--only", "abacus"], ["--workloads", "tall"], ["--epochs", "0"]])
def test_wrong_usage_is_told(wrong, capsys):
    assert cli.main(wrong) == 2
    assert wrong[1] in capsys.readouterr().err


def test_what_is_not_installed_is_named_with_its_remedy(capsys, monkeypatch):
    needs = {"no_such_library": "no-such-library", "numpy": "numpy"}
    monkeypatch.setitem(ENTRIES, "abacus", replace(ENTRIES["jax"], title="Abacus", needs=needs))
    assert cli.installed(["abacus", "sklearn"]) == [ENTRIES["sklearn"]]
    expected = "Abacus is left out, as no-such-library is not installed: pip install no-such-library\n"
    assert capsys.readouterr().out == expected


def test_an_output_without_a_folder_is_told_before_anything_runs(tiny, tmp_path, capsys):
    assert cli.main(["--quick", "--out", str(tmp_path / "none" / "x.json")]) == 1
    assert "make it first" in capsys.readouterr().err and not tiny


# --- plan, turns and threads -----------------------------------------------------------------------------


def test_fastmlp_runs_before_and_after_the_others():
    cells = session.plan([WORKLOADS["dense"]], [ENTRIES["jax"], ENTRIES["fastmlp"]], available=8)
    order = [(cell.entry.name, cell.threads, cell.turn) for cell in cells]
    assert order == [
        ("fastmlp", 2, "before"), ("fastmlp", 1, "before"), ("jax", 2, ""), ("jax", 1, ""),
        ("fastmlp", 2, "after"), ("fastmlp", 1, "after"),
    ]  # fmt: skip


def test_two_turns_become_the_median_of_both():
    before, after = row("dense", "fastmlp", 10.0), row("dense", "fastmlp", 13.0, compile_s=0.0)
    (joined,) = session.join_turns([before, after])
    assert joined["median_ms"] == 11.5 and len(joined["runs_ms"]) == 24 and joined["compile_s"] == 0.5
    (line,) = store.unsteady([joined, row("dense", "jax", 1.0)])
    assert "took 10 ms before the others and 13 ms after them" in line
    assert store.unsteady(session.join_turns([before, row("dense", "fastmlp", 11.0)])) == []


def test_a_slow_number_of_threads_gets_a_look_only(digits):
    child = measure.Child(replace(a_job("reference", digits), to_beat_ms=10.0))
    goes_on = child.goes_on
    assert not goes_on([0.02] * 3, 12, 0.0, tried=0.02) and goes_on([0.02] * 2, 12, 0.0, tried=0.02)
    assert goes_on([0.009] * 3, 12, 0.0, tried=0.02)  # it was not slow after all
    assert goes_on([0.012] * 3, 12, 0.0, tried=0.012) and not goes_on([0.012] * 12, 12, 0.0, tried=0.012)
    assert goes_on([0.012] * 12, 12, 1.0, tried=0.012)


def test_rivals_are_held_to_their_threads(monkeypatch):
    assert registry.thread_counts(ENTRIES["jax"], 1) == [1] and registry.thread_counts(ENTRIES["jax"], 8) == [
        2,
        1,
    ]
    assert set(registry.limits(2).values()) == {"2"} and "OMP_NUM_THREADS" in registry.limits(2)
    taken = []
    monkeypatch.setattr(registry.os, "sched_getaffinity", lambda pid: {5, 2, 9}, raising=False)
    monkeypatch.setattr(registry.os, "sched_setaffinity", lambda pid, cpus: taken.extend(cpus), raising=False)
    registry.confine(2)
    assert taken == [2, 5]
    monkeypatch.delattr(registry.os, "sched_setaffinity")
    assert registry.thread_counts(ENTRIES["jax"], 8) == [8] and registry.thread_counts(
        ENTRIES["torch"], 8
    ) == [2, 1]


# --- results, table, chart, README -----------------------------------------------------------------------

EXAMPLE = (
    row("notebook", "fastmlp", 30.0, 2), row("notebook", "fastmlp", 50.0, 1), row("notebook", "jax", 150.0),
    row("dense", "fastmlp", 8.0), row("dense", "jax", 4.0), row("dense", "torch", 12.0),
    row("accuracy", "fastmlp", 200.0), row("accuracy", "jax", 900.0, epochs=[3, 5, 4]),
    row("predict-1", "fastmlp", 0.005), row("predict-1", "jax", 0.03, compile_s=None),
)  # fmt: skip


def test_the_best_number_of_threads_counts():
    results = some_results(*reversed(EXAMPLE))
    assert store.best_rows(results, "notebook")["fastmlp"]["threads"] == 2
    assert store.ratios(results, "notebook") == {"fastmlp": 1.0, "jax": 5.0}
    assert store.ratios(results, "dense") == {"jax": 0.5, "fastmlp": 1.0, "torch": 1.5}
    assert store.ratios(results, "small") == {}
    assert results["rows"][0]["workload"] == "notebook" and results["rows"][-1]["rival"] == "jax"


def test_the_table_has_every_rival_where_fastmlp_loses_too():
    text = table.render(some_results(*EXAMPLE))
    lines = text.splitlines()
    assert "| fastmlp | 30.0 ms | 8.00 ms | 200 ms | 5.00 µs |" in lines
    assert "| JAX | 5.00 x | 0.50 x | 4.50 x | 6.00 x |" in lines
    assert "| PyTorch eager | – | 1.50 x | – | – |" in lines
    assert "| jax 1.0 | 1 | 4 | 0.90 | 4.50 x | 0.5 |" in lines
    assert "| jax 1.0 | uint8 | 1 | 320 | 150 | 5.00 x | 0.5 | 90.00 % |" in lines
    assert "| jax 1.0 | uint8 | 1 | 30.0 | 6.00 x |" in lines
    assert "Medians of 12 epochs" in " ".join(lines) and "2026-01-02" in text and "at 0.3," in text
    assert table.render(store.empty()) == "Nothing has been measured yet."


def test_the_chart_shows_every_ratio_and_says_whose_it_is(tmp_path):
    results = some_results(*EXAMPLE)
    figure = chart.draw(results)
    panels = [axes for axes in figure.axes if axes.axison]
    texts = [{text.get_text() for text in axes.texts} for axes in panels]
    assert [len(axes.patches) for axes in panels] == [1, 2, 1, 1]
    assert (
        {"30.0 ms an epoch", "5.00×"} <= texts[0] and {"0.50×", "1.50×"} <= texts[1] and "6.00×" in texts[3]
    )
    chart.save(results, tmp_path / "chart.png")
    assert chart.digest_of(tmp_path / "chart.png") == store.digest(results)
    changed = some_results(*EXAMPLE[:-1], row("predict-1", "jax", 0.031))
    assert chart.digest_of(tmp_path / "chart.png") != store.digest(changed)


def test_results_are_read_as_written(tmp_path):
    path = tmp_path / "results.json"
    results = some_results(*EXAMPLE)
    store.write(path, results)
    assert '"runs_ms": [ 30.0, 30.0,' in path.read_text(encoding="utf-8")
    assert store.read(path) == results and store.digest(store.read(path)) == store.digest(results)
    for text, message in (("{", "found no JSON"), ("[]", "found format None"), ('{"format": 9}', "format 9")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            store.read(path)


def test_the_readme_command_measures_nothing_and_fills_the_place(tmp_path, monkeypatch, capsys):
    page, picture, path = tmp_path / "README.md", tmp_path / "rivals.png", tmp_path / "results.json"
    page.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n", encoding="utf-8")
    store.write(path, some_results(*EXAMPLE))
    monkeypatch.setattr(readme, "README", page)
    monkeypatch.setattr(chart, "FILE", picture)
    monkeypatch.setattr(runner, "start", None)
    for _ in range(2):
        assert cli.main(["--readme", "--out", str(path)]) == 0
        before, between, after = readme.split(page)
        assert (before, after) == ("before\n", "\nafter\n") and between == table.render(store.read(path))
    assert chart.digest_of(picture) == store.digest(store.read(path))


@pytest.mark.parametrize(
    "text", ["no markers", readme.BEGIN, readme.END + readme.BEGIN, readme.BEGIN * 2 + readme.END]
)
def test_a_readme_without_its_markers_is_refused(text, tmp_path, monkeypatch, capsys):
    page = tmp_path / "README.md"
    page.write_text(text, encoding="utf-8")
    store.write(tmp_path / "results.json", some_results(*EXAMPLE))
    monkeypatch.setattr(readme, "README", page)
    assert cli.main(["--readme", "--out", str(tmp_path / "results.json")]) == 1
    assert "expected" in capsys.readouterr().err and page.read_text(encoding="utf-8") == text
