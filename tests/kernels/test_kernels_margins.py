"""Every kernel writes its outputs and nothing round them, and nothing round any array gets into a result."""

import math

import numpy as np
import pytest
from arenas import panels_of, without_pads
from bounds import PAD
from optimizing import numbers

from fastmlp import kernels

SHAPES = [(1, 1, 1), (3, 5, 7), (8, 16, 32), (9, 17, 33), (35, 70, 10), (11, 13, 113)]  # batch, n_in, n_out
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NAN = b"\xff"  # of which, repeated, every float is NaN
OTHER = b"\x41"  # and another margin, of numbers
_LINE = 64


class Written:
    """An array that a kernel writes; it holds NaN before, or values."""

    def __init__(self, shape, dtype, values=None, aligned=False):
        values = np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0) if values is None else values
        self.array, self.aligned = values.astype(dtype), aligned


def surrounded(array, margin, aligned=False):
    """A copy in the middle of a buffer of one byte, and that buffer."""
    shape, lanes = [n + 2 * PAD for n in array.shape], _LINE // array.itemsize
    if aligned:
        shape[-1] = -(-(array.shape[-1] + 4 * lanes) // lanes) * lanes
    buffer = np.frombuffer(bytearray(margin * (math.prod(shape) * array.itemsize)), array.dtype).reshape(
        shape
    )
    firsts = [PAD] * array.ndim
    if aligned:
        firsts[-1] = 2 * lanes - buffer.ctypes.data % _LINE // array.itemsize
    view = buffer[tuple(slice(first, first + n) for first, n in zip(firsts, array.shape, strict=True))]
    view[...] = array
    return view, buffer


class Drawn:
    """What kernels are called with."""

    def __init__(self, batch, n_in, n_out, dtype):
        rng, self.dtype, self.shape = np.random.default_rng([batch, n_in, n_out]), dtype, (batch, n_in, n_out)

        def draw(*shape):
            return rng.standard_normal(shape).astype(dtype)

        self.x, self.w, self.b, self.y, self.z = (
            draw(*shape) for shape in ((batch, n_in), (n_in, n_out), (n_out,), (batch, n_out), (batch, n_out))
        )
        self.labels, self.shares = rng.integers(n_out, size=batch), rng.random((batch, n_out))
        self.weights, self.few = rng.random(batch), rng.integers(0, 3, (batch, n_in)).astype(dtype)

    def out(self, *axes, dtype=None):
        return Written([self.shape[i] for i in axes], dtype or self.dtype)

    def changed(self, values):
        return Written(None, self.dtype, values)

    def steps(self):
        return self.changed(self.w), self.w[::-1].copy()

    def masks(self):
        return Written((self.shape[0], -(-self.shape[1] // 64)), np.uint64)

    def losses(self):
        return self.out(0, 1 + 1), self.out(0, dtype=np.float64), self.weights

    def network(self):
        """An arena and its table for two layers, with a single kept row in its layout."""
        batch, n_in, n_out = self.shape
        table, size = kernels.plan((n_in, n_out, n_out), batch, self.dtype)
        arena, rng = np.zeros(size, self.dtype), np.random.default_rng(0)
        for n, n_columns, *place in table[["n_in", "n_out", "w", "w_row"]].tolist():
            for panel in without_pads(panels_of(arena, n, n_columns, *place), n_columns):
                panel[...] = rng.standard_normal(panel.shape)
        return Written(None, self.dtype, arena, aligned=True), table

    def epoch(self):
        (arena, table), scale = self.network(), self.dtype(0.5)
        batch, (masks, codes) = self.shape[0], (np.empty((0, 0), np.uint64), np.empty(0, self.dtype))
        kept = Written(None, self.dtype, np.zeros((1, len(arena.array))), aligned=True)
        data = self.x, self.labels, self.weights, np.arange(batch), max(1, batch // 2)
        n = -(-batch // data[-1])
        of_step = numbers(0.1, n, 2, "momentum")
        outputs = Written(n, np.float64), Written(n, np.float64)
        return arena, table, kept, *data, *of_step, scale, codes, masks, np.zeros(1, np.int64), *outputs

    def inference(self):
        arena, table = self.network()
        return arena, table, self.x, self.dtype(0.5), np.empty(0, self.dtype), self.out(0, 2)


def half_gradients(d):
    return d.out(0, 1), d.out(1, 2), d.out(2)


CALLS = {
    "adam_step": lambda d: (
        *d.steps(), d.changed(d.w), d.changed(d.w**2), 0.1, 0.9, 0.999, 1e-8, 3),
    "add_outer": lambda d: (d.changed(d.w), d.x[0].copy(), d.b),
    "byte_codes": lambda d: (
        d.few, d.masks(), d.out(0, 1, dtype=np.uint8), Written(256, d.dtype, np.zeros(256))),
    "dropout": lambda d: (d.x, d.out(0, 1), 0.5, 1, 2, 3),
    "ema_step": lambda d: (*d.steps(), 0.9),
    "infer": lambda d: d.inference(),
    "linear_activation_backward": lambda d: (
        d.x, d.w, d.y, d.z, d.changed(d.y[::-1]), "gelu", *half_gradients(d)),
    "linear_activation_forward": lambda d: (d.x, d.w, d.b, "gelu", d.out(0, 2), d.out(0, 2)),
    "linear_backward": lambda d: (d.x, d.w, d.y, *half_gradients(d)),
    "linear_forward": lambda d: (d.x, d.w, d.b, d.out(0, 2)),
    "linear_relu_backward": lambda d: (d.x, d.w, d.y, d.changed(d.z), *half_gradients(d)),
    "linear_relu_forward": lambda d: (d.x, d.w, d.b, d.out(0, 2)),
    "logistic_cross_entropy": lambda d: (d.z, d.shares, *d.losses()),
    "momentum_step": lambda d: (*d.steps(), d.changed(d.w), 0.1, 0.9),
    "poisson_deviance": lambda d: (d.z, d.shares, *d.losses()),
    "sgd_step": lambda d: (*d.steps(), 0.1),
    "softmax_cross_entropy": lambda d: (d.z, d.labels, *d.losses()),
    "squared_error": lambda d: (d.z, d.shares, *d.losses()),
    "train_epoch": lambda d: d.epoch(),
    "zero_masks": lambda d: (d.few, d.masks()),
}  # fmt: skip


def call(name, arguments, margin):
    """Call a kernel with every array of numbers in a buffer of its own; the bits of what it has written."""
    given, framed = [], []
    for argument in arguments:
        is_written = isinstance(argument, Written)
        array = argument.array if is_written else argument
        if not isinstance(array, np.ndarray) or array.dtype.names or not array.size:
            given.append(array)
            continue
        view, buffer = surrounded(array, margin, is_written and argument.aligned)
        given.append(view)
        framed.append((view, buffer, is_written, array))
    getattr(kernels, name)(*given)
    found = []
    for view, buffer, is_written, before in framed:
        found.append(view.tobytes())
        assert is_written or found[-1] == before.tobytes(), "an input has changed"
        view[...] = np.frombuffer(margin * view.itemsize, view.dtype)[0]
        assert not buffer.tobytes().strip(margin), "a margin is touched"
    return found


def test_every_kernel_that_writes_arrays_is_tried():
    assert CALLS.keys() == set(kernels.__all__) - {"plan", "scan"}  # which make what they give


@DTYPES
@pytest.mark.parametrize("name", CALLS)
def test_margins_stay_and_stay_out(name, dtype, threads):
    for n in (1, 3):
        threads(n)
        for shape in SHAPES:
            arguments = CALLS[name](Drawn(*shape, dtype))
            assert call(name, arguments, NAN) == call(name, arguments, OTHER), (shape, n)


@pytest.mark.parametrize("name", ["linear_forward", "dropout", "zero_masks", "squared_error"])
def test_an_output_that_is_too_small_shows(name):
    arguments = list(CALLS[name](Drawn(9, 65, 33, np.float32)))
    place = next(i for i, argument in enumerate(arguments) if isinstance(argument, Written))
    arguments[place].array = arguments[place].array[:-1]
    with pytest.raises(AssertionError, match="a margin is touched"):
        call(name, arguments, NAN)
