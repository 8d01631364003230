"""All layers forward for any number of rows, in chunks."""

import numpy as np

from .activations import RELU, activate
from .core import machine, memory, threads
from .core.gather import byte_values, data_rows, fill_values, gather_row, gathered, in_place
from .core.jit import entry
from .core.matrix import Matrix, address, aligned, row_of, rows_of, submatrix
from .core.simd import convert
from .core.sparsity import BLOCK, BLOCK_ROW, SAMPLES, WORD, count_visits, index_features
from .linear import forward_rows, indexed_forward_rows
from .scan import mask_row

CHUNK = 64  # rows at once: enough to use a panel of w often while it is in the cache
_SAMPLES = np.arange(CHUNK, dtype=np.int64)
# Share of the features that a group of rows may visit for indices to be used; auto: to pay, as measured.
SKIP_BELOW = {"off": 0.0, "auto": 0.75, "on": np.inf}


def infer(arena, table, x, scale, shift, logits):
    """Logits of every row of x; the bits of a row do not depend on the rows beside it, but for a zero's sign.

    Parameters
    ----------
    arena : float32 or float64 (size,)    parameters, only read; layout as `plan` says
    table : records (n_layers,)           of `plan`
    x : (n, n_in)                         uint8, float32 or float64, any strides; zeros are skipped, unless
                                          FASTMLP_SKIP_ZEROS says otherwise
    scale : scalar                        factor of x, in the arena's dtype
    shift : (n_in,) or (0,)               added to x * scale, in the arena's dtype, contiguous, as
                                          `train_epoch` does
    logits : output                       (n, n_classes) in the arena's dtype, rows contiguous

    Each call makes its own workspaces, so that several threads may call at once.

    Twin: `fastmlp.reference.infer`.
    """
    n_chunks = -(-len(x) // CHUNK)
    n_threads = 1
    if n_chunks > 1:
        n_threads = min(n_chunks, threads.thread_count(len(x) * int(table[0]["x"])))
    size, n_words = min(CHUNK, len(x)), -(-x.shape[1] // WORD)
    n_groups, n_blocks = -(-size // SAMPLES), -(-n_words // BLOCK)
    rooms = (
        np.empty((n_threads, (2 * size + 1) * int(table[0]["widest"]) + memory.LINE), arena.dtype),
        np.empty((n_threads * size, n_words), np.uint64),
        np.empty((n_threads * n_groups, n_blocks * BLOCK_ROW), np.int32),
    )
    args = arena, table, x, scale, shift, logits, _SAMPLES, *rooms, SKIP_BELOW[machine.skip_zeros()]
    threads.parallel(_infer, n_threads, *args)


@entry("logits", "space", "masks", "indices")
def _infer(
    arena, table, x, scale, shift, logits, samples, space, masks, indices, skip_below, sync, thread, n_threads
):
    parameters = address(arena, 0, 0)
    n_layers, size, n_in = table.shape[0], min(CHUNK, x.shape[0]), table[0].n_in
    row = table[0].widest
    workspaces = Matrix(aligned(address(space, thread, 0)), row, 1)
    first_biases = memory.biases(parameters, table[0])
    if shift.size:
        w, b, lowest = memory.weights(parameters, table[0]), first_biases, convert(-np.inf, scale)
        first_biases = Matrix(submatrix(workspaces, 2 * size, 0).pointer, 0, 1)
        row_of_shift = Matrix(address(shift, 0, 0), 0, 1)
        forward_rows(row_of_shift, w, b, first_biases, 1, n_in, table[0].n_out, lowest)
    own_masks = masks[thread * size : (thread + 1) * size]
    n_blocks = (masks.shape[1] + BLOCK - 1) // BLOCK
    own_indices = rows_of(indices, thread * ((size + SAMPLES - 1) // SAMPLES))
    values = byte_values(scale)
    fill_values(values, arena[:0], scale, convert(1.0, scale))
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
            mask_row(x, begin + r, rows_of(own_masks, r).pointer, masks.shape[1])
        first = gathered(data, address(samples, 0, 0), values)
        groups = (rows + SAMPLES - 1) // SAMPLES
        skip = count_visits(own_masks, samples, 0, rows) < skip_below * groups * n_in
        for index in range(n_layers):
            layer, last = table[index], index == n_layers - 1
            lower = convert(0.0 if layer.activation == RELU else -np.inf, scale)
            w, b = memory.weights(parameters, layer), memory.biases(parameters, layer)
            b = b if index else first_biases
            y = rows_of(logits, begin) if last else there
            if index == 0 and skip:
                index_features(own_masks, samples, 0, rows, own_indices)
                indexed_forward_rows(first, w, b, y, own_indices, n_blocks, rows, layer.n_out, lower)
            elif index == 0:
                forward_rows(first, w, b, y, rows, n_in, layer.n_out, lower)
            else:
                forward_rows(here, w, b, y, rows, layer.n_in, layer.n_out, lower)
            if layer.activation > RELU:
                activate(layer.activation, y, y, rows, layer.n_out)
            here, there = there, here
