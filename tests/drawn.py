"""What Hypothesis draws for a kernel: a shape, a dtype, layouts, threads and a kind of numbers."""

import itertools
import tempfile
from typing import Any, NamedTuple

import numpy as np
from bounds import MARGIN, PAD, flushed, framed
from hypothesis import strategies as st

KINDS = "normal", "whole", "sparse", "equal", "far", "tiny", "not finite"
# of an array whose rows are contiguous; the last two are of inputs alone
ROWS = "packed", "apart", "backwards", "every other row", "read-only", "memory map"
# of one that may lie anyhow
ANYHOW = *ROWS, "Fortran", "both backwards", "every third column", "broadcast"
# at tiles, vectors and blocks, and beside them
LONG = 31, 32, 33, 63, 64, 65, 127, 129, 255, 256, 257, 511, 513, 1023, 1025


def packed(values, margin=np.nan):
    """Copy of `values` without gaps, in the middle of a row of margin."""
    buffer = np.full(values.size + 2 * PAD, margin, values.dtype)
    view = buffer[PAD : PAD + values.size].reshape(values.shape)
    view[...] = values
    return view


def mapped(values):
    """Memory map of a file that holds `values`."""
    with tempfile.TemporaryFile() as file:
        file.write(values.tobytes())
        file.flush()
        return np.memmap(file, values.dtype, "r", shape=values.shape)


def placed(values, layout, margin=np.nan):
    """Copy of `values`, which has rows, in a layout, margin all around."""
    margin = 0 if values.dtype.kind in "iu" else margin
    if layout == "apart":
        return framed(values, None, margin)
    if layout == "backwards":
        return framed(values[::-1], None, margin)[::-1]
    if layout in ("every other row", "every third column"):
        down, across = (2, 1) if layout == "every other row" else (1, 3)
        room = np.full((down * len(values), across * values.shape[1]), margin, values.dtype)
        wide = framed(room, None, margin)[::down, ::across]
        wide[...] = values
        return wide
    if layout == "Fortran":
        return packed(values.T, margin).T
    if layout == "both backwards":
        return framed(values[::-1, ::-1], None, margin)[::-1, ::-1]
    if layout == "broadcast":  # a row that is there once, which changes the values
        return np.broadcast_to(packed(values[:1], margin), values.shape)
    if layout == "memory map":
        return mapped(values)
    array = packed(values, margin)
    array.flags.writeable = layout != "read-only"
    return array


class Case(NamedTuple):
    shape: tuple[int, int, int]
    dtype: Any
    layouts: list[int]
    threads: int
    kind: str
    seed: int


@st.composite
def cases(draw):
    shape = [draw(st.integers(1, 20)) for _ in range(3)]
    long = draw(st.none() | st.tuples(st.integers(0, 2), st.sampled_from(LONG)))
    if long:
        shape[long[0]] = long[1]
    return Case(
        tuple(shape),
        draw(st.sampled_from([np.float32, np.float64])),
        draw(st.lists(st.integers(0, 59), min_size=4, max_size=4)),
        draw(st.integers(1, 3)),
        draw(st.sampled_from(KINDS)),
        draw(st.integers(0, 2**32 - 1)),
    )


def without_denormals(array):
    """Give what compiled code takes a number for: one below the smallest normal one for 0."""
    return np.where(np.abs(array) < flushed(array.dtype), 0, array).astype(array.dtype)


class Trial:
    """A case's arrays: drawn, laid out, and looked at afterwards."""

    def __init__(self, case):
        self.case, self.dtype, self.shape, self.kind = case, np.dtype(case.dtype), case.shape, case.kind
        self.rng, self._layouts = np.random.default_rng(case.seed), itertools.cycle(case.layouts)
        self._inputs, self._outputs = [], []

    def values(self, *shape, kind=None):
        """Numbers of the case's kind, in its dtype."""
        rng, kind, plain = self.rng, kind or self.kind, self.rng.standard_normal(shape)
        if kind in ("whole", "not finite"):
            plain = rng.integers(-3, 4, shape).astype(float)
        if kind == "not finite":
            plain = np.where(rng.random(shape) < 0.05, rng.choice([np.nan, np.inf, -np.inf], shape), plain)
        elif kind == "sparse":
            plain = plain * (rng.random(shape) < 0.3)
        elif kind == "equal":
            plain = np.full(shape, rng.standard_normal())
        elif kind == "far":
            plain = plain * 10.0 ** rng.integers(-15, 15, shape)
        elif kind == "tiny":
            plain = plain * flushed(self.dtype) * 2.0 ** rng.integers(-4, 4, shape)
        return plain.astype(self.dtype)

    def input(self, values, layouts=ROWS):
        """Lay an array out that must stay as it is."""
        array = self._placed(values, layouts, np.nan)
        self._inputs.append((array, array.copy()))
        return array

    def given(self, *shape, kind=None):
        """Draw an input."""
        return self.input(self.values(*shape, kind=kind))

    def output(self, *shape, values=None, dtype=None):
        """Lay an array out that is to be written: of NaN, or of values that are changed in place."""
        values = np.full(shape, np.nan, dtype or self.dtype) if values is None else values
        array = self._placed(values, ROWS[:4], MARGIN)
        self._outputs.append(array)
        return array

    def _placed(self, values, layouts, margin):
        layout = layouts[next(self._layouts) % len(layouts)]
        if values.ndim == 1:  # always contiguous
            layout = layout if layout in ("read-only", "memory map") else "packed"
        return placed(values, layout, margin)

    def assert_nothing_else_changed(self):
        """Inputs hold what they held, and nothing was written beside outputs."""
        for array, kept in self._inputs:
            assert array.tobytes() == kept.tobytes()
        for output in self._outputs:
            base, kept = output.base, output.copy()
            output[...] = MARGIN
            assert np.all(base == MARGIN)
            output[...] = kept


def doubled(*arrays):
    """Copies in float64, of what compiled code takes the numbers for."""
    return [without_denormals(array).astype(np.float64) for array in arrays]


def assert_alike(got, expected, bound):
    """Within the bound where that is finite, and the same NaN and infinities elsewhere."""
    got, bound = np.asarray(got, np.float64), np.broadcast_to(bound, np.shape(expected))
    real = np.isfinite(expected)
    excess = np.abs(got[real] - expected[real]) - bound[real]
    assert np.all(excess <= 0), (
        f"{np.count_nonzero(~(excess <= 0))} elements off, the worst by {excess.max()}"
    )
    np.testing.assert_array_equal(got[~real], expected[~real])
