"""The house, read from its sources: who imports whom, what the compiled floor lacks, where things are."""

import ast
import graphlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sources import MODULES, ROOT, imported, is_package, nodes, python_files, written_imports

from fastmlp import kernels, reference

LOWER = "fastmlp.kernels"
CORE = f"{LOWER}.core"
COMPILED = sorted(name for name in MODULES if name.startswith(LOWER))
UPPER = sorted(MODULES.keys() - set(COMPILED))
EACH = pytest.mark.parametrize("name", COMPILED)

# modules without a test file of their own, and where they are tested
TESTED_ELSEWHERE = {
    "fastmlp.kernels.batch": "kernels/test_epoch.py",
    "fastmlp.kernels.step": "kernels/test_epoch.py",
    "fastmlp.kernels.core.gather": "kernels/test_epoch.py",
    "fastmlp.kernels.core.sparsity": "kernels/test_epoch.py",
}
# test files that are of no one module
OF_NO_MODULE = {
    "tests/test_architecture.py",
    "tests/test_packaging.py",
    "tests/test_contributing.py",
    "tests/test_mutations.py",
    "tests/test_notebook.py",
    "tests/test_parsers.py",
    "tests/test_torch.py",
    "tests/asv_benchmarks/test_asv.py",  # the suite as asv runs it,
    "tests/asv_benchmarks/test_page.py",  # and the page that asv makes
}


def inside(name, package):
    return name == package or name.startswith(f"{package}.")


# --- who imports whom ------------------------------------------------------------------------------------


def test_there_are_sources_to_read():
    assert {f"{CORE}.tile", f"{LOWER}.linear", f"{LOWER}.epoch"} <= set(COMPILED)
    assert {"fastmlp", "fastmlp.model", "fastmlp.reference", "fastmlp.cli.main"} <= set(UPPER)
    assert f"{CORE}.tile" in imported(f"{LOWER}.linear")


@EACH
def test_the_compiled_floor_imports_numpy_numba_llvmlite_and_itself(name):
    allowed = {"numpy", "numba", "llvmlite"} | sys.stdlib_module_names
    for relative, target in written_imports(name):
        if relative:
            assert inside(target, LOWER) and target in MODULES
        else:
            assert target.split(".")[0] in allowed


@pytest.mark.parametrize("name", [name for name in COMPILED if inside(name, CORE)])
def test_the_machinery_imports_no_operation(name):
    assert {target for target in imported(name) if not inside(target, CORE)} == set()


def test_the_processor_does_not_need_the_measuring_of_its_peak():
    def reached(name):
        found, waiting = set(), [name]
        while waiting:
            new = imported(waiting.pop()) - found
            found |= new
            waiting += new
        return found

    assert f"{CORE}.peak" not in reached(f"{CORE}.machine")
    assert f"{CORE}.machine" in reached(f"{CORE}.peak")


@pytest.mark.parametrize("names", [COMPILED, UPPER], ids=["kernels", "fastmlp"])
def test_no_imports_go_round_in_a_circle_late_ones_included(names):
    graph = {name: imported(name) & set(names) for name in names}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]), pytrace=False)


def test_what_computes_knows_nothing_of_what_measures():
    for name in MODULES:
        for _, target in written_imports(name):
            assert target.split(".")[0] not in ("asv_benchmarks", "tests"), name


# --- what stays out of the compiled floor ----------------------------------------------------------------


@EACH
def test_one_file_names_the_compilers_of_numba(name):
    names = {node.attr for node in nodes(MODULES[name]) if isinstance(node, ast.Attribute)}
    for node in nodes(MODULES[name]):
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level):
            names |= {alias.name for alias in node.names}
    compilers = names & {"njit", "jit", "vectorize", "guvectorize", "generated_jit", "prange", "cfunc"}
    assert compilers == ({"njit"} if name == f"{CORE}.jit" else set())


@EACH
def test_no_matrix_product_but_the_tile(name):
    others = {"dot", "matmul", "einsum", "inner", "tensordot", "vdot", "outer", "linalg"}
    for node in nodes(MODULES[name]):
        assert not isinstance(node, ast.MatMult)
        assert not (isinstance(node, ast.Attribute) and node.attr in others)


@EACH
def test_no_call_has_a_column_of_arguments(name):
    long, columns = [], []
    for node in nodes(MODULES[name]):
        if isinstance(node, ast.Call):
            given = [*node.args, *node.keywords]
            if len(given) > 10:
                long.append(node.lineno)
            if len(given) > 5 and len({argument.lineno for argument in given}) == len(given):
                columns.append(node.lineno)
    assert not long, f"lines with calls of more than ten arguments: {sorted(long)}"
    assert not columns, f"lines with calls whose arguments stand in a column: {sorted(columns)}"


# --- the two back ends -----------------------------------------------------------------------------------


def home_of_each_name(package):
    """Where `package` has its public names from: the file's name, without its folders."""
    return {
        alias.name: node.module.split(".")[-1]
        for node in nodes(MODULES[package])
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }


def test_the_back_ends_have_the_same_names_and_signatures():
    assert kernels.__all__ == reference.__all__ == sorted(kernels.__all__)
    for name in kernels.__all__:
        own, twin = (inspect.signature(getattr(ops, name)) for ops in (kernels, reference))
        assert [*own.parameters] == [*twin.parameters], name
        assert own == twin, name


def test_the_reference_mirrors_the_kernels_file_by_file():
    own, twin = home_of_each_name(LOWER), home_of_each_name("fastmlp.reference")
    assert {name: twin.get(name) for name in kernels.__all__} == {name: own[name] for name in kernels.__all__}
    files = (
        names_in(ROOT / "fastmlp" / "reference")
        - names_in(ROOT / "kernels")
        - names_in(ROOT / "kernels/core")
    )
    assert files == {"quiet"}  # keeps NumPy from warning where a kernel does not


@pytest.mark.parametrize("name", kernels.__all__)
def test_every_kernel_names_its_twin(name):
    assert f"Twin: `fastmlp.reference.{name}`." in getattr(kernels, name).__doc__


# --- where things are ------------------------------------------------------------------------------------


TEST_FILES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "tests").rglob("test_*.py"))]


def names_in(folder):
    """Names of the modules and packages in a folder of the project."""
    return {
        path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }


def test_test_files_of_no_module_are_few_and_there():
    assert set(TEST_FILES) >= OF_NO_MODULE


@pytest.mark.parametrize("path", sorted(set(TEST_FILES) - OF_NO_MODULE))
def test_a_test_file_lies_and_is_named_as_what_it_tests(path):
    folder, words = Path(path).parent.relative_to("tests"), Path(path).stem.split("_")[1:]
    room = next(room for room in (ROOT / "fastmlp" / folder, ROOT / folder) if room.is_dir())
    names = names_in(room) | {folder.name}
    if folder.name == "asv_benchmarks":  # one room of tests for its three folders
        names = names.union(*(names_in(path) for path in room.iterdir() if path.is_dir()))
    beginnings = {"_".join(words[: n + 1]) for n in range(len(words))}  # test_fit_stops.py is of fit.py
    assert beginnings & names, "the name of no module there"


def test_every_module_with_code_has_a_test_file():
    untested = set()
    for name, path in MODULES.items():
        has_code = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in nodes(path))
        if has_code and not is_package(name):
            folder = ROOT / "tests" / "/".join(name.split(".")[1:-1])
            if not [*folder.glob(f"test_{path.stem}.py"), *folder.glob(f"test_{path.stem}_*.py")]:
                untested.add(name)
    assert untested - TESTED_ELSEWHERE.keys() == set(), "these want a test file of their own"
    assert TESTED_ELSEWHERE.keys() - untested == set(), "these have one now, and need no exception"
    for tests in TESTED_ELSEWHERE.values():
        assert (ROOT / "tests" / tests).is_file()


@pytest.mark.parametrize("path", python_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_is_longer_than_400_lines(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= 400


def test_the_readme_shows_the_house_as_it_is():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = re.search("## The house\n\n```\n(.*?)```", text, re.DOTALL).group(1)
    folders, shown = {}, set()
    for line in tree.splitlines():
        depth, first = len(line) - len(line.lstrip()), line.split()[0]
        folder = folders.get(depth - 2, ROOT)
        if first.endswith("/"):
            folder = folders[depth] = folder / first
        shown |= {folder / name for name in re.findall(r"\w+\.py\b", line)}
    assert {path for path in shown if not path.is_file()} == set()
    rooms = ("kernels", "kernels/core", "fastmlp")
    there = {path for room in rooms for path in (ROOT / room).glob("[!_]*.py")}
    assert there - shown == {ROOT / "fastmlp/train.py"}  # an old name, for old pickles


def test_the_bench_of_the_command_line_stays_a_short_one():
    n_lines = len((ROOT / "fastmlp" / "bench.py").read_text(encoding="utf-8").splitlines())
    assert n_lines <= 200


# --- an import is light ----------------------------------------------------------------------------------

IMPORT = """
import importlib, sys
from numba.core import event
before = set(sys.modules)  # numba itself imports scipy where there is one
with event.install_recorder("numba:compile") as compiled:
    import fastmlp, fastmlp.cli.main
    loaded = set(sys.modules) - before
    for name in sys.argv[1:]:
        importlib.import_module(name)
assert not compiled.buffer, compiled.buffer
for name in sys.argv[1:]:
    for value in vars(sys.modules[name]).values():
        dispatcher = getattr(value, "dispatcher", value)
        assert not getattr(dispatcher, "signatures", None), (name, value)
print(*sorted(name for name in loaded if name.split(".")[0] in ("sklearn", "scipy", "matplotlib", "PIL")))
"""


def test_an_import_is_light_and_compiles_nothing():
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    names = sorted(MODULES.keys() - {"fastmlp.__main__"})  # that one is the program
    child = subprocess.run(
        [sys.executable, "-c", IMPORT, *names],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (child.returncode, child.stdout.strip()) == (0, ""), child.stderr
