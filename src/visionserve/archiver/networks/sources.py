"""The source files of an architecture of one's own, which travel in the archive with what they import."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSTALLED = ("site-packages", "dist-packages")


@contextlib.contextmanager
def importable(root: Path) -> Iterator[None]:
    """While it lasts, modules are imported from the project's folder first, as they will be from the archive's."""
    sys.path.insert(0, str(root.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(root.resolve()))


def files(root: Path, architecture: str) -> dict[str, Path]:
    """The member name and file of every module of the project that an imported architecture uses.

    Modules that are installed elsewhere are not carried: the server must have them too.

    Args:
        root: The project's folder.
        architecture: `package.module:function`, already imported.
    """
    folder = root.resolve()
    found: dict[str, Path] = {}
    queue = [architecture.partition(":")[0]]
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in seen or name not in sys.modules:
            continue
        seen.add(name)
        module = sys.modules[name]
        path = _file_in(folder, module)
        if path is not None:
            found[str(path.relative_to(folder))] = path
            queue += [name.rpartition(".")[0], *_used_by(module), *_imported_by(module, path)]
    return dict(sorted(found.items()))


def _file_in(folder: Path, module: types.ModuleType) -> Path | None:
    if not getattr(module, "__file__", None):
        return None
    path = Path(str(module.__file__)).resolve()
    inside = path.is_relative_to(folder) and path.suffix == ".py"
    return path if inside and not set(_INSTALLED) & set(path.parts) else None


def _used_by(module: types.ModuleType) -> Iterator[str]:
    for value in vars(module).values():
        if isinstance(value, types.ModuleType):
            yield value.__name__
        elif isinstance(defined_in := getattr(value, "__module__", None), str):
            yield defined_in


def _imported_by(module: types.ModuleType, path: Path) -> Iterator[str]:
    """What its import statements name: of a constant, only they tell where it is from."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            name = importlib.util.resolve_name(package, module.__package__) if node.level else package
            yield from _with_parents(name)
            yield from (f"{name}.{alias.name}" for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))
