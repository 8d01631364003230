"""Results of the comparison: their file, table and chart, and that the README shows what is committed."""

import pytest
from rival_rows import row, some_results

from asv_benchmarks.rivals import chart, cli, readme, runner, table
from asv_benchmarks.rivals import results as store

EXAMPLE = (
    row("notebook", "fastmlp", 30.0, 2), row("notebook", "fastmlp", 50.0, 1), row("notebook", "jax", 150.0),
    row("dense", "fastmlp", 8.0), row("dense", "jax", 4.0), row("dense", "torch", 12.0),
    row("accuracy", "fastmlp", 200.0), row("accuracy", "jax", 900.0, epochs=[3, 5, 4]),
    row("recipe", "fastmlp", 300.0, scores=[0.98, 0.982, 0.981]), row("recipe", "jax", 1200.0, scores=[0.97]),
    row("predict-1", "fastmlp", 0.005), row("predict-1", "jax", 0.03, compile_s=None),
)  # fmt: skip


def test_the_readme_shows_the_committed_results():
    _, between, _ = readme.split(readme.README)
    assert between == table.render(store.read(store.FILE)), (
        "README.md does not show the results; run python -m asv_benchmarks.rivals --readme"
    )


def test_the_chart_is_of_the_committed_results():
    assert chart.digest_of(chart.FILE) == store.digest(store.read(store.FILE)), (
        "docs/rivals.png is of other results; run python -m asv_benchmarks.rivals --readme"
    )


def test_the_committed_results_have_no_rival_that_computes_something_else():
    results = store.read(store.FILE)
    checked = {check["rival"]: check["largest_differences"] for check in results["checks"]}
    assert {row["rival"] for row in results["rows"]} == {*checked}
    assert max(value for found in checked.values() for value in found.values()) <= runner.CLOSE


def test_the_best_number_of_threads_counts():
    results = some_results(*reversed(EXAMPLE))
    assert store.best_rows(results, "notebook")["fastmlp"]["threads"] == 2
    assert store.ratios(results, "notebook") == {"fastmlp": 1.0, "jax": 5.0}
    assert store.ratios(results, "dense") == {"jax": 0.5, "fastmlp": 1.0, "torch": 1.5}
    assert store.ratios(results, "small") == {}
    assert results["rows"][0]["workload"] == "notebook" and results["rows"][-1]["rival"] == "jax"


def test_the_table_has_every_rival_where_fastmlp_loses_too():
    text = table.render(some_results(*EXAMPLE))
    lines = text.splitlines()
    assert "| fastmlp | 30.0 ms | 8.00 ms | 200 ms | 300 ms | 5.00 µs |" in lines
    assert "| JAX | 5.00 x | 0.50 x | 4.50 x | 4.00 x | 6.00 x |" in lines
    assert "| PyTorch eager | – | 1.50 x | – | – | – |" in lines
    assert "| fastmlp 1.0 | uint8 | 1 | 0.30 | 0 % | 1.00 x | 98.10 % | 0.5 | 0.5 |" in lines
    assert "Not in this race" not in text
    with_sklearn = " ".join(table.render(some_results(*EXAMPLE, row("dense", "sklearn", 9.0))).split())
    assert "Not in this race: scikit-learn (no rates step by step, no smoothing of labels)." in with_sklearn
    assert "| jax 1.0 | 1 | 4 | 0.90 | 0 % | 4.50 x | 0.5 | 0.5 |" in lines
    assert "| jax 1.0 | uint8 | 1 | 320 | 150 | 0 % | 5.00 x | 0.5 | 0.5 | 90.00 % |" in lines
    assert "| jax 1.0 | uint8 | 1 | 30.0 | 0 % | 6.00 x |" in lines
    assert "Medians of 12 epochs" in " ".join(lines) and "2026-01-02" in text and "at 0.3," in text
    assert table.render(store.empty()) == "Nothing has been measured yet."


def test_compiling_is_told_of_the_first_process_and_of_a_later_one():
    """Whatever number of threads turns out to be the fastest."""
    rows = [
        row("accuracy", "fastmlp", 400.0, 1, compile_s=10.25, epochs=[3]),
        row("accuracy", "fastmlp", 200.0, 2, compile_s=0.25, epochs=[3]),
        row("accuracy", "jax", 300.0, 1, compile_s=0.75, epochs=[3]),
        row("dense", "fastmlp", 300.0, 2, compile_s=77.0),
    ]
    results = some_results(*rows)
    found = {
        rival: store.compiling(results, best) for rival, best in store.best_rows(results, "accuracy").items()
    }
    assert found == {"fastmlp": (10.25, 0.25), "jax": (0.75, 0.75)}
    assert "| fastmlp 1.0 | 2 | 3 | 0.20 | 0 % | 1.00 x | 10.2 | 0.2 |" in table.render(results).splitlines()
    assert store.compiling(some_results(*EXAMPLE), row("predict-1", "jax", 0.03)) is None


def test_a_spread_is_half_of_the_distance_between_the_quartiles():
    assert store.spread({"runs_ms": [8.0, 10.0, 14.0, 10.0, 100.0]}) == pytest.approx((14 - 10) / 2 / 10)


def test_the_chart_shows_every_ratio_and_says_whose_it_is(tmp_path):
    results = some_results(*EXAMPLE)
    figure = chart.draw(results)
    panels = [axes for axes in figure.axes if axes.axison]
    texts = [{text.get_text() for text in axes.texts} for axes in panels]
    assert [len(axes.patches) for axes in panels] == [1, 2, 1, 1, 1]
    assert (
        {"30.0 ms an epoch", "5.00×"} <= texts[0] and {"0.50×", "1.50×"} <= texts[1] and "6.00×" in texts[4]
    )
    chart.save(results, tmp_path / "chart.png")
    assert chart.digest_of(tmp_path / "chart.png") == store.digest(results)
    changed = some_results(*EXAMPLE[:-1], row("predict-1", "jax", 0.031))
    assert chart.digest_of(tmp_path / "chart.png") != store.digest(changed)


def test_results_are_read_as_written(tmp_path):
    path = tmp_path / "results.json"
    results = some_results(*EXAMPLE)
    store.write(path, results)
    assert '"runs_ms": [ 30.0, 30.0,' in path.read_text(encoding="utf-8")
    assert store.read(path) == results and store.digest(store.read(path)) == store.digest(results)
    for text, message in (("{", "found no JSON"), ("[]", "found format None"), ('{"format": 9}', "format 9")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            store.read(path)


def test_the_readme_command_measures_nothing_and_fills_the_place(tmp_path, monkeypatch, capsys):
    page, picture, path = tmp_path / "README.md", tmp_path / "rivals.png", tmp_path / "results.json"
    page.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n", encoding="utf-8")
    store.write(path, some_results(*EXAMPLE))
    monkeypatch.setattr(readme, "README", page)
    monkeypatch.setattr(chart, "FILE", picture)
    monkeypatch.setattr(runner, "start", None)
    for _ in range(2):
        assert cli.main(["--readme", "--out", str(path)]) == 0
        before, between, after = readme.split(page)
        assert (before, after) == ("before\n", "\nafter\n") and between == table.render(store.read(path))
    assert chart.digest_of(picture) == store.digest(store.read(path))


@pytest.mark.parametrize(
    "text", ["no markers", readme.BEGIN, readme.END + readme.BEGIN, readme.BEGIN * 2 + readme.END]
)
def test_a_readme_without_its_markers_is_refused(text, tmp_path, monkeypatch, capsys):
    page = tmp_path / "README.md"
    page.write_text(text, encoding="utf-8")
    store.write(tmp_path / "results.json", some_results(*EXAMPLE))
    monkeypatch.setattr(readme, "README", page)
    assert cli.main(["--readme", "--out", str(tmp_path / "results.json")]) == 1
    assert "expected" in capsys.readouterr().err and page.read_text(encoding="utf-8") == text
