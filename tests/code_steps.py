"""A kernel called in a process of its own: what comes out, the functions compiled, and what is said."""

from trees import python

STEP = """
import sys
import numpy as np
from numba.core import event
from fastmlp import kernels
w = np.zeros(3, sys.argv[1] if len(sys.argv) > 1 else "float32")
with event.install_recorder("numba:compile") as compiled:
    kernels.sgd_step(w, np.ones_like(w), 1)
print(w[0], len(compiled.buffer))
"""
LOWER, HIGHER = "fma(splat(-update.rate), g", "fma(splat(update.rate), g"


def step(*dtype, code=STEP, **where):
    """Step of a vector along a gradient of 1 in a new process, the functions compiled, and warnings."""
    return result_of(python("-W", "always", "-c", code, *dtype, **where))


def result_of(child):
    """What a child says that has ended with STEP."""
    assert child.returncode == 0, child.stderr
    value, compiled = child.stdout.split()[-2:]
    return float(value), int(compiled), child.stderr


def code_files(cache):
    """Files of compiled code in a cache."""
    return sorted(cache.rglob("*.code"))
