"""The user's own model: what is known of it, and the folder that both sides train it from.

<run>/model/model.json        a :class:`Description`
<run>/model/arrays.npz        inputs and targets by role: ``x <name>``, ``y <name>``
<run>/model/weights-<seed>.npz    initial weights by the variable's name in the process that drew them
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from bench.cells.own_model import OwnModel
from bench.results.bounds import Count, Finite, Name, NotNegative, Seed, Text

DESCRIPTION = "model.json"
ARRAYS = "arrays.npz"
FOLDER = "model"
#: End of the names of what ``predict`` and ``evaluate`` give of rows that are not trained on.
HELD_OUT = "of the held-out rows, inference"


def weights_file(folder: Path, seed: int) -> Path:
    """Path of the initial weights of a seed."""
    return folder / f"weights-{seed}.npz"


#: Rate of stochastic gradient descent for a model that is not compiled. Its steps are proportional to
#: gradients; those of Adam and RMSprop are signs at first, which make a whole step of the rounding of
#: a small gradient.
DEFAULT_RATE = 0.01

#: Losses that a model gets which is not compiled.
LossName = Literal[
    "SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy",
    "MeanSquaredError",
]  # fmt: skip


class DefaultLoss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Loss of one output, by the name of its Keras class."""

    name: LossName
    from_logits: bool = False

    def __str__(self) -> str:
        return f"{self.name} of logits" if self.from_logits else self.name


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts of a model, found once, by the side that is compared with, and used by both."""

    model: OwnModel
    path: Name
    """Absolute path of the user's file."""
    function: Name
    file: Name
    """Hash of the file."""
    given: Name
    """Hash of the arrays that the user gave; empty if none."""
    data: Name
    """Source of the batches: ``MNIST``, ``noise``, or the path of the user's arrays."""
    inputs: dict[Name, Name]
    """Type and shape of each input's array."""
    outputs: dict[Name, Name]
    """Type and shape of each target's array; none if the model makes its loss itself."""
    named: bool = False
    """Whether inputs are handed over as a dictionary."""
    named_targets: bool = False
    examples: Count
    """Rows to train on; those behind them are evaluated."""
    evaluated: Count
    parameters: Count
    """Entries of all weights."""
    losses: Mapping[Name, DefaultLoss] = {}
    """Of each output, of a model that is not compiled."""
    seeds: list[Seed]
    """Those whose weights were drawn."""


class Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of the process that was asked to describe a model."""

    description: Description | None = None
    trouble: Text = ""
    """One line: why there is none."""
    output: Text = ""
    """Traceback of what the user's code raised."""


class OwnMeasured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a record of an own model has beside others'."""

    metrics: dict[Name, Finite | None]
    """Of the evaluated rows after training: loss and metrics, as compiled."""
    peak_mib: NotNegative
    """Largest resident memory of the training process so far."""
