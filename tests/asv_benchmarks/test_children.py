"""Programs in processes of their own: of this very package, and an error where one fails."""

from pathlib import Path

import pytest

import fastmlp
from asv_benchmarks import children
from fastmlp.bench import BenchError


def test_a_program_that_fails_is_an_error(tmp_path):
    with pytest.raises(BenchError, match="a program of the benchmark failed: ZeroDivisionError"):
        children.run_child("-c", "1 / 0", cache=tmp_path)


def test_programs_run_this_package_in_their_own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTMLP_NUM_THREADS", "7")
    code = (
        "import fastmlp.kernels.core.machine as m, fastmlp, asv_benchmarks.children as c;"
        "print(fastmlp.__file__, c.__file__, m.cache_folder(), m.explicit_threads(), m.processor())"
    )
    child = children.run_child("-c", code, cache=tmp_path, NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="")
    here = Path(children.__file__)
    assert child.line.split() == [fastmlp.__file__, str(here), str(tmp_path), "None", "haswell"]
    assert child.seconds > 0
