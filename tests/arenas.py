"""A network in an arena, as the epoch and inference take it, and its pieces as arrays."""

from typing import NamedTuple

import numpy as np
from optimizing import NO_WEIGHTS, nothing_kept, numbers

from fastmlp import kernels

FIELDS = "n_in n_out w w_row b x x_row y y_row dy".split()
NO_MASKS = np.empty((0, 0), np.uint64)


class Layer(NamedTuple):
    panels: list  # of w, views of columns side by side
    b: np.ndarray
    x: np.ndarray
    y: np.ndarray
    dy: np.ndarray

    @property
    def w(self):
        """Plain copy of all panels."""
        return np.concatenate(self.panels, axis=1)


def panels_of(block, n_in, n_out, w, w_row):
    """View the panels of w, each (n_in, w_row): pads included."""
    n_panels = -(-n_out // w_row)
    return [*block[w : w + n_panels * n_in * w_row].reshape(n_panels, n_in, w_row)]


def without_pads(panels, n_out):
    """View what a row of n_out numbers has in each panel."""
    return [panel[:, : n_out - place * panel.shape[1]] for place, panel in enumerate(panels)]


def views(arena, table, rows):
    """Cut the arena into its layers, with whole rows: pads included, save that of b."""

    def matrix(offset, n, ld):
        return arena[offset : offset + n * ld].reshape(n, ld)

    return [
        Layer(
            panels_of(arena, n_in, n_out, w, w_row),
            arena[b : b + n_out],
            matrix(x, rows, x_ld),
            matrix(y, rows, y_ld),
            matrix(dy, rows, y_ld),
        )
        for n_in, n_out, w, w_row, b, x, x_ld, y, y_ld, dy in table[FIELDS].tolist()
    ]


class Network:
    """Random parameters, workspaces that hold NaN, and NaN all around the arena."""

    def __init__(self, sizes, batch_size, dtype=np.float32, seed=0, ops=kernels, centered=False):
        self.table, size = ops.plan(sizes, batch_size, dtype, centered=centered)
        self.batch_size, self.dtype, self.ops = batch_size, np.dtype(dtype), ops
        room = 128 // self.dtype.itemsize
        self.buffer = np.full(size + 2 * room, np.nan, dtype)
        first = room - self.buffer.ctypes.data % 64 // self.dtype.itemsize
        self.arena = self.buffer[first : first + size]
        self.arena[:] = 0  # pads are zero when an arena is made
        rng = np.random.default_rng(seed)
        for layer in self.layers():
            n_in, b, workspaces = len(layer.panels[0]), layer.b, layer[2:]
            drawn = rng.standard_normal((n_in, len(b))) * np.sqrt(2 / n_in)
            ends = np.cumsum([panel.shape[1] for panel in layer.panels])
            for panel, columns in zip(layer.panels, np.split(drawn, ends[:-1], axis=1), strict=True):
                panel[:] = columns
            b[:] = rng.standard_normal(b.shape) / 4
            for workspace in workspaces:
                workspace[:] = np.nan

    def layers(self, rows=None):
        """Views of every layer, without pads."""
        whole = views(self.arena, self.table, self.batch_size if rows is None else rows)
        for layer, (n_in, n_out) in zip(whole, self.table[["n_in", "n_out"]].tolist(), strict=True):
            yield Layer(
                without_pads(layer.panels, n_out),
                layer.b,
                layer.x[:, :n_in],
                layer.y[:, :n_out],
                layer.dy[:, :n_out],
            )

    def parameters(self):
        """Copy of all weights and biases, in one row."""
        return np.concatenate([a.ravel() for layer in self.layers() for a in (layer.w, layer.b)])

    def train(self, x, labels, order=None, lr=0.05, scale=1.0, masks=NO_MASKS, stop=None, shift=()):
        """Train one epoch; return the batches completed and the losses."""
        order = np.arange(len(x)) if order is None else order
        losses = np.full(-(-len(order) // self.batch_size), np.nan)
        stop = np.zeros(1, np.int64) if stop is None else stop
        scalar = self.dtype.type
        of_step = numbers(lr, len(losses), len(self.table))
        data, rest = (
            (x, labels, NO_WEIGHTS, order, self.batch_size),
            (scalar(scale), self.shift(shift), masks, stop, losses),
        )
        kept = nothing_kept(self.dtype)
        done = self.ops.train_epoch(self.arena, self.table, kept, *data, *of_step, *rest)
        return done, losses

    def shift(self, numbers):
        return np.array(numbers, self.dtype)

    def infer(self, x, scale=1.0, shift=()):
        logits = np.full((len(x), self.table[-1]["n_out"]), np.nan, self.dtype)
        self.ops.infer(self.arena, self.table, x, self.dtype.type(scale), self.shift(shift), logits)
        return logits


def draw(n, sizes, seed=0, kind="integers"):
    """Pixels, most of them zero, and labels."""
    rng = np.random.default_rng([seed, n])
    x = (rng.integers(0, 256, (n, sizes[0])) * (rng.random((n, sizes[0])) < 0.4)).astype(np.uint8)
    labels = rng.integers(sizes[-1], size=n) if kind == "integers" else rng.dirichlet(np.ones(sizes[-1]), n)
    return x, labels
