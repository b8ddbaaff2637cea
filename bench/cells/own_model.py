"""Own model: a network of the user's in the place of a cell's, as far as verdicts need to know it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

#: Name of the grid that holds its cells.
GRID = "model"

#: Ways to train it, as users do.
ENGINES = ("fit", "train_on_batch")


_NAME = re.compile(r"[A-Za-z0-9_.]+\.[A-Za-z0-9_]+")
#: The longest name that file systems have, a dot, and a function's.
_LONGEST_NAME = 511
_Text = Annotated[str, Meta(max_length=4096)]
_Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class OwnModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that a function of the user's builds."""

    name: str
    """``FILE.FUNCTION``, as ids show it."""
    source: _Text
    """Hash of the file, the arrays and the initial weights of the first seed: another one is another
    model."""
    longest: _Number
    """Terms of the longest sum in a step: over a kernel's inputs, or over examples and places."""
    random: tuple[_Text, ...] = ()
    """Layers that draw random numbers in training."""
    normalized: tuple[tuple[_Text, _Number], ...] = ()
    """Layers of batch normalization, and over how many numbers each takes a variance."""

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise ValueError(f"{self.name[:99]!r} is no name of a model: FILE.FUNCTION")

    def __str__(self) -> str:
        return self.name


def is_name(text: str) -> bool:
    """Whether :func:`name_of` gives such names; all of them have a dot."""
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def name_of(path: Path, function: str) -> str:
    """The name of a function's model, with characters that ids may have.

    Example:
        >>> name_of(Path("examples/my-net.py"), "build")
        'my_net.build'
    """
    return re.sub(r"[^A-Za-z0-9_.]", "_", f"{path.stem}.{function}")
