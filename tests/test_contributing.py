"""The kernel that CONTRIBUTING.md shows is one: it compiles, computes, and keeps the rules of the house."""

import re
import textwrap

from sources import ROOT
from trees import copy_tree, python

USE = """
import numpy as np
from bounds import assert_margins_untouched, framed, framed_output
from fastmlp import set_num_threads
from fastmlp.kernels.example import difference

for threads in (1, 2):
    set_num_threads(threads)
    for dtype in (np.float32, np.float64):
        for shape in ((1, 1), (7, 5), (9, 33), (128, 784)):
            x, y = (framed(np.random.default_rng(seed).random(shape), dtype) for seed in (0, 1))
            z = framed_output(shape, dtype)
            difference(x, y, z)
            assert np.array_equal(z, x - y), (threads, dtype, shape)
            assert_margins_untouched(z)
"""


def test_the_kernel_of_the_instructions_works(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^   ```python\n(.*?)^   ```$", text, re.DOTALL | re.MULTILINE)
    tree = copy_tree(tmp_path / "tree")
    header = '"""An example."""\n\n'
    (tree / "kernels" / "example.py").write_text(header + textwrap.dedent(example), encoding="utf-8")
    child = python("-c", USE, tree=tree, cache=tmp_path / "cache")
    assert child.returncode == 0, child.stderr
    rules = ("-q", "-p", "no:cacheprovider", "tests/test_architecture.py", "-k", "kernels.example")
    child = python("-m", "pytest", *rules, tree=tree, cache=tmp_path / "cache")
    assert child.returncode == 0 and "passed" in child.stdout, child.stdout + child.stderr
