"""What breaks is noticed: each break, made in a copy of the tree, fails the test that is named beside it."""

from typing import NamedTuple

import pytest
from trees import copy_tree, edit, python


class Break(NamedTuple):
    file: str
    old: str
    new: str
    test: str


BREAKS = {
    "the mask of ReLU off by its boundary": Break(
        "_simd.py",
        '_select(builder, ">", a, ',
        '_select(builder, ">=", a, ',
        "test_linear.py::test_relu_passes_nothing_where_its_output_is_zero",
    ),
    "a k loop one short": Break(
        "_tile.py",
        'icmp_signed("<", following[0], n_k)',
        'icmp_signed("<", builder.add(following[0], I64(1)), n_k)',
        "test_linear.py::test_forward[linear-float32-(2, 3, 5)]",
    ),
    "the mean over the batch left out": Break(
        "softmax.py",
        "share = convert(batch, top)",
        "share = convert(1, top)",
        "test_softmax.py::test_the_gradient_is_of_the_mean_over_the_batch",
    ),
    "a label shifted": Break(
        "softmax.py",
        "label = labels[sample]",
        "label = (labels[sample] + 1) % n_classes",
        "test_softmax.py::test_every_label_names_its_own_class",
    ),
    "stale code in the cache": Break(
        "_jit.py",
        'source.name.encode() + b"\\0" + source.read_bytes()',
        "source.name.encode()",
        "test_jit.py::test_an_edited_kernel_never_runs_its_old_code",
    ),
    "an output margin touched": Break(
        "_tile.py",
        "mask = first_lanes(builder, vector, columns_left) if vectors == 1 else None",
        "mask = None",
        "test_linear.py::test_forward[linear-float32-(2, 3, 5)]",
    ),
}


def run_tests(tree, *tests, **where):
    arguments = (
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=line",
        *(f"tests/{test}" for test in tests),
    )
    return python(*arguments, tree=tree, **where)


@pytest.fixture
def tree(tmp_path):
    return copy_tree(tmp_path / "tree")


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_fails_its_test(name, tree, tmp_path):
    broken = BREAKS[name]
    edit(tree / "kernels" / broken.file, broken.old, broken.new)
    child = run_tests(tree, broken.test, cache=tmp_path / "cache")
    assert child.returncode == 1, child.stdout + child.stderr  # tests ran, and some failed
    assert f"FAILED tests/{broken.test}" in child.stdout
    assert "AssertionError" in child.stdout or "assert " in child.stdout


def test_an_unbroken_copy_passes_them_all(tree):
    child = run_tests(tree, *{broken.test for broken in BREAKS.values()})
    assert child.returncode == 0, child.stdout + child.stderr
