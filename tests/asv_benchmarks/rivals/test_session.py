"""A run's plan: fastmlp before and after the others, everybody held to the same threads."""

from rival_rows import row

from asv_benchmarks.rivals import registry, session
from asv_benchmarks.rivals import results as store
from asv_benchmarks.rivals.registry import ENTRIES
from asv_benchmarks.rivals.workloads import WORKLOADS


def test_fastmlp_runs_before_and_after_the_others():
    cells = session.plan([WORKLOADS["dense"]], [ENTRIES["jax"], ENTRIES["fastmlp"]], available=8)
    order = [(cell.entry.name, cell.threads, cell.turn) for cell in cells]
    assert order == [
        ("fastmlp", 2, "before"), ("fastmlp", 1, "before"), ("jax", 2, ""), ("jax", 1, ""),
        ("fastmlp", 2, "after"), ("fastmlp", 1, "after"),
    ]  # fmt: skip


def test_who_lacks_what_the_recipe_needs_is_not_in_its_race():
    able, unable = ENTRIES["reference"], ENTRIES["sklearn"]
    cells = session.plan([WORKLOADS["recipe"], WORKLOADS["dense"]], [able, unable], available=1)
    assert [(cell.workload.name, cell.entry.name) for cell in cells if cell.entry.name != "fastmlp"] == [
        ("recipe", "reference"), ("dense", "reference"), ("dense", "sklearn"),
    ]  # fmt: skip
    assert {name for name, entry in ENTRIES.items() if entry.lacks} == {"sklearn", "notebook"}


def test_two_turns_become_the_median_of_both():
    before, after = row("dense", "fastmlp", 10.0), row("dense", "fastmlp", 13.0, compile_s=0.0)
    (joined,) = session.join_turns([before, after])
    assert joined["median_ms"] == 11.5 and len(joined["runs_ms"]) == 24 and joined["compile_s"] == 0.5
    turns = [row("recipe", "fastmlp", 10.0, scores=[score]) for score in (0.98, 0.97)]
    assert session.join_turns(turns)[0]["scores"] == [0.98, 0.97]
    (line,) = store.unsteady([joined, row("dense", "jax", 1.0)])
    assert "took 10 ms before the others and 13 ms after them" in line
    assert store.unsteady(session.join_turns([before, row("dense", "fastmlp", 11.0)])) == []


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
