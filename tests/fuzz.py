"""Reads bad files until one is not refused as documented, or takes too long or too much memory.

fuzz.py PARSER hand         those made by hand
fuzz.py PARSER flips N      N good files with a bit flipped, no two alike where there are so many
fuzz.py PARSER mutants N    N good files changed in several places, and in what they say in JSON
fuzz.py PARSER atheris N    for N seconds, led by the code that they reach

Prints how many were read and refused.
"""

import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path

# what atheris watches; what is compiled it cannot, and numba would take it minutes
WATCHED = ["fastmlp.data", "fastmlp.cli", "fastmlp.export", "fastmlp.training", "fastmlp.checks", "PIL"]
WATCHED += ["gzip", "zipfile", "json"]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # many times as quick as a disk


def hand(name, seeds, _):
    import bad_files

    yield from bad_files.bad_files(name, seeds).values()


def flips(name, seeds, n):
    import numpy as np

    places = [(i, bit) for i, content in enumerate(seeds) for bit in range(8 * len(content))]
    order = np.random.default_rng(0).permutation(len(places))
    for k in order[:n].tolist():
        seed, bit = places[k]
        changed = bytearray(seeds[seed])
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed), None


def mutants(name, seeds, n):
    import mutants

    for content in mutants.mutants(name, seeds, n):
        yield content, None


def read_all(name, kind, n):
    import parsers

    count = {"read": 0, "refused": 0}
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        seeds = parsers.PARSERS[name].make(Path(folder))
        for content in seeds:
            assert parsers.attempt(name, Path(folder), content) is None
        for content, said in kind(name, seeds, n):
            error = parsers.attempt(name, Path(folder), content)
            count["refused" if error else "read"] += 1
            assert said is None or re.search(said, str(error)), f"{said!r} is not in {error}"
    parsers.assert_small()
    print(count)


def follow(name, seconds):
    import atheris

    with atheris.instrument_imports(include=WATCHED):
        for module in WATCHED:
            importlib.import_module(module)
        for module in ("fastmlp.cli.images", "PIL.Image", "fastmlp.training.checkpoint"):
            importlib.import_module(module)
    import mutants
    import numpy as np
    import parsers
    from PIL import Image

    Image.init()
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    (folder / "corpus").mkdir()
    for i, content in enumerate(parsers.PARSERS[name].make(folder)):
        assert parsers.attempt(name, folder, content) is None
        (folder / "corpus" / str(i)).write_bytes(content)

    def change(content, largest, seed):
        if seed % 2 and name in ("models", "checkpoints"):
            with contextlib.suppress(Exception):  # it has no header any more
                return mutants.mutate_header(np.random.default_rng(seed), content)[:largest]
        return atheris.Mutate(content, largest)

    options = [f"-max_total_time={seconds}", f"-rss_limit_mb={parsers.MEGABYTES}", "-timeout=20", "-seed=1"]
    options += ["-max_len=8192", f"-artifact_prefix={folder}/", str(folder / "corpus")]
    atheris.Setup(
        [sys.argv[0], *options], lambda content: parsers.attempt(name, folder, content), custom_mutator=change
    )
    atheris.Fuzz()


if __name__ == "__main__":
    name, kind, n = (*sys.argv[1:], "0")[:3]
    if kind == "atheris":
        # a program inherits the peak of memory of who starts it; what is forked here does not
        if child := os.fork():
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        follow(name, int(n))
    else:
        read_all(name, {"hand": hand, "flips": flips, "mutants": mutants}[kind], int(n))
