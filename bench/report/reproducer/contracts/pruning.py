"""Pruning: of the functions behind a contract, what it takes to compute the number that is compared.

A contract's code computes a number of TensorFlow's and its truth side by side. In a script the truth is
a literal, so what computes nothing else is left out (Weiser, "Program slicing", IEEE Transactions on
Software Engineering 10(4), 1984). A statement goes only if nothing that is left reads what it sets, and
if all that it calls is known to change nothing else: NumPy, Python, methods that read, and functions
of ours of which the same is true. Whatever calls TensorFlow stays.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.report.reproducer.contracts.effects import (
    ANYTHING,
    CHECK,
    REPORT,
    Effects,
    aliases,
    reached,
)
from bench.report.reproducer.contracts.sources import GIVEN, Sources, Unit, WritingError, of_data
from bench.report.reproducer.contracts.syntax import (
    Folder,
    Substituting,
    called,
    given,
    parameters,
    read,
    root,
    starred,
    stored,
    without_parameters,
)

#: Rounds after which nothing more is looked for; each takes out a link of a chain.
_ROUNDS = 16


class Pruner:
    """Prunes all units that a contract's function refers to.

    Args:
        sources: units, with calls of ``check`` and ``report`` in the place of comparisons.
        main: the placeholder of the contract's function.
        tensor: the name under which the number is compared that is asked for; empty: none is, and
            whatever may raise an error stays.
    """

    def __init__(self, sources: Sources, main: str, tensor: str) -> None:
        self._sources, self._units = sources, sources.units
        self._main, self._tensor = main, tensor
        self._effects = Effects({}, [], tensor)
        self._unread: dict[str, set[int]] = {}

    def pruned(self) -> dict[str, Unit]:
        """Units that are left, each after those that it refers to, the contract's function last.

        Raises:
            WritingError: one of them cannot be written down.
        """
        node = self._units[self._main].node
        if node is None:
            raise WritingError(self._units[self._main].trouble)
        empty = ast.Call(ast.Name(self._main, ast.Load()), [], [])
        values = {name: given(empty, node, name) for name in parameters(node)}
        known = Substituting({name: each for name, each in values.items() if each is not None})
        node.body = [known.visit(each) for each in node.body]
        before = ""
        for _ in range(_ROUNDS):
            self._effects = Effects(self._units, self._order(), self._tensor)
            self._specialize()
            self._effects = Effects(self._units, self._order(), self._tensor)
            order = self._order()
            for name in order:
                if isinstance(self._units[name].node, ast.FunctionDef):
                    self._prune(name)
            self._narrow()
            text = "".join(ast.dump(self._units[n].node) for n in order if self._units[n].node)
            if text == before:
                break
            before = text
        order = self._order()
        for name in order:
            if self._units[name].trouble:
                raise WritingError(f"{self._units[name].wanted}: {self._units[name].trouble}")
        return {name: self._units[name] for name in order}

    def _order(self) -> list[str]:
        """Units that the contract refers to, each after those that it refers to itself."""
        order, begun = [], set()

        def visit(name: str) -> None:
            begun.add(name)
            for each in sorted(read(self._units[name].node) & self._units.keys()):
                if each not in begun:
                    visit(each)
            order.append(name)

        visit(self._main)
        return order

    def _functions(self) -> Iterator[tuple[str, ast.FunctionDef, list[ast.Call]]]:
        """Functions that are only called, never handed on, and plainly: with their calls."""
        order = self._order()
        nodes = [self._units[name].node for name in order if self._units[name].node is not None]
        calls: dict[str, list[ast.Call]] = {}
        named: dict[str, int] = {}
        for each in (each for node in nodes for each in ast.walk(node)):
            if isinstance(each, ast.Name):
                named[each.id] = named.get(each.id, 0) + 1
            elif isinstance(each, ast.Call) and called(each):
                calls.setdefault(called(each), []).append(each)
        for name in order:
            node, own = self._units[name].node, calls.get(name, [])
            if not isinstance(node, ast.FunctionDef) or name == self._main or node.decorator_list:
                continue
            if own and named[name] == len(own) and not any(map(starred, own)):
                yield name, node, own

    # --- One function

    def _prune(self, name: str) -> None:
        node = self._units[name].node
        self._alias = aliases(node)
        live: set[str] = set()
        for position in self._unread.get(name, ()):
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and isinstance(each.value, ast.Tuple):
                    each.value.elts[position] = ast.Constant(None)
        while True:
            before = len(live)
            body = self._kept(copy.deepcopy(node.body), live)
            if len(live) == before:
                break
        node.body = Folder().visit(ast.Module(body, [])).body or [ast.Pass()]

    def _kept(self, body: Sequence[ast.stmt], live: set[str]) -> list[ast.stmt]:
        """Statements that matter, given names that do; adds the names that these read."""
        kept: list[ast.stmt] = []
        for statement in reversed(list(_split(body))):
            kept[:0] = self._statement(statement, live)
        return kept

    def _statement(self, node: Any, live: set[str]) -> list[ast.stmt]:
        if isinstance(node, (ast.For, ast.While, ast.If, ast.With, ast.Try)):
            return self._compound(node, live)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            if node.name not in live:
                return []
        elif isinstance(node, ast.Expr):
            if called(node.value) in (CHECK, REPORT) and not self._effects.reports(node):
                rest = node.value.args[1:]  # type: ignore[attr-defined]
                node.value = ast.Tuple(rest, ast.Load()) if len(rest) > 1 else rest[0]
            if not self._matters(node, live):
                return []
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if not stored(*targets) & live and not self._matters(node, live):
                return []
        elif isinstance(node, ast.Delete):
            node.targets = [each for each in node.targets if root(each) in live]
            return [node] if node.targets else []
        elif isinstance(node, (ast.Assert, ast.Pass)):
            return []
        live |= read(node)
        live |= {root(node.target)} if isinstance(node, ast.AugAssign) else set()
        return [node]

    def _compound(self, node: Any, live: set[str]) -> list[ast.stmt]:
        inner = set(live)
        for part in ("body", "orelse", "finalbody"):
            if getattr(node, part, None):
                setattr(node, part, self._kept(getattr(node, part), inner))
        for handler in getattr(node, "handlers", []):
            handler.body = self._kept(handler.body, inner) or [ast.Pass()]
        if isinstance(node, ast.For):
            _drop_columns(node, inner, self._effects.changes)
        heads: list[Any] = [getattr(node, part, None) for part in ("iter", "test")]
        heads += [item.context_expr for item in getattr(node, "items", [])]
        heads = [each for each in heads if each is not None]
        leaves = (
            (ast.Continue, ast.Break, ast.Pass) if isinstance(node, (ast.For, ast.While)) else ()
        )
        idle = all(_idle(each, leaves) for each in (*node.body, *getattr(node, "orelse", [])))
        if idle and not any(self._matters(each, live) for each in heads):
            return []
        if isinstance(node, ast.Try) and not node.body:
            return list(node.finalbody)
        node.body = node.body or [ast.Pass()]
        live |= inner | read(*heads)
        return [node]

    def _matters(self, node: ast.AST, live: set[str]) -> bool:
        """Whether running this does more than to set names."""
        if self._effects.reports(node) or any(
            isinstance(each, (ast.Yield, ast.YieldFrom)) for each in ast.walk(node)
        ):
            return True
        changed = self._effects.changes(node)
        return ANYTHING in changed or any(reached(each, self._alias) & live for each in changed)

    # --- Between functions

    def _specialize(self) -> None:
        """Puts what all calls give in the place of a parameter, if it is a constant or a unit, and
        functions of one short expression where they are called."""
        for name, node, calls in list(self._functions()):
            values: dict[str, ast.expr] = {}
            for parameter in set(parameters(node)) - stored(*node.body):
                each = [given(call, node, parameter) for call in calls]
                texts = {ast.dump(one) for one in each if one is not None and self._fixed(one)}
                changed = (
                    isinstance(each[0], (ast.Dict, ast.List))
                    and parameter in self._effects.of[name]
                )
                if len(texts) == 1 and all(map(self._fixed, each)) and not changed:
                    values[parameter] = each[0]  # type: ignore[assignment]
            known, positions = set(parameters(node)), len(node.args.args)
            if node.args.kwarg and len(calls) == 1:
                more = [k for k in calls[0].keywords if k.arg not in known]
                if all(self._fixed(k.value) for k in more):
                    keys: list[Any] = [ast.Constant(k.arg) for k in more]
                    values[node.args.kwarg.arg] = ast.Dict(keys, [k.value for k in more])
                    calls[0].keywords = [k for k in calls[0].keywords if k.arg in known]
                    node.args.kwarg = None
            if node.args.vararg and len(calls) == 1:
                rest = calls[0].args[positions:]
                if all(map(self._fixed, rest)):
                    values[node.args.vararg.arg] = ast.Tuple(rest, ast.Load())
                    calls[0].args = calls[0].args[:positions]
                    node.args.vararg = None
            body = [Substituting(values).visit(each) for each in node.body]
            body = [_Asking(self._sources).visit(each) for each in body]
            node.body = Folder().visit(ast.Module(body, [])).body or [ast.Pass()]

    def _fixed(self, node: ast.expr | None) -> bool:
        """Whether an expression is the same wherever it stands."""
        if isinstance(node, (ast.Tuple, ast.List)):
            return all(map(self._fixed, node.elts))
        if isinstance(node, ast.Dict):
            return all(map(self._fixed, (*node.keys, *node.values)))
        while isinstance(node, ast.Attribute):
            node = node.value
        if isinstance(node, ast.UnaryOp):
            node = node.operand
        names = (*self._units, *GIVEN, "np")
        return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in names)

    def _narrow(self) -> None:
        """Takes out parameters that no body reads, returned values that no call takes, and methods and
        fields that nothing asks for."""
        for name, node, calls in self._functions():
            gone = set(parameters(node)) - read(*node.body) - stored(*node.body)
            gone = {
                p
                for p in gone
                if not any(self._effects.changes(given(c, node, p) or ast.Pass()) for c in calls)
            }
            for call in calls:
                at = [n for n, each in enumerate(node.args.args) if each.arg in gone]
                call.args = [each for n, each in enumerate(call.args) if n not in at]
                call.keywords = [each for each in call.keywords if each.arg not in gone]
            without_parameters(node, gone)
            self._unread[name] = self._untaken(name, node, len(calls))
        order = self._order()
        nodes = [self._units[name].node for name in order if self._units[name].node is not None]
        asked = {e.attr for node in nodes for e in ast.walk(node) if isinstance(e, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.ClassDef) and not node.bases:
                named = [getattr(each, "name", "__") for each in node.body]
                node.body = [
                    each
                    for name, each in zip(named, node.body, strict=True)
                    if name in asked or name.startswith("__")
                ]

    def _untaken(self, name: str, node: ast.FunctionDef, calls: int) -> set[int]:
        """Positions of the returned tuple that no call takes."""
        returned = [each for each in ast.walk(node) if isinstance(each, ast.Return)]
        if len(returned) != 1 or not isinstance(returned[0].value, ast.Tuple):
            return set()
        untaken, seen = set(range(len(returned[0].value.elts))), 0
        for user in self._order():
            other = self._units[user].node
            for each in ast.walk(other) if other is not None else ():
                if isinstance(each, ast.Assign) and called(each.value) == name:
                    target = each.targets[0]
                    if len(each.targets) > 1 or not isinstance(target, ast.Tuple):
                        return set()
                    seen += 1
                    names = read(other)
                    untaken -= {  # what is taken apart has to be something
                        n
                        for n, one in enumerate(target.elts)
                        if not isinstance(one, ast.Name) or stored(one) & names
                    }
        return untaken if seen == calls else set()


class _Asking(ast.NodeTransformer):
    """Puts what an attribute of an object of data, or an entry of a mapping, is in its place."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        unit = self._sources.units.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if unit is not None and of_data(unit.value):
            return self._sources.attribute(unit.value, node.attr)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        unit = self._sources.units.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if (
            unit is None
            or not isinstance(unit.value, Mapping)
            or not isinstance(node.slice, ast.Constant)
        ):
            return node
        key = node.slice.value
        return self._sources.reference(unit.value[key], "given") if key in unit.value else node


def _idle(node: ast.stmt, leaves: tuple[type, ...]) -> bool:
    """Whether a statement does nothing but to go on with a loop, or not."""
    if isinstance(node, ast.If):
        return all(_idle(each, leaves) for each in (*node.body, *node.orelse))
    return isinstance(node, leaves)


def _split(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements, with ``a, b = x, y`` as two where no value reads what is set."""
    for node in body:
        target = (
            node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        )
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):  # type: ignore[attr-defined]
            values = node.value.elts  # type: ignore[attr-defined]
            plain = not any(isinstance(each, ast.Starred) for each in (*values, *target.elts))
            if plain and not stored(target) & read(node.value):  # type: ignore[attr-defined]
                for one, value in zip(target.elts, values, strict=True):
                    yield ast.Assign([one], value, lineno=0)
                continue
        yield node


def _drop_columns(node: ast.For, live: set[str], changes: Any) -> None:
    """Leaves out of ``for a, b in zip(x, y, strict=True)`` what sets names that are not read."""
    target, source = node.target, node.iter
    holder: Any = node
    if called(source) == "enumerate" and isinstance(target, ast.Tuple) and len(target.elts) == 2:
        holder, target, source = target, target.elts[1], source.args[0]  # type: ignore[attr-defined]
    if called(source) != "zip" or not isinstance(target, ast.Tuple):
        return
    assert isinstance(source, ast.Call)
    if not source.keywords or len(source.args) != len(target.elts):
        return
    kept = [
        n
        for n, (one, value) in enumerate(zip(target.elts, source.args, strict=True))
        if stored(one) & live or changes(value)
    ]
    if not kept or len(kept) == len(target.elts):
        return
    target.elts = [target.elts[n] for n in kept]
    source.args = [source.args[n] for n in kept]
    if len(kept) == 1 and holder is node:
        node.target, node.iter = target.elts[0], source.args[0]
    elif len(kept) == 1:
        holder.elts[1], node.iter.args[0] = target.elts[0], source.args[0]  # type: ignore[attr-defined]
