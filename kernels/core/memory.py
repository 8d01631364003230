"""Where everything lies in a model's arena: the plan, and the matrices that it means in compiled code."""

import numpy as np

from .jit import kernel
from .machine import MOST_THREADS
from .matrix import Matrix, Panels, cast, offset
from .simd import VECTOR_BYTES, lanes
from .sparsity import BLOCK, BLOCK_ROW, FEATURES, SAMPLES, WORD, indices_row
from .tile import WIDE

# A layer's record. Offsets and row lengths count elements of the model's dtype.
_FIELDS = """n_in n_out w w_row b x x_row y y_row dy column_groups group_stride losses panels panel_size
    gradients gradients_size activation z output drop squares
    shifted row_indices feature_indices feature_indices_row sample_indices sample_indices_row widest"""
# Of hidden layers, by their number in a record.
ACTIVATIONS = ("identity", "relu", "tanh", "logistic", "leaky_relu", "selu", "silu", "gelu", "mish")
KEEP_Z = ("silu", "gelu", "mish")  # whose derivative needs z, which is kept for it
# Of the last layer, each with its loss, by their number in its record.
OUTPUTS = ("softmax", "logistic", "identity", "exp")
LAYER = np.dtype([(name, np.int64) for name in _FIELDS.split()])

# Cache lines of a row of w's panels, at least where there are several; groups of threads that share out its
# columns, at most.
LINES_OF_A_PANEL, MOST_GROUPS = 4, 8
LINE = 64  # bytes of a cache line, and of the widest vector: rows start on such boundaries
# Rows of a panel of w.T, as wide as a tile: 128 KiB at most.
PANEL_ROWS = 512
# Rows and vectors of a block of a weight gradient: whole tiles of 6 and of 4 rows, in the L1 cache with their
# weights, and with what is kept of them, until they are stepped.
GRADIENT_ROWS, GRADIENT_VECTORS = 24, 5
# Rows are shared out in multiples of this: whole groups that share their indices.
SHARE_UNIT = 8


def drop_threshold(rate):
    """Whole number of 2**32 that a rate of dropout comes to."""
    return round(rate * 2**32)


def plan(sizes, batch_size, dtype, activations=None, output="softmax", dropout=(0.0, 0.0), centered=False):
    """Lay out parameters and workspaces of a multilayer perceptron in one array.

    Rows are padded to an odd number of cache lines, so that their columns spread over all sets of the cache.
    Those of wide w lie in panels of 4 to 8 lines, one behind the other: processors fetch lines beside those
    that they are asked for, and would fetch what another one writes. Pads are zero when the arena is made and
    stay so.

    Parameters
    ----------
    sizes : widths, from the input to the classes
    batch_size : rows of the workspaces
    dtype : float32 or float64
    activations : a name for each hidden layer, of ACTIVATIONS; None for relu in all
    output : of the last layer, of OUTPUTS
    dropout : rates of the input and of hidden layers, from 0 to below 1
    centered : whether training may shift the input

    Returns
    -------
    table : (n_layers,) records of int64, fields:
        n_in, n_out                            widths
        w, w_row, b                            parameters; they come first and do not depend on batch_size;
                                               w in panels of w_row columns, one behind the other
        x, x_row, y, y_row, dy                 rows of a batch; x is y of the layer below; dy has rows as y
        activation, z                          place in ACTIVATIONS; rows as y: z where that is kept, and with
                                               dropout what the derivative is taken from; else y
        output                                 place in OUTPUTS, the same in every record
        widest                                 the longest of all x_row and y_row, the same in every record
        drop                                   of 2**32, the share of x that dropout takes
        column_groups                          parts that columns may be shared out in, to groups of threads
        group_stride                           from one group's data of a batch to the next one's: x of the
                                               first layer, row_indices, feature_indices and sample_indices
        row_indices                            int64, where the rows of a batch are found
        feature_indices, feature_indices_row   int32, a row a group of samples, as `sparsity` has them
        sample_indices, sample_indices_row     int32, a row a group of features
        losses                                 batch_size float64
        squares                                float64, a sum of squares of w for each SHARE_UNIT rows of
                                               each panel
        panels, panel_size                     room for a transposed panel of w, one for each thread
        shifted                                room for the first layer's biases where the input is shifted, a
                                               row of y_row for each thread
        gradients, gradients_size              room for a block of a weight gradient, one for each thread and
                                               layer, since threads are not in the same layer at once;
                                               behind a block y_row more in the first, if centered
        All but widths, activation, output, drop and column_groups are offsets in the arena and, `_row` and
        such, distances.
    size : elements of the arena, which must start on a 64-byte boundary

    Twin: `fastmlp.reference.plan`.
    """
    itemsize = np.dtype(dtype).itemsize
    unit = LINE // itemsize
    table = np.zeros(len(sizes) - 1, LAYER)
    size = 0

    def take(elements, of=itemsize):
        nonlocal size
        start, size = size, size - (-int(elements) * of // LINE) * unit
        return start

    def row_of(width):
        return (-(-width // unit) | 1) * unit

    def panel_of(width):
        lines, panels = -(-width // unit), 1
        while lines >= 2 * LINES_OF_A_PANEL * panels:
            panels *= 2
        return -(-lines // panels) * unit if panels > 1 else row_of(width)

    def groups_of(width):
        lines, groups = -(-width // unit), 1
        while groups < MOST_GROUPS:
            # each lists for itself what is not zero: where groups are uneven, they pay if they are wide only
            uneven = lines % (2 * groups) > 0
            if lines < 2 * groups * LINES_OF_A_PANEL * (1 + uneven):
                break
            groups *= 2
        return groups

    for layer, n_in, n_out in zip(table, sizes[:-1], sizes[1:], strict=True):
        row = panel_of(n_out)
        layer["n_in"], layer["n_out"], layer["column_groups"] = n_in, n_out, groups_of(n_out)
        layer["x_row"], layer["w_row"], layer["y_row"] = row_of(n_in), row, row_of(n_out)
        layer["w"], layer["b"] = take(-(-n_out // row) * n_in * row), take(n_out)
    table["widest"] = max(map(row_of, sizes))
    table["column_groups"][-1] = 1  # the loss needs whole rows
    kinds = ["relu"] * (len(table) - 1) if activations is None else activations
    table["activation"][:-1] = [ACTIVATIONS.index(name) for name in kinds]
    table["output"] = OUTPUTS.index(output)
    n_words = -(-sizes[0] // WORD)
    table["feature_indices_row"] = -(-n_words // BLOCK) * BLOCK_ROW
    table["sample_indices_row"] = indices_row(batch_size)
    first, begin = table[0], size
    first["x"] = take(batch_size * first["x_row"])
    table["row_indices"] = take(batch_size, 8)
    table["feature_indices"] = take(-(-batch_size // SAMPLES) * first["feature_indices_row"], 4)
    table["sample_indices"] = take(n_words * WORD // FEATURES * first["sample_indices_row"], 4)
    table["group_stride"] = size - begin
    take((first["column_groups"] - 1) * first["group_stride"])
    for layer in table:
        layer["squares"] = take(
            -(-int(layer["n_in"]) // SHARE_UNIT) * -(-layer["n_out"] // layer["w_row"]), 8
        )
    table["losses"] = take(batch_size, 8)
    shares = min(-(-batch_size // SHARE_UNIT), MOST_THREADS) if centered else 0
    table["shifted"] = take(shares * first["y_row"])
    table["drop"] = drop_threshold(dropout[1])
    table["drop"][0] = drop_threshold(dropout[0])
    drops = [*table["drop"][1:], 0]
    for layer, dropped in zip(table, drops, strict=True):
        layer["y"], layer["dy"] = take(batch_size * layer["y_row"]), take(batch_size * layer["y_row"])
        keeps_z = ACTIVATIONS[layer["activation"]] in KEEP_Z or dropped
        layer["z"] = take(batch_size * layer["y_row"]) if keeps_z else layer["y"]
    table["x"][1:] = table["y"][:-1]
    table["panel_size"] = WIDE * unit * min(PANEL_ROWS, max(map(row_of, sizes[2:]), default=0))
    table["panels"] = take(min(-(-batch_size // SHARE_UNIT), MOST_THREADS) * first["panel_size"])
    table["gradients_size"] = GRADIENT_ROWS * GRADIENT_VECTORS * unit
    table["gradients_size"][0] += first["y_row"] if centered else 0
    for layer in table:
        # of biases first, one a group of columns: another thread may have the weights of the same rows
        shares = -(-int(layer["n_in"]) // SHARE_UNIT) * layer["column_groups"]
        rooms = layer["column_groups"] + min(shares, MOST_THREADS)
        layer["gradients"] = take(rooms * layer["gradients_size"])
    return table, size


def sharing_units(table, batch_size):
    """Parts that a forward pass may be shared out in: rows of a batch, times groups of columns."""
    return -(-batch_size // SHARE_UNIT) * int(table["column_groups"].max())


# --- inside compiled code: all that may know how these lie -----------------------------------------------


@kernel
def column_group(layer, thread, n_threads):
    """The group of threads that shares this thread's columns; the thread's number in it, and its size."""
    groups = 1
    while groups < layer.column_groups and n_threads % (2 * groups) == 0:
        groups *= 2
    return thread % groups, thread // groups, n_threads // groups


@kernel
def columns_of(memory, layer, group, n_groups):
    """First column of a group, and how many it has: whole cache lines, and so full vectors of any width."""
    line = LINE // VECTOR_BYTES * lanes(memory)
    lines = (layer.n_out + line - 1) // line
    first, end = (2 * lines * group // n_groups + 1) // 2, (2 * lines * (group + 1) // n_groups + 1) // 2
    return first * line, (end - first) * line


@kernel
def n_panels(layer):
    """Panels that w lies in."""
    return (layer.n_out + layer.w_row - 1) // layer.w_row


@kernel
def n_units(layer):
    """Units of rows that w is shared out in."""
    return (layer.n_in + SHARE_UNIT - 1) // SHARE_UNIT


@kernel
def weights(memory, layer):
    """Panels of w, (n_in, n_out)."""
    return Panels(offset(memory, layer.w), layer.w_row, layer.n_in * layer.w_row, 0)


@kernel
def biases(memory, layer):
    """Matrix of b, every row the same."""
    return Matrix(offset(memory, layer.b), 0, 1)


@kernel
def shifted_biases(memory, layer, share):
    """Matrix of a thread's room for b, every row the same."""
    return Matrix(offset(memory, layer.shifted + share * layer.y_row), 0, 1)


@kernel
def inputs(memory, layer):
    """Matrix of x, (batch, n_in)."""
    return Matrix(offset(memory, layer.x), layer.x_row, 1)


@kernel
def outputs(memory, layer):
    """Matrix of y, (batch, n_out)."""
    return Matrix(offset(memory, layer.y), layer.y_row, 1)


@kernel
def pre_activations(memory, layer):
    """Matrix of z where it is kept, else of y."""
    return Matrix(offset(memory, layer.z), layer.y_row, 1)


@kernel
def output_gradients(memory, layer):
    """Matrix of dy, (batch, n_out)."""
    return Matrix(offset(memory, layer.dy), layer.y_row, 1)


@kernel
def squares(memory, layer):
    """Pointer to the sums of squares of w."""
    return cast(offset(memory, layer.squares), np.float64)


@kernel
def gradient_room(memory, layer, share):
    """Pointer to room for a block of a weight gradient."""
    return offset(memory, layer.gradients + share * layer.gradients_size)


@kernel
def behind_gradient(room, layer):
    """Pointer to room for sums of dy, in that of a centered first layer."""
    return offset(room, layer.gradients_size - layer.y_row)


@kernel
def feature_indices(memory, layer):
    """Matrix of the features that are live in each group of samples."""
    return Matrix(cast(offset(memory, layer.feature_indices), np.int32), layer.feature_indices_row, 1)


@kernel
def sample_indices(memory, layer):
    """Matrix of the samples that are live in each group of features."""
    return Matrix(cast(offset(memory, layer.sample_indices), np.int32), layer.sample_indices_row, 1)
