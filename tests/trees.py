"""Copies of the source tree, to be edited and run in processes of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("fastmlp", "kernels", "tests")
# what a build, a test or a run leaves behind, which would find its way into the next build
LEFT_BEHIND = (
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    ".asv",
    "build",
    "dist",
    "*.egg-info",
    "runs",
    "*venv",
)


def copy_tree(folder):
    """Copy what Python needs of the project, without the data set."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def copy_project(folder):
    """Copy the whole project, but for its history and what was left behind in it."""
    return shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *LEFT_BEHIND))


def edit(path, old, new):
    """Replace the one place of `path` that reads `old`."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} has {text.count(old)} places that read {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def environment(tree=ROOT, cache=None, **settings):
    """Environment of a child that imports from `tree`; settings that are None are taken away."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "PYTEST_"))
    }
    # two edits within a second may have one time stamp, so no byte code is kept
    environ |= {
        "PYTHONPATH": os.pathsep.join([str(tree), str(tree / "tests")]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if cache is not None:
        environ["FASTMLP_CACHE"] = str(cache)
    for name, value in settings.items():
        environ.pop(name, None)
        if value is not None:
            environ[name] = value
    return environ


def python(*arguments, tree=ROOT, cache=None, **settings):
    """Run Python on `tree` to its end."""
    environ = environment(tree, cache, **settings)
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environ, cwd=tree, capture_output=True, text=True, timeout=300)
