"""All layers forward for any number of rows, in chunks."""

import numpy as np

from .core import threads
from .core.gather import byte_values, data_rows, fill_values, gather_row, lies_ready
from .core.jit import entry
from .core.memory import LINE
from .core.simd import address, aligned, at, below, convert, rows_of
from .core.sparsity import BLOCK, BLOCK_ROW, SAMPLES, WORD, count_visits, list_features
from .linear import forward_rows, listed_forward_rows
from .scan import mask_row

CHUNK = 64  # rows at once: enough to use a panel of w often while it is in the cache
SKIP_BELOW = 0.75  # share of the features that a group of rows may visit for a list to pay, as measured


def infer(arena, table, x, scale, logits):
    """Logits of every row of x; the bits of a row do not depend on the rows beside it.

    Parameters
    ----------
    arena : float32 or float64 (size,)    parameters, only read; layout as `plan` says
    table : int64 (n_layers, columns)     of `plan`
    x : (n, n_in)                         uint8, float32 or float64, any strides; zeros are skipped
    scale : scalar                        factor of x, in the arena's dtype
    logits : output                       (n, n_classes) in the arena's dtype, rows contiguous

    Each member of the team makes its own workspaces, so that several threads may call at once.

    Twin: `fastmlp.reference.infer`.
    """
    threads.share_out(_infer, len(x) * int(table[0]["x"]), arena, table, x, scale, logits)


@entry("logits")
def _infer(arena, table, x, scale, logits, sync, member, members):
    memory = address(arena, 0, 0)
    n_layers, size = table.shape[0], min(CHUNK, x.shape[0])
    row = max(table[0].x_row, table["y_row"].max())
    space = np.empty(2 * size * row + LINE, arena.dtype)
    workspaces = aligned(address(space, 0, 0)), row
    masks = np.empty((size, (x.shape[1] + WORD - 1) // WORD), np.uint64)
    n_blocks = (masks.shape[1] + BLOCK - 1) // BLOCK
    lists = np.empty(((size + SAMPLES - 1) // SAMPLES, n_blocks * BLOCK_ROW), np.int32)
    samples = np.arange(size)
    picks = address(samples, 0, 0), byte_values(scale)
    fill_values(picks[1], scale)
    ready = lies_ready(x, workspaces[0], scale)
    for begin in range(member * CHUNK, x.shape[0], members * CHUNK):
        rows = min(CHUNK, x.shape[0] - begin)
        here, there = workspaces, below(workspaces, size)
        data = data_rows(x, scale, here)
        if ready:
            data = below(data, begin)
        for r in range(rows):
            if not ready:
                gather_row(x, begin + r, scale, below(data, r)[0])
            mask_row(x, begin + r, rows_of(masks, r)[0], masks.shape[1])
        groups = (rows + SAMPLES - 1) // SAMPLES
        skip = count_visits(masks, samples, 0, rows) < SKIP_BELOW * groups * table[0].n_in
        for index in range(n_layers):
            layer = table[index]
            last = index == n_layers - 1
            floor = convert(-np.inf if last else 0.0, scale)
            w, b = (at(memory, layer.w), layer.w_row), at(memory, layer.b)
            target = rows_of(logits, begin) if last else there
            if index == 0 and skip:
                here_lists, list_row = rows_of(lists, 0)
                list_features(masks, samples, 0, rows, here_lists, list_row)
                listed_forward_rows(
                    data, w, b, target, here_lists, list_row, n_blocks, rows, layer.n_out, floor, picks
                )
            elif index == 0:
                forward_rows(data, w, b, target, rows, layer.n_in, layer.n_out, floor, picks)
            else:
                forward_rows(here, w, b, target, rows, layer.n_in, layer.n_out, floor, ())
            here, there = there, here
    return space.size + samples.size  # their last use: after it Numba frees the arrays
