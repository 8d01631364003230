"""Compiled code on disk: never another version's or variant's, and no loss where it cannot be kept."""

import compileall
import shutil
import zipfile

import numpy as np
import pytest
from code_steps import HIGHER, LOWER, STEP, code_files, step
from optimizing import NO_WEIGHTS, nothing_kept, numbers
from trees import copy_tree, edit, python

from fastmlp import kernels
from fastmlp.kernels import optimizers
from fastmlp.kernels.core import jit


def as_zip(tree):
    """The packages of a tree in one archive."""
    path = tree / "packages.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for folder, name in ((tree / "fastmlp", "fastmlp"), (tree / "kernels", "fastmlp/kernels")):
            for file in sorted(folder.rglob("*.py")):
                archive.write(file, f"{name}/{file.relative_to(folder)}")
    return path


def as_byte_code(tree):
    """The packages of a tree without their sources."""
    for folder in ("fastmlp", "kernels"):
        assert compileall.compile_dir(tree / folder, quiet=1, legacy=True)
        for file in (tree / folder).rglob("*.py"):
            file.unlink()
    return tree


@pytest.mark.parametrize("pack", [as_zip, as_byte_code])
def test_code_of_another_version_never_runs_where_there_are_no_source_files(tmp_path, pack):
    first, second = copy_tree(tmp_path / "first"), copy_tree(tmp_path / "second")
    edit(second / "kernels" / "optimizers.py", LOWER, HIGHER)
    for tree, expected in ((pack(first), -1), (pack(second), 1)):
        where = {"tree": tmp_path, "cache": tmp_path / "cache", "PYTHONPATH": str(tree)}
        value, compiled, _ = step(**where)
        assert value == expected and compiled > 0
        assert step(**where)[:2] == (expected, 0)


EDITED_MEANWHILE = f"""
import pathlib, sys
from fastmlp import kernels
path = pathlib.Path(kernels.__file__).with_name("optimizers.py")
path.write_text(path.read_text().replace({LOWER!r}, {HIGHER!r}))
sys.argv[1:] = []
"""


def test_code_is_not_kept_under_the_name_of_sources_that_came_after_the_import(tmp_path):
    tree, cache = copy_tree(tmp_path / "tree"), tmp_path / "cache"
    assert step(code=EDITED_MEANWHILE + STEP, tree=tree, cache=cache)[0] == -1  # what was imported
    value, compiled, _ = step(tree=tree, cache=cache)
    assert value == 1 and compiled > 0
    edit(tree / "kernels" / "optimizers.py", HIGHER, LOWER)
    assert step(tree=tree, cache=cache)[0] == -1


def test_processes_that_compile_two_variants_at_once_keep_both(tmp_path):
    """Both began with an empty folder; what the second wrote lies over what the first did."""
    for dtype in ("float32", "float64"):
        step(dtype, cache=tmp_path / dtype)
    (folder,) = (tmp_path / "float32" / "code").iterdir()
    before = code_files(tmp_path / "float32")
    for file in code_files(tmp_path / "float64"):
        shutil.copy(file, folder)
    assert len(code_files(tmp_path / "float32")) == 2 * len(before)
    assert step("float32", cache=tmp_path / "float32")[:2] == (-1, 0)


def test_code_of_another_variant_is_compiled_anew(tmp_path):
    for dtype in ("float32", "float64"):
        step(dtype, cache=tmp_path / dtype)
    (own,), (other,) = (code_files(tmp_path / dtype) for dtype in ("float32", "float64"))
    shutil.copy(other, own)
    value, compiled, _ = step("float32", cache=tmp_path / "float32")
    assert value == -1 and compiled > 0
    assert step("float32", cache=tmp_path / "float32")[:2] == (-1, 0)


def test_code_stays_in_its_folder_whatever_place_numba_is_told(tmp_path):
    tree, cache = copy_tree(tmp_path / "tree"), tmp_path / "cache"
    where = {"tree": tree, "cache": cache, "NUMBA_CACHE_LOCATOR_CLASSES": "InTreeCacheLocator"}
    assert step(**where)[0] == -1
    edit(tree / "kernels" / "core" / "simd.py", "return fused(builder, *args)", "return args[2]")
    assert step(**where)[0] == 0
    assert code_files(cache) and not [*tree.rglob("*.nbc"), *code_files(tree)]


def test_processors_that_share_a_folder_have_files_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setattr(jit, "code_folder", lambda: tmp_path)
    body, names = optimizers._optimizer_step.dispatcher.py_func, set()
    for processor in ("znver3", "icelake-server"):
        monkeypatch.setattr(jit.machine, "processor", lambda name=processor: name)
        names.add(jit._Cache(body, ())._cache_file._path)
    assert len(names) == 2


def test_numbers_of_python_and_of_numpy_have_one_variant():
    x, logits = np.ones((2, 3)), np.empty((2, 4))
    table, size = kernels.plan((3, 4), 2, np.float64)
    for scale in (np.float64(1), 1.0, np.float64(1)):
        kernels.infer(np.zeros(size), table, x, scale, np.empty(0), logits)
        assert (logits == 0).all()
    for batch_size in (2, np.int64(2), 2):
        rows, stop, losses = np.arange(2), np.zeros(1, np.int64), np.zeros(1)
        masks, labels = np.empty((0, 0), np.uint64), np.zeros(2, np.int64)
        data = x, labels, NO_WEIGHTS, rows, batch_size
        of_step, kept = numbers(0.1, 1, 1), nothing_kept(np.float64)
        rest = 1.0, np.empty(0), masks, stop, losses
        assert kernels.train_epoch(np.zeros(size + 8), table, kept, *data, *of_step, *rest) == 1


SMALL_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
"""


def test_a_full_disk_costs_one_warning_and_no_result(tmp_path):
    pytest.importorskip("resource")
    more = STEP + "w = np.zeros(3)\nkernels.sgd_step(w, np.ones_like(w), 1)\nprint(w[0], 0)\n"
    value, _, warnings = step(code=SMALL_FILES + more, cache=tmp_path)
    assert value == -1
    assert warnings.count("compiles anew in every process") == 1 and "set FASTMLP_CACHE" in warnings
    assert step(cache=tmp_path)[0] == -1


BESIDE = """
import threading
import numpy as np
from fastmlp import MLP

X, errors, ended = np.ones((3, 5), np.uint8), [], threading.Event()
single, double = (MLP((5, 4, 3), seed=0, dtype=dtype) for dtype in (np.float32, np.float64))
single.predict(X)

def call():
    try:
        while not ended.is_set():
            single.predict(X)
    except BaseException as error:
        errors.append(error)

callers = [threading.Thread(target=call) for _ in range(2)]
for caller in callers:
    caller.start()
double.predict(X)
ended.set()
for caller in callers:
    caller.join()
print(errors)
"""


def test_a_further_dtype_is_compiled_beside_threads_that_run(tmp_path):
    child = python("-c", BESIDE, cache=tmp_path)
    assert (child.stdout.strip(), child.returncode) == ("[]", 0), child.stderr
