"""The floors, read from the sources: who imports whom, and what stays out of the compiled one."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastmlp import kernels, reference

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "kernels").glob("*.py"))
FILES = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)


def nodes(source):
    return list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))


def test_there_are_sources_to_read():
    assert {"__init__.py", "_jit.py", "_simd.py", "_tile.py", "linear.py"} <= {
        source.name for source in SOURCES
    }


@FILES
def test_the_compiled_floor_imports_numba_numpy_and_itself(source):
    allowed = {"numpy", "numba", "llvmlite"} | sys.stdlib_module_names
    own = {source.stem for source in SOURCES}
    for node in nodes(source):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= allowed
        elif isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1
            assert {node.module.split(".")[0]} <= own if node.module else {a.name for a in node.names} <= own
        elif isinstance(node, ast.ImportFrom):
            assert node.module.split(".")[0] in allowed


@FILES
def test_one_file_knows_the_options_of_numba(source):
    names = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in nodes(source)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    names |= {
        alias.name
        for node in nodes(source)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    compilers = names & {"njit", "jit", "vectorize", "guvectorize", "generated_jit", "prange", "cfunc"}
    assert compilers == ({"njit"} if source.name == "_jit.py" else set())


@FILES
def test_no_matrix_product_but_the_tile(source):
    others = {"dot", "matmul", "einsum", "inner", "tensordot", "vdot", "outer", "linalg"}
    for node in nodes(source):
        assert not isinstance(node, ast.MatMult)
        assert not (isinstance(node, ast.Attribute) and node.attr in others)


def test_the_floors_have_the_same_names_and_signatures():
    assert kernels.__all__ == reference.__all__ == sorted(kernels.__all__)
    for name in kernels.__all__:
        own, twin = (inspect.signature(getattr(ops, name)) for ops in (kernels, reference))
        assert [*own.parameters] == [*twin.parameters], name
        assert own == twin, name


@pytest.mark.parametrize("name", kernels.__all__)
def test_every_kernel_names_its_twin(name):
    assert f"Twin: `fastmlp.reference.{name}`." in getattr(kernels, name).__doc__


IMPORT = """
import sys, pkgutil, importlib
from numba.core import event
before = set(sys.modules)  # numba itself imports scipy where there is one
with event.install_recorder("numba:compile") as compiled:
    import fastmlp, fastmlp.cli
    loaded = set(sys.modules) - before
    for module in pkgutil.iter_modules(fastmlp.kernels.__path__, "fastmlp.kernels."):
        importlib.import_module(module.name)
assert not compiled.buffer, compiled.buffer
for name, module in list(sys.modules.items()):
    if name.startswith("fastmlp.kernels"):
        for value in vars(module).values():
            dispatcher = getattr(value, "dispatcher", value)
            assert not getattr(dispatcher, "signatures", None), (name, value)
print(*sorted(name for name in loaded if name.split(".")[0] in ("sklearn", "scipy", "matplotlib", "PIL")))
"""


def test_an_import_is_light_and_compiles_nothing():
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.run(
        [sys.executable, "-c", IMPORT], env=environ, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (child.returncode, child.stdout.strip()) == (0, ""), child.stderr
