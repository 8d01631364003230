"""The suite that asv runs: its size, its checks, and a cell of each module, all without asv."""

import importlib
import inspect
import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import fastmlp
from fastmlp import kernels
from fastmlp.kernels.core import machine

SUITE = Path(__file__).parents[2] / "asv_benchmarks"
KERNELS = (
    "linear",
    "losses",
    "dropout",
    "optimizers",
    "epoch",
    "inference",
    "scan",
)  # modules of the lower floor
MODULES = (*KERNELS, "data", "estimators", "startup")
KIND = re.compile("(time|timeraw|peakmem|track)_")
MOST_CELLS = 70
CHEAP = (
    "linear.Linear.time_10_calls",
    "losses.Softmax.time_100_calls",
    "optimizers.Sgd.time_100_calls",
    "scan.Scan.time_kernel",
    "inference.OneRow.time_200_predictions",
    "epoch.Quality.track_test_error",
    "data.Files.time_load_mnist",
    "data.Loader.time_40_batches",
)


@pytest.fixture(scope="module")
def suite():
    """Modules of the suite by name; the threads that they set are given back at the end."""
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1, user_api="blas"):
        patch.syspath_prepend(SUITE)
        yield {
            name: importlib.import_module(f"benchmarks.{name}") for name in (*MODULES, "_timing", "_workload")
        }
        machine.set_num_threads(None)


def cells(suite):
    """(name, object, method, parameters) of each cell, as asv would count them."""
    for module in MODULES:
        for name, kind in inspect.getmembers(suite[module], inspect.isclass):
            for method, _ in inspect.getmembers(kind, inspect.isfunction):
                if kind.__module__ == f"benchmarks.{module}" and KIND.match(method):
                    made = kind()
                    params = getattr(getattr(made, method), "params", getattr(made, "params", []))
                    for chosen in itertools.product(*params):
                        yield f"{module}.{name}.{method}", made, getattr(made, method), chosen


def run(made, method, chosen):
    """Run a cell once; what it returns."""
    if hasattr(made, "setup"):
        made.setup(*chosen)
    return method(*chosen)


def test_the_suite_has_no_more_cells_than_minutes_allow(suite):
    names = [name for name, *_ in cells(suite)]
    assert {name.split(".")[0] for name in names} == {*MODULES}
    assert len(names) <= MOST_CELLS


def test_the_cells_cover_every_kind_of_workload(suite):
    words = {word for *_, chosen in cells(suite) for text in chosen for word in text.split()}
    assert words >= {"t1", "t2", "b32", "b128", "b512", "float32", "float64", "mnist", "dense"}
    assert words >= {"784-128-10", "784-1024-1024-10", "reference", "kernels"}


def test_every_module_of_a_kernel_has_a_ratio(suite):
    ratios = {name.split(".")[0] for name, *_ in cells(suite) if name.endswith(".track_time_ratio")}
    assert ratios == {*KERNELS, "estimators"}


def test_a_file_measures_each_module_of_operations():
    modules = {getattr(kernels, name).__module__ for name in kernels.__all__} - {kernels.plan.__module__}
    assert modules == {f"fastmlp.kernels.{name}" for name in KERNELS}


def test_what_was_measured_has_the_names_of_today(suite):
    """A name that the stored results do not have begins a new history: rename it there too."""
    names = {name for name, *_ in cells(suite)}
    for file in (SUITE / "results").glob("**/*.json"):
        stored = json.loads(file.read_text(encoding="utf-8"))
        if file.name == "benchmarks.json":
            assert {*stored} - {"version"} == names
        elif file.name != "machine.json":
            assert {*stored["results"]} <= names, file


def test_every_benchmark_has_one_threshold(suite):
    lines = (SUITE / "asv.conf.json").read_text(encoding="utf-8").splitlines()
    conf = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    for name in {name for name, *_ in cells(suite)}:
        matching = [regex for regex in conf["regressions_thresholds"] if re.match(regex, name)]
        assert len(matching) == 1, (name, matching)


@pytest.mark.parametrize("name", CHEAP)
def test_a_cell_runs(suite, name):
    field = [cell for cell in cells(suite) if cell[0] == name]
    for _, made, method, chosen in field[:2]:  # with both back ends, where there are two
        result = run(made, method, chosen)
        assert result is None or 0 < result < 0.3, result  # an error rate


@pytest.mark.parametrize(
    "name", ["linear.Activated", "losses.Others", "dropout.Dropout", "optimizers.Stateful", "epoch.Optimized"]
)
def test_both_calls_of_a_ratio_run(suite, name):
    for found, made, _, chosen in cells(suite):
        if found == f"{name}.track_time_ratio":
            made.setup(*chosen)
            assert {*made.pair} == {"reference", "kernels"}
            for call in made.pair.values():
                call()


def test_both_estimators_of_a_ratio_run(suite):
    for name, made, _, chosen in cells(suite):
        if name.startswith("estimators."):
            made.setup(*chosen)
            theirs, ours = (call() for call in made.pair.values())
            assert [*made.pair] == ["theirs", "ours"] and theirs is not ours


def test_an_estimator_that_differs_is_not_timed(suite, monkeypatch):
    class Wrong(fastmlp.MLPClassifier):
        def fit(self, X, y):
            super().fit(X, y).coefs_[1][3, 2] *= 1.0001
            return self

    suite["estimators"].fits.cache_clear()
    monkeypatch.setattr(fastmlp, "MLPClassifier", Wrong)
    with pytest.raises(AssertionError, match="array 1: off scikit-learn's by"):
        suite["estimators"].Fit().setup("digits adam t1")


def test_a_commit_without_estimators_is_skipped(suite, monkeypatch):
    suite["estimators"].fits.cache_clear()
    monkeypatch.setattr(fastmlp, "__getattr__", lambda name: getattr(None, name))
    with pytest.raises(NotImplementedError, match="fastmlp has no MLPClassifier in this commit"):
        suite["estimators"].Fit().setup("digits adam t1")


def test_the_starts_run(suite):
    codes = [method() for name, _, method, _ in cells(suite) if ".timeraw_" in name]
    assert len(codes) == 3
    for code in codes:
        compile(code, "startup", "exec")
    warm = next(method() for name, _, method, _ in cells(suite) if name.endswith("first_epoch_warm"))
    subprocess.run([sys.executable, "-c", warm], check=True, timeout=60, cwd=SUITE.parent)


def test_a_wrong_result_is_not_timed(suite, monkeypatch):
    right = kernels.softmax_cross_entropy

    def wrong(logits, labels, dlogits, losses):
        right(logits, labels, dlogits, losses)
        dlogits[3, 2] *= 1.00001

    monkeypatch.setattr(kernels, "softmax_cross_entropy", wrong)
    suite["losses"].checked_pair.cache_clear()
    with pytest.raises(AssertionError, match="kernels.softmax_cross_entropy, dlogits: 1 of 1280 elements"):
        suite["losses"].Softmax().setup("float32 b128 t1", "kernels")


def test_what_a_commit_lacks_is_skipped(suite, monkeypatch):
    monkeypatch.delattr(kernels, "sgd_step")
    suite["optimizers"].checked_pair.cache_clear()
    with pytest.raises(NotImplementedError, match="fastmlp.kernels has no sgd_step in this commit"):
        suite["optimizers"].Sgd().setup("784-128 float32 t1", "kernels")
    with pytest.raises(NotImplementedError, match="MLP has no depth in this commit"):
        suite["_workload"].require_options(type("MLP", (), {"__init__": lambda self: None}), "depth")


def test_a_ratio_is_of_the_least_times(suite, monkeypatch):
    timing, now = suite["_timing"], 0.0

    class Clock:
        @staticmethod
        def perf_counter():
            return now

    def taking(seconds, disturbance):
        delays = itertools.cycle([disturbance, 0, disturbance])

        def call():
            nonlocal now
            now += seconds + next(delays)

        return call

    monkeypatch.setattr(timing, "time", Clock)
    pair = {"reference": taking(0.02, 0.5), "kernels": taking(0.005, 0.1)}
    assert math.isclose(timing.ratio_of(pair), 0.25, rel_tol=1e-6)


def test_one_thread_of_the_blas_is_required(suite, monkeypatch):
    libraries = [{"user_api": "blas", "internal_api": "openblas", "num_threads": 2}]
    monkeypatch.setattr(suite["_workload"], "threadpool_info", lambda: libraries)
    with pytest.raises(RuntimeError, match="openblas keeps 2 threads, expected 1"):
        suite["_workload"].begin("t1")


def test_a_workload_runs_with_its_threads_and_one_of_the_blas(suite):
    for threads in (2, 1):
        suite["_workload"].begin(f"t{threads}")
        assert machine.get_num_threads() == threads
    blas = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    assert blas and {*blas} == {1}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("784-128 float16 t1", "'float16' is none of sizes, data"),
        ("mnist b128", "names no threads: add t1 or t2"),
    ],
)
def test_a_workload_that_says_nothing_is_refused(suite, name, error):
    with pytest.raises(ValueError, match=re.escape(error)):
        suite["_workload"].parse(name)


def test_a_workload_is_what_its_name_says(suite):
    workload = suite["_workload"].parse("784-128-10 mnist float64 b32 t2")
    assert (workload.sizes, workload.data, workload.batch, workload.threads) == (
        (784, 128, 10),
        "mnist",
        32,
        2,
    )
    assert workload.dtype == np.float64
