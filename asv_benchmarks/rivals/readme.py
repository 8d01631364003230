"""The part of the README that the results fill."""

from pathlib import Path

from asv_benchmarks.children import ROOT
from fastmlp.atomic import safe_write

README = ROOT / "README.md"
BEGIN, END = "<!-- rivals: begin -->", "<!-- rivals: end -->"


def split(path: Path) -> tuple[str, str, str]:
    """Text before, between and after the markers.

    Raises
    ------
    ValueError
        The markers are not there once each, in their order.
    """
    text = path.read_text(encoding="utf-8")
    for marker in (BEGIN, END):
        if text.count(marker) != 1:
            raise ValueError(
                f"{path}: found {text.count(marker)} lines {marker!r}, expected one; "
                f"put {BEGIN} and {END} where table and chart belong"
            )
    before, rest = text.split(BEGIN)
    if END not in rest:
        raise ValueError(f"{path}: found {END} before {BEGIN}, expected it after")
    between, after = rest.split(END)
    return before, between.strip("\n"), after


def insert(path: Path, text: str) -> None:
    """Put text between the markers; the file appears whole or not at all."""
    before, _, after = split(path)
    with safe_write(path) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
