"""Where a model's numbers lie: parameters, gradients and workspaces, as views into its arena.

Only this file and the plan behind it know how a matrix of weights lies there.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .ops import Operations

_Array = NDArray[Any]

_FIELDS = ("n_in", "n_out", "w", "w_row", "b", "x", "x_row", "y", "y_row", "dy", "z")
_LINE = 64  # bytes; arenas start on a cache line, as the kernels' plan wants
_HUGE_PAGE = 2**21  # bytes; NumPy asks for huge pages in arrays of two of them or more


class Layer(NamedTuple):
    """Views of a layer: its parameters, and its workspaces for a batch."""

    w: _Array  # (n_in, n_out); or its panels, (n_panels, n_in, columns), where the plan has several
    b: _Array  # (n_out,)
    x: _Array  # (batch, n_in); y of the layer before
    y: _Array  # (batch, n_out)
    dy: _Array  # (batch, n_out)
    z: _Array  # (batch, n_out); y itself where z is not kept


class Arena:
    """A model's parameters, all 0 at first, and the workspaces of its training.

    Parameters
    ----------
    ops : whose `plan` says where everything lies
    sizes : widths, from the input to the classes
    dtype : float32 or float64
    activations : a name for each hidden layer; None for relu in all
    output : of the last layer
    dropout : rates of inputs and of hidden units
    centered : whether inputs are

    Attributes
    ----------
    memory : (size,) all of it
    table : `plan`'s, a record a layer
    block : memory's part with the parameters and the pads between them, which are 0
    shapes : of the parameters: [(n_in, n_out), (n_out,), …]
    """

    def __init__(
        self,
        ops: Operations,
        sizes: Sequence[int],
        dtype: np.dtype[Any],
        activations: Sequence[str] | None = None,
        output: str = "softmax",
        dropout: tuple[float, float] = (0.0, 0.0),
        centered: bool = False,
    ) -> None:
        self._plan = lambda n_rows: ops.plan(sizes, n_rows, dtype, activations, output, dropout, centered)
        pairs = zip(sizes, sizes[1:], strict=False)
        self.shapes = [shape for n_in, n_out in pairs for shape in ((n_in, n_out), (n_out,))]
        self._gradients: _Array | None = None  # made when first asked for
        self._n_rows = 0
        self.block = np.zeros(0, dtype)
        self.reserve(1)

    def reserve(self, n_rows: int) -> None:
        """Have workspaces for batches of n_rows; they only grow, and are lost when they do."""
        if n_rows <= self._n_rows:
            return
        table, size = self._plan(n_rows)
        memory = aligned_zeros(size, self.block.dtype)
        block = memory[: int(table[0]["x"])]
        block[: len(self.block)] = self.block
        # whole before it is there, for another thread may predict
        self.memory, self.table, self.block, self._n_rows = memory, table, block, n_rows
        self._places = table[list(_FIELDS)].tolist()

    def layers(self, batch: int) -> list[Layer]:
        """View every layer for a batch of so many rows."""
        memory = self.memory
        return [
            Layer(
                _weights(memory, w, n_in, n_out, w_row),
                memory[b : b + n_out],
                _matrix(memory, x, batch, n_in, x_row),
                _matrix(memory, y, batch, n_out, y_row),
                _matrix(memory, dy, batch, n_out, y_row),
                _matrix(memory, z, batch, n_out, y_row),
            )
            for n_in, n_out, w, w_row, b, x, x_row, y, y_row, dy, z in self._places
        ]

    def gradients(self) -> list[tuple[_Array, _Array]]:
        """View the gradients of w and b of every layer, which lie as those do."""
        if self._gradients is None:
            self._gradients = aligned_zeros(len(self.block), self.block.dtype)
        return self.pairs(self._gradients)

    def pairs(self, block: _Array) -> list[tuple[_Array, _Array]]:
        """View w and b of every layer in a block of such a layout."""
        return [
            (_weights(block, w, n_in, n_out, w_row), block[b : b + n_out])
            for n_in, n_out, w, w_row, b, *_ in self._places
        ]

    def pieces(self, block: _Array) -> list[tuple[list[_Array], list[_Array]]]:
        """View the panels of w, each (n_in, columns), and b of every layer in a block of such a layout."""
        return [
            (_panels(block, w, n_in, n_out, w_row), [block[b : b + n_out]])
            for n_in, n_out, w, w_row, b, *_ in self._places
        ]

    def load(self, inputs: _Array, scale: Any) -> None:
        """Write a batch of inputs, times scale, a number or one a column, to x of the first layer."""
        x, row = self._places[0][5:7]
        target = _matrix(self.memory, x, len(inputs), inputs.shape[1], row)
        np.copyto(target, inputs, casting="same_kind")
        if scale.ndim:
            target *= scale
            return
        # with the pads, because NumPy makes a buffer for rows that are apart
        self.memory[x : x + len(inputs) * row] *= scale

    def read(self, block: _Array) -> list[_Array]:
        """Copy parameters that lie as the arena's do: [W1, b1, W2, b2, …], plain and in C order."""
        return [np.concatenate(parts, axis=-1) for layer in self.pieces(block) for parts in layer]

    def write(self, weights: Iterable[_Array]) -> None:
        """Take over parameters in the order of `read`; pads become 0, where an overflow may have left NaN."""
        block = np.zeros_like(self.block)
        self.fill(block, weights)
        self.block[...] = block

    def fill(self, block: _Array, weights: Iterable[_Array]) -> None:
        """Write parameters in the order of `read` to a block of their layout."""
        targets = [parts for layer in self.pieces(block) for parts in layer]
        for parts, array in zip(targets, weights, strict=True):
            ends = np.cumsum([part.shape[-1] for part in parts])
            for part, piece in zip(parts, np.split(array, ends[:-1], axis=-1), strict=True):
                part[...] = piece


def aligned_zeros(size: int, dtype: np.dtype[Any]) -> _Array:
    """Make zeros that start on a cache line."""
    # a large arena starts on a huge page, where there are such: walking page tables would cost a tenth
    line = _LINE if size * dtype.itemsize < _HUGE_PAGE // 4 else _HUGE_PAGE
    memory = np.zeros(size + 2 * line // dtype.itemsize, dtype)
    first = -memory.ctypes.data % line // dtype.itemsize
    return memory[first : first + size]


def _weights(memory: _Array, offset: int, n_in: int, n_out: int, row: int) -> _Array:
    if n_out <= row:
        return _matrix(memory, offset, n_in, n_out, row)
    n_panels = -(-n_out // row)
    return memory[offset : offset + n_panels * n_in * row].reshape(n_panels, n_in, row)


def _panels(memory: _Array, offset: int, n_in: int, n_out: int, row: int) -> list[_Array]:
    return [
        _matrix(memory, offset + n_in * first, n_in, min(row, n_out - first), row)
        for first in range(0, n_out, row)
    ]


def _matrix(memory: _Array, offset: int, n_rows: int, width: int, row: int) -> _Array:
    return memory[offset : offset + n_rows * row].reshape(n_rows, row)[:, :width]
