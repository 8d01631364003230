"""A fork while another thread compiles: the child compiles too, and waits for nobody."""

import os

import pytest
from trees import python

FORKS = """
import os, signal, sys, threading, time, warnings
import numpy as np
from numba.core.compiler_lock import global_compiler_lock
from llvmlite.binding import ffi
from fastmlp import MLP
from fastmlp.kernels.core import jit

warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of a fork beside threads
entered = threading.Event()

def train(dtype):
    MLP((3, 2), seed=0, dtype=dtype).forward(np.ones((1, 3)), [0])

def hold():
    if sys.argv[1] == "compiles":
        entered.set()
        return train(np.float32)
    with {"ours": jit._compiling, "numba": global_compiler_lock, "llvm": ffi.lib._lock}[sys.argv[1]]:
        entered.set()
        time.sleep(0.3)

thread = threading.Thread(target=hold)
thread.start()
entered.wait()
time.sleep(0.05)
child = os.fork()
if not child:
    signal.alarm(60)  # it ends, whatever it waits for
    train(np.float64)
    os._exit(0)
thread.join()
assert os.waitpid(child, 0)[1] == 0
for dtype in (np.float32, np.float64):  # nothing is held here either
    thread = threading.Thread(target=train, args=(dtype,), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
print("alive")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("holds", ["ours", "numba", "llvm", "compiles"])
def test_a_child_of_a_fork_compiles_whatever_another_thread_held(holds, tmp_path):
    child = python("-c", FORKS, holds, cache=tmp_path if holds == "compiles" else None)
    assert (child.returncode, child.stdout) == (0, "alive\n"), child.stderr
