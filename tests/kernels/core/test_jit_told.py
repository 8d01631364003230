"""What is said while kernels are compiled: a line on a terminal, where it takes long, and else nothing."""

import io
import time
from types import SimpleNamespace

import numpy as np
import pytest

from fastmlp.kernels.core import jit


class Terminal(io.StringIO):
    def isatty(self):
        return True


def body(x):
    x[0] = 1.0


@pytest.fixture
def compile_slowly(monkeypatch):
    """Return a function that compiles a new kernel, for longer than nothing is said."""
    monkeypatch.setattr(jit, "_has_told", False)
    monkeypatch.setattr(jit, "SECONDS_UNTOLD", 0.05)

    make = jit.callable_kernel

    def compile_slowly(stream, seconds=0.2):
        monkeypatch.setattr(jit, "callable_kernel", make)
        monkeypatch.setattr("sys.stderr", stream)
        slow = SimpleNamespace(compile=lambda signature: time.sleep(seconds), py_func=body, overloads={})
        entry = jit.Entry(body, ("x",))
        monkeypatch.setattr(jit, "callable_kernel", lambda function: slow)
        with pytest.raises(KeyError):  # of this compiler, which makes nothing
            entry.compile(np.zeros(1))

    return compile_slowly


def test_a_terminal_is_told_once(compile_slowly):
    screen = Terminal()
    compile_slowly(screen)
    compile_slowly(screen)
    folder = jit.code_folder()
    assert screen.getvalue() == f"\r\x1b[Kfastmlp compiles for this machine, once; kept in {folder}\n"


def test_a_quick_one_is_not_told_of(compile_slowly):
    screen = Terminal()
    compile_slowly(screen, 0.0)
    time.sleep(0.1)
    assert screen.getvalue() == ""


def test_what_is_no_terminal_is_told_nothing(compile_slowly):
    compile_slowly(stream := io.StringIO())
    compile_slowly(None)
    assert stream.getvalue() == ""
