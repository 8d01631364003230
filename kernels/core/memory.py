"""Where everything lies in a model's arena."""

import numpy as np

from .sparsity import BLOCK, BLOCK_ROW, FEATURES, SAMPLES, WORD, list_row

# A layer's record in the table. Offsets and row lengths count elements of the model's dtype.
LAYER = np.dtype(
    [
        (name, np.int64)
        for name in (
            "n_in n_out w w_row b x x_row y y_row dy teams copy losses "
            "numbers feature_lists features_row sample_lists samples_row"
        ).split()
    ]
)

# Cache lines of a row that a team has to itself, at least, and teams of a layer, at most.
LINES_OF_A_TEAM, MOST_TEAMS = 4, 8
LINE = 64  # bytes of a cache line, and of the widest vector: rows start on such boundaries


def plan(sizes, batch_size, dtype):
    """Lay out parameters and workspaces of a multilayer perceptron in one array.

    Rows are padded to an odd number of cache lines, so that the rows of a panel spread over all sets of the
    cache. Pads are zero when the arena is made and stay so.

    Parameters
    ----------
    sizes : widths, from the input to the classes
    batch_size : rows of the workspaces
    dtype : float32 or float64

    Returns
    -------
    table : int64 (n_layers, 18): n_in, n_out, w, w_row, b, x, x_row, y, y_row, dy, teams, copy, losses,
        numbers, feature_lists, features_row, sample_lists, samples_row. All but n_in, n_out and teams are
        offsets in the arena and, `_row`, elements from row to row. x of a layer is y of the one below; dy
        has the rows of y; losses is room for batch_size float64. A layer's columns may be shared out among
        `teams` of members. Each team has its own data of a batch, `copy` elements after the one before: x of
        the first layer, the int64 numbers of its rows, and the lists, int32 rows: features live in a group
        of samples, samples live in a group of features. Parameters come first, up to x of the first layer,
        and do not depend on batch_size.
    size : elements of the arena, which must start on a 64-byte boundary

    Twin: `fastmlp.reference.plan`.
    """
    itemsize = np.dtype(dtype).itemsize
    unit = LINE // itemsize
    table = np.zeros(len(sizes) - 1, LAYER)
    size = 0

    def take(elements):
        nonlocal size
        offset, size = size, size + -(-elements // unit) * unit
        return offset

    def teams_of(width):
        lines, teams = -(-width // unit), 1
        while lines % (2 * LINES_OF_A_TEAM * teams) == 0 and teams < MOST_TEAMS:
            teams *= 2
        return teams

    def row_of(width):
        return (-(-width // unit) | 1) * unit

    for layer, (n_in, n_out) in zip(table, zip(sizes, sizes[1:], strict=False), strict=True):
        layer["n_in"], layer["n_out"] = n_in, n_out
        layer["w_row"] = layer["y_row"] = row_of(n_out)
        layer["x_row"] = row_of(n_in)
        layer["w"], layer["b"] = take(int(n_in) * row_of(n_out)), take(n_out)
        layer["teams"] = teams_of(n_out)
    table[-1]["teams"] = 1  # the loss needs whole rows
    x, numbers = take(batch_size * table[0]["x_row"]), take(batch_size * 8 // itemsize)
    n_words = -(-sizes[0] // WORD)
    features_row, samples_row = -(-n_words // BLOCK) * BLOCK_ROW, list_row(batch_size)
    feature_lists = take(-(-batch_size // SAMPLES) * features_row * 4 // itemsize)
    sample_lists = take(n_words * WORD // FEATURES * samples_row * 4 // itemsize)
    table[0]["copy"] = size - x
    take((table[0]["teams"] - 1) * table[0]["copy"])
    losses = take(batch_size * 8 // itemsize)
    for layer in table:
        layer["x"], layer["y"], layer["dy"] = (
            x,
            take(batch_size * layer["y_row"]),
            take(batch_size * layer["y_row"]),
        )
        layer["losses"], layer["numbers"] = losses, numbers
        layer["feature_lists"], layer["features_row"] = feature_lists, features_row
        layer["sample_lists"], layer["samples_row"] = sample_lists, samples_row
        x = layer["y"]
    return table, int(size)
