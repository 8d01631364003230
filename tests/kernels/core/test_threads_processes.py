"""Processes of every kind train to the same bits, whatever their parent did; and end while threads train."""

import os
import signal
import subprocess
import sys
import time

import pytest
from trees import ROOT, environment

# of the parent: it trained, by threads that have ended; it has parked threads; another thread trains on
STATES = ["", "trained", "parked", "trained parked", "trains"]
METHODS = ["fork", "forkserver", "spawn", "loky"]

PROGRAM = """
import hashlib, multiprocessing, sys, threading, warnings
import numpy as np
from fastmlp import MLP, DataLoader, set_num_threads
from fastmlp.kernels.core import threads

threads.CALL_WORK = 1  # the smallest kernels are shared out too

def train_epochs(epochs=2):
    rng = np.random.default_rng(0)
    X, y = rng.random((512, 40), dtype=np.float32), rng.integers(0, 5, 512)
    model, loader = MLP((40, 64, 5), seed=0), DataLoader(X, y, 64, shuffle=True, seed=0)
    for _ in range(epochs):
        model.run_epoch(loader, loader.next_order(), 0.1, np.zeros(8))
    return model, X, y

def use_parked_threads(model, X, y):
    for _ in range(3):
        model.forward(X, y)
        model.backward()
        model.step(0.1)

def train(n_threads):
    set_num_threads(n_threads)
    model, X, y = train_epochs()
    use_parked_threads(model, X, y)
    arrays = [*model.get_weights(), model.predict_proba(X)]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()

def in_children(method):
    if method == "loky":
        from joblib import Parallel, delayed
        return Parallel(n_jobs=2, backend="loky")(delayed(train)(n) for n in (3, 2, 1))
    with multiprocessing.get_context(method).Pool(2) as workers:
        return workers.map(train, [3, 2, 1])

if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of a fork beside threads
    method, *states = sys.argv[1:]
    set_num_threads(2)
    if "trained" in states:
        train_epochs()
    if "parked" in states:
        use_parked_threads(*train_epochs(0))
    if "trains" in states:
        threading.Thread(target=train_epochs, args=(10**9,), daemon=True).start()
    digests = in_children(method) + in_children(method)
    if "trained" in states:
        use_parked_threads(*train_epochs())  # after a fork the parent has its threads still
    print(len(digests), len({*digests, train(1), train(2)}))
"""


@pytest.mark.parametrize(
    ("method", "states"),
    [
        pytest.param(
            method, state, marks=[] if method == "fork" or state == "trains" else pytest.mark.nightly
        )
        for method in METHODS
        for state in STATES
    ],
)
def test_children_train_to_the_same_bits(tmp_path, method, states):
    if method in ("fork", "forkserver") and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    program = tmp_path / "program.py"  # a file, because fresh processes import it
    program.write_text(PROGRAM)
    assert outcome([str(program), method, *states.split()]) == (0, "6 1\n", "")


def outcome(arguments):
    """Exit status, output and errors of a program; it and all its children are ended after two minutes."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"no end after two minutes: {process.communicate()}")
    return process.returncode, out, err


IMPORTS = """
import sys
import numpy as np
from fastmlp import MLP, fit
from fastmlp.kernels.core import jit

class Recorder:
    def find_spec(self, name, path, target=None):
        if not jit._compiling._is_owned():  # a fork waits for compilations, with all that they import
            print(name)

sys.meta_path.insert(0, Recorder())
X, y = np.ones((8, 3)), np.arange(8) % 2
model = MLP((3, 4, 2), seed=0)
fit(model, X, y, epochs=1, progress=False)
model.predict(X)
model.forward(X, y)
model.backward()
model.step(0.1)
"""


def test_training_imports_nothing_whose_lock_a_fork_may_keep():
    assert outcome(["-c", IMPORTS]) == (0, "", "")


ENDS = """
import sys, threading, time
import numpy as np
from fastmlp import MLP, DataLoader, fit, set_num_threads
from fastmlp.kernels.core import threads

threads.CALL_WORK = 1
set_num_threads(2)
how, seconds = sys.argv[1], float(sys.argv[2])
rng = np.random.default_rng(0)
X, y = rng.random((2000, 40), dtype=np.float32), rng.integers(0, 5, 2000)
started = threading.Event()

def train(epochs):
    fit(MLP((40, 64, 5), seed=0), X, y, epochs=1, progress=False)
    started.set()
    model = MLP((40, 64, 5), seed=0)
    end = time.perf_counter() + epochs
    while time.perf_counter() < end:
        if how == "by steps":
            model.forward(X, y)
            model.backward()
            model.step(0.1)
        else:
            fit(model, X, y, epochs=50, progress=False)

waits = how == "is waited for"
threading.Thread(target=train, args=(0.5 if waits else 1e9,), daemon=not waits).start()
started.wait()
time.sleep(seconds)
if how == "raises":
    raise SystemExit(3)
"""


@pytest.mark.parametrize(
    ("how", "status"), [("returns", 0), ("by steps", 0), ("is waited for", 0), ("raises", 3)]
)
@pytest.mark.parametrize(
    "seconds", [pytest.param(i / 100, marks=pytest.mark.nightly if i else []) for i in range(25)]
)
def test_a_program_ends_while_another_of_its_threads_trains(how, status, seconds):
    start = time.perf_counter()
    assert outcome(["-X", "faulthandler", "-c", ENDS, how, str(seconds)]) == (status, "", "")
    assert time.perf_counter() - start < 60
