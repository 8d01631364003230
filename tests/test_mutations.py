"""What breaks is noticed: each break, made in a copy of the tree, fails the test that is named beside it."""

from concurrent.futures import ThreadPoolExecutor
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
        "core/simd.py",
        'builder, a, b: _select(builder, ">", a, ',
        'builder, a, b: _select(builder, ">=", a, ',
        "kernels/test_linear.py::test_relu_passes_nothing_where_its_output_is_zero[float32]",
    ),
    "a k loop one short": Break(
        "core/tile.py",
        'icmp_signed("<", following[0], depth)',
        'icmp_signed("<", builder.add(following[0], I64(1)), depth)',
        "kernels/test_linear.py::test_forward[(2, 3, 5)-float32-linear]",
    ),
    "the mean over the batch left out": Break(
        "losses.py",
        "    return convert(targets.total_weight, like)\n",
        "    return convert(1.0, like)\n",
        "kernels/test_losses.py::test_the_gradient_is_of_the_mean_over_the_batch[float32]",
    ),
    "a label shifted": Break(
        "losses.py",
        "label = targets.labels[sample]",
        "label = (targets.labels[sample] + 1) % n_classes",
        "kernels/test_losses.py::test_every_label_names_its_own_class[float32]",
    ),
    "stale code in the cache": Break(
        "core/jit.py",
        'found.name.encode() + b"\\0" + spec.loader.get_data(spec.origin)',
        "found.name.encode()",
        "kernels/core/test_jit.py::test_an_edited_kernel_never_runs_its_old_code",
    ),
    "a region that is not ended after an interrupt": Break(
        "core/threads.py",
        "            region.cancel()\n"
        "    finally:  # and another on any line of that\n"
        "        region.cancel()\n",
        "            pass\n    finally:\n        pass\n",
        "kernels/core/test_threads_interrupts.py::"
        "test_an_interrupt_on_any_line_leaves_whole_batches_and_threads_that_work",
    ),
    "a barrier that holds although a thread has failed": Break(
        "core/threads.py",
        "return read_shared(counter) < BROKEN",
        "return True",
        "kernels/core/test_threads_interrupts.py::"
        "test_a_thread_that_fails_ends_the_region_for_all[own threads-1]",
    ),
    "an output margin touched": Break(
        "core/tile.py",
        "mask = first_lanes(builder, vector, columns_left) if vectors == 1 else None",
        "mask = None",
        "kernels/test_linear.py::test_forward[(2, 3, 5)-float32-linear]",
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


def with_break(broken, folder):
    """Run the test of a break on a copy that has it, with compiled code of its own."""
    tree = copy_tree(folder / "tree")
    edit(tree / "kernels" / broken.file, broken.old, broken.new)
    return run_tests(tree, broken.test, cache=folder / "cache")


def unbroken(folder):
    return run_tests(copy_tree(folder / "tree"), *{broken.test for broken in BREAKS.values()})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All runs under way, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        started = {None: pool.submit(unbroken, tmp_path_factory.mktemp("unbroken"))}
        for name, broken in BREAKS.items():
            started[name] = pool.submit(with_break, broken, tmp_path_factory.mktemp("broken"))
        yield started


def test_an_unbroken_copy_passes_them_all(runs):
    child = runs[None].result()
    assert child.returncode == 0, child.stdout + child.stderr


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_fails_its_test(name, runs):
    child = runs[name].result()
    assert child.returncode == 1, child.stdout + child.stderr  # tests ran, and some failed
    assert f"FAILED tests/{BREAKS[name].test}" in child.stdout
    assert "assert" in child.stdout.lower()
