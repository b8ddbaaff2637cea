"""Effects: what running a part of a contract's source changes, as far as names tell.

NumPy, Python and methods that read change nothing; functions of ours that touch neither TensorFlow nor
Keras change at most what they are given; anything else may change anything. Calls are taken to return
objects of their own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from bench.report.reproducer.contracts.sources import GIVEN, Unit
from bench.report.reproducer.contracts.syntax import (
    called,
    given,
    parameters,
    read,
    root,
    starred,
    stored,
)

CHECK, REPORT = "check", "report"
#: Stands for a change of what is not known.
ANYTHING = "*"
#: Modules of Python, and functions of NumPy, that are called for what they do.
_ACTING = frozenset(
    ("time", "gc", "subprocess", "save", "savez", "copyto", "put", "putmask", "place")
)
#: Built-in functions that change nothing.
_PURE = frozenset(
    [
        "abs",
        "all",
        "any",
        "bool",
        "bytes",
        "dict",
        "enumerate",
        "filter",
        "float",
        "frozenset",
        "getattr",
        "hasattr",
        "id",
        "int",
        "isinstance",
        "len",
        "list",
        "map",
        "max",
        "min",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "slice",
        "sorted",
        "str",
        "sum",
        "tuple",
        "type",
        "zip",
    ]
)
#: Methods of arrays, texts, collections and layers that only read.
_READING = frozenset(
    [
        "all",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "astype",
        "copy",
        "count",
        "cumsum",
        "dot",
        "endswith",
        "flatten",
        "form",
        "format",
        "get",
        "get_config",
        "get_weights",
        "index",
        "item",
        "items",
        "join",
        "keys",
        "lower",
        "max",
        "mean",
        "min",
        "nonzero",
        "numpy",
        "partition",
        "prod",
        "ravel",
        "repeat",
        "replace",
        "reshape",
        "round",
        "rpartition",
        "split",
        "squeeze",
        "startswith",
        "std",
        "strip",
        "sum",
        "swapaxes",
        "take",
        "title",
        "tolist",
        "transpose",
        "upper",
        "values",
        "var",
        "view",
    ]
)
#: Methods of collections that change what they are called with, and nothing else.
_CHANGING = frozenset(
    ["add", "append", "clear", "extend", "insert", "pop", "remove", "setdefault", "sort", "update"]
)
_TENSORS = frozenset(("constant", "convert_to_tensor", "cast"))


class Effects:
    """Effects of the units of a script.

    Args:
        units: by placeholder.
        order: placeholders, each after those that it refers to.
        tensor: the name under which the number is compared that is asked for; empty: none is.
    """

    def __init__(self, units: dict[str, Unit], order: Sequence[str], tensor: str) -> None:
        self._units, self._tensor = units, tensor
        #: Parameters that each function changes.
        self.of: dict[str, set[str]] = {}
        self._methods: dict[str, list[tuple[ast.FunctionDef, str]]] = {}
        self._reporting: set[str] = set()
        self._touching: set[str] = set()  # TensorFlow or Keras
        self._summarize(order)

    def _summarize(self, order: Sequence[str]) -> None:
        """Which parameters each function changes, and whether it compares what is asked for; both grow
        until nothing is added."""
        functions: dict[str, ast.FunctionDef] = {}
        touching = self._touching
        for name in order:  # a unit comes after those that it refers to
            node = self._units[name].node
            if self._units[name].trouble or read(node) & {*GIVEN[:2], *touching}:
                touching.add(name)
            inner = [(name, node)] if isinstance(node, ast.FunctionDef) else []
            if isinstance(node, ast.ClassDef):
                inner = [
                    (f"{name}.{n.name}", n) for n in node.body if isinstance(n, ast.FunctionDef)
                ]
                for key, each in inner:
                    self._methods.setdefault(each.name, []).append((each, key))
            functions |= dict(inner)
        self.of = {name: set() for name in functions}
        while True:
            before = sum(map(len, self.of.values())), len(self._reporting)
            for name, node in functions.items():
                own, alike = stored(node.args), aliases(node)
                local = stored(*node.body) - own
                changed = set().union(*(self.changes(each) for each in node.body))
                if (
                    name.partition(".")[0] not in touching
                ):  # NumPy and Python change what they are given
                    changed.discard(ANYTHING)
                found = {other for each in changed for other in reached(each, alike)}
                self.of[name] |= found - local
                if any(self.reports(each) for each in node.body):
                    self._reporting.add(name)
            if before == (sum(map(len, self.of.values())), len(self._reporting)):
                return

    def changes(self, node: ast.AST) -> set[str]:
        """Names of objects that running this changes, beside the names that it sets."""
        found: set[str] = set()
        for each in ast.walk(node):
            if isinstance(each, ast.Call):
                found |= self._changed_by(each)
            elif isinstance(each, (ast.Attribute, ast.Subscript)):
                if not isinstance(each.ctx, ast.Load):
                    found.add(root(each))
            elif isinstance(each, ast.AugAssign):  # arrays and lists change in place
                found.add(root(each.target))
            elif isinstance(each, (ast.Global, ast.Nonlocal)):
                found.add(ANYTHING)
        return found

    def _changed_by(self, call: ast.Call) -> set[str]:
        function, base = call.func, root(call.func)
        unit = self._units.get(base)
        if unit is not None and unit.line and base != "np":  # of Python
            return {ANYTHING} if base in _ACTING else set()
        if isinstance(function, ast.Name):
            if base in _PURE:
                return set()
            if unit is not None and isinstance(unit.node, ast.ClassDef):
                made = [
                    n for n in ("__init__", "__new__", "__post_init__") if f"{base}.{n}" in self.of
                ]
                nodes = {e.name: e for e in unit.node.body if isinstance(e, ast.FunctionDef)}
                return set().union(*(self._mapped(call, nodes[n], f"{base}.{n}", "") for n in made))
            if unit is not None and isinstance(unit.node, ast.FunctionDef):
                return self._mapped(call, unit.node, base, None)
            if unit is not None and isinstance(unit.node, ast.Lambda):
                return _handed(call) if self.changes(unit.node.body) else set()
        elif isinstance(function, ast.Attribute):
            method = function.attr
            if base == "np":
                acts = method in _ACTING or "np.random" in ast.unparse(function)
                return {ANYTHING} if acts else set()
            if base == "tf" and isinstance(function.value, ast.Name) and method in _TENSORS:
                return set()
            if method in self._methods and base not in GIVEN:
                return set().union(
                    *(self._mapped(call, n, key, base) for n, key in self._methods[method])
                )
            if method in _READING and base not in GIVEN:
                return set()
            if method in _CHANGING and base not in GIVEN:
                return {base}
        free = unit is not None and base not in self._touching
        return {*(() if free else (ANYTHING, base)), *_handed(call)} - {""}

    def _mapped(
        self, call: ast.Call, node: ast.FunctionDef, key: str, owner: str | None
    ) -> set[str]:
        """What a call of a function changes, out of which of its parameters that one does."""
        effects = set(self.of[key])
        found = effects & {ANYTHING}
        if owner is not None and node.args.args and node.args.args[0].arg in effects:
            effects.discard(node.args.args[0].arg)
            found.add(owner)
        for name in effects & stored(node.args):
            plain = name in parameters(node) and not starred(call) and owner is None
            found |= _handed(given(call, node, name)) if plain else _handed(call)
        return found - {""}

    def reports(self, node: ast.AST) -> bool:
        """Whether this compares, or may compare, what is asked for."""
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and each.id in self._reporting:
                return True
            if called(each) in (CHECK, REPORT) and may_be(each.args[0], self._tensor):  # type: ignore[attr-defined]
                return True
        return False


def may_be(name: ast.expr, tensor: str) -> bool:
    """Whether an expression may be the name of a tensor."""
    if isinstance(name, ast.Constant):
        return bool(name.value == tensor)
    if not isinstance(name, ast.JoinedStr):
        return True
    parts = [re.escape(str(e.value)) if isinstance(e, ast.Constant) else ".*" for e in name.values]
    return re.fullmatch("".join(parts), tensor, re.DOTALL) is not None


def aliases(node: ast.AST) -> dict[str, set[str]]:
    """Names that may stand for parts of the same object: one is set to a part of the other, without a
    call between, or takes its items in a loop."""
    found: dict[str, set[str]] = {}
    for each in ast.walk(node):
        pairs: list[tuple[Any, ast.expr]] = []
        if isinstance(each, ast.Assign):
            pairs = [(target, each.value) for target in each.targets]
        elif isinstance(each, (ast.For, ast.comprehension)):
            target, source = each.target, each.iter
            if called(source) == "enumerate" and isinstance(target, ast.Tuple):
                target, source = target.elts[-1], source.args[0]  # type: ignore[attr-defined]
            pairs = [(target, source)]
            if called(source) == "zip" and isinstance(target, ast.Tuple):
                pairs = list(zip(target.elts, source.args, strict=False))  # type: ignore[attr-defined]
        for target, value in pairs:
            parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]
            of = {root(one) for one in parts if not isinstance(one, ast.Call)} - {"", "np", *GIVEN}
            for one in stored(target):
                for other in of:
                    found.setdefault(one, set()).add(other)
                    found.setdefault(other, set()).add(one)
    return found


def _handed(node: ast.AST | None) -> set[str]:
    """Names whose objects an expression, or the arguments of a call, may hand on."""
    if isinstance(node, ast.Call):
        inner: list[ast.AST] = [*node.args, *(each.value for each in node.keywords)]
        kept = [each for each in inner if not isinstance(each, ast.Call) or called(each) in _PURE]
        return set().union(*map(_handed, kept))
    if isinstance(node, ast.Name):
        return {node.id} - {"np"}
    return set().union(*map(_handed, ast.iter_child_nodes(node))) if node is not None else set()


def reached(name: str, aliases: dict[str, set[str]]) -> set[str]:
    """A name, and those that may stand for parts of its object."""
    seen: set[str] = set()
    reached = {name}
    while reached:
        seen |= reached
        reached = {other for each in reached for other in aliases.get(each, ())} - seen
    return seen
