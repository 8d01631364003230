"""The command of the comparison: what a run checks, measures, keeps and writes, and what it says."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rival_rows import TINY, row, some_results

from asv_benchmarks.rivals import child as child_module
from asv_benchmarks.rivals import cli, measure, runner, table
from asv_benchmarks.rivals import results as store
from asv_benchmarks.rivals.registry import ENTRIES
from asv_benchmarks.rivals.workloads import WORKLOADS


@pytest.fixture
def here(monkeypatch):
    """Do jobs in this very process, as a process of their own takes seconds to start."""
    jobs = []

    def start(job, cache):
        jobs.append(job)
        return json.loads(json.dumps(child_module.JOBS[job.what](measure.Child(job))))

    monkeypatch.setattr(runner, "start", start)
    return jobs


@pytest.fixture
def tiny(digits, here, monkeypatch):
    """The command with small workloads of each kind, on one thread."""
    small = {
        "notebook": replace(WORKLOADS["notebook"], sizes=(784, 32, 10), lr=1e-4),
        "dense": replace(WORKLOADS["dense"], sizes=(20, 8, 10), batch_size=16, batches=2),
        "predict-1": replace(WORKLOADS["predict-1"], sizes=(784, 8, 10)),
        "accuracy": replace(WORKLOADS["accuracy"], sizes=(784, 8, 10)),
        "recipe": replace(WORKLOADS["recipe"], sizes=(784, 8, 10)),
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
    # scikit-learn cannot take the recipe's steps
    names = [job.workload["name"] for job in tiny]
    assert names[:6] == ["check", "check-recipe", "check", "check", "check-recipe", "accuracy"]
    assert tiny[5].what == "grid" and "check" not in [job.what for job in tiny][5:]
    results, printed = store.read(out), capsys.readouterr().out
    kinds = {"notebook", "dense", "predict-1", "accuracy"}
    assert {(row["workload"], row["rival"]) for row in results["rows"]} == {
        (kind, rival) for kind in kinds for rival in ("fastmlp", "sklearn", "reference")
    } | {("recipe", "fastmlp"), ("recipe", "reference")}
    assert all("98 % recipe, " in " ".join(check["largest_differences"]) for check in results["checks"][::2])
    for found in results["rows"]:
        own = found["rival"] == "fastmlp"
        least = 1 if found["workload"] in ("accuracy", "recipe") else 2
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
    cooked = store.best_rows(results, "recipe")
    assert all(len(found["scores"]) == len(found["runs_ms"]) for found in cooked.values())
    scores = [score for found in cooked.values() for score in found["scores"]]
    assert max(scores) - min(scores) <= 0.01 and min(scores) > 0.5
    assert "[14/19] accuracy: scikit-learn on 1" in printed
    assert "scikit-learn is not in the recipe's race: no rates step by step" in printed
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
