"""The sources, as tests read them: modules by the names that import them, and what each imports."""

import ast
import functools
import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = {"fastmlp": ROOT / "fastmlp", "fastmlp.kernels": ROOT / "kernels"}


def python_files():
    """Every Python file of the project, but for what was built or installed in it."""
    built = ("build", "dist", "runs", "venv")
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name not in built]
    found = [path for folder in folders for path in folder.rglob("*.py")] + [*ROOT.glob("*.py")]
    return sorted(
        path for path in found if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


def _name(path, folder, package):
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join((package, *parts)).removesuffix(".__init__")


MODULES = {
    _name(path, folder, package): path
    for package, folder in FOLDERS.items()
    for path in sorted(folder.rglob("*.py"))
}


@functools.cache
def nodes(path):
    """All nodes of a file's syntax."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def is_package(name):
    return MODULES[name].name == "__init__.py"


def ancestors(name):
    """Names of the packages around a module, and its own."""
    parts = name.split(".")
    return {".".join(parts[: n + 1]) for n in range(len(parts))}


def written_imports(name):
    """What a module's import statements name, late ones too: (relative or not, absolute name) of each."""
    package = name if is_package(name) else name.rpartition(".")[0]
    for node in nodes(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from ((False, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            written = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(written, package)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield bool(node.level), inner if inner in MODULES else base


def imported(name):
    """Modules of the project that run before a module does: those it names, and the packages around them."""
    own = ancestors(name)
    found = set()
    for _, target in written_imports(name):
        if target in MODULES:
            found |= {target} | (ancestors(target) - own)
    return found - {name}
