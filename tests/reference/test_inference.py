"""The reference's inference."""

import numpy as np
from problems import make_problem

from fastmlp import reference


def test_inference_only_reads_the_arena():
    arena, table, x, _ = make_problem((5, 4, 3), 7)
    arena.flags.writeable = False
    logits = np.empty((7, 3))
    reference.infer(arena, table, x, 0.5, np.empty(0), logits)
    w1, b1, w2, b2 = arena[:20].reshape(5, 4), arena[20:24], arena[24:36].reshape(4, 3), arena[36:39]
    assert np.allclose(logits, np.maximum(0.5 * x @ w1 + b1, 0) @ w2 + b2, rtol=1e-14)
