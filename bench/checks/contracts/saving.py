"""Saving: what comes back from a file is what was saved, in weights, outputs, optimizer and metrics.

Composed models (:mod:`bench.nets.composed`) round nothing, so everything is compared to the bit. A
format that refuses a model raises; that a part is left out without a word is what is looked for.
"""

from __future__ import annotations

import functools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import BATCH, built, data, drawn
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.results.saved_models import COMPOSED, FORMATS
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("saving")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: The public function that writes each format.
_THINGS = {
    "weights": "keras.Model.save_weights",
    "h5": "keras.Model.save",
    "keras": "keras.Model.save",
    "checkpoint": "tf.train.Checkpoint",
    "export": "keras.Model.export",
}


def carried(
    model: Any, name: str, fresh: Callable[[], Any], inputs: Any, **options: Any
) -> tuple[Any, Any]:
    """Saves a model in a format and reads it again: what it predicts then, and the model."""
    from bench.nets.saving import opened, write_as

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a format is old, or a layer was skipped
        path = Path(folder) / FORMATS[name].file
        write_as(model, name, path)
        (outputs,), loaded = opened(name, path, fresh, inputs, **options)
        return outputs, loaded


def _composed(model: str, name: str, *, tier: str = "quick") -> None:
    @contract(
        f"{model}-format:{name}",
        thing=_THINGS[name],
        truth="Every weight comes back with the value that was saved, and outputs are the same.",
        tier=tier,
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets import composed
        from bench.nets.saving import absence

        if why := absence(model, name):
            raise AbsentError(why)
        saved, inputs = composed.filled(composed.build(model)), composed.given()
        numbers, outputs = composed.numbers(saved), np.asarray(saved(inputs))
        got, loaded = carried(saved, name, functools.partial(composed.build, model), inputs)
        if loaded is not None:
            yield exact("weights", lab.seen(composed.numbers(loaded)), numbers)
        if model not in composed.ROUNDED:
            yield exact("outputs", lab.seen(got), outputs)


for _model, _formats in {**COMPOSED, "flat": COMPOSED["nested"]}.items():
    for _format in _formats:
        _dear = _model == "layers" and _format != "keras"
        _composed(_model, _format, tier="standard" if _dear else "quick")


# --- Training that goes on


def _compilation(name: str) -> dict[str, Any]:
    """Arguments of ``compile``, as strings or as objects."""
    from bench.nets.api import keras

    if name == "strings":
        return {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}
    rate = keras.optimizers.schedules.ExponentialDecay(0.125, 2, 0.5)
    optimizer = {
        "momentum": lambda: keras.optimizers.SGD(0.125, momentum=0.5),
        "adam": lambda: keras.optimizers.Adam(0.125),
        "schedule": lambda: keras.optimizers.Adam(rate),
    }[name]()
    metrics = [keras.metrics.MeanAbsoluteError(name="error")]
    return {"optimizer": optimizer, "loss": keras.losses.MeanSquaredError(), "metrics": metrics}


def _state(model: Any) -> list[Any]:
    """The optimizer's variables."""
    variables = model.optimizer.variables
    return [np.asarray(each) for each in (variables() if callable(variables) else variables)]


def _continued(compilation: str, name: str, *, tier: str = "quick") -> None:
    @contract(
        f"compiled:{compilation}-format:{name}",
        thing="keras.models.load_model",
        truth="A compiled model comes back with its optimizer's state, its loss and its metrics, and"
        " trains on as the saved one does.",
        tier=tier,
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x, y = data(BATCH)
        model = built(**_compilation(compilation))
        model.fit(x, y, batch_size=BATCH // 2, epochs=2, shuffle=False, verbose=0)
        _, loaded = carried(model, name, model.__class__, x, compile=True)
        state = _state(model)
        got = _state(loaded)
        yield exact("number of optimizer variables", lab.seen(len(got)), np.array(len(state)))
        for number, (one, other) in enumerate(zip(got, state, strict=False)):
            yield exact(f"optimizer variable {number}", lab.seen(one), other)
        for when in ("", ", trained on"):
            told = model.evaluate(x, y, return_dict=True, verbose=0)
            again = loaded.evaluate(x, y, return_dict=True, verbose=0)
            names = np.array(sorted(again) == sorted(told))
            yield exact(f"names of metrics{when}", lab.seen(names), np.ones((), bool))
            for metric, value in told.items():
                yield exact(f"{metric}{when}", lab.seen(again[metric]), np.array(value))
            for each in (model, loaded):
                each.train_on_batch(x, y)
        for number, weight in enumerate(model.get_weights()):
            yield exact(f"weight {number}", lab.seen(loaded.get_weights()[number]), weight)


_continued("adam", "keras")
_continued("momentum", "keras", tier="standard")
_continued("schedule", "keras", tier="standard")
_continued("strings", "keras")
_continued("adam", "h5")
_continued("strings", "h5")


# --- What must be refused


def _refused(what: str, other: Callable[[], Any]) -> None:
    @contract(
        f"{what}-refused",
        thing="keras.Model.load_weights",
        truth="Weights that do not fit the model raise an error.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets import composed

        saved = composed.filled(composed.build("sequential"))
        try:
            carried(saved, "weights", other, composed.given())
        except (ValueError, KeyError) as error:
            told = bool(str(error))
        else:
            told = False
        yield exact("an error", lab.seen(np.array(told)), np.ones((), bool))


def _of(*units: int) -> Callable[[], Any]:
    def fresh() -> Any:
        from bench.nets import composed
        from bench.nets.api import keras

        inputs = keras.Input((composed.FEATURES,))
        return keras.Sequential([inputs, *(keras.layers.Dense(n) for n in units)])

    return fresh


_refused("shape", _of(8, 3))
_refused("layer-more", _of(8, 2, 2))


# --- Parts of models


def _drawn(*models: Any) -> list[list[Any]]:
    """Draws the weights of models; those of the last one's layers."""
    for number, model in enumerate(models):
        shapes = [weight.shape for weight in model.get_weights()]
        model.set_weights([drawn(f"{number}, {at}", *shape) for at, shape in enumerate(shapes)])
    return [layer.get_weights() for layer in models[-1].layers]


@contract(
    "by_name-format:h5",
    thing="keras.Model.load_weights",
    truth="With by_name layers get the weights of their namesakes in the HDF5 file of a model, and"
    " others keep theirs.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    def named(*names: str) -> Any:
        return keras.Sequential(
            [keras.Input((2,)), *(keras.layers.Dense(2, name=name) for name in names)]
        )

    saved, other = named("one", "two"), named("three", "two")
    kept = _drawn(saved, other)[0]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the format is old
        path = str(Path(folder) / "model.h5")
        saved.save(path)
        other.load_weights(path, by_name=True)
    yield from _dense(lab, "two", other.layers[1], saved.layers[1].get_weights())
    yield from _dense(lab, "three", other.layers[0], kept)


@contract(
    "skip_mismatch-format:weights",
    thing="keras.Model.load_weights",
    truth="With skip_mismatch layers that fit get their weights, and others keep theirs.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    def ending(units: int) -> Any:
        layers = keras.layers
        return keras.Sequential([keras.Input((2,)), layers.Dense(3), layers.Dense(units)])

    saved, other = ending(2), ending(4)
    kept = _drawn(saved, other)[1]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a layer was skipped
        path = str(Path(folder) / "model.weights.h5")
        saved.save_weights(path)
        other.load_weights(path, skip_mismatch=True)
    yield from _dense(lab, "fits", other.layers[0], saved.layers[0].get_weights())
    yield from _dense(lab, "does not", other.layers[1], kept)


def _dense(lab: Lab, name: str, layer: Any, wanted: Any) -> Iterator[Deviation]:
    for part, one, truth in zip(("kernel", "bias"), layer.get_weights(), wanted, strict=True):
        yield exact(f"{name}, {part}", lab.seen(one), truth)


@contract(
    "preprocessing-format:keras",
    thing="keras.Model.save",
    truth="What preprocessing layers learnt of data comes back: statistics, bins, vocabularies.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    x = data(BATCH)[0]
    words = tf.constant([["owl"], ["cat"], ["owl"], ["eel"]])
    for name, options, type_, given in (
        ("Normalization", {}, "float32", tf.constant(x)),
        ("Discretization", {"num_bins": 3}, "float32", tf.constant(x)),
        ("StringLookup", {}, "string", words),
        ("TextVectorization", {"output_sequence_length": 3}, "string", words),
    ):
        layer = getattr(keras.layers, name)(**options)
        layer.adapt(given)
        model = keras.Sequential([keras.Input(given.shape[1:], dtype=type_), layer])
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.keras")
            model.save(path)
            loaded = keras.models.load_model(path)
        yield exact(name, lab.seen(loaded(given)), np.asarray(model(given)))


@contract(
    "trainable-format:keras",
    thing="keras.Model.save",
    truth="Layers that are not trained and those with a type of their own come back as such.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(2, trainable=False),
            layers.Dense(2, dtype="mixed_bfloat16"),
            layers.Dense(2),
        ]
    )
    model.layers[2].trainable = False
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
    got = np.array([layer.trainable for layer in loaded.layers])
    yield exact("trainable", lab.seen(got), np.array([False, True, False]))
    halves = np.array([layer.compute_dtype == "bfloat16" for layer in loaded.layers])
    yield exact("bfloat16", halves, np.array([False, True, False]))


@contract(
    "vocabulary-format:keras",
    thing="keras.Model.save",
    truth="Words come back as they are, with spaces, rare separators and letters of any script.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    words = ["a b", " c", "d ", "e\u2028f", "g\x0bh", "i\x85j", "é", "本"]
    layer = keras.layers.StringLookup(vocabulary=words)
    model = keras.Sequential([keras.Input((1,), dtype="string"), layer])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
    given = tf.constant([[word] for word in words])
    yield exact("numbers", lab.seen(loaded(given)), np.asarray(model(given)))
    size = np.array(loaded.layers[-1].vocabulary_size())
    yield exact("size", size, np.array(len(words) + 1))
