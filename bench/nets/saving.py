"""Saving trained models in every format that this TensorFlow has, and loading what another one saved.

Nothing is unpickled, and models are loaded in Keras' safe mode, which refuses Python code in v3
``.keras`` files. Older formats know no such mode, so :func:`load` is for what :func:`save` wrote, not
for files of strangers.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells.cell import Cell
from bench.cells.initial_values import batch_order
from bench.measure.trajectory import digest
from bench.mnist import Mnist
from bench.nets import composed, optimizers
from bench.nets.engines import engine
from bench.nets.images import on_device, pixel_scale, scaled
from bench.nets.keras_version import keras_generation, keras_version
from bench.nets.network import Network, build
from bench.results.saved_models import COMPOSED, FORMATS, MODELS, Loaded, Written, formats
from bench.theory.oracle.network import LOGITS, Oracle
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact
from bench.theory.rounding.formats import FLOAT32, TF32

keras = tf.keras
Array = npt.NDArray[Any]

#: Test images that outputs are compared on.
IMAGES = 16
SEED = 0

_INPUTS, _REFERENCE, _VARIABLES = "inputs.npy", "reference.npy", "variables.npz"
_NUMBERS = "numbers.npy"

#: Formats of weights alone, and of what is served without Keras.
_WEIGHTS, _SERVED = ("legacy_weights", "weights"), ("export", "saved_model")

#: Formats that Keras 3 no longer writes ("Migrating Keras 2 code to multi-backend Keras 3": SavedModel
#: by ``Model.save``; weights must be named ``.weights.h5``).
_KERAS_2_ONLY = ("legacy_weights", "keras_saved_model")


def save(folder: Path, model: str, data: Mnist, device: str) -> list[Written]:
    """Trains a network for some steps, or composes a model, and saves it in every format that it has.

    Beside the formats' files, a folder named after the model then holds inputs, the outputs before
    saving, and the variables, for :func:`load`.

    Args:
        folder: exists.
        model: one of :data:`bench.results.saved_models.MODELS`, or of
            :data:`bench.results.saved_models.COMPOSED`.
        data: the images.
        device: ``cpu`` or ``gpu``.
    """
    if model in COMPOSED:
        return _save_composed(folder, model)
    cell, images = MODELS[model], on_device(data, device)
    network = _fresh(cell)
    network.reset(cell, SEED)
    optimizer = optimizers.optimizer(cell, network.model.trainable_variables)
    order = batch_order(SEED, examples=len(data.train_labels), batch=cell.batch, steps=cell.steps)
    engine(network, optimizer, optimizers.loss(cell), images).train(order, pixel_scale(cell))
    place = folder / model
    place.mkdir()
    inputs = scaled(cell, images.test_images[:IMAGES], pixel_scale(cell)).numpy()
    np.save(place / _INPUTS, inputs)
    values = [
        variable.numpy()
        for part in (network.model.trainable_variables, network.model.non_trainable_variables)
        for variable in part
    ]
    np.savez(place / _VARIABLES, *[value for value in values if value.dtype == np.float32])
    written = write(network.model, model, place)
    # Last: Keras 2.12 cannot export a model that has predicted.
    np.save(place / _REFERENCE, predicted(network.model, inputs)[0])
    return written


def load(folder: Path, model: str, name: str, *, tf32: bool = False) -> Loaded:
    """Loads what :func:`save` of any version left, and computes its outputs.

    The outputs of a network are held against a float64 forward pass with the saved variables. The bound
    is that of rounding in whatever order sums are added up (:mod:`bench.theory.rounding.arrays`), so
    kernels of another version stay within it, and what two versions give is at most the sum of their
    bounds apart. A composed model has no rounding: its weights and outputs are to have the same bits.

    Args:
        folder: as given to :func:`save`.
        model: as given to :func:`save`.
        name: of the format, one of :data:`bench.results.saved_models.FORMATS`.
        tf32: whether float32 matrix products round their factors to TF32.
    """
    place = folder / model
    if model in COMPOSED:
        return _load_composed(place, model, name)
    cell = MODELS[model]
    inputs = np.load(place / _INPUTS, allow_pickle=False)
    reference = np.load(place / _REFERENCE, allow_pickle=False)
    nothing = Loaded(model=model, format=name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = place / FORMATS[name].file
            (outputs,), _ = opened(name, path, lambda: _fresh(cell).model, inputs)
    except Exception as error:
        return msgspec.structs.replace(nothing, error=told(error, place))
    apart = apart_by(outputs, reference)
    return msgspec.structs.replace(
        nothing,
        same_bits=digest([outputs]) == digest([reference]),
        digest=digest([outputs]),
        difference=apart if np.isfinite(apart) else None,
        deviation=deviation("outputs", outputs, _truth(place, cell, inputs, tf32=tf32)),
    )


def write(built: Any, model: str, place: Path) -> list[Written]:
    """Saves a model in every format.

    Args:
        built: the model.
        model: name of it.
        place: folder for the files.
    """
    return [_written(built, model, name, place) for name in formats(model)]


def _save_composed(folder: Path, model: str) -> list[Written]:
    built, place, inputs = composed.filled(composed.build(model)), folder / model, composed.given()
    place.mkdir()
    np.save(place / _INPUTS, inputs)
    np.save(place / _NUMBERS, composed.numbers(built))
    written = write(built, model, place)
    np.save(place / _REFERENCE, predicted(built, inputs)[0])
    return written


def _load_composed(place: Path, model: str, name: str) -> Loaded:
    inputs, reference, numbers = (
        np.load(place / file, allow_pickle=False) for file in (_INPUTS, _REFERENCE, _NUMBERS)
    )
    nothing = Loaded(model=model, format=name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fresh = functools.partial(composed.build, model)
            (outputs,), loaded = opened(name, place / FORMATS[name].file, fresh, inputs)
    except Exception as error:
        return msgspec.structs.replace(nothing, error=told(error, place))
    compared = []
    if loaded is not None:
        compared.append(exact("weights", composed.numbers(loaded), numbers))
    if model not in composed.ROUNDED:
        compared.append(exact("outputs", outputs, reference))
    worst = next((each for each in compared if each.out), compared[0])
    return msgspec.structs.replace(
        nothing,
        same_bits=not worst.out,
        digest=digest([outputs]),
        deviation=worst,
    )


def _written(built: Any, model: str, name: str, place: Path) -> Written:
    result = Written(model=model, format=name)
    if why := absence(model, name):
        return msgspec.structs.replace(result, absent=why)
    try:
        with (
            warnings.catch_warnings()
        ):  # that a format is old is no finding, nor how Keras uses NumPy
            warnings.simplefilter("ignore")
            write_as(built, name, place / FORMATS[name].file)
    except Exception as error:
        return msgspec.structs.replace(result, error=told(error, place))
    return result


def absence(model: str, name: str) -> str:
    """Reason why this Keras has no such format for a model, by their names; empty if it has."""
    if name in _KERAS_2_ONLY and keras_generation() > 2:
        return f"Keras {keras_version()} does not write it"
    if name == "keras" and "h5" not in formats(model) and keras_version().startswith("2.12."):
        return "Keras 2.12 writes HDF5 by that name, which holds no model of a class of one's own"
    return ""


def write_as(model: Any, name: str, path: Path) -> None:
    """Saves a model in a format.

    Raises:
        Exception: whatever this version raises.
    """
    if name in _WEIGHTS:
        model.save_weights(str(path))
    elif name == "export":
        with contextlib.redirect_stdout(io.StringIO()):  # it lists what it exports
            model.export(str(path))
    elif name == "saved_model":
        tf.saved_model.save(model, str(path))
    elif name == "checkpoint":
        tf.train.Checkpoint(model=model).write(str(path))
    else:
        model.save(str(path))


def read(
    name: str, path: Path, fresh: Callable[[], Any], inputs: Any, names: Sequence[str] = ()
) -> list[Array]:
    """What the model in a file predicts, output by output; see :func:`opened`."""
    return opened(name, path, fresh, inputs, names)[0]


def opened(
    name: str,
    path: Path,
    fresh: Callable[[], Any],
    inputs: Any,
    names: Sequence[str] = (),
    **options: Any,
) -> tuple[list[Array], Any]:
    """What the model in a file predicts, output by output, and the model; None if it is not Keras'.

    Args:
        name: of the format.
        path: of the file or folder.
        fresh: builds the model anew, for files that hold weights alone.
        inputs: one array, or arrays by the names of the inputs.
        names: of the outputs, in their order; without them, that of signatures is alphabetical.
        options: of ``load_model``; models are not compiled unless told.

    Raises:
        Exception: whatever this version raises at such a file.
    """
    if name in _SERVED:
        signature = tf.saved_model.load(str(path)).signatures["serving_default"]
        keywords = list(signature.structured_input_signature[1])
        named = inputs if isinstance(inputs, dict) else {keywords[0]: inputs}
        if len(named) == len(keywords) and set(named) != set(keywords):
            named = dict(zip(sorted(keywords), named.values(), strict=True))
        made = signature(**{keyword: tf.constant(named[keyword]) for keyword in keywords})
        ordered = names if set(names) == set(made) else sorted(made)
        return [np.asarray(made[output]) for output in ordered], None
    if name in _WEIGHTS:
        model = fresh()
        model.load_weights(str(path))
    elif name == "checkpoint":
        model = fresh()
        restored = tf.train.Checkpoint(model=model).read(str(path))
        restored.assert_existing_objects_matched()
    else:
        settings = {"compile": False, "safe_mode": True, **options}
        model = keras.models.load_model(str(path), **settings)
    return predicted(model, inputs), model


def _fresh(cell: Cell) -> Network:
    """The network with layers named as in a new process: Keras 2 finds their weights by these names."""
    keras.backend.clear_session()
    return build(cell)


def predicted(model: Any, inputs: Any) -> list[Array]:
    """A model's outputs, in one batch."""
    rows = len(tf.nest.flatten(inputs)[0])
    made = model.predict(inputs, batch_size=rows, verbose=0)
    return [np.asarray(output) for output in tf.nest.flatten(made)]


def apart_by(outputs: Array, reference: Array) -> float:
    """Largest difference, over the largest entry of the reference; infinite if shapes differ."""
    if outputs.shape != reference.shape:
        return np.inf
    return float(np.max(np.abs(outputs - reference)) / np.max(np.abs(reference)))


def _truth(place: Path, cell: Cell, inputs: Array, *, tf32: bool) -> Bounded:
    """The logits in inference mode, where dropout does nothing, with their bound."""
    form = TF32 if tf32 else FLOAT32
    with np.load(place / _VARIABLES, allow_pickle=False) as stored:
        values = [Bounded(stored[key], form=form) for key in stored.files]
    oracle = Oracle(msgspec.structs.replace(cell, dropout=0.0))
    count = len(oracle.parameters)
    outputs = oracle.forward(
        values[:count], Bounded(inputs, form=form), training=False, moving=values[count:]
    )
    logits: Bounded = outputs[LOGITS]
    return logits


def told(error: Exception, place: Path) -> str:
    """Kind and first line, or the innermost cause that Keras tells after a long configuration; without
    the path, which differs from run to run."""
    text = str(error).strip()
    *_, first = re.findall("Exception encountered: (.+)", text) or [text.partition("\n")[0]]
    return f"{type(error).__name__}: {first}".replace(f"{place}/", "")[:300]
