"""The loops that tell the peak: they do all that they count, and nothing else; and the tiles alone."""

import re

import numpy as np
import pytest
from trees import python

from fastmlp.kernels.core import machine, peak, simd, threads

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(autouse=True)
def default_threads():
    yield
    machine.set_num_threads(None)


@DTYPES
@pytest.mark.parametrize("n_chains", peak.CHAINS)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_every_chain_of_the_peak_takes_every_step(n_chains, n_threads, dtype):
    machine.set_num_threads(n_threads)
    lanes = simd.VECTOR_BYTES // np.dtype(dtype).itemsize
    for n in (1, 2, 1001):
        ones, sums = np.ones((2, lanes), dtype), np.zeros((n_threads, lanes), dtype)
        threads.parallel(peak._run, n_threads, ones, sums, n_chains, n)
        assert (sums == sum(1 + chain + n for chain in range(n_chains))).all()


ASSEMBLY = """
import numpy as np
from fastmlp.kernels.core import peak
peak.rate(peak.CHAINS[0], fmas=1000)
(assembly,) = peak._run.dispatcher.inspect_asm().values()
print(assembly)
"""


@pytest.mark.skipif(machine.vector_bytes() != 64, reason="reads the code of AVX-512")
def test_the_loops_of_the_peak_are_nothing_but_their_chains(tmp_path):
    child = python("-c", ASSEMBLY, cache=tmp_path)
    assert child.returncode == 0, child.stderr
    bodies = re.findall(r"^(\.L\w+):\n((?:(?!\.L\w+:).*\n)*?)\s+j\w+\s+\1\n", child.stdout, re.MULTILINE)
    loops = [body for _, body in bodies if re.search(r"vfmadd.*zmm", body)]
    steps = [re.findall(r"vfmadd\w+\s.*(%zmm\d+)$", body, re.MULTILINE) for body in loops]
    assert sorted(len(set(sums)) for sums in steps) == sorted(peak.CHAINS)
    for body, sums in zip(loops, steps, strict=True):
        assert len(sums) % len(set(sums)) == 0
        assert not re.search(r"vmov.*zmm|\(%", body)  # no memory, no copies


@DTYPES
def test_a_rate_is_one(dtype):
    for n in (1, 2):
        machine.set_num_threads(n)
        assert 1e8 < peak.rate(peak.CHAINS[0], dtype, fmas=1 << 20) < 1e13
    assert 1e8 < peak.measure(dtype, runs=1) < 1e13
