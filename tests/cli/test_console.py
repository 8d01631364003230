"""The clock of a run, and what is said while it goes."""

import re

from fastmlp.cli.console import Clock, say


def test_a_clock_adds_up_its_parts_in_the_order_of_their_beginning():
    clock = Clock()
    with clock.part("reading"):
        pass
    for seconds in (1.5, 2.0):
        clock.add("training", seconds)
    assert [*clock.parts] == ["reading", "training"] and clock.parts["training"] == 3.5
    assert re.fullmatch(r"Time: reading 0\.00 s, training 3\.50 s; \d+\.\d\d s in all", str(clock))


def test_lines_go_where_they_are_sent(capsys):
    import sys

    say("out")
    say(1, sys.stderr)
    assert capsys.readouterr() == ("out\n", "1\n")
