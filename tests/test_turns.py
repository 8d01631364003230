"""Turns with a model: what is read while another thread trains is never half of a step."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from fastmlp import MLP, DataLoader, train_epoch
from fastmlp.turns import Turns

READERS = {
    "get_weights": lambda model: model.get_weights(),
    "state": lambda model: model.get_state()["weights"],
    "logits": lambda model: [model.logits(np.eye(20))],
    "pickle": lambda model: model.__getstate__()["state"]["weights"],
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("by", ["epochs", "weights"])
def test_snapshots_are_those_between_two_calls(reader, by):
    model = MLP((20, 300, 300, 10), seed=0)
    loader = DataLoader(np.random.default_rng(0).random((512, 20)), np.arange(512) % 10, 64)
    first = model.get_weights()
    train_epoch(model, loader, lr=0.5)
    second = model.get_weights()
    allowed = {}
    for weights in (first, second):
        model.set_weights(weights)
        allowed[digest(reader(model))] = weights
    assert len(allowed) == 2
    ended, seen = threading.Event(), []

    def train():
        try:
            for _ in range(200):
                model.set_weights(first)
                if by == "epochs":
                    train_epoch(model, loader, lr=0.5)
                else:
                    model.set_weights(second)
        finally:
            ended.set()

    thread = threading.Thread(target=train)
    thread.start()
    while not ended.is_set():
        seen.append(digest(reader(model)))
    thread.join()
    assert seen and set(seen) <= {*allowed}


def digest(arrays):
    return b"".join(array.tobytes() for array in arrays)


def test_one_call_trains_at_a_time():
    turns = Turns()
    with (
        turns,
        pytest.raises(RuntimeError, match="being trained by another call; train a copy, or wait"),
        turns,
    ):
        pass
    with turns:
        pass
    assert turns.read(lambda: 7) == 7


def test_a_reader_waits_for_a_call_and_reads_again_after_one():
    turns, value, looks = Turns(), [0], []

    def train():
        with turns:
            value[0] = 1
            time.sleep(0.05)
            value[0] = 2

    def get():
        looks.append(value[0])
        if len(looks) == 1 and not turns._turn:  # a call begins and ends while this one reads
            with turns:
                pass
        return value[0]

    thread = threading.Thread(target=train)
    thread.start()
    while not value[0]:
        pass
    assert turns.read(get) == 2 and looks == [2]  # in a turn of its own
    thread.join()
    looks.clear()
    assert turns.read(get) == 2 and looks == [2, 2]


def test_training_waits_for_a_reader_that_has_the_turn():
    turns, order = Turns(), []

    def get():
        order.append("reads")
        time.sleep(0.05)
        order.append("has read")

    with turns:
        reader = threading.Thread(target=turns.read, args=(get,))
        reader.start()
        time.sleep(0.05)
        assert not order
    while not order:
        pass
    with turns:
        order.append("trains")
    reader.join()
    assert order == ["reads", "has read", "trains"]


def test_an_interrupt_of_the_beginning_leaves_nobody_in():
    class Interrupting(dict):
        def setdefault(self, key, value):
            super().setdefault(key, value)
            raise KeyboardInterrupt

    turns = Turns()
    turns._turn = Interrupting()
    with pytest.raises(KeyboardInterrupt), turns:
        pass
    assert not turns._turn


def test_who_trains_does_not_wait_for_itself():
    turns = Turns()
    with turns, pytest.raises(RuntimeError, match="being trained by another call"):
        turns.read(lambda: 7)
    assert turns.read(lambda: 7) == 7


def test_readers_do_not_wait_for_each_other():
    turns, both = Turns(), threading.Barrier(2, timeout=20)
    threads = [threading.Thread(target=turns.read, args=(both.wait,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python's own, of a fork beside threads
@pytest.mark.parametrize("left", ["trains", "reads", "nothing"])
def test_a_fork_leaves_no_turn_that_nobody_ends(left):
    turns, entered, end = Turns(), threading.Event(), threading.Event()

    def stay():
        entered.set()
        end.wait()

    def train():
        with turns:
            stay()

    calls = {"trains": train, "reads": lambda: turns.read(stay), "nothing": stay}
    thread = threading.Thread(target=calls[left])
    if left == "reads":
        with turns:
            thread.start()
            time.sleep(0.05)  # it comes while this trains, and so takes a turn of its own
    else:
        thread.start()
    entered.wait()
    child = os.fork()
    if not child:
        signal.alarm(60)  # it ends, whatever it waits for
        os._exit(outcome_of(turns))
    end.set()
    thread.join()
    expected = 1 if left == "trains" else 0
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == expected
    assert outcome_of(turns) == 0


def outcome_of(turns):
    """0 where a model can be read and trained, 1 where it says that a fork has cut a step in two."""
    refused = 0
    for action in (lambda: turns.read(int), turns.__enter__, lambda: turns.read(int)):
        try:
            action()
            if action == turns.__enter__:
                turns.__exit__()
        except RuntimeError as error:
            refused += "was forked while another thread trained" in str(error)
    return {0: 0, 3: 1}[refused]
