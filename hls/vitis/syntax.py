# SPDX-License-Identifier: Apache-2.0
"""Syntax trees of HLS C++, read by clang's own parser (libclang, which TensorFlow brings), with the pragmas.

Clang drops the HLS pragmas, so they are read from the text, without those that the preprocessor skips. Each
belongs to the innermost block around it. Functions are converted as they are instantiated: in a template's
instance every type and constant is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ctypes import POINTER, Structure, c_int, c_longlong, c_uint, c_void_p
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from clang import cindex
from clang.cindex import CursorKind, TypeKind

from zynq_lstm.models import processes

#: The project's folder with the C++ for synthesis, and in it the vendor's headers, which are taken as given.
FIRMWARE, VENDOR = "firmware", "ap_types"
#: The macro is defined after the vendor's headers, which need the vendor's compiler with it.
VENDOR_HEADERS = ("ap_types/ap_fixed.h", "ap_types/ap_int.h", "nnet_utils/nnet_types.h")
FUNCTIONS = (CursorKind.FUNCTION_DECL, CursorKind.CXX_METHOD, CursorKind.CONSTRUCTOR)
CODE = (*FUNCTIONS, CursorKind.FUNCTION_TEMPLATE)
SCOPES = (
    CursorKind.NAMESPACE,
    CursorKind.STRUCT_DECL,
    CursorKind.CLASS_DECL,
    CursorKind.CLASS_TEMPLATE,
    CursorKind.LINKAGE_SPEC,
)
ERROR = 3  # clang's severity
FLOATS = (TypeKind.FLOAT, TypeKind.DOUBLE, TypeKind.LONGDOUBLE, TypeKind.HALF, TypeKind.FLOAT128)
LITERALS = (
    CursorKind.INTEGER_LITERAL,
    CursorKind.CXX_BOOL_LITERAL_EXPR,
    CursorKind.CHARACTER_LITERAL,
    CursorKind.CXX_UNARY_EXPR,  # sizeof
)

# CXBinaryOperatorKind and CXUnaryOperatorKind of clang-c/Index.h, in order.
BINARY = [
    ".*",
    "->*",
    "*",
    "/",
    "%",
    "+",
    "-",
    "<<",
    ">>",
    "<=>",
    "<",
    ">",
    "<=",
    ">=",
    "==",
    "!=",
    "&",
    "^",
    "|",
    "&&",
    "||",
    "=",
    "*=",
    "/=",
    "%=",
    "+=",
    "-=",
    "<<=",
    ">>=",
    "&=",
    "^=",
    "|=",
    ",",
]
UNARY = ["x++", "x--", "++x", "--x", "&", "*", "+", "-", "~", "!"]


@dataclass(frozen=True)
class Pragma:
    """A pragma ``HLS``: its directive in upper case, and its options; a lone word has the value ''."""

    path: Path
    line: int
    directive: str
    options: dict[str, str] = field(hash=False)

    @property
    def names(self) -> list[str]:
        """Names of the variables or ports that it is about."""
        given = self.options.get("variable") or self.options.get("port") or ""
        return [name for name in given.replace("&", "").split(",") if name and name != "return"]

    def one_of(self, key: str, *words: str) -> str:
        """The option's value, or the one of some words that stands alone; '' without either."""
        value = self.options.get(key, "")
        return value.lower() or next((word for word in words if word in self.options), "")


@dataclass(eq=False, slots=True)
class Node:
    """A part of a syntax tree.

    ``key`` is the identity of the declaration that is declared or meant; ``value`` is an integer constant.
    """

    kind: str
    name: str
    path: Path | None
    line: int
    column: int
    type: str
    children: list[Node]
    key: int = 0
    op: str = ""
    value: int | None = None
    dims: tuple[int, ...] = ()
    floating: bool = False
    constant: bool = False
    static: bool = False
    reference: bool = False
    virtual: bool = False
    function: Any = None  # of a call: the cursor of what is called
    owner: str = ""  # of a call: the kind of declaration that is called
    arguments: list[Node] = field(default_factory=list)
    parameters: list[Node] = field(default_factory=list)
    pragmas: list[Pragma] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def body(self) -> Node | None:
        """Of a function or loop: its block."""
        blocks = [child for child in self.children if child.kind == "COMPOUND_STMT"]
        return blocks[-1] if blocks else None


class _Range(Structure):
    _fields_ = [("count", c_uint), ("ranges", POINTER(cindex.SourceRange))]


@cache
def _library() -> Any:
    """Functions of libclang that its Python module does not declare."""
    library = cindex.conf.lib
    for name, arguments, result in (
        ("clang_getCursorBinaryOperatorKind", [cindex.Cursor], c_int),
        ("clang_getCursorUnaryOperatorKind", [cindex.Cursor], c_int),
        ("clang_Cursor_Evaluate", [cindex.Cursor], c_void_p),
        ("clang_EvalResult_getKind", [c_void_p], c_int),
        ("clang_EvalResult_getAsLongLong", [c_void_p], c_longlong),
        ("clang_EvalResult_dispose", [c_void_p], None),
        ("clang_getSkippedRanges", [cindex.TranslationUnit, cindex.File], POINTER(_Range)),
        ("clang_disposeSourceRangeList", [POINTER(_Range)], None),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library


def _evaluated(cursor: Any) -> int | None:
    library = _library()
    result = library.clang_Cursor_Evaluate(cursor)
    if not result:
        return None
    value = library.clang_EvalResult_getAsLongLong(result)
    integer = library.clang_EvalResult_getKind(result) == 1
    library.clang_EvalResult_dispose(result)
    return value if integer else None


def read_pragmas(path: Path, text: str) -> list[Pragma]:
    """Return every pragma ``HLS`` of a text; a backslash at a line's end continues it."""
    found = []
    for match in re.finditer(r"^[ \t]*#[ \t]*pragma[ \t]+HLS[ \t]+((?:.*\\\n)*.*)$", text, re.M | re.I):
        words = re.sub(r"\s*=\s*", "=", match[1].split("//")[0].replace("\\\n", " ")).split()
        options = {key.lower(): value for key, _, value in (word.partition("=") for word in words[1:])}
        line = text.count("\n", 0, match.start()) + 1
        found.append(Pragma(path, line, words[0].upper(), options))
    return found


class Source:
    """A project as a synthesis tool reads it: with ``__SYNTHESIS__``.

    ``more`` is C++ after the project's own, such as a function that calls an otherwise unused template.
    Raises ``ValueError`` if clang reports an error.
    """

    def __init__(self, project: Path, main: str, more: str = "") -> None:
        self.folder = (project / FIRMWARE).resolve()
        headers = [name for name in VENDOR_HEADERS if (self.folder / name).exists()]
        lines = [*(f'#include "{name}"' for name in headers), "#define __SYNTHESIS__", f'#include "{main}"']
        self.main = self.folder / "zynq_lstm_check.cpp"  # in memory only
        text = "\n".join([*lines, more, ""])
        options = ["-xc++", "-std=c++14", "-w", f"-I{self.folder}", f"-I{self.folder / VENDOR}"]
        options += [f"-isystem{folder}" for folder in compiler_headers()]
        self.unit = cindex.Index.create().parse(
            str(self.main),
            args=options,
            unsaved_files=[(str(self.main), text)],
            options=cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD,
        )
        errors = [str(one) for one in self.unit.diagnostics if one.severity >= ERROR]
        if errors:
            raise ValueError(f"clang cannot read {self.folder / main}:\n" + "\n".join(errors[:5]))
        self._functions: dict[int, Node] = {}
        self._outside: list[Any] = []
        self._ours: dict[str, Path | None] = {}
        self._pragmas: dict[Path, list[Pragma]] = {self.main: read_pragmas(self.main, text)}

    def ours(self, file: Any) -> Path | None:
        """The path of a file of the project; None for the vendor's and the system's."""
        if file is None:
            return None
        if file.name not in self._ours:
            path = Path(file.name).resolve()
            ours = path.is_relative_to(self.folder) and VENDOR not in path.relative_to(self.folder).parts
            self._ours[file.name] = path if ours else None
        return self._ours[file.name]

    def pragmas(self, path: Path) -> list[Pragma]:
        """Pragmas of a file that the preprocessor keeps."""
        if path not in self._pragmas:
            file = cindex.File.from_name(self.unit, str(path))
            found = _library().clang_getSkippedRanges(self.unit, file)
            ranges = [found.contents.ranges[k] for k in range(found.contents.count)]
            skipped = [(one.start.line, one.end.line) for one in ranges]
            _library().clang_disposeSourceRangeList(found)
            self._pragmas[path] = [
                one
                for one in read_pragmas(path, path.read_text(encoding="utf-8"))
                if not any(first <= one.line <= last for first, last in skipped)
            ]
        return self._pragmas[path]

    def definitions(self) -> list[Any]:
        """Cursors of every function and template of one that the project defines."""
        return [one for one in self._declared_outside() if one.kind in CODE and one.is_definition()]

    def variables(self) -> dict[str, Any]:
        """Cursors of the project's variables outside functions and of its classes' fields, by their names."""
        kinds = (CursorKind.VAR_DECL, CursorKind.FIELD_DECL)
        return {one.spelling: one for one in self._declared_outside() if one.kind in kinds}

    def _declared_outside(self) -> list[Any]:
        """Cursors of all that the project declares outside functions."""
        if not self._outside:
            left = [self.unit.cursor]
            while left:
                for one in left.pop().get_children():
                    if one.kind == CursorKind.NAMESPACE or self.ours(one.location.file) is not None:
                        self._outside.append(one)
                        if one.kind in SCOPES:
                            left.append(one)
        return self._outside

    def function(self, cursor: Any) -> Node | None:
        """The tree of a function of the project; None if its body is elsewhere."""
        if not cursor.is_definition():
            cursor = cursor.get_definition()
        if cursor is None or self.ours(cursor.location.file) is None:
            return None
        if cursor.hash not in self._functions:
            path = self.ours(cursor.location.file)
            assert path is not None
            left = list(self.pragmas(path))
            node = self._converted(cursor, left)
            node.type = ", ".join(
                cursor.get_template_argument_type(k).spelling or str(cursor.get_template_argument_value(k))
                for k in range(max(cursor.get_num_template_arguments(), 0))
            )
            self._functions[cursor.hash] = node
        return self._functions[cursor.hash]

    def reached(self) -> list[Node]:
        """The functions that have been converted."""
        return list(self._functions.values())

    def _converted(self, cursor: Any, pragmas: list[Pragma]) -> Node:
        kind, of = cursor.kind, cursor.type
        place = cursor.location
        below = list(cursor.get_children())
        children = [self._converted(child, pragmas) for child in below]
        plain = of.get_canonical()
        node = Node(
            kind.name,
            cursor.spelling,
            self.ours(place.file),
            place.line,
            place.column,
            plain.spelling,
            children,
        )
        node.floating = plain.kind in FLOATS
        if kind in (CursorKind.VAR_DECL, CursorKind.PARM_DECL, CursorKind.FIELD_DECL, *FUNCTIONS):
            node.key = cursor.hash
        if kind in (CursorKind.VAR_DECL, CursorKind.PARM_DECL):
            self._declared(node, cursor)
        elif kind in (CursorKind.DECL_REF_EXPR, CursorKind.MEMBER_REF_EXPR):
            self._meant(node, cursor)
        elif kind in LITERALS:
            node.value = _evaluated(cursor)
        elif kind in (CursorKind.BINARY_OPERATOR, CursorKind.COMPOUND_ASSIGNMENT_OPERATOR):
            node.op = BINARY[_library().clang_getCursorBinaryOperatorKind(cursor) - 1]
        elif kind == CursorKind.UNARY_OPERATOR:
            node.op = dict(enumerate(UNARY, 1)).get(_library().clang_getCursorUnaryOperatorKind(cursor), "")
        elif kind == CursorKind.CALL_EXPR:
            self._called(node, cursor, {one.hash: child for one, child in zip(below, children, strict=True)})
        elif kind == CursorKind.COMPOUND_STMT:
            first, last = cursor.extent.start.line, cursor.extent.end.line
            node.pragmas = [one for one in pragmas if first <= one.line <= last]
            pragmas[:] = [one for one in pragmas if one not in node.pragmas]
        return node

    def _declared(self, node: Node, cursor: Any) -> None:
        of = cursor.type.get_canonical()
        node.reference = of.kind in (TypeKind.LVALUEREFERENCE, TypeKind.RVALUEREFERENCE)
        target = of.get_pointee() if node.reference else of
        node.constant = target.is_const_qualified()
        node.static = cursor.storage_class == cindex.StorageClass.STATIC
        node.floating = re.search(r"\b(float|double|half)\b", of.spelling) is not None
        node.dims = dims_of(cursor)
        if node.dims:
            node.reference = False  # a reference to an array is the array

    def _meant(self, node: Node, cursor: Any) -> None:
        meant = cursor.referenced
        if meant is None or not node.name:
            return
        node.key = meant.hash
        node.owner = meant.kind.name
        if meant.kind in (CursorKind.VAR_DECL, CursorKind.PARM_DECL, CursorKind.FIELD_DECL):
            node.dims = dims_of(meant)
        scalar = not node.dims and meant.kind in (CursorKind.VAR_DECL, CursorKind.ENUM_CONSTANT_DECL)
        if scalar and (meant.kind == CursorKind.ENUM_CONSTANT_DECL or meant.type.is_const_qualified()):
            node.value = _evaluated(cursor)

    def _called(self, node: Node, cursor: Any, children: dict[int, Node]) -> None:
        default = Node("DEFAULT", "", None, node.line, 0, "", [])
        node.arguments = [
            children.get(one.hash, default) for one in cursor.get_arguments() if one is not None
        ]
        meant = cursor.referenced
        if meant is None:
            return
        node.function, node.owner, node.key = meant, meant.kind.name, meant.hash
        node.virtual = meant.kind == CursorKind.CXX_METHOD and meant.is_virtual_method()
        if meant.kind in FUNCTIONS:
            for one in meant.get_arguments():
                parameter = Node("PARM_DECL", one.spelling, None, 0, 0, one.type.get_canonical().spelling, [])
                self._declared(parameter, one)
                node.parameters.append(parameter)


def dims_of(cursor: Any) -> tuple[int, ...]:
    """Sizes of an array's dimensions; a parameter's are only in its spelling."""
    of = cursor.type.get_canonical()
    if cursor.kind == CursorKind.PARM_DECL and of.kind == TypeKind.POINTER:
        return tuple(map(int, re.findall(r"\[(\d+)\]", cursor.type.spelling)))
    if of.kind in (TypeKind.LVALUEREFERENCE, TypeKind.RVALUEREFERENCE):
        of = of.get_pointee()
    dims = []
    while of.kind == TypeKind.CONSTANTARRAY:
        dims.append(of.element_count)
        of = of.element_type
    return tuple(dims)


@cache
def compiler_headers() -> tuple[str, ...]:
    """Folders of g++'s own headers, such as stddef.h, which the wheel of libclang lacks."""
    import shutil

    compiler = shutil.which("g++")
    said = processes.run([compiler, "-print-file-name=include"]) if compiler else None
    return (said.stdout.strip(),) if said and not said.returncode else ()
