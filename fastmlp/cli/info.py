"""`fastmlp info`: this installation and machine."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import textwrap
from pathlib import Path
from typing import Any

from fastmlp import __version__
from fastmlp.kernels.core import machine

from .arguments import add_command

_PACKAGES = ("numpy", "numba", "llvmlite", "scikit-learn", "matplotlib", "tqdm", "safetensors", "pillow")
_SWITCHES = ("FASTMLP_CACHE", "FASTMLP_NUM_THREADS", "FASTMLP_SKIP_ZEROS", "FASTMLP_VECTOR_BYTES")


def add(commands: Any) -> None:
    """Add the command, which has no arguments."""
    add_command(
        commands,
        info,
        "describe this installation and machine",
        "Print the versions in use, the processor, its features, threads and vectors, the\n"
        "folder of unpacked data and compiled code, and the environment variables that\n"
        "change these.",
        "fastmlp info",
    )


def info(args: argparse.Namespace) -> int:
    """Print versions, what of the processor is used, the cache's folder and the switches."""
    used = sorted(feature[1:] for feature in machine.features().split(",") if feature.startswith("+"))
    lines = {
        "fastmlp": f"{__version__}, Python {platform.python_version()}, {platform.platform()}",
        "packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES),
        "processor": machine.processor(),
        "features": " ".join(used),
        "threads": machine.get_num_threads(),
        "vectors": f"{machine.VECTOR_BYTES} bytes",
        "cache": _cache_folder(),
    } | {name: os.environ.get(name, "not set") for name in _SWITCHES}
    width = max(map(len, lines))
    indent = " " * (width + 2)
    for name, text in lines.items():
        print(textwrap.fill(f"{name:{width}}  {text}", 110, subsequent_indent=indent, break_on_hyphens=False))
    return 0


def _cache_folder() -> Path | str:
    try:
        return machine.cache_folder()
    except RuntimeError as error:
        return f"none: {error}"
