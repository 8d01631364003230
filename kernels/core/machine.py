"""The machine: its threads, the width of its vectors, and the folder for what is made once on it."""

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Iterator
from multiprocessing import current_process
from pathlib import Path

import llvmlite.binding as llvm
from numba.core import config
from numba.core.codegen import get_host_cpu_features

MOST_THREADS = 1024

_n_threads: int | None = None
_of_caller = threading.local()


def processor() -> str:
    """Name of the processor that Numba compiles for, as LLVM calls it."""
    return config.CPU_NAME or llvm.get_host_cpu_name()


def features() -> str:
    """Features that Numba's code may use, as LLVM writes them: `+avx2,+fma,-avx512f,…`."""
    return get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES


def vector_bytes() -> int:
    """Bytes of a vector register: FASTMLP_VECTOR_BYTES, else the widest of the features in use.

    Raises
    ------
    ValueError
        FASTMLP_VECTOR_BYTES is none of 64, 32 and 16.
    """
    asked = os.environ.get("FASTMLP_VECTOR_BYTES", "")
    if asked:
        if asked not in ("64", "32", "16"):
            raise ValueError(f"FASTMLP_VECTOR_BYTES is {asked!r}; set it to 64, 32 or 16, or unset it")
        return int(asked)
    have = set(features().split(","))
    if "+avx512f" in have:
        return 64
    return 32 if "+avx2" in have and "+fma" in have else 16


# As the process began: code and cache must agree on it, whatever is set later.
VECTOR_BYTES = vector_bytes()


def vector_registers() -> int:
    """Vector registers that a tile may use: 32 on AVX-512 and ARM, else 16."""
    arm = processor().startswith(("apple", "cortex", "neoverse")) or "+neon" in features()
    return 32 if "+avx512vl" in features() or arm else 16


def cache_folder() -> Path:
    """Folder for unpacked data and compiled code: FASTMLP_CACHE, else the platform's user cache.

    Not created by this call.

    Raises
    ------
    RuntimeError
        There is neither a home directory nor FASTMLP_CACHE.
    """
    if asked := os.environ.get("FASTMLP_CACHE"):
        return Path(asked).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fastmlp"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "fastmlp" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastmlp"


def set_num_threads(n: int | None) -> None:
    """Use n threads from now on; None goes back to the default.

    An epoch takes n wherever its batches have as many parts to share; a single kernel or a prediction takes
    fewer where there is too little for each, since waking one takes some 30 µs.

    Raises
    ------
    ValueError
        n is below 1 or above 1024.
    """
    global _n_threads
    _n_threads = None if n is None else _thread_count(n, "the number of threads")


def get_num_threads() -> int:
    """Number of threads: what was set, else FASTMLP_NUM_THREADS, else what the machine grants."""
    return explicit_threads() or default_threads()


@contextlib.contextmanager
def using_threads(n: int | None) -> Iterator[None]:
    """`set_num_threads` for what this thread calls within; None leaves all as it is."""
    before = getattr(_of_caller, "n_threads", None)
    _of_caller.n_threads = before if n is None else _thread_count(n, "n_threads")
    try:
        yield
    finally:
        _of_caller.n_threads = before


def explicit_threads() -> int | None:
    """Number of threads that the user asked for; None where nobody did."""
    if (asked_here := getattr(_of_caller, "n_threads", None)) is not None:
        return asked_here
    if _n_threads is not None:
        return _n_threads
    asked = os.environ.get("FASTMLP_NUM_THREADS", "")
    return _thread_count(asked, "FASTMLP_NUM_THREADS") if asked else None


def default_threads() -> int:
    """Processors of this process, bounded by the cgroup's quota, OMP_NUM_THREADS and NUMBA_NUM_THREADS.

    One in a process of a pool, as multiprocessing makes them, which has others beside it.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    bounds = [len(affinity(0)) if affinity else os.cpu_count() or 1, _cgroup_quota()]
    bounds += [1] if current_process().daemon else []
    bounds += [os.environ.get(name) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")]
    # OMP_NUM_THREADS may be a list for nested regions; the first number counts
    numbers = [int(first) for bound in bounds if (first := str(bound or "").split(",")[0]).isdecimal()]
    return max(1, min(MOST_THREADS, *numbers))


@functools.cache
def _cgroup_quota() -> int | None:
    """Whole processors of the control group's quota, at least one; None without a quota."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no cgroup v2, or the word `max`
        return None


def _thread_count(n: int | str, name: str) -> int:
    try:
        count = int(n)
    except Exception:  # of others, such as a masked number
        count = 0
    if not 1 <= count <= MOST_THREADS or isinstance(n, float) and n != count:
        raise ValueError(f"{name} is {n!r}; give a whole number from 1 to {MOST_THREADS}")
    return count
