"""Small jobs, and rows as the rivals measure them."""

from asv_benchmarks.rivals import results as store
from asv_benchmarks.rivals.jobs import Effort, Job
from asv_benchmarks.rivals.registry import ENTRIES
from asv_benchmarks.rivals.workloads import CHECK

TINY = Effort(epochs=2, seconds=0, rounds=1, seeds=1, grid_seeds=1)


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
