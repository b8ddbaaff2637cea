"""Script of a contract: status 1 where a version breaks the contract, 0 where it keeps it.

It is cut out of the contract's own source (:mod:`bench.report.reproducer.contracts.pruning`), or made
of a call in a table (:mod:`bench.report.reproducer.contracts.operations`): what it takes to compute the
number that was out, which is then compared with the truth that bench found, within its bound on
rounding. What was said on a side is data: of it only numbers and texts enter a script, as literals.
"""

from __future__ import annotations

import ast
import builtins
import math
import re
import symtable
import sys
import textwrap
from collections.abc import Iterator

from bench.checks import catalogue
from bench.checks.contracts.contract import Test
from bench.checks.contracts.operation import Operation
from bench.errors import BenchError
from bench.report.reproducer.body import COLUMNS
from bench.report.reproducer.contracts import operations
from bench.report.reproducer.contracts.effects import CHECK, REPORT
from bench.report.reproducer.contracts.pruning import Pruner
from bench.report.reproducer.contracts.sources import GIVEN, Sources, Unit, WritingError, bound
from bench.report.reproducer.contracts.syntax import called, dense, root, wrapped
from bench.report.reproducer.script import LINES
from bench.results.check import Check, Deviation

#: Stand-ins for what is longer in bench. There NumPy's logarithm and sine are avoided, for the same
#: bits everywhere; here they may move a number by a unit in the last place of float64, which rounding
#: to float32 hides but for one number in 2^28.
_STAND_INS = {
    ("bench.checks.contracts.linear", "drawn"): """
def drawn(role, *shape):
    seed = np.random.SeedSequence([SEED, zlib.crc32(f"contract {role}".encode()), 0])
    raw = np.random.Philox(seed).random_raw((int(np.prod(shape)) + 1) // 2 * 2)
    one, two = np.split((raw >> np.uint64(11)) * 2.0**-53, 2)
    normal = np.sqrt(-2 * np.log(1 - one)) * [np.cos(2 * np.pi * two), np.sin(2 * np.pi * two)]
    return np.resize(normal, shape).astype(np.float32)
""",
    ("bench.theory.rounding.arrays", "Bounded"): """
class Bounded(np.ndarray):
    __new__ = lambda cls, x, *_, **__: np.asarray(x, np.float64).view(cls)
    value = property(np.asarray)
""",
}
#: What the head of a script, or Python, binds in the place of ours.
_BOUND = {
    ("bench.theory.rounding.deviation", "deviation"): CHECK,
    ("bench.theory.rounding.deviation", "exact"): CHECK,
    ("bench.results.check", "Deviation"): REPORT,
    ("bench.checks.lab", "AbsentError"): "AbsentError",
}
_NUMBER = r"[-+0-9.einfa]{1,40}"
_FOUND = re.compile(
    rf"got {_NUMBER}, expected (?:exactly ({_NUMBER})|({_NUMBER}) within ({_NUMBER}))"
    r"(?: at \[([0-9, ]{1,80})\])?"
)
_SHAPED = re.compile(r"shape \([0-9, ]*\), expected (\([0-9, ]{0,80}\))")
#: Half a unit in the last of the nine digits that evidence has of a truth.
_HALF_DIGIT = 5e-9
_RAISES = "raises"


def contract_script(
    check: Check, deviation: Deviation, *, kept: str, broken: str, device: str = "cpu"
) -> str:
    """The source of a script that shows a contract broken.

    Its status is 0 where the contract is kept, 1 where it is broken, 2 where nothing is compared.

    Args:
        check: of the contract.
        deviation: the number that was out, with the truth in its evidence.
        kept: versions that keep it, as a person reads them.
        broken: versions that break it.
        device: where it was tested.

    Raises:
        BenchError: no script of 60 lines can show it; the message says why.
    """
    contract = catalogue.contract_of(check)
    if contract is None:
        raise BenchError(f"{check.id}: is no contract", hint="`bench grids` lists what there is")
    try:
        operation = getattr(contract.test, "__self__", None)
        if isinstance(operation, Operation):
            truth, code, end = _of_operation(operation, check, deviation)
        else:
            truth, end = _compared(deviation)
            code = _of_source(contract.test, check, deviation, device)
        title = f"{contract.thing}: {contract.truth}"
        text = _text(title, kept, broken, [*truth, *code, *end])
        _verify(text)
    except WritingError as error:
        raise BenchError(
            f"{check.id}: no script can show it: {error}",
            hint=f"`bench run -k '{check.id}'` shows it",
        ) from None
    return text


def _of_source(test: Test, check: Check, deviation: Deviation, device: str) -> list[str]:
    """What computes the number that was out, cut out of a contract's source."""
    sources = Sources(check.seed, _STAND_INS, _BOUND, _Rewriting(device).visit)
    main = sources.function(test, "contract")
    tensor = "" if deviation.tensor == _RAISES else deviation.tensor
    units = Pruner(sources, main, tensor).pruned()
    return _code(units, main, indent=not tensor)


def _of_operation(
    operation: Operation, check: Check, deviation: Deviation
) -> tuple[list[str], list[str], list[str]]:
    """The call that was out, between what it is compared with and what ends the script."""
    if deviation.tensor == _RAISES:
        code = ["try:", *(f"    {line}" for line in operations.attempts(operation, check))]
        return [], code, _compared(deviation)[1]
    code = operations.program(operation, check, deviation)
    if code[-1].startswith("raise"):
        return [], code, []
    truth, end = _compared(deviation)
    return truth, [*code, "check(TENSOR, part)"], end


def _compared(deviation: Deviation) -> tuple[list[str], list[str]]:
    """What a number is compared with, out of the evidence of its deviation: lines before and after what
    computes it."""
    name, evidence = ascii(deviation.tensor), deviation.evidence
    if deviation.tensor == _RAISES:
        return ["check = report = lambda *_: None  # that no error is raised is all"], [
            "except Exception as error:",
            '    print(f"got {type(error).__name__}: {error}, expected no error")',
            "    raise SystemExit(1)",
        ]
    named = f"OUT, TENSOR = [], {name}"
    end = ["raise SystemExit(1 if OUT else 2)"]
    if found := _FOUND.fullmatch(evidence):
        value, limit = _number(found[1] or found[2]), _number(found[3] or "0")
        limit += _HALF_DIGIT * abs(value) if math.isfinite(value) else 0.0
        at = _integers(found[4] or "")
        return [
            f"{named}",
            f"AT, EXPECTED, BOUND = {at!r}, {_written(value)}, {_written(limit)}",
            "def check(tensor, got):",
            "    if tensor == TENSOR:",
            "        value = float(np.asarray(got)[AT])",
            '        print(f"{tensor}: got {value:.9g}, expected {EXPECTED:.9g} within {BOUND:.3g}")',
            "        if abs(value - EXPECTED) <= BOUND or str(value) == str(EXPECTED):",
            "            raise SystemExit(0)",
            "        OUT.append(value)",
        ], end
    if found := _SHAPED.fullmatch(evidence):
        return [
            named,
            f"SHAPE = {_integers(found[1])!r}",
            "def check(tensor, got):",
            "    if tensor == TENSOR:",
            '        print(f"{tensor}: got shape {np.shape(got)}, expected {SHAPE}")',
            "        if np.shape(got) == SHAPE:",
            "            raise SystemExit(0)",
            "        OUT.append(got)",
        ], end
    raise WritingError("what it expects is no number")


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", text))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise WritingError(f"{text!r} is no number") from None


def _written(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


class _Rewriting(ast.NodeTransformer):
    """Turns a generator of deviations into a procedure that checks numbers as it goes."""

    def __init__(self, device: str) -> None:
        self._device = device

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "lab.seen":
            node.func = ast.Attribute(ast.Name("np", ast.Load()), "asarray", ast.Load())
        names = {CHECK: ("tensor", "got"), REPORT: ("tensor", "excess", "evidence")}.get(
            called(node)
        )
        if names:
            values = {each.arg: each.value for each in node.keywords}
            args = [*node.args, *(values[name] for name in names if name in values)]
            node.args, node.keywords = args[: len(names)], []
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        return ast.Constant(self._device) if ast.unparse(node) == "lab.device" else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        value = node.value
        if isinstance(value, (ast.Yield, ast.YieldFrom)) and isinstance(value.value, ast.Call):
            node.value = value.value
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call) and root(node.exc.func) == "AbsentError":
            return ast.parse("raise SystemExit(2)").body[0]
        return self.generic_visit(node)


def _code(units: dict[str, Unit], main: str, *, indent: bool) -> list[str]:
    """All definitions, then the contract itself, a statement a line; within a ``try`` if it is to be
    indented."""
    names, lines = _names(units), list[str]()
    for name, unit in units.items():
        node = unit.node and ast.fix_missing_locations(_Renaming(names).visit(unit.node))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            node.name = names[name]
        elif node is not None:
            node = ast.fix_missing_locations(ast.Assign([ast.Name(names[name])], node, lineno=0))
        if name != main and node is not None:
            lines += ast.unparse(node).splitlines()
    node = units[main].node
    if any(isinstance(each, (ast.Return, ast.Nonlocal)) for each in ast.walk(node)):
        node.args = ast.arguments([], [], None, [], [], None, [])
        own = [*ast.unparse(node).splitlines(), f"{node.name}()"]
    else:
        own = ast.unparse(ast.Module(node.body, [])).splitlines()
    lines += ["try:", *(f"    {each}" for each in own)] if indent else own
    words = set(re.findall(r"\w+", "\n".join(lines)))
    if re.search(r"\.(error|form)\b", "\n".join(lines)):  # the stand-in for Bounded has none
        raise WritingError("it takes bounds on rounding")
    given = ["keras = tf.keras"] if "keras" in words else []
    if words & {"KERAS_VERSION", "KERAS_MAJOR"}:
        given += ["import keras as installed", "KERAS_VERSION = installed.__version__"]
    if "KERAS_MAJOR" in words:
        given.append('KERAS_MAJOR = int(KERAS_VERSION.split(".")[0])')
    imports = {unit.line for unit in units.values() if unit.line}
    plain = sorted(each.partition(" ")[2] for each in imports if each.startswith("import"))
    return [
        *([f"import {', '.join(plain)}"] if plain else []),
        *sorted(each for each in imports if not each.startswith("import")),
        *given,
        *(each for each in lines if each.strip()),
    ]


def _names(units: dict[str, Unit]) -> dict[str, str]:
    """A name for each unit that nothing else has."""
    taken = {CHECK, REPORT, "np", "tf", "installed", *GIVEN}
    for unit in units.values():
        taken |= bound(unit.node) if unit.node is not None else set()
    names: dict[str, str] = {}
    for placeholder, unit in units.items():
        name = unit.wanted
        while name in taken and not unit.line:
            name += "_"
        taken.add(name)
        names[placeholder] = name
    return names


class _Renaming(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)


def _text(title: str, kept: str, broken: str, lines: list[str]) -> str:
    """The script, with what it is about as comments; dense if it has too many lines otherwise."""
    versions = [re.sub(r"[^0-9A-Za-z.+,=<> _-]", "", each)[:160] for each in (kept, broken)]
    told = f"Kept by {versions[0]}, broken by {versions[1]}: this ends with status 0 and 1."
    comments = [*textwrap.wrap(title, COLUMNS - 2), *textwrap.wrap(told, COLUMNS - 2)]
    # In the first two lines "coding:" would say how Python is to decode the file (PEP 263).
    head = [re.sub(r"coding(?=[:=])", "coding ", f"# {each}") for each in comments]
    head += ["import numpy as np", "import tensorflow as tf"]
    for program in (lines, dense(lines, COLUMNS)):
        whole = [*head, *wrapped(program, COLUMNS)]
        if len(whole) <= LINES:
            return "\n".join([*whole, ""])
    raise WritingError(f"it takes {len(whole)} lines, more than {LINES}")


def _verify(text: str) -> None:
    """Looks for what would make a script wrong wherever it runs.

    Raises:
        WritingError: it is no program, a name is nowhere defined, or it imports what is neither of
            TensorFlow nor of Python.
    """
    try:
        tree = ast.parse(text)
        compile(text.encode(), "script", "exec")
    except SyntaxError as error:
        raise WritingError(f"it is no program: {error.msg}") from None
    for node in ast.walk(tree):
        modules = [node.module] if isinstance(node, ast.ImportFrom) else []
        modules += [each.name for each in node.names] if isinstance(node, ast.Import) else []
        for module in modules:
            root_ = (module or "").partition(".")[0]
            if root_ not in ("numpy", "tensorflow", "keras", *sys.stdlib_module_names):
                raise WritingError(f"it imports {module}")
    table = symtable.symtable(text, "script", "exec")
    known = {
        each.get_name() for each in table.get_symbols() if each.is_assigned() or each.is_imported()
    }
    known |= {
        each.get_name() for each in table.get_children() if each.get_type() in ("function", "class")
    }
    for scope in _scopes(table):
        for symbol in scope.get_symbols():
            outer = symbol.is_referenced() and (symbol.is_global() or scope is table)
            if outer and not (symbol.get_name() in known or hasattr(builtins, symbol.get_name())):
                raise WritingError(f"nothing defines {symbol.get_name()!r}")


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)
