"""The short benchmark: its races, its counting, its check, and its figures."""

import inspect

import numpy as np
import pytest

from fastmlp import bench, kernels, load_mnist, reference
from fastmlp.bench import BenchError
from fastmlp.kernels.core import machine, peak


@pytest.fixture(autouse=True)
def default_threads():
    yield
    machine.set_num_threads(None)


@pytest.fixture
def tiny(monkeypatch):
    """A run of few digits, short loops and one round."""
    X, y, X_test, y_test = load_mnist()
    monkeypatch.setattr(bench, "load_mnist", lambda: (X[:600], y[:600], X_test[:100], y_test[:100]))
    race, rate = bench.race, peak.rate
    monkeypatch.setattr(bench, "race", lambda timers, seconds, least: race(timers, 0, 1))
    monkeypatch.setattr(peak, "rate", lambda n_chains, fmas=None: rate(n_chains, fmas=1 << 16))
    for name, value in {"RANDOM_ROWS": 256, "CALLS": 2, "PREDICTIONS": 2, "BLAS_PAUSE": 0}.items():
        monkeypatch.setattr(bench, name, value)


# --- races -----------------------------------------------------------------------------------------------


def test_a_race_runs_everything_in_turn_and_keeps_the_best():
    log, results = [], {"a": iter([3.0, 1.0, 2.0]), "b": iter([5.0, 6.0, 4.0])}
    timers = {name: lambda name=name: log.append(name) or next(results[name]) for name in results}
    assert bench.race(timers, seconds=0, least=3) == ({"a": 1.0, "b": 4.0}, 3)
    assert log == list("ababab")


def test_a_race_goes_on_until_its_time_is_up(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(now))
    assert bench.race({"a": lambda: 1.0}, seconds=5, least=1) == ({"a": 1.0}, 5)


def test_a_timer_is_of_one_call(monkeypatch):
    now, calls = iter([10.0, 16.0]), []
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(now))
    assert bench.timed(lambda: calls.append(1), times=3, calls=4)() == 0.5
    assert len(calls) == 3


def test_shares_are_of_the_fastest_loop_on_as_many_threads(monkeypatch):
    asked = []

    def rate(n_chains, fmas=None):
        asked.append(machine.explicit_threads())
        return {peak.CHAINS[0]: 50.0, peak.CHAINS[1]: 100.0}.get(n_chains, 10.0)

    monkeypatch.setattr(peak, "rate", rate)
    ran = bench.race_with_peak({"half": (50, lambda: 1.0), "nothing": (0, lambda: 2.0)}, 3, 0, 1)
    assert ran == ({"half": 1.0, "nothing": 2.0}, {"half": 0.5, "nothing": 0.0}, 100.0, 1)
    assert {*asked} == {3} and machine.explicit_threads() is None


def test_threads_are_set_for_a_while():
    machine.set_num_threads(3)
    for n in (2, None):
        with bench.threads(n):
            assert machine.explicit_threads() == n
        assert machine.explicit_threads() == 3


def test_operations_of_an_epoch():
    assert bench.epoch_flop((3, 5), 7) == 2 * 7 * 2 * 15
    assert bench.epoch_flop((3, 5, 2), 7) == 2 * 7 * (2 * (15 + 10) + 10)
    assert bench.epoch_flop((784, 128, 10), 128) == pytest.approx(52.4e6, rel=2e-3)


def test_rows_of_the_tile_lie_as_in_training():
    for array in bench.make_tiles():
        assert array.ctypes.data % 64 == 0 and array.strides[0] % 64 == 0 and array.strides[0] // 64 % 2
        assert np.isfinite(array).all()


# --- the check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["forward_tiles", "step_tiles"])
def test_a_wrong_tile_is_found(name, monkeypatch):
    bench.tile_timers()
    monkeypatch.setattr(peak, name, lambda *args: None)
    with pytest.raises(BenchError, match="the .*tile.* is wrong"):
        bench.tile_timers()


def test_a_wrong_epoch_is_found(monkeypatch):
    loader = bench.random_loader((20, 9, 3), 8, 40)
    loader = bench.DataLoader(loader.X, loader.y, 8)
    bench.check_epoch([1, 2], (20, 9, 3), loader, 1.0)
    right = kernels.train_epoch

    def wrong(*args):
        given = inspect.signature(right).bind(*args).arguments
        return right(**given | {"rates": 1.01 * given["rates"]})

    monkeypatch.setattr(kernels, "train_epoch", wrong)
    with pytest.raises(BenchError, match="on 1 threads is wrong: .* from the reference, allowed 0.001"):
        bench.check_epoch([1], (20, 9, 3), loader, 1.0)


def test_a_wrong_prediction_is_found(monkeypatch):
    loader = bench.random_loader((20, 9, 3), 8, 40)
    right = reference.infer

    def wrong(*args):
        right(*args)
        args[-1][:, 0] += 0.1

    monkeypatch.setattr(reference, "infer", wrong)
    with pytest.raises(BenchError, match="a prediction is wrong"):
        bench.check_epoch([1], (20, 9, 3), bench.DataLoader(loader.X, loader.y, 8), 1.0)


def test_nan_is_wrong():
    with pytest.raises(BenchError):
        bench.require_close("this", np.array([np.nan, 1.0]), np.array([1.0, 1.0]))


def test_nothing_is_timed_before_it_is_checked(tiny, monkeypatch):
    monkeypatch.setattr(bench, "race", None)
    monkeypatch.setattr(kernels, "train_epoch", lambda *args: args[15].size)  # of the losses
    with pytest.raises(BenchError, match="is wrong: .* from the reference"):
        next(bench.measure([1]))


# --- the whole -------------------------------------------------------------------------------------------


def test_every_figure_is_measured(tiny):
    figures = list(bench.measure([2, 1, 2]))
    assert [(figure.what.split(",")[0], figure.threads) for figure in figures] == [
        ("peak of fused multiply-adds", 1), ("tile", 1), ("tile", 1), ("prediction of one digit", 1),
        ("epoch", 1), ("epoch", 1), ("peak of fused multiply-adds", 2), ("epoch", 2), ("epoch", 2),
    ]  # fmt: skip
    for figure in figures:
        assert figure.value > 0 and figure.unit in ("GF/s", "µs", "ms") and figure.rounds == 1
        assert (figure.share is not None) == ("tile" in figure.what or "random" in figure.what)
    assert machine.explicit_threads() is None


def test_figures_come_as_they_are_known_and_what_is_done_is_told(tiny):
    told = []
    figures = bench.measure([1], say=told.append)
    assert next(figures).unit == "GF/s" and told[-1] == "measuring the tile and predictions"
    assert len(list(figures)) == 5 and told[0] == "checking against the reference"


def test_one_thread_and_all_of_them_are_measured_by_default(tiny):
    machine.set_num_threads(3)
    assert {figure.threads for figure in bench.measure()} == {1, 3}
