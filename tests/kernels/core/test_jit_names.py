"""Names in compiled code: entries of one cache may have one for different functions, and must not mix."""

from trees import python

SHOWN = """
import re
import numpy as np
from fastmlp import kernels
from fastmlp.kernels import linear
from fastmlp.kernels.core import peak

x, w, dy = (np.ones(shape, np.float32) for shape in ((3, 4), (4, 5), (3, 5)))
kernels.linear_backward(x, w, dy, None, np.empty_like(w), np.empty(5, np.float32))
peak.step_tiles(x, dy, w, np.float32(0.1), 1)
for entry in linear._linear_backward, peak.step_tiles:
    (code,) = entry.dispatcher.inspect_llvm().values()
    for line in re.findall(r"^define .*", code, re.MULTILINE):
        print(entry.__name__, "internal" in line.split("(")[0], entry.__name__ in line)
"""


def test_an_entry_shows_no_function_but_its_own(tmp_path):
    child = python("-c", SHOWN, cache=tmp_path)
    assert child.returncode == 0, child.stderr
    lines = [line.split() for line in child.stdout.splitlines()]
    for name in "_linear_backward", "step_tiles":
        shown = [of_entry for entry, internal, of_entry in lines if (entry, internal) == (name, "False")]
        assert shown == ["True", "True"]  # its own, and what Python calls
