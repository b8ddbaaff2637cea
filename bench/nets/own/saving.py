"""The user's model, saved by one version and loaded by another."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bench.cells.cell import Cell
from bench.measure.trajectory import digest
from bench.nets.own import view
from bench.nets.own.training import OwnTrainer, significant_bits
from bench.nets.own.weights import keep
from bench.nets.replica import move
from bench.nets.saving import IMAGES, apart_by, predicted, read, told, write
from bench.results.check import Deviation
from bench.results.copy_result import Copy
from bench.results.saved_models import FORMATS, Loaded, Written

Array = npt.NDArray[Any]

_REFERENCE = "reference.npz"
#: Training steps before the model is saved: weights and moving statistics have moved.
STEPS = 20
#: Copies of the trained model whose outputs show what rounding does to them.
COPIES = 2


def save(folder: Path, trainer: OwnTrainer, cell: Cell) -> list[Written]:
    """Trains the model for some steps and saves it in every format, beside what it and its copies
    predict.

    Args:
        folder: exists.
        trainer: of the model.
        cell: that names the model.
    """
    place = folder / cell.model
    place.mkdir()
    short = msgspec.structs.replace(cell, steps=STEPS)
    seed = trainer.description.seeds[0]
    model = trainer.trained(short, seed)
    written = write(model, cell.model, place)
    inputs = trainer.feed.x(slice(0, IMAGES))
    # Last: Keras 2.12 cannot export a model that has predicted.
    found = {f"output {n}": each for n, each in enumerate(predicted(model, inputs))}
    start = [variable.numpy() for variable in model.trainable_variables]
    for number in range(COPIES):
        copy = Copy(cell=short, seed=seed, number=number)
        move(model.trainable_variables, copy, 0, significant_bits(model))
        outputs = enumerate(predicted(model, inputs))
        found |= {f"copy {number} output {n}": each for n, each in outputs}
        for variable, value in zip(model.trainable_variables, start, strict=True):
            variable.assign(value)
    keep(place / _REFERENCE, found)
    return written


def load(folder: Path, trainer: OwnTrainer, model: str, name: str) -> Loaded:
    """Loads what :func:`save` of any version left, and holds its outputs against those before saving.

    They may differ by what two copies show, whose weights were moved by one unit in the last place,
    times sqrt(N/6) for sums of N terms in another order, as the envelope of losses has it
    (:func:`bench.verdict.departures.rounding_factor`).

    Args:
        folder: as given to :func:`save`.
        trainer: of the model.
        model: name of it.
        name: of the format.
    """
    place = folder / model
    nothing = Loaded(model=model, format=name)
    with np.load(place / _REFERENCE, allow_pickle=False) as stored:
        reference = [stored[key] for key in stored.files if key.startswith("output")]
        copies = [
            [stored[key] for key in stored.files if key.startswith(f"copy {number} ")]
            for number in range(COPIES)
        ]
    inputs = trainer.feed.x(slice(0, IMAGES))

    def fresh() -> Any:
        made = trainer.start(trainer.description.seeds[0]).model
        view.predicted(made, inputs)
        return made

    with contextlib.suppress(Exception):  # a file names classes that the user's code registers
        trainer.start(trainer.description.seeds[0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = list(trainer.description.outputs)
            outputs = read(name, place / FORMATS[name].file, fresh, inputs, names)
    except Exception as error:
        return msgspec.structs.replace(nothing, error=told(error, place))
    finally:
        trainer.forget()
    apart = _apart(outputs, reference)
    shown = max(_apart(copy, reference) for copy in copies)
    unit = float(np.finfo(np.float32).eps)
    allowed = math.sqrt(trainer.description.model.longest / 6) * max(shown, unit)
    excess = apart / allowed
    return msgspec.structs.replace(
        nothing,
        same_bits=digest(outputs) == digest(reference),
        digest=digest(outputs),
        difference=apart if np.isfinite(apart) else None,
        deviation=Deviation(
            tensor="outputs",
            excess=excess if np.isfinite(excess) else None,
            evidence=f"off by {apart:.3g} of the largest, where rounding explains {allowed:.3g}",
        ),
    )


def _apart(outputs: Sequence[Array], reference: Sequence[Array]) -> float:
    if len(outputs) != len(reference):
        return math.inf
    return max(apart_by(*pair) for pair in zip(outputs, reference, strict=True))
