"""All layers forward for any number of rows, in chunks."""

import numpy as np

from . import _team
from ._gather import gather_row
from ._jit import entry
from ._simd import address, at, convert, rows_of
from .linear import forward_rows
from .plan import B, N_IN, N_OUT, W_ROW, X_ROW, Y_ROW, W

CHUNK = 64  # rows at once: enough for every row of a panel of w to be used often while it is in the cache


def infer(arena, table, x, scale, logits):
    """Logits of every row of x; the bits of a row do not depend on the rows beside it.

    Parameters
    ----------
    arena : float32 or float64 (size,)    parameters, only read; layout as `plan` says
    table : int64 (n_layers, columns)     of `plan`
    x : (n, n_in)                         uint8, float32 or float64, any strides
    scale : scalar                        factor of x, in the arena's dtype
    logits : output                       (n, n_classes) in the arena's dtype, rows contiguous

    The chunks' workspaces are made here, so that several threads may call at once.

    Twin: `fastmlp.reference.infer`.
    """
    n_chunks = -(-len(x) // CHUNK)
    members = min(_team.size(), max(1, n_chunks))
    rows = min(CHUNK, len(x))
    widest = max(int(table[0, X_ROW]), int(table[:, Y_ROW].max()))
    work = np.zeros((members, 2, rows, widest), arena.dtype)
    args = arena, table, x, scale, logits, work
    if members == 1:
        _team.share_out(_infer, *args)
    else:
        _team.march(_infer, args, members, np.zeros(1, np.int64))


@entry("logits", "work")
def _infer(arena, table, x, scale, logits, work, sync, member, members):
    memory = address(arena, 0, 0)
    n_layers = table.shape[0]
    row = work.shape[3]
    here = address(work[member, 0], 0, 0), row
    there = address(work[member, 1], 0, 0), row
    for begin in range(member * CHUNK, x.shape[0], members * CHUNK):
        rows = min(CHUNK, x.shape[0] - begin)
        for r in range(rows):
            gather_row(x, begin + r, scale, at(here[0], r * row))
        for index in range(n_layers):
            layer = table[index]
            last = index == n_layers - 1
            floor = convert(-np.inf if last else 0.0, scale)
            w, b = (at(memory, layer[W]), layer[W_ROW]), at(memory, layer[B])
            target = rows_of(logits, begin) if last else there
            forward_rows(here, w, b, target, rows, layer[N_IN], layer[N_OUT], floor)
            here, there = there, here
