"""`fastmlp bench`: its table, its file, and how it tells what is wrong."""

import json
import re

import pytest

from fastmlp import bench
from fastmlp.bench import BenchError, Figure
from fastmlp.cli.bench import HEADING, line, number
from fastmlp.cli.main import main
from fastmlp.kernels.core import machine

FIGURES = (
    Figure("something", 2, 1234.5, "µs", 0.877, 20),
    Figure("something else", None, 3.14159, "GF/s", None, 7),
)


@pytest.fixture
def asked(monkeypatch):
    """Figures that are known at once; what they were asked with."""
    threads = []

    def measure(thread_counts, say):
        threads.extend(thread_counts)
        say("measuring")
        yield from FIGURES

    monkeypatch.setattr(bench, "measure", measure)
    return threads


def test_figures_are_printed_and_written(asked, capsys, tmp_path):
    file = tmp_path / "figures.json"
    assert main(["bench", "--threads", "2", "1", "--json", str(file)]) == 0
    assert asked == [2, 1]
    lines = capsys.readouterr().out.splitlines()
    assert machine.processor() in lines[0]
    assert lines[2:] == [HEADING, *(line(*figure) for figure in FIGURES)]
    report = json.loads(file.read_text(encoding="utf-8"))
    assert [tuple(figure.values()) for figure in report["figures"]] == [*FIGURES]
    assert report["processor"] == machine.processor() and report["vector_bytes"] == machine.vector_bytes()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", report["date"])


def test_a_wrong_result_ends_it_and_no_file_is_written(monkeypatch, capsys, tmp_path):
    def wrong(thread_counts, say):
        yield FIGURES[0]
        raise BenchError("the tile is wrong")

    monkeypatch.setattr(bench, "measure", wrong)
    assert main(["bench", "--json", str(tmp_path / "x.json")]) == 1
    assert capsys.readouterr().err == "fastmlp: error: the tile is wrong\n"
    assert not [*tmp_path.iterdir()]


def test_a_wrong_path_shows_before_anything_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench, "measure", None)
    assert main(["bench", "--json", str(tmp_path / "none" / "x.json")]) == 1
    assert "make it first" in capsys.readouterr().err
    assert main(["bench", "--threads", "0"]) == 2


def test_lines_are_in_columns():
    lines = [line(*figure) for figure in FIGURES]
    assert lines[0].split() == ["something", "2", "1,234", "µs", "87.7", "%", "20"]
    assert lines[1].split() == ["something", "else", "auto", "3.14", "GF/s", "7"]
    for title, texts in {
        "threads": ("2", "auto"),
        "measured": ("1,234", "3.14"),
        "of peak": ("87.7 %",),
        "rounds": ("20", "7"),
    }.items():
        end = HEADING.index(title) + len(title)
        assert all(any(written[:end].endswith(text) for written in lines) for text in texts), title


def test_numbers_have_three_digits():
    assert [number(value) for value in (0.5, 3.14159, 31.4159, 314.159, 31415.9, -2.5)] == [
        "0.50", "3.14", "31.4", "314", "31,416", "-2.50",
    ]  # fmt: skip
