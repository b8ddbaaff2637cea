"""What a function of ``keras.ops`` owes: the numbers of NumPy, at once and in a graph, and for symbols
the shape and the type that its numbers have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact
from bench.theory.rounding.formats import TF32

#: Of the largest entry, what each may be off by where a function rounds. Sample inputs have condition
#: numbers of at most 10, and sums at most 100 terms: any stable way to compute is within
#: 100 * 10 * 2^-24 = 2^-14 (Higham 2002, section 3.1). It takes more to be another function.
SHARE = 2.0**-14
#: The same where products round their factors to the 11 digits of TF32: two factors, each off by 2^-11,
#: times a condition number of 10.
TF32_SHARE = 2.0**-6

#: How each call is made: at once, in one ``tf.function`` with all others, with symbols.
WAYS = ("eager", "graph", "symbols")

#: In names of deviations: of a result in a graph, and before that of a symbol, or a type.
GRAPH, SYMBOL, TYPE = " in a graph", "symbol of ", "type of "
#: What is said of a type where every one of integers will do.
INTEGER = "any of integers"

Array = Any
Truth = Callable[..., Any]


class Call(NamedTuple):
    """One call: of the function under test with tensors, and of its truth with float64 arrays."""

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    @property
    def label(self) -> str:
        """``(3x4, 2, axis=1)``."""
        named = (f"{name}={_label(value)}" for name, value in self.options.items())
        return f"({', '.join([*map(_label, self.arguments), *named])})"

    def names(self, parts: int) -> list[str]:
        """Of the parts of its result: ``(3x4, 2)[0]``."""
        return [self.label] if parts == 1 else [f"{self.label}[{at}]" for at in range(parts)]

    @property
    def given(self) -> list[Array]:
        """The arrays among the arguments, also in lists."""
        found: list[Array] = []
        _mapped(found.append, (self.arguments, tuple(self.options.values())))
        return found

    def of(self, function: Callable[..., Any], change: Callable[[Array], Any]) -> Any:
        """The function's result, every array of the arguments changed."""
        arguments = _mapped(change, self.arguments)
        options = {name: _mapped(change, value) for name, value in self.options.items()}
        return function(*arguments, **options)


def call(*arguments: Any, **options: Any) -> Call:
    """A call; every array becomes a tensor."""
    return Call(arguments, options)


def int32(values: Any) -> Array:
    """An int32 array."""
    return np.array(values, np.int32)


def _label(value: Any) -> str:
    if isinstance(value, np.ndarray):
        shape = "x".join(map(str, value.shape)) or "scalar"
        return shape if value.dtype == np.float32 else f"{shape} {value.dtype}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_label, value))}]"
    return getattr(value, "__name__", repr(value))


def _mapped(change: Callable[[Array], Any], value: Any) -> Any:
    """What lists and tuples hold, with every array changed."""
    if isinstance(value, np.ndarray):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(change, one) for one in value)
    return value


def _wide(array: Array) -> Array:
    wider = {"f": np.float64, "c": np.complex128}.get(array.dtype.kind)
    return array if wider is None else array.astype(wider)


def parts_of(value: Any) -> list[Any]:
    """The arrays of a result, in order."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [part for one in value for part in parts_of(one)]
    return [value]


@dataclass(frozen=True)
class Operation:
    """A function and what it owes."""

    subject: str
    """The function's name, and behind a dash what else tells contracts apart: ``roll``,
    ``image.resize``, ``rot90-rectangle``."""
    calls: Callable[[], Iterable[Call]]
    """Makes the calls, with arrays that are drawn."""
    truth: Truth | None = None
    """Gives the true numbers of the same arguments; of None, NumPy's function of the name does."""
    says: str = ""
    """What holds, in words; empty: that it is NumPy's."""
    rounds: bool = True
    """Whether floats may be off by rounding."""
    alike: Callable[[list[Array]], list[Array]] | None = None
    """Of results that are not unique, such as eigenvectors: what is, and is compared in their place."""
    ways: tuple[str, ...] = WAYS
    """In which ways it is called."""

    @property
    def name(self) -> str:
        """In ``keras.ops``."""
        return self.subject.partition("-")[0]

    @property
    def formula(self) -> Truth:
        """The truth."""
        found: Truth = self.truth or getattr(np, self.name)
        return found

    def known(self) -> tuple[Any, list[Call]]:
        """The function, and the calls whose options this Keras has.

        Raises:
            AbsentError: it has no such function, or the options of no call.
        """
        function = function_of(self.name)
        known = _known_options(function)
        chosen = [one for one in self.calls() if known is None or known.issuperset(one.options)]
        if not chosen:
            raise AbsentError(f"ops.{self.name} has no such options in this Keras")
        return function, chosen

    def test(self, lab: Lab) -> Iterator[Deviation]:
        """Every number of every call. Raises AbsentError as :meth:`known`."""
        function, chosen = self.known()
        truths = [self.parts(one) for one in chosen]
        if self.ways != ("graph",):
            for one, expected in zip(chosen, truths, strict=True):
                got = parts_of(one.of(function, _tensor))
                if "eager" in self.ways:
                    yield from self._eager(lab, one, got, expected)
                if "symbols" in self.ways:
                    yield from _symbolic(one, function, got)
        if "graph" in self.ways:
            for one, result, expected in zip(
                chosen, _in_graph(function, chosen), truths, strict=True
            ):
                names = [f"{name}{GRAPH}" for name in one.names(len(expected))]
                yield from self._values(lab, names, parts_of(result), expected)

    def parts(self, one: Call) -> list[Any]:
        """The arrays that are the truth of a call."""
        return parts_of(one.of(self.formula, _wide))

    def _eager(
        self, lab: Lab, one: Call, got: list[Any], expected: list[Any]
    ) -> Iterator[Deviation]:
        """Numbers and types of a call."""
        yield exact(f"{one.label}, results", len(got), len(expected))
        names = one.names(len(expected))
        yield from self._values(lab, names, got, expected)
        wide = any(array.dtype == np.float64 for array in one.given)
        for name, part, true in zip(names, got, expected, strict=True):
            yield _type(f"{TYPE}{name}", np.asarray(part), true, wide=wide)

    def _values(
        self, lab: Lab, names: list[str], parts: list[Any], expected: list[Any]
    ) -> Iterator[Deviation]:
        """The numbers of a result."""
        got = [lab.seen(part) for part in parts]
        if self.alike:
            got, expected = self.alike([*map(_wide, got)]), self.alike(expected)
            names = [f"{names[0]}: unique part {at}" for at in range(len(got))]
        for name, part, true in zip(names, got, expected, strict=True):
            yield close(name, part, true, share=self.share(lab))

    def share(self, lab: Lab) -> float:
        """Of the largest entry, what each may be off by."""
        if not self.rounds:
            return 0.0
        return TF32_SHARE if lab.form("float32") is TF32 else SHARE


def apart(one: Operation, *ways: str) -> tuple[Operation, ...]:
    """Contracts of one: called in all other ways, and, ``NAME-WAY``, in each of these. For a function
    that is known to fail this way, which would hide what goes wrong with its numbers."""
    rest = tuple(way for way in one.ways if way not in ways)
    return (
        replace(one, ways=rest),
        *(replace(one, subject=f"{one.subject}-{way}", ways=(way,)) for way in ways),
    )


def register(catalogue: Catalogue, operations: Iterable[Operation]) -> None:
    """Adds the contracts of some functions."""
    for one in operations:
        catalogue.contract(
            one.subject,
            thing=f"keras.ops.{one.name}",
            truth=one.says or f"`np.{one.formula.__name__}`",
            keras=(3,),
        )(one.test)


def function_of(name: str) -> Any:
    """A function by its name in ``keras.ops``. Raises AbsentError if this Keras has no such one."""
    from bench.nets.api import keras

    try:
        return functools.reduce(getattr, name.split("."), keras.ops)
    except AttributeError:
        raise AbsentError(f"this Keras has no ops.{name}") from None


def _known_options(function: Any) -> set[str] | None:
    """Names of its arguments; None where any is taken."""
    parameters = inspect.signature(function).parameters.values()
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        return None
    return {one.name for one in parameters}


def _in_graph(function: Any, calls: list[Call]) -> list[Any]:
    """All results, of one ``tf.function``."""
    from bench.nets.api import tf

    given = [array for one in calls for array in one.given]

    @tf.function(autograph=False)
    def compiled(*tensors: Any) -> list[Any]:
        left = iter(tensors)
        return [one.of(function, lambda _: next(left)) for one in calls]

    return list(compiled(*map(_tensor, given)))


def _tensor(array: Array) -> Any:
    from bench.nets.api import tf

    return tf.constant(array)


def _symbolic(one: Call, function: Any, got: list[Any]) -> Iterator[Deviation]:
    """Shapes and types of a call with symbols, those of its numbers."""
    from bench.nets.api import keras

    symbols = one.of(function, lambda array: keras.KerasTensor(array.shape, array.dtype.name))
    for name, symbol, part in zip(one.names(len(got)), parts_of(symbols), got, strict=True):
        yield _symbol(f"{SYMBOL}{name}", symbol, np.asarray(part))


def close(label: str, got: Array, true: Any, *, share: float = SHARE) -> Deviation:
    """Whether numbers are the truth, but that floats may be off by a share of the largest one."""
    true = np.asarray(true)
    if got.dtype.kind == "c":
        got, true = (np.stack([one.real, one.imag]) for one in (got, true))
    if got.dtype.kind == "f" and share and true.size:
        largest = np.max(np.abs(true), where=np.isfinite(true), initial=0.0)
        return deviation(label, got, Bounded(true, np.full(true.shape, share * largest)))
    return exact(label, got, true)


def _type(name: str, got: Array, true: Any, *, wide: bool) -> Deviation:
    """Kind of numbers, and of floats the width: that of the widest given, float32 of anything else."""
    kind = np.asarray(true).dtype.kind
    expected = {
        "f": "float64" if wide else "float32",
        "c": "complex128" if wide else "complex64",
        "b": "bool",
    }.get(kind, INTEGER)
    fits = got.dtype.kind in "iu" if expected == INTEGER else got.dtype.name == expected
    return Deviation(
        tensor=name,
        excess=0.0 if fits else None,
        evidence=f"got {got.dtype}, expected {expected}",
    )


def _symbol(name: str, symbol: Any, got: Array) -> Deviation:
    """A size that is not known before is None."""
    shape = tuple(symbol.shape)
    fits = len(shape) == got.ndim and all(
        size in (None, true) for size, true in zip(shape, got.shape, strict=True)
    )
    return Deviation(
        tensor=name,
        excess=0.0 if fits and symbol.dtype == got.dtype.name else None,
        evidence=f"got {shape} {symbol.dtype}, expected {got.shape} {got.dtype}",
    )
