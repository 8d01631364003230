"""The proof of the suite: a kernel that became 30 % slower is flagged by name, an unrelated commit is not."""

import re

import pytest
from repositories import PARTS, SUITE, Repository, copy_parts, need_module

pytestmark = pytest.mark.slow

KERNEL, OTHER = "losses", "linear"  # whose ratios are the steadiest
ROUNDS = 3  # at most: what others on the same host do to one is not done to all
CELLS = rf"^({KERNEL}\.Softmax|{OTHER}\.Linear\w*)\.track_time_ratio"


def slow_down(path):
    """Let a third of the rows be computed twice; what they come to stays the same."""
    text = path.read_text(encoding="utf-8")
    begin = text.index("\n", text.index("    if output == SOFTMAX:")) + 1
    loops = text[begin : text.index("    else:", begin)]
    assert loops.count("range(first, last)") == 2, f"{path.name} no longer has the two loops of this test"
    again = loops.replace("range(first, last)", "range(first, last, 3)")
    path.write_text(text.replace(loops, again + loops), encoding="utf-8")


def remark(path):
    """Add what changes no result and no time, but the folder of the compiled code."""
    path.write_text(path.read_text(encoding="utf-8") + "\n# A remark.\n", encoding="utf-8")


def threshold(suite):
    """Slowdown from which the suite's own settings call a ratio of times a regression."""
    need_module("asv", "virtualenv")
    from asv.config import Config

    thresholds = Config.load(str(suite / "asv.conf.json")).regressions_thresholds
    found = [value for name, value in thresholds.items() if re.match(name, f"{KERNEL}.X.track_time_ratio")]
    assert len(found) == 1, (
        f"{SUITE}/asv.conf.json has {len(found)} thresholds for {KERNEL}'s track_time_ratio"
    )
    return found[0]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The tree, in a repository of its own that asv can measure."""
    folder = tmp_path_factory.mktemp("asv")
    made = Repository(copy_parts(folder / "tree", *PARTS), folder / "home")
    made.asv("machine", "--yes", "--machine", "tests")
    return made


def measure(repository, *commits):
    """Build and measure commits, each in the same environment."""
    (repository.folder / "commits").write_text("\n".join(commits), encoding="utf-8")
    options = ("--bench", CELLS, "--machine", "tests", "--launch-method", "spawn")
    repository.asv("run", *options, f"HASHFILE:{repository.folder / 'commits'}")


def compare(repository, before, after):
    """Marks of asv's comparison, by module: a set of "" for unchanged, "-" for faster and "+" for slower."""
    factor = 1 + threshold(repository.folder / SUITE)
    said = repository.asv("compare", "--machine", "tests", "--factor", factor, before, after).stdout
    marks = {}
    for row in (line.split("|") for line in said.splitlines()):
        if len(row) == 7 and "track_time_ratio" in row[5]:
            marks.setdefault(row[5].strip().split(".")[0], set()).add(row[1].strip())
    assert marks.keys() == {KERNEL, OTHER}, said
    return marks, said


def test_a_slower_kernel_is_flagged_and_an_unrelated_commit_is_not(repository):
    source = repository.folder / "kernels" / f"{KERNEL}.py"
    before = repository.commit("the tree as it is")
    remark(source)
    unrelated = repository.commit("a remark")
    slow_down(source)
    slower = repository.commit("a third of the rows twice")
    rounds = []
    for _ in range(ROUNDS):
        measure(repository, before, unrelated, slower)
        alike, different = compare(repository, before, unrelated), compare(repository, unrelated, slower)
        rounds += [alike[1], different[1]]
        for marks, said in (alike, different):
            assert marks[KERNEL] | marks[OTHER] <= {"", "-", "+"}, said  # nothing failed
        calm = "+" not in alike[0][KERNEL] | alike[0][OTHER] | different[0][OTHER]
        if calm and "+" in different[0][KERNEL]:
            return
    pytest.fail(f"in none of {ROUNDS} rounds was the slower kernel flagged, and it alone:" + "".join(rounds))
