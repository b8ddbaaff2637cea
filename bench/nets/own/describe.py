"""Description of a model: what it is fed, what it starts from, whether it can be trained at all."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

import bench
from bench.cells.own_model import OwnModel, name_of
from bench.errors import raised
from bench.measure.trajectory import digest
from bench.mnist import Mnist
from bench.nets.own import data, source, view, weights
from bench.results.checksum import checksum
from bench.results.files import pretty, write_atomically
from bench.results.own_model import (
    ARRAYS,
    DESCRIPTION,
    DefaultLoss,
    Described,
    Description,
    weights_file,
)

keras = tf.keras
Array = npt.NDArray[Any]

#: Rows of the look that tells how long sums are, and whether something is drawn.
_FEW = 4


def describe(
    folder: Path,
    path: Path,
    function: str,
    given: Path | None,
    mnist: Mnist,
    *,
    seeds: Sequence[int],
    batch: int,
    steps: int,
) -> Described:
    """Builds a model under every seed and keeps, in a folder, all that both sides start from.

    Whatever the user's code raises is an answer, not an error.

    Args:
        folder: exists; gets the files of :mod:`bench.results.own_model`.
        path: of the user's file.
        function: in it.
        given: the user's arrays, an npz file; None for others.
        mnist: the images.
        seeds: under which weights are drawn.
        batch: rows of a batch.
        steps: of a training.
    """
    try:
        description = _described(folder, path, function, given, mnist, seeds, batch, steps)
    except source.UnusableError as error:
        return Described(trouble=str(error))
    except BaseException as error:  # SystemExit, too
        return Described(
            trouble=f"{path}: {function}: {raised(error)}", output=_users_frames(error)
        )
    write_atomically(folder / DESCRIPTION, pretty(description))
    return Described(description=description)


def _users_frames(error: BaseException) -> str:
    """The end of a traceback, from where this package called the user's code; empty if it never got
    there."""
    inside = error.__traceback__
    while inside is not None and _is_ours(inside):
        inside = inside.tb_next
    if inside is None:
        return ""
    return "".join(traceback.format_exception(type(error), error, inside, limit=-3))


def _is_ours(frame: TracebackType) -> bool:
    return Path(frame.tb_frame.f_code.co_filename).is_relative_to(Path(bench.__file__).parent)


def _described(
    folder: Path,
    path: Path,
    function: str,
    given: Path | None,
    mnist: Mnist,
    seeds: Sequence[int],
    batch: int,
    steps: int,
) -> Description:
    model = source.build(path, function, seeds[0])
    user = {} if given is None else _read(given)
    name = "" if given is None else str(given)
    rows = min(steps * batch + data.MOST_EVALUATED, len(mnist.train_labels))
    found = data.arrays(model, user, name, mnist, rows)
    feed = _feed(model, found, name)
    few = slice(0, min(_FEW, feed.examples))
    losses = _compiled(model, feed, few, called=f"{path}: {function}")
    tensors = view.look(model, weights.named(model), feed.x(few), feed.y(few))
    if not model.weights:
        raise source.UnusableError(f"{path}: {function}: the model has no weights to train")
    loss = tensors.get("loss", 0.0)
    if not np.isfinite(loss).all():
        what = f"the loss is {loss} before the first step: nothing is trained"
        raise source.UnusableError(f"{path}: {function}: {what}")
    for seed in seeds:
        if seed != seeds[0]:
            model = source.build(path, function, seed)
            view.predicted(model, feed.x(few))
        weights.keep(weights_file(folder, seed), weights.values(model))
    file = checksum(path.read_bytes())
    start = digest(list(_read(weights_file(folder, seeds[0])).values()))
    parts = [file, function, _keep_arrays(folder, found), start]
    shapes = [value.shape for value in weights.values(model).values()]
    return Description(
        model=OwnModel(
            name=name_of(path, function),
            source=checksum(" ".join(parts).encode()),
            longest=_longest(tensors, shapes, few.stop, batch),
            random=_random(model, feed.x(few)),
            normalized=_normalized(model, tensors, batch / few.stop),
        ),
        path=str(path),
        function=function,
        file=file,
        given=digest(list(user.values())) if user else "",
        data=found.source,
        inputs=_types(found.inputs),
        outputs=_types(found.targets),
        named=found.named,
        named_targets=feed.named_targets,
        examples=feed.examples,
        evaluated=_rows(found) - feed.examples,
        parameters=sum(map(math.prod, shapes)),
        losses=losses,
        seeds=list(seeds),
    )


def _keep_arrays(folder: Path, found: data.Arrays) -> str:
    """Digest of all arrays, which are written into the folder."""
    roles = {f"x {n}": a for n, a in found.inputs.items()}
    roles |= {f"y {n}": a for n, a in found.targets.items()}
    weights.keep(folder / ARRAYS, roles)
    return digest(list(roles.values()))


def _feed(model: Any, found: data.Arrays, name: str) -> data.Feed:
    """All rows, the last of which are evaluated: a fifth, and no more than
    :data:`bench.nets.own.data.MOST_EVALUATED`."""
    rows = _rows(found)
    examples = rows - max(1, min(data.MOST_EVALUATED, rows // 5))
    if examples < 1:
        raise source.UnusableError(f"{name}: {rows} rows are too few: one is evaluated")
    named_targets = isinstance(getattr(model, "loss", None), Mapping)
    return data.Feed(found.inputs, found.targets, found.named, named_targets, examples)


def _rows(found: data.Arrays) -> int:
    return len(next(iter(found.inputs.values())))


def _types(arrays: Mapping[str, Array]) -> dict[str, str]:
    """Type and shape of each array, as a description tells them."""
    return {name: f"{array.dtype.name} {array.shape}" for name, array in arrays.items()}


def _compiled(model: Any, feed: data.Feed, few: slice, *, called: str) -> dict[str, DefaultLoss]:
    """Losses of a model that did not compile itself, by which it is compiled; else none."""
    outputs = view.predicted(model, feed.x(few))
    if source.is_compiled(model):
        return {}
    if not feed.targets:
        raise source.UnusableError(f"{called}: a model without targets compiles itself")
    losses = data.default_losses(outputs, {n: a[few] for n, a in feed.targets.items()})
    source.compile_with(model, losses)
    return losses


def _longest(
    tensors: Mapping[str, Array], shapes: Sequence[tuple[int, ...]], rows: int, batch: int
) -> int:
    """Terms of the longest sum: over a batch's rows and places, or over the inputs of a weight."""
    outputs = [t for name, t in tensors.items() if ", output" in name and t.ndim > 1]
    per_row = max((t.size // t.shape[-1] for t in outputs), default=rows) / rows
    return int(max(per_row * batch, batch, *(math.prod(shape[:-1]) for shape in shapes)))


def _normalized(
    model: Any, tensors: Mapping[str, Array], per_row: float
) -> tuple[tuple[str, int], ...]:
    """Layers of batch normalization, with the numbers in a batch that share a channel."""
    found = []
    for path, layer in source.sublayers(model):
        outputs = tensors.get(f"{path}, output")
        if isinstance(layer, keras.layers.BatchNormalization) and outputs is not None:
            (axis,) = layer.axis if isinstance(layer.axis, (list, tuple)) else (layer.axis,)
            found.append((path, int(outputs.size // outputs.shape[axis] * per_row)))
    return tuple(found)


def _random(model: Any, x: Any) -> tuple[str, ...]:
    """Layers that draw numbers, if a second pass in training mode gives something else than the
    first."""
    first, second = (view.trained_outputs(model, x) for _ in range(2))
    if digest(list(first.values())) == digest(list(second.values())):
        return ()
    drawing = [name for name, layer in source.sublayers(model) if _draws(layer)]
    return tuple(drawing) or ("its layers",)


def _draws(layer: Any) -> bool:
    rates = (getattr(layer, name, None) for name in ("rate", "dropout", "recurrent_dropout"))
    rated = any(isinstance(rate, float) and rate > 0 for rate in rates)
    return rated or "Noise" in type(layer).__name__ or type(layer).__name__.startswith("Random")


def _read(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
