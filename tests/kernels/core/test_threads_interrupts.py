"""Ctrl-C on any line of what starts and ends threads; threads that fail, stall or have little stack."""

import _thread
import time

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from trees import copy_tree, edit, python

from fastmlp import set_num_threads
from fastmlp.kernels.core import threads
from fastmlp.kernels.core.jit import entry

INTERRUPTED = """
import hashlib, sys, threading
import numpy as np
from fastmlp import MLP, DataLoader, kernels, set_num_threads
from fastmlp.kernels.core import threads

threads.CALL_WORK = 1
set_num_threads(2)
rng = np.random.default_rng(0)
X, y = rng.random((96, 20), dtype=np.float32), rng.integers(0, 3, 96)
loader = DataLoader(X, y, 8)
model = MLP((20, 16, 3), seed=0)
start = model.get_weights()

def digest():
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()

after_batches = [digest()]
for X_batch, y_batch in loader:
    model.forward(X_batch, y_batch)
    model.backward()
    model.step(0.1)
    after_batches.append(digest())

def epoch():
    model.run_epoch(loader, np.arange(96), 0.1, np.zeros(12))

def product():
    rows, w = np.ones((70, 300), np.float32), np.ones((300, 65), np.float32)
    y = np.empty((70, 65), np.float32)
    kernels.linear_forward(rows, w, np.zeros(65, np.float32), y)
    assert (y == 300).all()

def interrupted_on_line(k, action):
    '''Whether the action has that many lines of threads.py; Ctrl-C comes before the k-th.'''
    left = k

    def trace(frame, event, argument):
        nonlocal left
        if frame.f_code.co_filename != threads.__file__:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return left <= 0

for action in (epoch, product):
    action()
    k = 0
    while True:
        k += 1
        model.set_weights(start)
        reached = interrupted_on_line(k, action)
        assert digest() in after_batches, (action, k)
        assert all(region.ended for region in threads._parked._line), (action, k)
        model.set_weights(start)
        epoch()
        assert digest() == after_batches[-1], (action, k)
        product()
        if not reached:
            break
    print(action.__name__, k, flush=True)
"""


def test_an_interrupt_on_any_line_leaves_whole_batches_and_threads_that_work(tmp_path):
    child = python("-X", "faulthandler", "-c", INTERRUPTED)
    assert child.returncode == 0, child.stdout + child.stderr
    lines = dict(line.split() for line in child.stdout.splitlines())
    assert int(lines["epoch"]) > 20 and int(lines["product"]) > 20


@entry("rounds")
def _fail_in_one(rounds, failing, sync, thread, n_threads):
    for i in range(1000):
        if thread == failing and i == 7:
            raise ValueError("a thread failed")
        if not threads.barrier(sync, n_threads):
            return i
        rounds[thread] = i
    return 1000


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("own", [True, False], ids=["own threads", "parked threads"])
def test_a_thread_that_fails_ends_the_region_for_all(failing, own):
    rounds = np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="a thread failed"):
        if own:
            threads.parallel_epoch(_fail_in_one, 3, np.zeros(1, np.int64), rounds, failing)
        else:
            threads.parallel(_fail_in_one, 3, rounds, failing)
    assert rounds.max() <= 7
    never = threads.parallel_epoch(_fail_in_one, 3, np.zeros(1, np.int64), rounds, -1)
    assert never == 1000 and rounds.tolist() == [999] * 3


def test_threads_that_cannot_be_started_are_an_error_and_leave_nothing(monkeypatch):
    def refuse(function, arguments):
        if arguments[0] == 2:
            raise RuntimeError("can't start new thread")
        start(function, arguments)

    start = threads.start_new_thread
    monkeypatch.setattr(threads, "start_new_thread", refuse)
    rounds = np.zeros(3, np.int64)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        threads.parallel_epoch(_fail_in_one, 3, np.zeros(1, np.int64), rounds, -1)
    assert rounds.tolist() == [0] * 3


LITTLE_STACK = """
import threading
import numpy as np
from fastmlp import MLP, fit, set_num_threads
threading.stack_size(32768)
set_num_threads(2)
rng = np.random.default_rng(0)
X, y = rng.random((512, 700)), rng.integers(0, 10, 512)
for dtype in (np.float32, np.float64):
    model = MLP((700, 520, 600, 10), seed=0, dtype=dtype)
    fit(model, X, y, epochs=1, batch_size=64, progress=False)
    model.forward(X, y)
    model.backward()
    model.step(0.01)
    model.predict(X)
print("trained")
"""


def test_threads_with_little_stack_train():
    child = python("-X", "faulthandler", "-c", LITTLE_STACK)
    assert (child.returncode, child.stdout) == (0, "trained\n"), child.stderr


# --- stalls ----------------------------------------------------------------------------------------------


@entry()
def _keep_waiting(waits, sync, thread, n_threads):
    if thread:
        begin = threads.cycles()
        while threads.cycles() - begin < waits[0]:
            pass
    threads.barrier(sync, n_threads)


@pytest.mark.parametrize(("patience", "stalls"), [(10**6, 1), (10**12, 0)])
def test_a_wait_is_a_stall_only_beyond_what_a_batch_takes(patience, stalls, monkeypatch):
    sync = np.zeros(32, np.int64)
    sync[threads.PATIENCE] = patience
    monkeypatch.setattr(threads, "_new_sync", lambda: sync)
    stop = np.zeros(1, np.int64)
    threads.parallel_epoch(_keep_waiting, 2, stop, np.array([200_000_000]))
    assert sync[threads.STALLS] == stalls


def test_an_epoch_is_as_patient_as_its_quickest_batch(monkeypatch):
    from arenas import Network, draw

    sync = np.zeros(32, np.int64)
    monkeypatch.setattr(threads, "_new_sync", lambda: sync)
    set_num_threads(2)
    try:
        x, labels = draw(80, (20, 40, 3))
        Network((20, 40, 3), 8).train(x, labels)
    finally:
        set_num_threads(None)
    quickest = sync[threads.PATIENCE] - threads.STALL_CYCLES
    assert 0 < quickest < 10**10


BY_THE_CLOCK = """
import time
import numpy as np
from fastmlp.kernels.core import threads
from fastmlp.kernels.core.jit import entry

@entry("out")
def read(out):
    out[0] = threads.cycles()

out = np.zeros(1, np.int64)
read(out)
first, start = out[0], time.monotonic_ns()
time.sleep(0.2)
read(out)
print(0.99 < (out[0] - first) / 3 / (time.monotonic_ns() - start) <= 1.2)
"""


@pytest.mark.skipif(not hasattr(time, "CLOCK_MONOTONIC"), reason="there is no such clock")
def test_a_clock_tells_of_cycles_where_none_can_be_read(tmp_path):
    tree = copy_tree(tmp_path)
    edit(tree / "kernels/core/machine.py", 'llvm.get_default_triple().partition("-")[0]', '"riscv64"')
    child = python("-c", BY_THE_CLOCK, tree=tree, cache=tmp_path / "cache")
    assert (child.returncode, child.stdout) == (0, "True\n"), child.stderr


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("x86_64", ["rdtsc", "pause"]),
        ("aarch64", ["clock_gettime", "isb"]),
    ],
)
def test_machine_code_of_cycles_and_pauses(architecture, expected):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.IntType(64), []), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    now = threads.emit_cycles(builder, architecture)
    threads.emit_pause(builder, architecture)
    builder.ret(now)
    module.triple = f"{architecture}-unknown-linux-gnu"
    target = llvm.Target.from_triple(module.triple).create_target_machine()
    text = target.emit_assembly(llvm.parse_assembly(str(module))).lower()
    assert [piece for piece in expected if piece not in text] == []


def test_no_thread_is_left_of_an_epoch():
    before, stop = _thread._count(), np.zeros(1, np.int64)
    for _ in range(20):
        threads.parallel_epoch(_fail_in_one, 3, stop, np.zeros(3, np.int64), -1)
    end = time.perf_counter() + 10
    while _thread._count() > before and time.perf_counter() < end:  # a thread ends a little after its share
        time.sleep(0.01)
    assert _thread._count() <= before
