"""Repositories made of the tree for the slow tests, and the programs that these run."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUITE = "asv_benchmarks"
PARTS = ("fastmlp", "kernels", SUITE, "pyproject.toml", "README.md", "LICENSE")
TIMEOUT = 600  # seconds
DATES = ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE")
BUILT = shutil.ignore_patterns("__pycache__", ".asv")


def need(program, remedy):
    """Path of a program; the test fails where there is none, because a slow test never skips."""
    found = shutil.which(program)
    if found is None:
        pytest.fail(f"the slow tests need {program}: {remedy}", pytrace=False)
    return found


def need_module(*names):
    """Fail the test where a module is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        pytest.fail(f"the slow tests need {', '.join(missing)}: pip install '.[slow]'", pytrace=False)


def environment(home):
    """Environment of a child that keeps its settings and compiled code in `home`, yet finds pip's own."""
    real = Path.home()
    switches = ("FASTMLP_", "NUMBA_", "PYTEST_", "PYTHON")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(switches)}
    return environ | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(real / ".config")),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(real / ".cache")),
        "FASTMLP_CACHE": str(home / "cache"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }


def run(*command, cwd, environ):
    """Run a command to its end; an exit status but 0 fails the test, with all that the command said."""
    command = [str(part) for part in command]
    child = subprocess.run(
        command,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    assert child.returncode == 0, f"{' '.join(command)} exited with {child.returncode}:\n{child.stdout}"
    return child


class Repository:
    """A git repository of its own, with a branch of any name and no history, in `folder`."""

    def __init__(self, folder, home):
        home.mkdir(parents=True, exist_ok=True)
        self.folder, self.environ = folder, environment(home)
        self.git("init", "--quiet", "--initial-branch=of-a-fork")

    def git(self, *arguments, **settings):
        """Output of a git command, without its last newline."""
        git = need("git", "install it with the system's packages")
        command = (git, "-c", "user.name=tests", "-c", "user.email=tests@localhost", *arguments)
        return run(*command, cwd=self.folder, environ=self.environ | settings).stdout.strip()

    def commit(self, message, seconds=None):
        """Commit all there is, empty or not, at a time in seconds since 1970; returns the hash."""
        self.git("add", "--all")
        date = {} if seconds is None else dict.fromkeys(DATES, f"{seconds} +0000")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}", **date)
        return self.git("rev-parse", "HEAD")

    def asv(self, *arguments):
        """Run asv on the suite."""
        need_module("asv", "virtualenv")
        command = (sys.executable, "-m", "asv", *arguments)
        return run(*command, cwd=self.folder / SUITE, environ=self.environ)


def copy_parts(folder, *parts):
    """Copy files and folders of the tree, without what was built in them."""
    folder.mkdir(parents=True)
    for part in parts:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=BUILT)
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder
