# SPDX-License-Identifier: Apache-2.0
"""The sources that a measurement depends on, and their hash, by which a stale record is recognised.

The sources are the named modules; the modules that these import, directly or not, or inside functions, or
that they name in a string (as test benches are named to cocotb); and the data files beside them: RTL, C++,
properties, templates. Comments, docstrings and layout do not count, nor does the version of Python.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Folders of data that no measurement depends on, or that a measurement names itself; their modules count.
#: The documentation's tables are written from records.
FOLDERS_APART = ("measured", "checkpoints", "docs", "__pycache__")
#: Modules that only keep the records.
MODULES_APART = ("zynq_lstm.sim.campaigns.records", "zynq_lstm.sim.campaigns.sources")
#: The project's packages: this one, whose folders are in the project's root folder, and the tests.
PACKAGE, TESTS = "zynq_lstm", "tests"
_MODULE = re.compile(rf"(?:{PACKAGE}|{TESTS})(?:\.\w+)+")
_C_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.S)
_C_LIKE = (".sv", ".svh", ".v", ".h", ".cpp")


def digest(names: Iterable[str], files: Iterable[str] = ()) -> str:
    """Return the SHA-256 of the sources of modules, and of further files.

    Args:
        names: modules, as ``zynq_lstm.sim.campaigns.mutants``, or all of a package's, as ``tests.hls.*``.
        files: further files that count, relative to the project's folder.

    Raises:
        ModuleNotFoundError: if there is no such module in the project.
    """
    found = hashlib.sha256()
    for path in (*sources(names), *(ROOT / name for name in sorted(files))):
        content = _content(path)
        found.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    return found.hexdigest()


def hashes(names: Iterable[str], alone: Iterable[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of each source of modules, by its path in the project.

    Args:
        alone: further modules, without their imports and without the data beside them.

    Raises:
        ModuleNotFoundError: if there is no such module in the project.
    """
    paths = {*sources(names), *(_file(name) for name in alone)}
    return {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(_content(path)).hexdigest()
        for path in sorted(paths)
    }


def sources(names: Iterable[str]) -> list[Path]:
    """Return the files of modules, of all modules that they import, and of the data beside these, sorted.

    Raises:
        ModuleNotFoundError: if there is no such module in the project.
    """
    waiting = [name for given in names for name in _expanded(given)]
    modules, seen = set[Path](), set(MODULES_APART)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting.append(name.rpartition(".")[0])
        if path := _module(name):
            modules.add(path)
            waiting += _imports(path)
    packages = {path.parent for path in modules if path.parent.name not in FOLDERS_APART}
    return sorted(modules | {data for package in packages for data in _data(package)})


def _expanded(name: str) -> list[str]:
    package, star, _ = name.partition(".*")
    folder = _place(package)
    if star and folder.is_dir():
        return [package, *(f"{package}.{path.stem}" for path in folder.glob("*.py"))]
    _file(package)
    return [name]


def _place(name: str) -> Path:
    return ROOT.joinpath(*name.removeprefix(f"{PACKAGE}.").split("."))


def _file(name: str) -> Path:
    """Return the file of a module, which must exist."""
    path = _module(name)
    if path is None:
        raise ModuleNotFoundError(f"no module {name} in {ROOT}", name=name)
    return path


def _module(name: str) -> Path | None:
    """Return the file of a module of the project; None if there is none."""
    path = _place(name)
    if path.is_dir():
        path /= "__init__"
    path = path.with_suffix(".py")
    return path if path.is_file() else None


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    """Return the names that a module imports or has in a string; some name functions, not modules."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _MODULE.fullmatch(node.value):
            found.append(node.value)
    return tuple(dict.fromkeys(found))


def _data(package: Path) -> Iterator[Path]:
    """Yield the files other than Python beside a package's modules, and in its folders without modules."""
    for path in package.iterdir():
        if path.is_dir():
            if path.name not in FOLDERS_APART and not (path / "__init__.py").exists() and package != ROOT:
                yield from _data(path)
        elif path.suffix != ".py" and package != ROOT:
            yield path


def _content(path: Path) -> bytes:
    """Return the part of a file that counts."""
    return _without_comments(path.suffix, path.read_bytes())


@functools.cache
def _without_comments(suffix: str, data: bytes) -> bytes:
    """Return the content of a file of some kind without comments, docstrings and layout."""
    if suffix == ".py":
        return repr(_tree(ast.parse(data))).encode()
    if suffix in _C_LIKE:
        code = _C_COMMENT.sub(lambda match: match[0] if match[0][0] == '"' else " ", data.decode("utf-8"))
        return " ".join(code.split()).encode()
    return data


def _tree(node: object) -> object:
    """Return a syntax tree as nested lists, without docstrings and empty fields, which differ by version."""
    if isinstance(node, list):
        return [_tree(child) for child in node]
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        fields["body"] = node.body[ast.get_docstring(node, clean=False) is not None :]
    kept = [(name, _tree(value)) for name, value in fields.items() if value is not None and value != []]
    return [type(node).__name__, kept]
