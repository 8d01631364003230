"""Threads, vectors and folders, as asked for and as the machine grants them."""

import multiprocessing.process
import os
import threading
import warnings
from pathlib import Path

import pytest

import fastmlp
from fastmlp.kernels.core import machine, threads


@pytest.fixture(autouse=True)
def _nothing_asked(monkeypatch):
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "FASTMLP_VECTOR_BYTES"):
        monkeypatch.delenv(name, raising=False)
    yield
    machine.set_num_threads(None)


@pytest.mark.parametrize("n", [1, 2, 3, 1024])
def test_threads_asked_for_are_obeyed_beyond_the_processors(n, monkeypatch):
    machine.set_num_threads(n)
    monkeypatch.setenv("FASTMLP_NUM_THREADS", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert machine.get_num_threads() == n == fastmlp.get_num_threads()
    machine.set_num_threads(None)
    assert machine.get_num_threads() == 7


@pytest.mark.parametrize("n", [0, -1, 1025, 1.5, "x", ""])
def test_a_wrong_number_of_threads_is_an_error_that_names_it(n, monkeypatch):
    with pytest.raises(ValueError, match="the number of threads is .* from 1 to 1024"):
        machine.set_num_threads(n)
    if isinstance(n, str) and n:
        monkeypatch.setenv("FASTMLP_NUM_THREADS", n)
        with pytest.raises(ValueError, match=f"FASTMLP_NUM_THREADS is '{n}'"):
            machine.get_num_threads()


def test_a_process_of_a_pool_has_one_thread_unless_told_otherwise(monkeypatch):
    child = multiprocessing.get_context("spawn").Process(daemon=True)
    monkeypatch.setattr(multiprocessing.process, "_current_process", child)
    assert machine.get_num_threads() == machine.default_threads() == 1
    machine.set_num_threads(3)
    assert machine.get_num_threads() == 3


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"])
def test_the_default_is_bounded_by_the_switches_of_others(name, monkeypatch):
    granted = machine.default_threads()
    assert 1 <= granted <= os.cpu_count()
    for value, expected in (("1", 1), ("1,4", 1), ("9999", granted), ("many", granted), ("", granted)):
        monkeypatch.setenv(name, value)
        assert machine.get_num_threads() == expected


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs affinity")
def test_the_default_is_bounded_by_affinity(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert machine.default_threads() == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(5000)))
    monkeypatch.setattr(machine, "_cgroup_quota", lambda: None)
    assert machine.default_threads() == machine.MOST_THREADS  # what arenas have panels for


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_affinity_that_is_set_later_counts(monkeypatch):
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(machine, "_cgroup_quota", lambda: None)
    assert machine.default_threads() == len(before)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert machine.default_threads() == threads.epoch_thread_count(10**9, 64) == 1
    finally:
        os.sched_setaffinity(0, before)


GROUPS_1, GROUPS_2 = "3:cpuset:/\n2:cpu,cpuacct:/a/b\n0::/\n", "0::/a/b\n"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs affinity")
@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        (GROUPS_2, {"cpu.max": "max 100000\n"}, 8),
        (GROUPS_2, {"cpu.max": "250000 100000\n"}, 2),
        (GROUPS_2, {"cpu.max": "50000 100000"}, 1),
        (GROUPS_2, {"cpu.max": "nonsense"}, 8),
        (None, {"cpu.max": "300000 100000"}, 3),
        (GROUPS_2, {"a/b/cpu.max": "300000 100000", "a/cpu.max": "max 100000"}, 3),
        (
            GROUPS_2,
            {"a/b/cpu.max": "max 100000", "a/cpu.max": "400000 100000", "cpu.max": "500000 100000"},
            4,
        ),
        (GROUPS_2, {"a/c/cpu.max": "100000 100000"}, 8),  # another's
        (GROUPS_1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        (GROUPS_1, {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        (GROUPS_1, {"cpu/a/b/cpu.cfs_quota_us": "150000\n", "cpu/a/b/cpu.cfs_period_us": "50000\n"}, 3),
        (GROUPS_1, {"cpu/a/b/cpu.cfs_quota_us": "150000\n"}, 8),
    ],
)
def test_the_default_is_bounded_by_the_control_groups(groups, files, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(machine, "_GROUPS", tmp_path)
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
    for name, text in {**files, **({"own": groups} if groups else {})}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    machine._cgroup_quota.cache_clear()
    assert machine.default_threads() == expected
    machine._cgroup_quota.cache_clear()


@pytest.mark.parametrize(
    ("features", "expected"),
    [("+sse2,+avx2,+fma,+avx512f", 64), ("+avx2,+fma,-avx512f", 32), ("+avx2", 16), ("+neon", 16), ("", 16)],
)
def test_vectors_are_as_wide_as_the_features_in_use(features, expected, monkeypatch):
    monkeypatch.setattr(machine.config, "CPU_FEATURES", features)
    assert machine.features() == features
    assert machine.vector_bytes() == expected
    monkeypatch.setenv("FASTMLP_VECTOR_BYTES", "16")
    assert machine.vector_bytes() == 16


@pytest.mark.parametrize("asked", ["8", "128", "x", "64 "])
def test_a_wrong_width_is_an_error_that_names_it(asked, monkeypatch):
    monkeypatch.setenv("FASTMLP_VECTOR_BYTES", asked)
    with pytest.raises(ValueError, match=f"FASTMLP_VECTOR_BYTES is {asked!r}; set it to 64, 32 or 16"):
        machine.vector_bytes()


def test_the_processor_has_a_name():
    assert machine.processor()
    assert machine.vector_registers() in (16, 32)


def test_the_cache_folder_is_as_asked_and_not_created(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTMLP_CACHE", str(tmp_path / "made"))
    assert machine.cache_folder() == tmp_path / "made"
    monkeypatch.setenv("FASTMLP_CACHE", "~/made")
    assert machine.cache_folder() == Path.home() / "made"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTMLP_CACHE", "made")
    assert machine.cache_folder() == tmp_path / "made"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", "home/.cache/fastmlp"),
        ("darwin", "home/Library/Caches/fastmlp"),
        ("win32", "home/AppData/Local/fastmlp/Cache"),
    ],
)
def test_the_cache_folder_follows_the_platform(platform, expected, monkeypatch, tmp_path):
    for name in ("FASTMLP_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert machine.cache_folder() == tmp_path / expected
    if platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert machine.cache_folder() == tmp_path / "xdg" / "fastmlp"


def test_threads_asked_for_within_a_call_are_of_its_thread_alone(monkeypatch):
    seen = []
    with machine.using_threads(3):
        assert machine.get_num_threads() == machine.explicit_threads() == 3
        thread = threading.Thread(target=lambda: seen.append(machine.explicit_threads()))
        thread.start()
        thread.join()
        with machine.using_threads(2), machine.using_threads(None):
            assert machine.explicit_threads() == 2
        assert machine.explicit_threads() == 3
    assert seen == [None] and machine.explicit_threads() is None
    for bad in (0, 1.5, "many"):
        with pytest.raises(ValueError, match="n_threads is"), machine.using_threads(bad):
            pass
    assert machine.explicit_threads() is None


@pytest.mark.parametrize(
    ("given", "warns"), [("+avx2,+fma", False), ("+avx2,-fma", True), ("+avx2,+fma4", True)]
)
def test_a_processor_without_fused_operations_is_warned_of(given, warns, monkeypatch):
    monkeypatch.setattr(machine.config, "CPU_FEATURES", given)
    monkeypatch.setattr(machine, "ARCHITECTURE", "x86_64")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        machine.warn_without_fma()
    assert [str(each.message).count("no fused multiply-add (fma)") for each in caught] == [1] * warns
    monkeypatch.setattr(machine, "ARCHITECTURE", "aarch64")
    with warnings.catch_warnings(action="error"):
        machine.warn_without_fma()  # every 64-bit ARM has them
