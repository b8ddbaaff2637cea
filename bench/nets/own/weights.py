"""Weights of a model by name: kept as arrays, and set in a model that another version built."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


def keep(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes arrays to an npz file by their names."""
    np.savez(path, **arrays)  # type: ignore[arg-type] # of the stubs: a name may be an option's


def named(model: Any) -> dict[str, Any]:
    """All weights by the path of Keras 3, or the name of Keras 2 without ``:0``, in the order of the
    model's; a name that comes again has its number behind it."""
    found: dict[str, Any] = {}
    for variable in model.weights:
        path = getattr(variable, "path", None) or variable.name.removesuffix(":0")
        name, number = path, 1
        while name in found:
            number += 1
            name = f"{path}#{number}"
        found[name] = variable
    return found


def values(model: Any) -> dict[str, Array]:
    """Their values, by the same names."""
    return {name: np.asarray(variable.numpy()) for name, variable in named(model).items()}


def matched(stored: Mapping[str, Shape], model: Any) -> dict[str, Any]:
    """The model's weights by the names under which they are stored.

    A weight is found by its name and shape; what is left, by the name without the numbers that Keras
    gives layers (Keras 2 counts the cells of all LSTMs, Keras 3 those of one), in order; and the rest,
    by shape alone, if all that is left has the same shapes in the same order.

    Raises:
        ValueError: something has no counterpart; lists what is left on either side.
    """
    variables = named(model)
    shapes = {name: tuple(map(int, variable.shape)) for name, variable in variables.items()}
    pairs: dict[str, str] = {}
    for key in (_exactly, _unnumbered):
        _match(stored, shapes, pairs, key)
    left = [name for name in stored if name not in pairs]
    taken = set(pairs.values())
    rest = [name for name in shapes if name not in taken]
    if [stored[name] for name in left] == [shapes[name] for name in rest]:
        pairs |= dict(zip(left, rest, strict=True))
    elif left or rest:
        raise ValueError(
            f"weights cannot be matched: stored are {_listed(left, stored)}, and the model has "
            f"{_listed(rest, shapes)}"
        )
    return {name: variables[pairs[name]] for name in stored}


def _exactly(name: str) -> str:
    return name


def _unnumbered(name: str) -> str:
    return "/".join(re.sub(r"_\d+$", "", part) for part in name.split("/"))


def _match(
    stored: Mapping[str, Shape],
    shapes: Mapping[str, Shape],
    pairs: dict[str, str],
    key: Callable[[str], str],
) -> None:
    """Adds to ``pairs`` what agrees in key and shape, where there are as many on both sides."""
    taken = set(pairs.values())
    groups: dict[tuple[str, Shape], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, (names, known) in enumerate(((stored, pairs.keys()), (shapes, taken))):
        for name in names:
            if name not in known:
                groups[key(name), names[name]][side].append(name)
    for ours, theirs in groups.values():
        if len(ours) == len(theirs):
            pairs.update(zip(ours, theirs, strict=True))


def _listed(names: Sequence[str], shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {shapes[name]}" for name in names) or "nothing else"
