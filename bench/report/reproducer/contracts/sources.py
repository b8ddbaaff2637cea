"""Sources of live objects, for scripts that do without this package: functions by their syntax, data as
literals, what Python and NumPy bring along by an import.

All that a function refers to becomes a :class:`Unit` under a placeholder; names are chosen when it is
known which units are left. What cannot be written down is a unit, too: it is trouble only if the script
turns out to need it.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import copy
import dataclasses
import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What a script's head binds; functions import it where they need it.
API = "bench.nets.api"
GIVEN = ("keras", "tf", "KERAS_MAJOR", "KERAS_VERSION")
#: Numbers of an array that may stand in a script.
_MOST_NUMBERS = 64
#: Characters of a collection that stands where it is used, without a name.
_SHORT = 100


class WritingError(Exception):
    """No script can be written; the message says what stands in the way."""


@dataclass
class Unit:
    """One definition of a script."""

    wanted: str
    """The name that it should get."""
    node: Any = None
    """A function, a class, or the expression of a constant."""
    line: str = ""
    """An import, in the place of a node."""
    trouble: str = ""
    """Why it cannot be written down."""
    value: Any = None
    """What it stands for."""


class Sources:
    """Units of all that a function refers to.

    Args:
        seed: of the check: what ``SEED.get()`` stands for.
        stand_ins: source text in the place of functions and classes, by module and name.
        bound: names in the place of functions and classes, which scripts have anyway.
        rewrite: changes the node of each unit before others see it.
    """

    def __init__(
        self,
        seed: int,
        stand_ins: Mapping[tuple[str, str], str],
        bound: Mapping[tuple[str, str], str],
        rewrite: Callable[[ast.AST], ast.AST],
    ) -> None:
        self.seed = seed
        self.units: dict[str, Unit] = {}
        self._stand_ins, self._bound, self._rewrite = stand_ins, bound, rewrite
        self._known: dict[tuple[int, ...], str] = {}
        self._kept: list[Any] = []  # an object's id is its own as long as it lives

    def function(self, function: Any, wanted: str, owner: Any = None) -> str:
        """The placeholder of a function; of a method, with its owner in the place of ``self``."""
        inner = inspect.unwrap(function)

        def resolved() -> ast.AST:
            node = _definition(inner)
            if isinstance(node, ast.FunctionDef) and inner is function:
                node.decorator_list = []  # it registers a contract
            if owner is not None:
                del node.args.args[0]
            a = node.args  # defaults were computed once
            a.defaults = [self.reference(each, "default") for each in inner.__defaults__ or ()]
            named = inner.__kwdefaults__ or {}
            a.kw_defaults = [
                self.reference(named[each.arg], each.arg) if each.arg in named else None
                for each in a.kwonlyargs
            ]
            return _Resolver(self, _scope(inner, owner), bound(node)).visit(node)

        return self._made((function, owner), wanted, resolved)

    def reference(self, value: Any, wanted: str) -> ast.expr:
        """An expression of a value: a literal if it is short, else the placeholder of a unit."""
        if isinstance(value, (bool, int, float, str, bytes, type(None))):
            return literal(value)
        if isinstance(value, (tuple, list, Mapping)) and len(repr(value)) <= _SHORT:
            with contextlib.suppress(WritingError):
                return self._data(value)
        named = getattr(value, "__module__", ""), getattr(value, "__name__", "")
        return ast.Name(self._bound.get(named) or self._unit(value, wanted), ast.Load())

    def attribute(self, owner: Any, name: str) -> ast.expr:
        """What an attribute of an object stands for."""
        value = getattr(owner, name)
        if inspect.ismethod(value):
            return ast.Name(self.function(value.__func__, name, owner), ast.Load())
        return self.reference(value, name)

    def _unit(self, value: Any, wanted: str) -> str:
        module, name = getattr(value, "__module__", ""), getattr(value, "__name__", "")
        text = self._stand_ins.get((module, name))
        if text:
            return self._made((value,), wanted, lambda: self._text(text))
        if _ours(module) and (inspect.isfunction(value) or hasattr(value, "__wrapped__")):
            return self.function(value, wanted)
        if _ours(module) and inspect.isclass(value):
            return self._made((value,), wanted, lambda: self._class(value))
        if inspect.ismodule(value):
            return self._made((value,), wanted, lambda: _import(value.__name__, "", wanted))
        if inspect.isclass(value) or inspect.isroutine(value):
            return self._made((value,), wanted, lambda: _import(module, value.__qualname__, wanted))
        return self._made((value,), wanted, lambda: self._data(value))

    def _made(self, objects: tuple[Any, ...], wanted: str, make: Any) -> str:
        """The placeholder of what ``make`` returns: a node, or the line of an import."""
        key = tuple(map(id, objects))
        if key not in self._known:
            placeholder = self._known[key] = f"_unit{len(self.units)}_"
            self._kept.append(objects)
            unit = self.units[placeholder] = Unit(wanted, value=objects[0])
            try:
                made = make()
                if isinstance(made, str):
                    unit.line = made
                else:
                    unit.node = self._rewrite(made)
            except WritingError as error:
                unit.trouble = str(error)
        return self._known[key]

    def _text(self, text: str) -> ast.AST:
        (node,) = ast.parse(text).body
        scope = {"zlib": sys.modules["zlib"], "SEED": self.seed}
        return _Resolver(self, scope, bound(node)).visit(node)

    def _class(self, value: type) -> ast.AST:
        found = [
            node
            for node in ast.walk(_tree(value.__module__))
            if isinstance(node, ast.ClassDef) and node.name == value.__name__
        ]
        if len(found) != 1:
            raise WritingError(f"{value.__name__} is no class of a module")
        scope = vars(sys.modules[value.__module__])
        return _Resolver(self, scope, bound(found[0])).visit(copy.deepcopy(found[0]))

    def _data(self, value: Any) -> ast.expr:
        """A literal whose functions are units."""
        if isinstance(value, (tuple, list)):
            kind = ast.Tuple if isinstance(value, tuple) else ast.List
            return kind([self._inside(each) for each in value], ast.Load())
        if isinstance(value, Mapping):
            keys: list[ast.expr | None] = [self._inside(each) for each in value]
            return ast.Dict(keys, [self._inside(each) for each in value.values()])
        if isinstance(value, functools.partial):
            options = [ast.keyword(k, self._inside(v)) for k, v in value.keywords.items()]
            given = [self._inside(each) for each in (value.func, *value.args)]
            return ast.Call(self.reference(functools.partial, "partial"), given, options)
        if of_data(value):
            fields = [each for each in dataclasses.fields(value) if each.init]
            options = [ast.keyword(f.name, self._inside(getattr(value, f.name))) for f in fields]
            return ast.Call(self.reference(type(value), type(value).__name__), [], options)
        return literal(value)

    def _inside(self, value: Any) -> ast.expr:
        plain = isinstance(value, (tuple, list, Mapping))
        return self._data(value) if plain else self.reference(value, "given")


def of_data(value: Any) -> bool:
    """Whether something is an object of a data class of ours."""
    return (
        dataclasses.is_dataclass(value) and not inspect.isclass(value) and _ours(value.__module__)
    )


def literal(value: Any) -> ast.expr:
    """An expression that makes a number, a text or an array again.

    Raises:
        WritingError: it is something else, or too long.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        if value.size > _MOST_NUMBERS or value.dtype.kind not in "biuf":
            raise WritingError(f"{value.size} numbers of {value.dtype} are no literal")
        text = repr(value.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
        return ast.parse(f"np.array({text}, {value.dtype.name!r})", mode="eval").body
    if isinstance(value, float):
        return ast.parse(
            repr(value) if np.isfinite(value) else f'float("{value}")', mode="eval"
        ).body
    if isinstance(value, (bool, int, str, bytes, type(None), type(...))):
        return ast.Constant(value)
    if isinstance(value, (range, slice)):
        return ast.parse(repr(value), mode="eval").body
    raise WritingError(f"a {type(value).__name__} is no literal")


def bound(node: ast.AST) -> set[str]:
    """Names that are bound within a function or class: parameters, targets, definitions."""
    names: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load):
            names.add(each.id)
        elif isinstance(each, ast.arg):
            names.add(each.arg)
        elif (isinstance(each, (ast.FunctionDef, ast.ClassDef)) and each is not node) or (
            isinstance(each, ast.ExceptHandler) and each.name
        ):
            names.add(str(each.name))
        elif isinstance(each, ast.alias):
            names.add(each.asname or each.name)
    return names - set(GIVEN)


class _Resolver(ast.NodeTransformer):
    """Replaces what a function refers to by placeholders, and leaves out annotations, docstrings and
    imports of the API."""

    def __init__(self, sources: Sources, scope: Mapping[str, Any], local: set[str]) -> None:
        self._sources = sources
        self._scope = {name: value for name, value in scope.items() if name not in local}
        self._fields = False

    def visit_Name(self, node: ast.Name) -> ast.expr:
        given = node.id in GIVEN or node.id == "np"
        if given or node.id not in self._scope or not isinstance(node.ctx, ast.Load):
            return node
        return self._sources.reference(self._scope[node.id], node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        value = self._scope.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if inspect.ismodule(value) and _ours(value.__name__):
            return self._sources.reference(getattr(value, node.attr), node.attr)
        if of_data(value):
            return self._sources.attribute(value, node.attr)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            variable = self._scope.get(node.func.value.id)
            if isinstance(variable, ContextVar) and node.func.attr == "get":
                return ast.Constant(self._sources.seed)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if self._fields:
            node.annotation = ast.Constant(None)
            return self.generic_visit(node)
        if node.value is None:
            return None
        return self.visit(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = _without_docstring(node.body)
        node.returns = None
        self._fields = False
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [
            each
            for each in node.body
            if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        ]
        fields = any("dataclass" in ast.unparse(each) for each in node.decorator_list)
        body = []
        for each in node.body:
            self._fields = fields
            body.append(self.visit(each))
        self._fields = False
        node.body = []
        self.generic_visit(node)
        node.body = [each for each in body if each is not None] or [ast.Pass()]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        if node.module == API:
            return None
        raise WritingError(f"it imports {node.module}")


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (body[1:] if told else body) or [ast.Pass()]


def _ours(module: str | None) -> bool:
    return (module or "").partition(".")[0] == "bench"


def _scope(function: Any, owner: Any) -> dict[str, Any]:
    """What a function's names stand for, built-in ones left out."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    scope = {n: v for n, v in function.__globals__.items() if not hasattr(builtins, n)}
    scope |= {name: cell.cell_contents for name, cell in cells}
    return {**scope, "self": owner} if owner is not None else scope


def _import(module: str, name: str, wanted: str) -> str:
    root = module.partition(".")[0]
    if module == "builtins":
        return f"{wanted} = {name}"
    if (root not in sys.stdlib_module_names and root != "numpy") or "." in name:
        raise WritingError(f"{module}.{name} is neither of Python nor NumPy")
    if not name:
        return f"import {module}" if wanted == module else f"import {module} as {wanted}"
    return f"from {module} import {name}" + ("" if wanted == name else f" as {wanted}")


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))


def _definition(function: types.FunctionType) -> Any:
    """A copy of a function's syntax, found by its first line.

    Raises:
        WritingError: several functions begin in that line.
    """
    code = function.__code__
    kind = ast.Lambda if code.co_name == "<lambda>" else ast.FunctionDef
    found = [
        node
        for node in ast.walk(_tree(function.__module__))
        if isinstance(node, kind) and _first_line(node) == code.co_firstlineno
    ]
    if len(found) != 1:
        raise WritingError(f"{len(found)} functions begin in line {code.co_firstlineno}")
    return copy.deepcopy(found[0])


def _first_line(node: Any) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])
