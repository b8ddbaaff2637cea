"""Syntax: small questions about the nodes of a program, and what is the same in fewer words."""

from __future__ import annotations

import ast
import copy
import io
import operator
import re
import tokenize
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_COMPARED: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}


def root(node: ast.AST | None) -> str:
    """The name at which an expression begins; empty without one."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def called(node: ast.AST | None) -> str:
    """The name that a call calls; empty for anything else."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def read(*nodes: ast.AST | None) -> set[str]:
    """Names that are read."""
    walked = (each for node in nodes if node is not None for each in ast.walk(node))
    return {n.id for n in walked if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def stored(*nodes: ast.AST) -> set[str]:
    """Names that are set, as targets or as parameters of functions within."""
    walked = [each for node in nodes for each in ast.walk(node)]
    names = {n.id for n in walked if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    return names | {each.arg for each in walked if isinstance(each, ast.arg)}


def parameters(node: ast.FunctionDef) -> list[str]:
    """Those that are neither ``*`` nor ``**``; those that are given by name alone last."""
    return [each.arg for each in (*node.args.args, *node.args.kwonlyargs)]


def starred(call: ast.Call) -> bool:
    """Whether a call has arguments that are only known when it runs."""
    return any(isinstance(each, ast.Starred) for each in call.args) or not all(
        each.arg for each in call.keywords
    )


def given(call: ast.Call, node: ast.FunctionDef, name: str) -> ast.expr | None:
    """What a call gives a parameter: an argument or the default; None for a mistake."""
    order = [each.arg for each in node.args.args]
    at = order.index(name) if name in order else len(call.args)
    if at < len(call.args):
        return call.args[at]
    defaults = dict(zip(order[::-1], node.args.defaults[::-1], strict=False))
    kwonly = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    values = {**defaults, **{k.arg: v for k, v in kwonly if v is not None}}
    return {**values, **{each.arg or "": each.value for each in call.keywords}}.get(name)


def without_parameters(node: ast.FunctionDef, gone: set[str]) -> None:
    """Takes parameters out of a signature, with their defaults."""
    a = node.args
    padded = [None] * (len(a.args) - len(a.defaults)) + a.defaults
    kept = [(p, d) for p, d in zip(a.args, padded, strict=True) if p.arg not in gone]
    a.args, a.defaults = [p for p, _ in kept], [d for _, d in kept if d is not None]
    named = zip(a.kwonlyargs, a.kw_defaults, strict=True)
    rest = [(p, d) for p, d in named if p.arg not in gone]
    a.kwonlyargs, a.kw_defaults = [p for p, _ in rest], [d for _, d in rest]


class Substituting(ast.NodeTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self._values.get(node.id, node))


class Folder(ast.NodeTransformer):
    """Decides what literals decide: branches, texts, ``**{...}``, ``getattr(x, "a")``."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        sides, compared = [node.left, *node.comparators], _COMPARED.get(type(node.ops[0]))
        if len(sides) == 2 and compared:
            values = [each.value for each in sides if isinstance(each, ast.Constant)]
            if len(values) == 2:
                return ast.Constant(compared(*values))
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        truth = _truth(node.operand)
        return (
            ast.Constant(not truth) if isinstance(node.op, ast.Not) and truth is not None else node
        )

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        while len(node.values) > 1 and (truth := _truth(node.values[0])) is not None:
            if truth is isinstance(node.op, ast.Or):
                return node.values[0]
            del node.values[0]
        return node if len(node.values) > 1 else node.values[0]

    def visit_If(self, node: Any) -> Any:
        self.generic_visit(node)
        truth = _truth(node.test)
        return node if truth is None else node.body if truth else node.orelse

    visit_IfExp = visit_If  # noqa: N815 - a name of the standard library's

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        node.keywords = [one for each in node.keywords for one in _expanded(each)]
        args = [(each.value if isinstance(each, ast.Starred) else None, each) for each in node.args]
        node.args = [
            one
            for inner, each in args
            for one in (inner.elts if isinstance(inner, (ast.Tuple, ast.List)) else [each])
        ]
        name = node.args[1] if called(node) == "getattr" and len(node.args) == 2 else None
        if isinstance(name, ast.Constant) and str(name.value).isidentifier():
            return ast.Attribute(node.args[0], str(name.value), ast.Load())
        if called(node) == "dict" and not node.keywords and len(node.args) == 1:
            return node.args[0] if isinstance(node.args[0], ast.Dict) else node
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Dict) and isinstance(node.slice, ast.Constant):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            plain = [(key.value, value) for key, value in pairs if isinstance(key, ast.Constant)]
            if len(plain) == len(node.value.keys):
                return dict(plain).get(node.slice.value, node)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        self.generic_visit(node)
        pairs = zip(node.keys, node.values, strict=True)
        empty = [k is None and isinstance(v, ast.Dict) and not v.keys for k, v in pairs]
        node.keys = [key for key, gone in zip(node.keys, empty, strict=True) if not gone]
        node.values = [value for value, gone in zip(node.values, empty, strict=True) if not gone]
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        parts: list[Any] = []
        for each in node.values:
            plain: Any = each
            if isinstance(each, ast.FormattedValue) and isinstance(each.value, ast.Constant):
                known = each.conversion == -1 and not each.format_spec
                plain = ast.Constant(str(each.value.value)) if known else each
            last: Any = parts[-1] if parts else None
            if isinstance(plain, ast.Constant) and isinstance(last, ast.Constant):
                parts[-1] = ast.Constant(str(last.value) + str(plain.value))
            else:
                parts.append(plain)
        node.values = parts
        return parts[0] if len(parts) == 1 and isinstance(parts[0], ast.Constant) else node


def _truth(node: ast.expr) -> bool | None:
    """Whether a literal counts as true; None if it is none."""
    if isinstance(node, ast.Constant):
        return bool(node.value)
    return bool(node.keys) if isinstance(node, ast.Dict) else None


def _expanded(keyword: ast.keyword) -> list[ast.keyword]:
    """The arguments that ``**{...}`` gives, or itself."""
    value = keyword.value
    if keyword.arg or not isinstance(value, ast.Dict):
        return [keyword]
    keys: list[Any] = [each.value for each in value.keys if isinstance(each, ast.Constant)]
    if len(keys) < len(value.keys):
        return [keyword]
    return [ast.keyword(k, v) for k, v in zip(keys, value.values, strict=True)]


#: Words that begin statements which have statements of their own.
_COMPOUND = re.compile(r"\s*(@|(def|class|if|for|while|with|try|else|elif|except|finally)\b)")


def dense(lines: Sequence[str], columns: int) -> list[str]:
    """The same program, with the only statement of a block behind the colon where there is room."""
    found: list[str] = []
    for at, line in enumerate(lines):
        header = found[-1] if found else ""
        indent = len(header) - len(header.lstrip())
        alone = len(line) - len(line.lstrip()) > indent and (
            at + 1 == len(lines) or len(lines[at + 1]) - len(lines[at + 1].lstrip()) <= indent
        )
        joined = f"{header} {line.lstrip()}"
        blocks = header.endswith(":") and not header.lstrip().startswith("class")
        if alone and blocks and not _COMPOUND.match(line) and len(joined) <= columns:
            found[-1] = joined
        else:
            found.append(line)
    return found


def wrapped(program: Sequence[str], columns: int) -> list[str]:
    """Lines of a program; long ones are broken behind commas and brackets where that helps."""
    lines: list[str] = []
    for line in program:
        while len(line) > columns and (at := _break(line, columns)):
            lines.append(line[:at].rstrip())
            line = " " * (len(line) - len(line.lstrip()) + 4) + line[at:].lstrip()
        lines.append(line)
    return lines


def _break(line: str, columns: int) -> int:
    """The last column before the limit where a line may be broken: within brackets, behind a comma; 0
    without one."""
    depth, found, indent = 0, 0, len(line) - len(line.lstrip())
    try:
        for token in tokenize.generate_tokens(io.StringIO(line.strip()).readline):
            depth += (token.string in "([{") - (token.string in ")]}") if token.string else 0
            end = indent + token.end[1]
            if depth > 0 and token.string in (",", "(", "[", "{") and indent + 4 < end < columns:
                found = end
    except tokenize.TokenError:
        pass  # a line that was broken ends within brackets
    return found
