"""Workloads: a name says what is computed, on what, and with how many threads."""

import functools
import importlib
import inspect
import math
import re
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

import fastmlp

BATCHES = 40  # of an epoch
PAGE = 4096  # bytes; a processor takes loads and stores a multiple of it apart for the same
STAGGER = 17 * 64  # bytes from the page boundary to an array's start, more with each: whole cache lines
TOKENS = {
    "sizes": r"\d+(-\d+)*",
    "data": r"mnist|dense",
    "dtype": r"uint8|float32|float64",
    "batch": r"b\d+",
    "threads": r"t\d+",
}


@dataclass(frozen=True)
class Workload:
    """Widths of the layers, the data set, the dtype, samples a batch and threads; None where not named."""

    sizes: tuple[int, ...] | None
    data: str | None
    dtype: np.dtype | None
    batch: int | None
    threads: int

    @property
    def scale(self):
        """Factor that brings the inputs to 0..1."""
        return 1 / 255 if self.data == "mnist" else 1.0


def parse(name):
    """Workload of a name such as `784-128-10 mnist float32 b128 t1`; what is not needed is left out.

    Raises
    ------
    ValueError
        A word of the name has no meaning, or the threads are missing.
    """
    found = dict.fromkeys(TOKENS)
    for word in name.split():
        kind = next((kind for kind, pattern in TOKENS.items() if re.fullmatch(pattern, word)), None)
        if kind is None:
            raise ValueError(f"workload {name!r}: {word!r} is none of {', '.join(TOKENS)}")
        found[kind] = word
    if found["threads"] is None:
        raise ValueError(f"workload {name!r} names no threads: add t1 or t2")
    return Workload(
        sizes=found["sizes"] and tuple(map(int, found["sizes"].split("-"))),
        data=found["data"],
        dtype=found["dtype"] and np.dtype(found["dtype"]),
        batch=found["batch"] and int(found["batch"][1:]),
        threads=int(found["threads"][1:]),
    )


def begin(name):
    """Workload of a name, with its threads in use, and one of the BLAS under NumPy.

    More of these spin on after a product and disturb whatever is timed next. An environment variable would
    come too late: asv has imported NumPy before it imports a benchmark.

    Raises
    ------
    RuntimeError
        The BLAS keeps more threads.
    """
    threadpool_limits(1, user_api="blas")
    for library in threadpool_info():
        if library["user_api"] == "blas" and library["num_threads"] != 1:
            raise RuntimeError(
                f"{library['internal_api']} keeps {library['num_threads']} threads, expected 1"
            )
    workload = parse(name)
    fastmlp.set_num_threads(workload.threads)
    return workload


def back_end(ops):
    """Module of the operations: `kernels` or `reference`."""
    return importlib.import_module(f"fastmlp.{ops}")


def operation(ops, name):
    """Operation of a back end.

    Raises
    ------
    NotImplementedError
        This commit has none of that name, which asv notes as skipped.
    """
    found = getattr(back_end(ops), name, None)
    if found is None:
        raise NotImplementedError(f"fastmlp.{ops} has no {name} in this commit")
    return found


def require_options(function, *names):
    """Raise NotImplementedError, which asv notes as skipped, where a function lacks an argument."""
    missing = set(names) - set(inspect.signature(function).parameters)
    if missing:
        raise NotImplementedError(f"{function.__name__} has no {', '.join(sorted(missing))} in this commit")


def place(dtype, *shapes):
    """Arrays of NaN that lie in every process alike: where they lie may cost a third of the time."""
    strides = [-(-math.prod(shape) * dtype.itemsize // PAGE) * PAGE + STAGGER for shape in shapes]
    memory = np.empty(sum(strides) + PAGE, np.uint8)
    start = -memory.ctypes.data % PAGE
    arrays = []
    for shape, stride in zip(shapes, strides, strict=True):
        size = math.prod(shape) * dtype.itemsize
        arrays.append(memory[start : start + size].view(dtype).reshape(shape))
        arrays[-1][...] = np.nan
        start += stride
    return arrays


def normal(dtype, *shapes):
    """Arrays of normal numbers of float32, the same in either dtype, placed alike."""
    rng = np.random.default_rng(0)
    arrays = place(dtype, *shapes)
    for array in arrays:
        array[...] = rng.standard_normal(array.shape).astype(np.float32)
    return arrays


@functools.cache
def samples(data, rows, width):
    """Inputs (rows, width) and labels (rows,): digits, or random numbers none of which is 0."""
    if data == "mnist":
        X, y, *_ = fastmlp.load_mnist()
        return X[:rows], y[:rows]
    rng = np.random.default_rng(0)
    return 1 - rng.random((rows, width), dtype=np.float32), rng.integers(0, 10, rows)


def make_loader(workload, rows=None):
    """Shuffled loader of so many rows, or of an epoch; it has looked at its data, in whatever commit."""
    rows = rows or BATCHES * workload.batch
    X, y = samples(workload.data, rows, workload.sizes[0])
    loader = fastmlp.DataLoader(X, y, workload.batch, shuffle=True, seed=0)
    assert loader.facts.finite and loader.masks is not None
    return loader


def make_model(workload, ops, dtype=None):
    """Model with the initial weights of seed 0, in the workload's dtype where no other is given."""
    require_options(fastmlp.MLP, "scale", "dtype", "ops")
    dtype = dtype or workload.dtype
    # rounded to the workload's dtype, so that a model in float64 multiplies by the same number
    scale = float(workload.dtype.type(workload.scale))
    return fastmlp.MLP(workload.sizes, seed=0, scale=scale, dtype=dtype, ops=back_end(ops))
