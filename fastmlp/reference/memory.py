"""Where everything lies in a model's arena."""

from typing import NamedTuple

import numpy as np

from .activations import ACTIVATIONS
from .dropout import drop_threshold
from .losses import OUTPUTS

LAYER = np.dtype(
    [(name, np.int64) for name in "n_in n_out w w_row b x x_row y y_row dy z activation output drop".split()]
)


def plan(sizes, batch_size, dtype, activations=None, output="softmax", dropout=(0.0, 0.0), centered=False):
    """Lay out a model and the workspaces of its training in one array, the arena, packed without gaps.

    Parameters come first, then the input and every layer's output, then the gradients of the outputs, then
    what the activations, relu unless they are given, were applied to. A shift of the input wants no room.

    Returns
    -------
    table : (n_layers,) of `LAYER`   offsets in the arena and, `_row`, elements from row to row
    size : elements of the arena
    """
    widths = np.array(sizes, np.int64)
    n_in, n_out, n = widths[:-1], widths[1:], len(widths) - 1
    parameters = np.column_stack([n_in * n_out, n_out]).ravel()
    workspaces = batch_size * np.concatenate([widths, n_out, n_out])
    offsets = np.cumsum(np.concatenate([[0], parameters, workspaces]))
    w, b = offsets[: 2 * n : 2], offsets[1 : 2 * n : 2]
    x, y = offsets[2 * n : 3 * n], offsets[2 * n + 1 : 3 * n + 1]
    dy, z = offsets[3 * n + 1 : 4 * n + 1], offsets[4 * n + 1 : -1]
    names = ACTIVATIONS.index("relu") if activations is None else list(map(ACTIVATIONS.index, activations))
    table = np.zeros(n, LAYER)
    table["activation"][:-1], table["output"] = names, OUTPUTS.index(output)
    table["drop"] = drop_threshold(dropout[1])
    table["drop"][0] = drop_threshold(dropout[0])
    for name, column in zip(
        LAYER.names[:-3], (n_in, n_out, w, n_out, b, x, n_in, y, n_out, dy, z), strict=True
    ):
        table[name] = column
    return table, int(offsets[-1])


class Layer(NamedTuple):
    """Views of a layer in the arena."""

    w: np.ndarray
    b: np.ndarray
    x: np.ndarray
    y: np.ndarray
    dy: np.ndarray
    z: np.ndarray
    activation: str


def layers(arena, table, batch):
    """View the layers in the arena: their parameters, and the first `batch` rows of their workspaces."""

    def matrix(offset, rows, width, row):
        return arena[offset : offset + rows * row].reshape(rows, row)[:, :width]

    return [
        Layer(
            matrix(w, n_in, n_out, w_row),
            arena[b : b + n_out],
            matrix(x, batch, n_in, x_row),
            matrix(y, batch, n_out, y_row),
            matrix(dy, batch, n_out, y_row),
            matrix(z, batch, n_out, y_row),
            ACTIVATIONS[activation],
        )
        for n_in, n_out, w, w_row, b, x, x_row, y, y_row, dy, z, activation in table[
            list(LAYER.names[:-2])
        ].tolist()
    ]
