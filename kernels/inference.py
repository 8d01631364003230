"""All layers forward for any number of rows, in chunks."""

import numpy as np

from .activations import RELU, activate
from .core import memory, threads
from .core.gather import byte_values, data_rows, fill_values, gather_row, gathered, in_place
from .core.jit import entry
from .core.matrix import Matrix, address, aligned, row_of, rows_of, submatrix
from .core.simd import convert
from .core.sparsity import BLOCK, BLOCK_ROW, SAMPLES, WORD, count_visits, index_features
from .linear import forward_rows, indexed_forward_rows
from .scan import mask_row

CHUNK = 64  # rows at once: enough to use a panel of w often while it is in the cache
SKIP_BELOW = 0.75  # share of the features that a group of rows may visit for indices to pay, as measured


def infer(arena, table, x, scale, shift, logits):
    """Logits of every row of x; the bits of a row do not depend on the rows beside it.

    Parameters
    ----------
    arena : float32 or float64 (size,)    parameters, only read; layout as `plan` says
    table : records (n_layers,)           of `plan`
    x : (n, n_in)                         uint8, float32 or float64, any strides; zeros are skipped
    scale : scalar                        factor of x, in the arena's dtype
    shift : (n_in,) or (0,)               added to x * scale, in the arena's dtype, contiguous, as
                                          `train_epoch` does
    logits : output                       (n, n_classes) in the arena's dtype, rows contiguous

    Each thread makes its own workspaces, so that several threads may call at once.

    Twin: `fastmlp.reference.infer`.
    """
    n_chunks = -(-len(x) // CHUNK)
    n_threads = 1
    if n_chunks > 1:
        n_threads = min(n_chunks, threads.thread_count(len(x) * int(table[0]["x"])))
    threads.parallel(_infer, n_threads, arena, table, x, scale, shift, logits)


@entry("logits", allocates=True)
def _infer(arena, table, x, scale, shift, logits, sync, thread, n_threads):
    parameters = address(arena, 0, 0)
    n_layers, size, n_in = table.shape[0], min(CHUNK, x.shape[0]), table[0].n_in
    row = max(table[0].x_row, table["y_row"].max())
    space = np.empty((2 * size + 1) * row + memory.LINE, arena.dtype)
    workspaces = Matrix(aligned(address(space, 0, 0)), row, 1)
    first_biases = memory.biases(parameters, table[0])
    if shift.size:
        w, b, lowest = memory.weights(parameters, table[0]), first_biases, convert(-np.inf, scale)
        first_biases = Matrix(submatrix(workspaces, 2 * size, 0).pointer, 0, 1)
        row_of_shift = Matrix(address(shift, 0, 0), 0, 1)
        forward_rows(row_of_shift, w, b, first_biases, 1, n_in, table[0].n_out, lowest)
    masks = np.empty((size, (x.shape[1] + WORD - 1) // WORD), np.uint64)
    n_blocks = (masks.shape[1] + BLOCK - 1) // BLOCK
    space_of_indices = np.empty(((size + SAMPLES - 1) // SAMPLES, n_blocks * BLOCK_ROW), np.int32)
    samples, indices, values = np.arange(size), rows_of(space_of_indices, 0), byte_values(scale)
    fill_values(values, scale, convert(1.0, scale))
    ready = in_place(x, workspaces.pointer, scale, False)
    for begin in range(thread * CHUNK, x.shape[0], n_threads * CHUNK):
        rows = min(CHUNK, x.shape[0] - begin)
        here, there = workspaces, submatrix(workspaces, size, 0)
        data = data_rows(x, scale, here, False)
        if ready:
            data = submatrix(data, begin, 0)
        for r in range(rows):
            if not ready:
                gather_row(x, begin + r, scale, row_of(data, r))
            mask_row(x, begin + r, rows_of(masks, r).pointer, masks.shape[1])
        first = gathered(data, address(samples, 0, 0), values)
        groups = (rows + SAMPLES - 1) // SAMPLES
        skip = count_visits(masks, samples, 0, rows) < SKIP_BELOW * groups * n_in
        for index in range(n_layers):
            layer, last = table[index], index == n_layers - 1
            lower = convert(0.0 if layer.activation == RELU else -np.inf, scale)
            w, b = memory.weights(parameters, layer), memory.biases(parameters, layer)
            b = b if index else first_biases
            y = rows_of(logits, begin) if last else there
            if index == 0 and skip:
                index_features(masks, samples, 0, rows, indices)
                indexed_forward_rows(first, w, b, y, indices, n_blocks, rows, layer.n_out, lower)
            elif index == 0:
                forward_rows(first, w, b, y, rows, n_in, layer.n_out, lower)
            else:
                forward_rows(here, w, b, y, rows, layer.n_in, layer.n_out, lower)
            if layer.activation > RELU:
                activate(layer.activation, y, y, rows, layer.n_out)
            here, there = there, here
    return (
        space.size + samples.size + space_of_indices.size
    )  # their last use: after it Numba frees the arrays
