"""The results as Markdown, for the README and for the end of a run."""

import textwrap
from collections.abc import Iterable, Sequence
from statistics import median

from fastmlp.cli.bench import number
from fastmlp.cli.recipe import EPOCHS

from . import results as store
from .registry import ENTRIES, OWN
from .results import Results, Row
from .workloads import HELD_BACK, TARGET, WORKLOADS, Workload

COLUMNS = {
    "notebook": "MNIST, 784-128-10, batch 128",
    "dense": "dense, 784-128-10",
    "wide-512": "dense, 784-512-512-10",
    "wide-1024": "dense, 784-1024-1024-10, batch 256",
    "small": "MNIST, 784-32-10, batch 32",
    "accuracy": f"to {100 * TARGET:.0f} %",
    "recipe": "98 % recipe",
    "predict-1": "class of 1 digit",
    "predict-10000": "classes of 10,000",
}
SPREAD, COMPILING = "±", ("compiling, s", "again, s")


def render(results: Results) -> str:
    """Everything between the README's markers; without a heading, as the section has one."""
    if not results["rows"]:
        return "Nothing has been measured yet."
    parts = [introduction(results), "![How many times as long as fastmlp each rival takes](docs/rivals.png)"]
    parts.append(overview(results))
    if store.best_rows(results, "accuracy"):
        parts.append(accuracy(results))
    if store.best_rows(results, "recipe"):
        parts.append(recipe_race(results))
    parts.append(details(results))
    return "\n\n".join(parts)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Make a table whose first columns stand left and whose figures stand right."""
    marks = ["---"] * left + ["--:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, marks, *rows))


def introduction(results: Results) -> str:
    """Say what was compared, where and when."""
    here, rows = results["machine"], results["rows"]
    trained = [name for name, workload in WORKLOADS.items() if workload.kind == "train"]
    shown = [row for name in trained for row in store.best_rows(results, name).values()]
    fewest = min((len(row["runs_ms"]) for row in shown), default=0)
    days = sorted({row["date"][:10] for row in rows})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return paragraph(
        "`python -m asv_benchmarks.rivals` compares fastmlp with other libraries, each from the same "
        "weights, on the same batches, in its own fastest settings, on one thread or two, whichever is "
        "faster. Every library's first losses are checked against fastmlp's before it is timed. Medians of "
        f"{fewest} epochs or more, each with a new order and without compiling, on {here['processor']} "
        f"({here['compiled_for']}, {here['threads']} threads), Python {here['python']}, {when}."
    )


def paragraph(text: str) -> str:
    """Break lines as the README does."""
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False)


def times(ratio: float | None) -> str:
    """Write a ratio."""
    return "–" if ratio is None else f"{number(ratio)} x"


def duration(milliseconds: float) -> str:
    """Write a time with the unit that suits it."""
    if milliseconds < 1:
        return f"{number(1e3 * milliseconds)} µs"
    return f"{number(milliseconds)} ms" if milliseconds < 1000 else f"{number(milliseconds / 1000)} s"


def present(results: Results) -> tuple[list[Workload], list[str]]:
    """Workloads and rivals that have a row, in their order."""
    found = [(row["workload"], row["rival"]) for row in results["rows"]]
    workloads = [WORKLOADS[name] for name in COLUMNS if name in {workload for workload, _ in found}]
    return workloads, [name for name in ENTRIES if name in {rival for _, rival in found}]


def overview(results: Results) -> str:
    """All ratios, a column each workload; fastmlp's own row has its times."""
    workloads, rivals = present(results)
    ratios = {workload.name: store.ratios(results, workload.name) for workload in workloads}
    head = ["times as long as fastmlp", *(COLUMNS[workload.name] for workload in workloads)]
    lines = []
    for rival in rivals:
        if rival == OWN:
            own = [store.best_rows(results, workload.name).get(OWN) for workload in workloads]
            cells = ["–" if row is None else duration(row["median_ms"]) for row in own]
        else:
            cells = [times(ratios[workload.name].get(rival)) for workload in workloads]
        lines.append([ENTRIES[rival].title, *cells])
    return markdown(head, lines) + "\n\nThe first row is the time of an epoch, of the race, of a call."


def accuracy(results: Results) -> str:
    """Give the race to an accuracy: epochs, seconds, and what compiling takes besides."""
    best, ratios = store.best_rows(results, "accuracy"), store.ratios(results, "accuracy")
    rate, shape = results["learning_rate"], WORKLOADS["accuracy"].shape
    seeds = min(len(row["runs_ms"]) for row in best.values())
    head = ["rival", "threads", "epochs", "seconds", SPREAD, "times fastmlp", *COMPILING]
    lines = []
    for rival, row in best.items():
        figures = [f"{median(row['epochs']):g}", number(row["median_ms"] / 1e3), spread(row)]
        figures += [times(ratios.get(rival)), *compiling(results, row)]
        lines.append([row["version"], str(row["threads"]), *figures])
    text = (
        f"From bytes in memory to a model that names {100 * TARGET:.0f} % of the test digits rightly: "
        f"{shape}, pixels / 255, plain gradient descent at {rate['lr']:g}, medians of {seeds} seeds. That "
        f"rate was chosen with fastmlp on {HELD_BACK:,} digits held back from training, once, as all take "
        "the same steps. Preparing the data counts; scoring between epochs and compiling do not:"
    )
    return paragraph(text) + "\n\n" + markdown(head, lines)


def recipe_race(results: Results) -> str:
    """Give the race by the recipe: seconds, the accuracy that it comes to, and who cannot take part."""
    best, ratios = store.best_rows(results, "recipe"), store.ratios(results, "recipe")
    seeds = min(len(row["runs_ms"]) for row in best.values())
    head = ["rival", "settings", "threads", "seconds", SPREAD, "times fastmlp", "test digits", *COMPILING]
    lines = []
    for rival, row in best.items():
        figures = [number(row["median_ms"] / 1e3), spread(row), times(ratios.get(rival))]
        figures += [f"{100 * median(row['scores']):.2f} %", *compiling(results, row)]
        lines.append([row["version"], row["setting"], str(row["threads"]), *figures])
    _, rivals = present(results)
    out = "; ".join(f"{ENTRIES[r].title} ({ENTRIES[r].lacks})" for r in rivals if ENTRIES[r].lacks)
    text = (
        f"By the recipe of `fastmlp train --recipe 98`, from bytes in memory to the last step: {EPOCHS} "
        f"epochs of {WORKLOADS['recipe'].shape}, pixels / 255 minus the mean image, Nesterov's momentum at "
        f"rates that change with every step, smoothed labels; medians of {seeds} seeds. Preparing the data "
        "counts, compiling does not: it is done on other data."
        + (f" Not in this race: {out}." if out else "")
    )
    return paragraph(text) + "\n\n" + markdown(head, lines, left=2)


def compiling(results: Results, row: Row) -> list[str]:
    """Write the seconds by which the first epoch was longer, in the first process and in a later one."""
    seconds = store.compiling(results, row)
    return ["–", "–"] if seconds is None else [f"{each:.1f}" for each in seconds]


def spread(row: Row) -> str:
    """Write how far the middle half of the runs reaches to both sides."""
    return f"{100 * store.spread(row):.0f} %"


def details(results: Results) -> str:
    """Every workload's figures, folded away."""
    workloads, rivals = present(results)
    parts = [
        training(results, w) if w.kind == "train" else calls(results, w)
        for w in workloads
        if w.kind not in ("reach", "recipe")
    ]
    return "\n\n".join(
        ["<details>\n<summary>Every figure</summary>", *parts, notes(results, rivals), "</details>"]
    )


def notes(results: Results, rivals: Sequence[str]) -> str:
    """Say what held rivals to their threads, what the columns mean, and where fastmlp was not steady."""
    held: dict[str, list[str]] = {}
    for rival in rivals:
        held.setdefault(ENTRIES[rival].limit, []).append(ENTRIES[rival].title)
    who = "; ".join(f"by `{limit}`: {', '.join(titles)}" for limit, titles in held.items())
    text = paragraph(
        f"Numbers of threads are set {who}. ±: half of the distance between the quartiles; fastmlp is timed "
        "before the others and after them, its runs are of both. Compiling: by how much the first epoch was "
        "longer than the second, with an empty cache; again: in a later process, at best."
    )
    unsteady = [f"- {line}" for line in store.unsteady(results["rows"])]
    if not unsteady:
        return text
    return "\n\n".join(
        [text, "Where fastmlp was not steady, the tables have the median of both:", "\n".join(unsteady)]
    )


def training(results: Results, workload: Workload) -> str:
    """Give the epochs of one workload, the fastest rival first."""
    best, ratios = store.best_rows(results, workload.name), store.ratios(results, workload.name)
    head = ["rival", "settings", "threads", "µs a step", "ms an epoch", SPREAD, "times fastmlp", *COMPILING]
    scored = workload.batches is None
    lines = []
    for rival, row in best.items():
        step = number(1e3 * row["median_ms"] / row["steps"])
        cells = [row["version"], row["setting"], str(row["threads"]), step, number(row["median_ms"])]
        cells += [spread(row), times(ratios.get(rival)), *compiling(results, row)]
        lines.append(cells + ([f"{100 * row['accuracy']:.2f} %"] if scored else []))
    epochs = {row["effort"]["epochs"] for row in best.values()}
    after = (
        f"; accuracy on the test digits after {' or '.join(map(str, sorted(epochs)))} epochs"
        if scored
        else ""
    )
    title = f"**{workload.name}**: {workload.title}, {workload.shape}, learning rate {workload.lr:g}{after}"
    return title + "\n\n" + markdown(head + (["accuracy"] if scored else []), lines, left=2)


def calls(results: Results, workload: Workload) -> str:
    """Give the calls of one workload, the fastest rival first."""
    best, ratios = store.best_rows(results, workload.name), store.ratios(results, workload.name)
    lines = [
        [
            row["version"],
            row["setting"],
            str(row["threads"]),
            number(1e3 * row["median_ms"]),
            spread(row),
            times(ratios.get(rival)),
        ]
        for rival, row in best.items()
    ]
    name, arrays = f"**{workload.name}**", "from an array of the library's to indices of classes"
    title = f"{name}: {workload.title} by {workload.shape}, {arrays}"
    return (
        title
        + "\n\n"
        + markdown(["rival", "settings", "threads", "µs a call", SPREAD, "times fastmlp"], lines, left=2)
    )
