"""All layers forward for any number of rows, in chunks."""

import numpy as np

from . import _team
from ._gather import gather_row
from ._jit import entry, kernel
from ._lists import GROUP, WORD, count_bits, list_features, list_row
from ._simd import address, at, below, convert, rows_of
from .arena import N_IN, N_OUT, W_ROW, X_ROW, Y_ROW, B, W, multiplications
from .linear import forward_rows, listed_forward_rows
from .scan import mask_row

CHUNK = 64  # rows at once: enough to use a panel of w often while it is in the cache
SKIP_BELOW = 0.6  # share of the features that a group of rows may visit for a list to pay, as measured

_ROWS_OF_A_CHUNK = np.arange(CHUNK)


def infer(arena, table, x, scale, logits):
    """Logits of every row of x; the bits of a row do not depend on the rows beside it.

    Parameters
    ----------
    arena : float32 or float64 (size,)    parameters, only read; layout as `plan` says
    table : int64 (n_layers, columns)     of `plan`
    x : (n, n_in)                         uint8, float32 or float64, any strides; zeros are skipped
    scale : scalar                        factor of x, in the arena's dtype
    logits : output                       (n, n_classes) in the arena's dtype, rows contiguous

    The chunks' workspaces are made here, so that several threads may call at once.

    Twin: `fastmlp.reference.infer`.
    """
    work_to_do = len(x) * multiplications(table)
    members = _team.size(work_to_do, _team.CALL_WORK)
    rows, n_words = min(CHUNK, len(x)), -(-x.shape[1] // WORD)
    widest = max(int(table[0, X_ROW]), int(table[:, Y_ROW].max()))
    work = np.empty((members, 2 * rows, widest), arena.dtype)
    masks = np.empty((members * rows, n_words), np.uint64)
    lists = np.empty((members, -(-rows // GROUP) * list_row.py_func(x.shape[1])), np.int32)
    _team.share_out(
        _infer, work_to_do, arena, table, x, scale, logits, work, masks, lists, _ROWS_OF_A_CHUNK
    )


@entry("logits", "work", "masks", "lists")
def _infer(arena, table, x, scale, logits, work, masks, lists, chunk_rows, sync, member, members):
    memory = address(arena, 0, 0)
    n_layers, n_words = table.shape[0], masks.shape[1]
    size = work.shape[1] // 2
    workspaces = rows_of(work[member], 0)
    my_masks = masks[member * size : (member + 1) * size]
    my_lists, row = address(lists, member, 0), list_row(x.shape[1])
    for begin in range(member * CHUNK, x.shape[0], members * CHUNK):
        rows = min(CHUNK, x.shape[0] - begin)
        here, there = workspaces, below(workspaces, size)
        for r in range(rows):
            gather_row(x, begin + r, scale, below(here, r)[0])
            mask_row(x, begin + r, rows_of(my_masks, r)[0], n_words)
        skip = _lists_pay(my_masks, chunk_rows, rows, table[0, N_IN], my_lists, row)
        for index in range(n_layers):
            layer = table[index]
            last = index == n_layers - 1
            floor = convert(-np.inf if last else 0.0, scale)
            w, b = (at(memory, layer[W]), layer[W_ROW]), at(memory, layer[B])
            target = rows_of(logits, begin) if last else there
            if index == 0 and skip:
                listed_forward_rows(here, w, b, target, my_lists, row, rows, layer[N_OUT], floor)
            else:
                forward_rows(here, w, b, target, rows, layer[N_IN], layer[N_OUT], floor)
            here, there = there, here


@kernel
def _lists_pay(masks, chunk_rows, rows, n_in, lists, row):
    """Make the lists of a chunk, unless there are few zeros; whether they are short enough to use."""
    live = 0
    for r in range(rows):
        for word in range(masks.shape[1]):
            live += count_bits(masks[r, word])
    if live > SKIP_BELOW * rows * n_in:
        return False
    list_features(masks, chunk_rows, 0, rows, lists, row)
    n_groups = (rows + GROUP - 1) // GROUP
    visited = 0
    for group in range(n_groups):
        visited += lists[group * row]
    return visited < SKIP_BELOW * n_groups * n_in
