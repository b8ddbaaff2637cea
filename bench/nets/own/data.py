"""Arrays that a model is trained on: the user's, MNIST where shapes fit, or noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.mnist import Mnist
from bench.nets.own.source import UnusableError, is_compiled, trains_itself
from bench.nets.own.view import output_names, predicted
from bench.results.own_model import DefaultLoss

keras = tf.keras
Array = npt.NDArray[Any]

#: A dimension that the model leaves open gets this many places in noise.
OPEN = 16
#: Rows that are evaluated: a fifth of all, at most so many.
MOST_EVALUATED = 1000
#: Rows of noise: 16 batches of 32.
NOISE_ROWS = 512
#: Sums to one, as float32 and float16 have it: softmax adds up at most some thousand terms.
_ONE = 1e-2


@dataclass(frozen=True)
class Arrays:
    """Arrays of all rows by name, and where they are from."""

    source: str
    inputs: dict[str, Array]
    targets: dict[str, Array]
    named: bool
    """Whether inputs are handed over as a dictionary."""


@dataclass(frozen=True)
class Slot:
    """An input of a functional model."""

    name: str
    shape: tuple[int | None, ...]
    """Without the rows'."""
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        shape = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{self.name!r} of shape (rows, {shape}), {self.dtype.name}"

    def fits(self, array: Array) -> bool:
        """Whether rows of the array may enter here."""
        sizes = array.shape[1:]
        return len(sizes) == len(self.shape) and all(
            wanted in (None, size) for wanted, size in zip(self.shape, sizes, strict=True)
        )


def slots(model: Any) -> list[Slot]:
    """Inputs of a functional model; none if its inputs are known to its ``call`` alone."""
    try:
        inputs = list(model.inputs or ())
    except (AttributeError, ValueError):
        return []
    found = []
    for tensor in inputs:
        dtype = np.dtype(tf.as_dtype(tensor.dtype).as_numpy_dtype)
        found.append(Slot(tensor.name.split(":")[0], tuple(tensor.shape)[1:], dtype))
    return found


def arrays(model: Any, given: Mapping[str, Array], source: str, mnist: Mnist, rows: int) -> Arrays:
    """The arrays of a model.

    Args:
        model: built; compiled or not.
        given: the user's by name; none if nothing was given.
        source: of these, as messages name it.
        mnist: the images.
        rows: wanted of MNIST and of noise.

    Raises:
        UnusableError: arrays do not fit, or are needed and not given.
    """
    inputs = slots(model)
    for slot in inputs:
        if slot.dtype.kind == "O":
            raise UnusableError(
                f"the input {slot.name!r} takes strings, and a model is fed numbers: let it begin "
                "behind the layer that looks them up"
            )
    if given:
        return _given(model, inputs, given, source)
    if not inputs:
        raise UnusableError(
            "the model does not say what its inputs are: give it arrays with --arrays FILE.npz"
        )
    return _of_mnist(model, inputs, mnist, rows) or _noise(model, inputs, rows)


def _given(model: Any, inputs: Sequence[Slot], given: Mapping[str, Array], source: str) -> Arrays:
    has = ", ".join(f"{name} {array.shape}" for name, array in given.items())
    if not inputs:
        entering = {n: a for n, a in given.items() if n != "y"}
        if not entering:
            raise UnusableError(f"{source}: has no inputs: {has}")
        targets = {"y": given["y"]} if "y" in given else {}
        return Arrays(source, entering, targets, named=list(entering) != ["x"])
    single = len(inputs) == 1 and "x" in given
    entering = {}
    for slot in inputs:
        name = "x" if single else slot.name
        if name not in given:
            wanted = "; ".join(map(str, inputs))
            one = ": name it x" if len(inputs) == 1 else f"; inputs are {wanted}"
            raise UnusableError(f"{source}: has no array for the input {slot}; it has {has}{one}")
        if not slot.fits(given[name]):
            raise UnusableError(
                f"{source}: the array {name!r} has shape {given[name].shape} and does not fit the "
                f"input {slot}"
            )
        entering[slot.name] = given[name]
    names = output_names(model, len(tf.nest.flatten(model.outputs)))
    targets = {"y": given["y"]} if "y" in given else {n: given[n] for n in names if n in given}
    lacking = len(targets) < len(names)
    if lacking and not (trains_itself(model) and not targets):
        raise UnusableError(
            f"{source}: has no targets for the outputs {', '.join(names)}; it has {has}: name them "
            + ("'y', or " if len(names) == 1 else "")
            + "as the outputs"
        )
    if len(names) == 1 and "y" in targets:
        targets = {names[0]: targets["y"]}
    return Arrays(source, entering, targets, named=len(inputs) > 1)


def _of_mnist(model: Any, inputs: Sequence[Slot], mnist: Mnist, rows: int) -> Arrays | None:
    """MNIST's images and labels for one input of their size and ten classes."""
    outputs = tf.nest.flatten(model.outputs)
    if len(inputs) != 1 or len(outputs) != 1 or trains_itself(model):
        return None
    (slot,) = inputs
    shapes: tuple[tuple[int, ...], ...] = ((28, 28), (28, 28, 1), (784,))
    fits = [shape for shape in shapes if slot.fits(np.empty((0, *shape)))]
    if not fits or tuple(outputs[0].shape)[1:] != (10,) or slot.dtype.kind != "f":
        return None
    labels = mnist.train_labels[:rows].astype(np.int32)
    targets: Array = labels
    if is_compiled(model) and not _is_sparse(model):
        targets = np.eye(10, dtype=np.float32)[labels]
    images = mnist.train_images[:rows].reshape(-1, *fits[0])
    (name,) = output_names(model, 1)
    entering = {slot.name: (images / 255).astype(slot.dtype)}
    return Arrays("MNIST", entering, {name: targets}, named=False)


def _noise(model: Any, inputs: Sequence[Slot], rows: int) -> Arrays:
    """Normal numbers, or numbers below the size of the vocabulary that looks them up; targets of the
    types and shapes that the losses take."""
    random = np.random.RandomState(0)  # its numbers are frozen, those of Generator are not
    rows = min(rows, NOISE_ROWS)
    sizes = _vocabularies(model)
    entering = {}
    for slot in inputs:
        shape = (rows, *(OPEN if size is None else size for size in slot.shape))
        words = sizes.get(slot.name)
        if words or slot.dtype.kind in "iub":
            entering[slot.name] = random.randint(words or 2, size=shape).astype(slot.dtype)
        else:
            entering[slot.name] = random.standard_normal(shape).astype(slot.dtype)
    named = len(inputs) > 1
    if trains_itself(model):
        return Arrays("noise", entering, {}, named)
    made = predicted(model, _fed(entering, slice(0, 1), named=named))
    targets: dict[str, Array] = {}
    for number, (name, output) in enumerate(made.items()):
        shape = (rows, *output.shape[1:])
        kind = _loss_kind(model, number, name)
        uncompiled = not is_compiled(model) and _is_distribution(output)
        if "sparse" in kind or uncompiled:
            targets[name] = random.randint(shape[-1], size=shape[:-1]).astype(np.int32)
        elif "categorical" in kind:
            classes = random.randint(shape[-1], size=shape[:-1])
            targets[name] = np.eye(shape[-1], dtype=np.float32)[classes]
        elif "binary" in kind or "hinge" in kind:
            targets[name] = random.randint(2, size=shape).astype(np.float32)
        else:
            targets[name] = random.standard_normal(shape).astype(np.float32)
    return Arrays("noise", entering, targets, named)


def _vocabularies(model: Any) -> dict[str, int]:
    """Of inputs that an embedding looks up, the number of its entries."""
    found: dict[str, int] = {}
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Embedding):
            with_input = getattr(layer, "input", None)
            name = "" if with_input is None else with_input.name.split(":")[0]
            found[name] = min(layer.input_dim, found.get(name, layer.input_dim))
    return found


def _loss_kind(model: Any, number: int, name: str) -> str:
    """Name of an output's compiled loss in lower case; empty if there is none."""
    loss = getattr(model, "loss", None) if is_compiled(model) else None
    if isinstance(loss, Mapping):
        loss = loss.get(name)
    elif isinstance(loss, (list, tuple)):
        loss = loss[number]
    named = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return "" if loss is None else named.lower()


def _is_sparse(model: Any) -> bool:
    return "sparse" in _loss_kind(model, 0, output_names(model, 1)[0])


def default_losses(
    outputs: Mapping[str, Array], targets: Mapping[str, Array]
) -> dict[str, DefaultLoss]:
    """Losses that fit outputs, by what these are and what they are held against.

    Args:
        outputs: of some rows, in inference mode.
        targets: of the same rows.

    Raises:
        UnusableError: no loss fits.
    """
    if len(outputs) != len(targets):
        raise UnusableError(
            f"the model has outputs {', '.join(outputs)}, and targets are {', '.join(targets)}"
        )
    pairs = zip(outputs.items(), targets.values(), strict=True)
    return {name: _loss_for(name, output, target) for (name, output), target in pairs}


def _loss_for(name: str, output: Array, target: Array) -> DefaultLoss:
    whole = target.dtype.kind in "iub"
    classes = output.shape[-1] if output.ndim > 1 else 1
    sparse = target.shape in (output.shape[:-1], (*output.shape[:-1], 1))
    if whole and classes > 1 and sparse:
        return DefaultLoss("SparseCategoricalCrossentropy", not _is_distribution(output))
    if target.shape == output.shape or (classes == 1 and target.shape == output.shape[:-1]):
        if whole:
            inside = bool(((output >= 0) & (output <= 1)).all())
            return DefaultLoss("BinaryCrossentropy", not inside)
        if _is_distribution(output) and _is_distribution(target):
            return DefaultLoss("CategoricalCrossentropy")
        return DefaultLoss("MeanSquaredError")
    raise UnusableError(
        f"no loss fits the output {name!r} of shape {output.shape} and targets of shape "
        f"{target.shape}, {target.dtype}: compile the model"
    )


def _is_distribution(output: Array) -> bool:
    """Whether each row is at least 0 and sums to one, over more than one class."""
    if output.ndim < 2 or output.shape[-1] < 2 or output.dtype.kind != "f":
        return False
    return bool((output >= 0).all() and (np.abs(output.sum(axis=-1) - 1) < _ONE).all())


def _fed(parts: Mapping[str, Array], rows: Any, *, named: bool) -> Any:
    """Rows as a model takes them: one array, or a dictionary."""
    chosen = {name: array[rows] for name, array in parts.items()}
    return chosen if named else next(iter(chosen.values()))


@dataclass(frozen=True)
class Feed:
    """All rows, as models take them."""

    inputs: Mapping[str, Array]
    targets: Mapping[str, Array]
    named: bool
    named_targets: bool
    examples: int
    """Rows to train on; those behind them are evaluated."""

    def x(self, rows: Any) -> Any:
        """Inputs of these rows: one array, or a dictionary."""
        return _fed(self.inputs, rows, named=self.named)

    def y(self, rows: Any) -> Any:
        """Their targets: one array, a list in the order of the outputs, or a dictionary; None if the
        model has none."""
        if not self.targets:
            return None
        if self.named_targets or len(self.targets) == 1:
            return _fed(self.targets, rows, named=self.named_targets)
        return [array[rows] for array in self.targets.values()]

    @property
    def held_out(self) -> slice:
        """Rows that are evaluated."""
        return slice(self.examples, None)
