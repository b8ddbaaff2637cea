"""Program that makes one call of a function of ``keras.ops``, with numbers as literals.

What a contract of :mod:`bench.checks.contracts.operation` computes is made of tables; there is nothing
to cut out of its source, and the call that was out is all there is to show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import SEED
from bench.checks.contracts.operation import GRAPH, INTEGER, SYMBOL, TYPE, WAYS, Call, Operation
from bench.report.reproducer.contracts.sources import WritingError
from bench.results.check import Check, Deviation

_RESULTS = ", results"
_TYPED = re.compile(rf"got [a-z0-9]+, expected ({INTEGER}|[a-z0-9]+)")
_SHAPED = re.compile(r"got .*, expected (\([0-9, ]*\)) ([a-z0-9]+)")


def program(operation: Operation, check: Check, deviation: Deviation) -> list[str]:
    """Lines that compute what was out as ``part``, and of a shape or a type also compare it.

    Raises:
        WritingError: no such call is made.
    """
    before = SEED.set(check.seed)
    try:
        calls = list(operation.calls())
        for one in calls:
            for at, name in _parts(operation, one):
                if name == deviation.tensor.removesuffix(GRAPH).split(" of ", 1)[-1]:
                    return [*_computed(operation, one, deviation, at), *_compared(deviation)]
    finally:
        SEED.reset(before)
    raise WritingError("no call of that name is made")


def attempts(operation: Operation, check: Check) -> list[str]:
    """Lines that make all calls, of which one raises an error.

    Raises:
        WritingError: an argument cannot be written.
    """
    before = SEED.set(check.seed)
    try:
        return [
            line
            for one in operation.calls()
            for way in WAYS
            if way in operation.ways or (way == "eager" and operation.ways != ("graph",))
            for line in _called(operation, one, way)
        ]
    finally:
        SEED.reset(before)


def _parts(operation: Operation, one: Call) -> Iterator[tuple[int | None, str]]:
    """The places and names of a result's parts; None for their number."""
    yield None, f"{one.label}{_RESULTS}"
    yield from enumerate(one.names(len(operation.parts(one))))


def _computed(
    operation: Operation, one: Call, deviation: Deviation, at: int | None
) -> Iterable[str]:
    name = deviation.tensor
    way = "graph" if name.endswith(GRAPH) else "symbols" if name.startswith(SYMBOL) else "eager"
    yield from _called(operation, one, way)
    if at is None:
        yield "part = len(tf.nest.flatten(got))"
        return
    yield f"part = tf.nest.flatten(got)[{at}]"
    complex_ = np.asarray(operation.parts(one)[at]).dtype.kind == "c"
    if complex_ and not name.startswith((SYMBOL, TYPE)):
        yield "part = np.stack([np.real(part), np.imag(part)])"


def _called(operation: Operation, one: Call, way: str) -> Iterable[str]:
    """Lines after which ``got`` is what a call gives."""
    arrays: list[str] = []
    shown = [_written(value, arrays, way) for value in one.arguments]
    shown += [f"{name}={_written(value, arrays, way)}" for name, value in one.options.items()]
    names = [f"x{number}" for number in range(len(arrays))]
    for name, text in zip(names, arrays, strict=True):
        yield f"{name} = {text}"
    call = f"tf.keras.ops.{operation.name}({', '.join(shown)})"
    if way == "graph":
        given = ", ".join(names)
        yield f"got = tf.function(lambda {given}: {call}, autograph=False)({given})"
    else:
        yield f"got = {call}"


def _written(value: Any, arrays: list[str], way: str) -> str:
    """An argument as a literal; of an array, a name, and its literal among ``arrays``."""
    if isinstance(value, np.ndarray):
        kind = value.dtype.name
        if way == "symbols":
            arrays.append(f"tf.keras.KerasTensor({value.shape}, {kind!r})")
        elif not value.size:
            arrays.append(f"tf.zeros({value.shape}, {kind!r})")
        else:
            numbers = re.sub(r"\b(inf|nan)\b", r"np.\1", repr(value.tolist()))
            arrays.append(f"tf.constant({numbers}, {kind!r})")
        return f"x{len(arrays) - 1}"
    if isinstance(value, (list, tuple)):
        inner = [_written(one, arrays, way) for one in value]
        if isinstance(value, list):
            return f"[{', '.join(inner)}]"
        return f"({', '.join(inner)}{',' * (len(inner) == 1)})"
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise WritingError(f"{value!r} is no literal")
    return repr(value)


def _compared(deviation: Deviation) -> Iterable[str]:
    """Lines that end with status 0 or 1 by a type or a shape; none for a number."""
    if found := _TYPED.fullmatch(deviation.evidence):
        whole = found[1] == INTEGER
        yield f"found = np.asarray(part).dtype.{'kind' if whole else 'name'}"
        yield f"EXPECTED = {('iu' if whole else found[1])!r}"
        yield f"kept = found {'in' if whole else '=='} EXPECTED"
    elif found := _SHAPED.fullmatch(deviation.evidence):
        sizes = tuple(map(int, re.findall(r"\d+", found[1])))
        yield "found = tuple(part.shape), part.dtype"
        yield f"EXPECTED = {(sizes, found[2])!r}"
        yield "alike = [size in (None, true) for size, true in zip(found[0], EXPECTED[0])]"
        yield "kept = len(found[0]) == len(EXPECTED[0]) and all(alike) and found[1] == EXPECTED[1]"
    else:
        return
    yield f'print(f"{{{deviation.tensor!r}}}: got {{found}}, expected {{EXPECTED}}")'
    yield "raise SystemExit(0 if kept else 1)"
