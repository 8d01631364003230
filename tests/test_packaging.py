"""What is shipped: the metadata, and what an installed wheel and an unpacked source distribution can do."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
from repositories import environment, need_module, run
from sources import FOLDERS, MODULES, ROOT, is_package, written_imports
from trees import copy_project

import fastmlp

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, SETUPTOOLS = SETTINGS["project"], SETTINGS["tool"]["setuptools"]
SEPARATOR = re.compile("[ <>=!~;\\[]")


def names_of(requirements):
    """Names of distributions, in the form that compares."""
    return {SEPARATOR.split(line)[0].lower().replace("_", "-") for line in requirements}


def distributions(names):
    """Names of the distributions that installed modules come from."""
    from_module = importlib.metadata.packages_distributions()
    return names_of(from_module.get(name, [name])[0] for name in names)


def data_files():
    """What the package holds besides Python, by its name inside the package."""
    return {
        path.relative_to(folder).as_posix()
        for folder in FOLDERS.values()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }


# --- the metadata ----------------------------------------------------------------------------------------


def test_every_package_is_listed():
    assert SETUPTOOLS["packages"] == sorted(name for name in MODULES if is_package(name))
    assert SETUPTOOLS["package-dir"] == {"fastmlp.kernels": "kernels"}


def test_every_data_file_is_packaged_and_the_types_are_marked():
    assert list(SETUPTOOLS["package-data"]) == ["fastmlp"]
    packaged = {
        path.relative_to(FOLDERS["fastmlp"]).as_posix()
        for pattern in SETUPTOOLS["package-data"]["fastmlp"]
        for path in FOLDERS["fastmlp"].glob(pattern)
    }
    assert packaged == data_files()
    assert "py.typed" in packaged and len(packaged) == 6


def test_every_library_that_is_imported_is_declared():
    used = {target.split(".")[0] for name in MODULES for _, target in written_imports(name)}
    used -= sys.stdlib_module_names | {"fastmlp"}
    wanted = names_of(PROJECT["optional-dependencies"]["onnx"]) & {"skl2onnx"}  # imported when called for
    assert distributions(used) == names_of(PROJECT["dependencies"]) | wanted


def test_every_library_of_the_tests_is_declared():
    own = {path.stem for path in (ROOT / "tests").glob("*.py")} | {"fastmlp", "asv_benchmarks"}
    used = set()
    for path in (ROOT / "tests").rglob("*.py"):
        # but for what a test imports in its own body, which is of a slow one
        body = ast.parse(path.read_text(encoding="utf-8")).body
        used |= {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
        used |= {node.module for node in body if isinstance(node, ast.ImportFrom)}
    used = {name.split(".")[0] for name in used} - sys.stdlib_module_names - own
    declared = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    assert distributions(used) <= names_of(declared)


def test_numba_is_bounded_at_its_next_minor_version():
    imported = {target for name in MODULES for _, target in written_imports(name)}
    assert any(target.startswith("numba.core") for target in imported)  # else the bound may go
    (bound,) = (line for line in PROJECT["dependencies"] if line.startswith("numba"))
    floor, ceiling = re.fullmatch(r"numba>=0\.(\d+),<0\.(\d+)", bound).groups()
    assert int(floor) <= int(importlib.metadata.version("numba").split(".")[1]) < int(ceiling)


def test_the_licence_is_that_of_the_code_and_of_the_data():
    assert PROJECT["license"] == "MIT AND CC-BY-SA-3.0"
    code, data = [(ROOT / name).read_text(encoding="utf-8") for name in PROJECT["license-files"]]
    assert code.startswith("MIT License")
    assert "https://creativecommons.org/licenses/by-sa/3.0/" in data


def test_the_command_is_there():
    module, function = PROJECT["scripts"]["fastmlp"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


# --- what is built of it ---------------------------------------------------------------------------------

USE = """
import importlib.metadata
import pathlib
import numpy as np
import fastmlp
from fastmlp import MLP, train_epoch

assert "site-packages" in fastmlp.__file__ and "site-packages" in fastmlp.kernels.__file__
assert pathlib.Path(fastmlp.__file__).with_name("py.typed").is_file()
assert importlib.metadata.metadata("fastmlp")["License-Expression"] == "MIT AND CC-BY-SA-3.0"
X, y = np.random.default_rng(0).random((64, 8), np.float32), np.arange(64) % 3
print(train_epoch(MLP([8, 4, 3], seed=0), X, y, lr=0.1) > 0)
"""

TYPES = """
from fastmlp import MLP, fit
from fastmlp.data import read_idx

reveal_type(MLP([4, 3]).predict)
reveal_type(fit)
reveal_type(read_idx)
MLP("4-3")
"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    """Environment of a stranger's programs, with caches of their own."""
    return environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def built(tmp_path_factory, environ):
    """Source distribution, and the wheel that was made of it."""
    need_module("build")
    folder = tmp_path_factory.mktemp("built")
    tree = copy_project(folder / "tree")
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", tree, cwd=folder, environ=environ)
    (source,), (wheel,) = (list((folder / "dist").glob(kind)) for kind in ("*.tar.gz", "*.whl"))
    return source, wheel


@pytest.fixture(scope="module")
def python(tmp_path_factory, built, environ):
    """Python of a fresh environment with the wheel, what its tests need, and mypy."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "venv", cwd=folder, environ=environ)
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", f"{built[1]}[test]", "mypy", cwd=folder, environ=environ)
    return python


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory, built):
    """Folder of the unpacked source distribution."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(built[0]) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(built):
    with zipfile.ZipFile(built[1]) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = {name.split("/licenses/")[1] for name in archive.namelist() if "/licenses/" in name}
    modules = {name.replace(".", "/") + "/__init__.py" * is_package(name) for name in MODULES}
    modules = {name if name.endswith(".py") else f"{name}.py" for name in modules}
    assert held == modules | {f"fastmlp/{name}" for name in data_files()}
    assert licences == set(PROJECT["license-files"])


@pytest.mark.slow
def test_the_source_distribution_holds_the_project(unpacked, tmp_path):
    tree = copy_project(tmp_path / "tree")
    held, there = (
        {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in (unpacked, tree)
    )
    assert there - held == {".gitignore"}
    assert {name for name in held - there if not name.startswith("fastmlp.egg-info/")} == {
        "PKG-INFO",
        "setup.cfg",
    }


@pytest.mark.slow
def test_an_installed_wheel_trains(python, tmp_path, environ):
    assert run(python, "-c", USE, cwd=tmp_path, environ=environ).stdout.strip() == "True"
    version = run(python.with_name("fastmlp"), "--version", cwd=tmp_path, environ=environ)
    assert fastmlp.__version__ in version.stdout


@pytest.mark.slow
def test_mypy_sees_the_types_of_an_installed_wheel(python, tmp_path, environ):
    (tmp_path / "use.py").write_text(TYPES, encoding="utf-8")
    command = [python, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "use.py"]
    said = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=600
    ).stdout
    revealed = re.findall('Revealed type is "(.*)"', said)
    assert len(revealed) == 3, said
    assert "ndarray" in revealed[0] and "History" in revealed[1] and "ndarray" in revealed[2], said
    errors = [line for line in said.splitlines() if " error: " in line]
    assert len(errors) == 1 and errors[0].startswith("use.py:8: ") and "[arg-type]" in errors[0], said


@pytest.mark.slow
def test_the_source_distribution_passes_its_tests(python, unpacked, environ):
    pytest_ = (python.with_name("pytest"), "-q", "-p", "no:cacheprovider")
    assert " error" not in run(*pytest_, "--collect-only", cwd=unpacked, environ=environ).stdout
    chosen = ("tests/test_architecture.py", "tests/test_packaging.py", "tests/kernels/test_linear.py")
    said = run(*pytest_, *chosen, cwd=unpacked, environ=environ).stdout
    assert re.search("[0-9]+ passed", said) and "skipped" not in said
