"""The machine: its threads, the width of its vectors, and the folder for what is made once on it."""

import contextlib
import functools
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from multiprocessing import current_process
from pathlib import Path

import llvmlite.binding as llvm
from numba.core import config
from numba.core.codegen import get_host_cpu_features

MOST_THREADS = 1024
ARCHITECTURE = llvm.get_default_triple().partition("-")[0]
X86, ARM = ("x86_64", "i686"), ("aarch64", "arm64")
_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

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


def warn_without_fma() -> None:
    """Warn where fused multiply-adds, which all products are made of, take many instructions each."""
    if ARCHITECTURE in X86 and "+fma" not in features().split(","):
        warnings.warn(
            f"fastmlp may be 70 times slower than it could be: what Numba knows of {processor()} has no "
            "fused multiply-add (fma). Most processors since 2013 have it; if this one does, let the virtual "
            "machine show it, and unset NUMBA_CPU_NAME and NUMBA_CPU_FEATURES",
            RuntimeWarning,
            stacklevel=2,
        )


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


def make_folder(path: Path) -> None:
    """Make a folder and those that it lies in, where they are not there, for others to read at most.

    Raises
    ------
    OSError
        It cannot be made.
    """
    for place in reversed((path, *path.parents)):
        place.mkdir(0o755, exist_ok=True)


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
    """Whole processors, at least one, of the strictest quota of this process; None without one."""
    found = []
    for folder in _cgroup_folders():
        for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):  # of version 2, of version 1
            with contextlib.suppress(OSError, ValueError):  # not there, or the word `max`
                quota, period = " ".join((folder / name).read_text() for name in names).split()
                if int(quota) > 0:  # -1 is none
                    found.append(max(1, int(quota) // int(period)))
    return min(found, default=None)


def _cgroup_folders() -> Iterator[Path]:
    """Folders of the groups that this process is in, and around them; in a container some are missing."""
    yield _GROUPS
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            hierarchy = _GROUPS / "cpu" if controllers else _GROUPS
            yield hierarchy
            for depth in range(1, len(parts := Path(path).parts)):
                yield hierarchy.joinpath(*parts[1 : depth + 1])


def skip_zeros() -> str:
    """Whether products with zeros of the data are skipped: FASTMLP_SKIP_ZEROS, "auto" where it is unset.

    Raises
    ------
    ValueError
        It is none of auto, on and off.
    """
    asked = os.environ.get("FASTMLP_SKIP_ZEROS") or "auto"
    if asked not in ("auto", "on", "off"):
        raise ValueError(f"FASTMLP_SKIP_ZEROS is {asked!r}; set it to auto, on or off, or unset it")
    return asked


def _thread_count(n: int | str, name: str) -> int:
    try:
        count = int(n)
    except Exception:  # of others, such as a masked number
        count = 0
    if not 1 <= count <= MOST_THREADS or isinstance(n, float) and n != count:
        raise ValueError(f"{name} is {n!r}; give a whole number from 1 to {MOST_THREADS}")
    return count
