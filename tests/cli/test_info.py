"""`fastmlp info`."""

import re

import numpy as np
import PIL

from fastmlp.cli.main import main
from fastmlp.kernels.core import machine


def test_it_describes_the_machine(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("FASTMLP_CACHE", str(tmp_path / "kept here"))
    monkeypatch.setenv("FASTMLP_NUM_THREADS", "3")
    assert main(["info"]) == 0
    text = re.sub(r"\n +", " ", capsys.readouterr().out)  # long lines go on, indented
    lines = dict(re.split(r"  +", line, maxsplit=1) for line in text.splitlines())
    assert lines["packages"].startswith(f"numpy {np.__version__}, numba ")
    assert lines["packages"].endswith(f", pillow {PIL.__version__}")
    assert lines["processor"] == machine.processor()
    assert lines["threads"] == lines["FASTMLP_NUM_THREADS"] == "3"
    assert lines["vectors"] == f"{machine.vector_bytes()} bytes"
    assert lines["cache"] == str(tmp_path / "kept here")
    assert lines["FASTMLP_SKIP_ZEROS"] == "not set"
