"""Disks of a child's own: file systems that only it sees, mounted in a namespace, and gone with it."""

import shutil
import subprocess
import sys

import pytest
from trees import ROOT, environment

ALONE = ["unshare", "-Urm"]


def can_mount():
    """Whether a process may have mounts of its own here."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    command = [*ALONE, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def python_on_disk(folder, size, code, *arguments, **where):
    """Run code to its end with a new disk of so many bytes on `folder`, which `mount(options)` changes."""
    if not can_mount():
        pytest.skip("no mounts of its own are allowed here")
    prelude = f"""
import subprocess, sys
def mount(options):
    subprocess.run(["mount", "-o", options, "none", {str(folder)!r}], check=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size={size}", "none", {str(folder)!r}], check=True)
"""
    command = [*ALONE, sys.executable, "-W", "always", "-c", prelude + code, *map(str, arguments)]
    environ = environment(ROOT, **where)
    return subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=300)
