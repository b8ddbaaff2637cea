"""Settings: what configurations tell of the arguments given, and arguments by default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.default_tables import DEFAULTS
from bench.checks.contracts.setting_tables import TOLD
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation

catalogue = Catalogue("settings")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

_Arguments = Mapping[str, Any]
#: What the errors say that versions of Keras raise at an argument that they do not have.
_UNKNOWN = ("unexpected keyword", "not recognized", "not understood", "Unrecognized keyword")


def _flat(value: Any) -> Any:
    """A list of all that lies in tuples, lists and arrays; of one thing, the thing itself."""
    value = np.asarray(value).tolist() if hasattr(value, "__array__") else value
    if not isinstance(value, (list, tuple)):
        return value
    parts: list[Any] = []
    for one in map(_flat, value):
        parts += one if isinstance(one, list) else [one]
    return parts[0] if len(parts) == 1 else parts


def _alike(got: Any, wanted: Any) -> bool:
    """Equal in value; numbers, up to a unit of float32, in which some are kept."""
    got, wanted = _flat(got), _flat(wanted)
    if isinstance(wanted, float) and isinstance(got, (int, float)):
        return abs(got - wanted) <= 2.0**-23 * abs(wanted)
    return bool(got == wanted)


def _compared(lab: Lab, name: str, thing: Any, wanted: _Arguments) -> Iterator[Deviation]:
    config = thing.get_config()
    for key, value in wanted.items():
        got = config.get(key, "nothing")
        lab.seen(repr(_flat(got)))
        yield Deviation(
            tensor=f"{name}, {key}",
            excess=0.0 if _alike(got, value) else None,
            evidence=f"got {got!r}, expected {value!r}",
        )


def _made(module: str, name: str, arguments: _Arguments) -> Any:
    """An object of a public class.

    Raises:
        AbsentError: this Keras lacks the class or an argument.
    """
    from bench.nets.api import KERAS_VERSION, keras

    kind = getattr(getattr(keras, module), name, None)
    if kind is None:
        raise AbsentError(f"Keras {KERAS_VERSION} has no keras.{module}.{name}")
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        if any(part in str(error) for part in _UNKNOWN):
            raise AbsentError(f"Keras {KERAS_VERSION}: {error}") from error
        raise


def _each(
    lab: Lab, module: str, table: Mapping[str, tuple[_Arguments, _Arguments]]
) -> Iterator[Deviation]:
    """Of all classes that this Keras has.

    Raises:
        AbsentError: it has none.
    """
    absent: list[AbsentError] = []
    for name, (given, wanted) in table.items():
        try:
            thing = _made(module, name, given)
        except AbsentError as error:
            absent.append(error)
        else:
            yield from _compared(lab, name, thing, wanted)
    if len(absent) == len(table):
        raise absent[0]


def _told(subject: str, module: str, table: Mapping[str, _Arguments], keras: Any) -> None:
    @contract(
        f"told-{subject}",
        thing=f"keras.{module}.{next(iter(table))}",
        truth="A configuration tells every argument as it was given.",
        keras=keras,
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        yield from _each(lab, module, {name: (given, given) for name, given in table.items()})


def _default(subject: str, module: str, table: Mapping[str, Any], keras: Any) -> None:
    @contract(
        f"defaults-{subject}",
        thing=f"keras.{module}.{next(iter(table))}",
        truth="Arguments that are not given have the documented values.",
        keras=keras,
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        yield from _each(lab, module, table)


for _subject, (_module, _table, _keras) in TOLD.items():
    _told(_subject, _module, _table, _keras)
for _subject, (_module, _defaults, _keras) in DEFAULTS.items():
    _default(_subject, _module, _defaults, _keras)
