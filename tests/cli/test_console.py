"""The clock of a run, and what is said while it goes."""

import ctypes
import os
import re
import signal
import sys
import threading
import time

import pytest

from fastmlp.cli.console import Clock, Interrupts, say


def test_a_clock_adds_up_its_parts_in_the_order_of_their_beginning():
    clock = Clock()
    with clock.part("reading"):
        pass
    for seconds in (1.5, 2.0):
        clock.add("training", seconds)
    assert [*clock.parts] == ["reading", "training"] and clock.parts["training"] == 3.5
    assert re.fullmatch(r"Time: reading 0\.00 s, training 3\.50 s; \d+\.\d\d s in all", str(clock))


def test_lines_go_where_they_are_sent(capsys):
    say("out")
    say(1, sys.stderr)
    assert capsys.readouterr() == ("out\n", "1\n")


def press():
    """Press Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_ctrl_c_cuts_and_others_wait():
    before, done = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), Interrupts(may_cut=True) as interrupts:
        with pytest.raises(KeyboardInterrupt):
            press()
        assert not interrupts.may_cut
        press()
        done.append("saved")
    assert done == ["saved"] and signal.getsignal(signal.SIGINT) is before
    with Interrupts(may_cut=True), pytest.raises(KeyboardInterrupt):
        press()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt), Interrupts():
        press()
        done.append("drawn")
    assert done == ["saved", "drawn"]


def test_a_ctrl_c_that_a_callback_from_c_drops_comes_again():
    shown = sys.unraisablehook
    callback = ctypes.CFUNCTYPE(None)(press)
    with Interrupts(may_cut=True), pytest.raises(KeyboardInterrupt):
        callback()
        for _ in range(1000):
            time.sleep(0.01)
    assert sys.unraisablehook is shown


def test_an_error_is_not_hidden_by_a_ctrl_c_that_waits():
    with pytest.raises(ValueError, match="disk"), Interrupts():
        press()
        raise ValueError("disk")


def test_another_thread_than_the_main_one_hears_nothing_of_it():
    ended = []

    def work():
        with Interrupts(may_cut=True):
            ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended
