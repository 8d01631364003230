"""Files from outside are refused as documented, soon and in little memory, whatever they hold.

Every trial is a process of its own, whose memory is looked at when it has read all; `fuzz.py` says which.
"""

import ast
import importlib.util
from pathlib import Path

import pytest
from parsers import PARSERS
from trees import python

FUZZ = Path(__file__).with_name("fuzz.py")
EACH = pytest.mark.parametrize("name", PARSERS)


def read_files(*arguments):
    child = python(FUZZ, *arguments)
    assert child.returncode == 0, child.stderr[-4000:]
    return ast.literal_eval(child.stdout)


@EACH
def test_what_is_made_bad_by_hand_is_refused_in_words(name):
    count = read_files(name, "hand")
    assert count["read"] == 0 and count["refused"] > 15


@EACH
def test_a_file_with_a_bit_flipped_is_refused_or_whole(name):
    count = read_files(name, "flips", 2000)
    assert sum(count.values()) == 2000 and count["refused"] > 200
    assert name != "checkpoints" or count["read"] == 0  # they have a digest


@EACH
def test_files_that_mutate_are_refused_or_whole(name):
    count = read_files(name, "mutants", 2000)
    assert sum(count.values()) == 2000 and count["read"] > 0 < count["refused"]


@pytest.mark.nightly
@EACH
def test_many_files_that_mutate_are_refused_or_whole(name):
    print(name, read_files(name, "mutants", 50000))


def follow(name, seconds):
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed")
    child = python(FUZZ, name, "atheris", seconds)
    assert child.returncode == 0 and "Done " in child.stderr, child.stderr[-4000:]
    print(name, child.stderr.splitlines()[-1])


@EACH
def test_files_that_follow_the_code_are_refused_or_whole(name):
    follow(name, 10)


@pytest.mark.nightly
@EACH
def test_files_that_follow_the_code_for_a_minute_are_refused_or_whole(name):
    follow(name, 60)
