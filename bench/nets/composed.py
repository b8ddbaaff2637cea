"""Models composed as users compose them, whose files are easily read back in part: nested containers of
layers, a layer used twice, a model inside a model, classes of one's own, and layers of every kind.

Weights and inputs are quarters of small whole numbers. Sums of their products have few enough digits
to be exact in float32 in whatever order they are added up, so where a model only adds and multiplies,
its outputs have the same bits in any version.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.nets.api import keras

layers = keras.layers
registered = keras.utils.register_keras_serializable(package="bench")
Array = npt.NDArray[Any]

#: Samples, and numbers in each; the model of all layers takes them as steps of half as many.
SAMPLES, FEATURES = 8, 8


@registered
class Flat(keras.layers.Layer):
    """A list, a tuple and a dict of layers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.listed = [layers.Dense(FEATURES), layers.Dense(FEATURES)]
        self.paired = (layers.Dense(FEATURES), layers.Dense(FEATURES))
        self.named = {"first": layers.Dense(FEATURES), "second": layers.Dense(FEATURES)}

    def call(self, inputs: Any) -> Any:
        return _sum([*self.listed, *self.paired, *self.named.values()], inputs)


@registered
class Nested(keras.layers.Layer):
    """Layers in lists, tuples and dicts that are themselves in lists or dicts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rows = [
            [layers.Dense(FEATURES), layers.Dense(FEATURES)],
            (layers.Dense(FEATURES), layers.Dense(FEATURES)),
        ]
        self.named: dict[str, Any] = {
            "first": [layers.Dense(FEATURES)],
            "second": {"in": layers.Dense(FEATURES)},
        }

    def call(self, inputs: Any) -> Any:
        rows = [layer for row in self.rows for layer in row]
        return _sum([*rows, *self.named["first"], self.named["second"]["in"]], inputs)


@registered
class Own(keras.Model):
    """A model by subclassing, with a layer, a list of layers and a weight of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first = layers.Dense(FEATURES, activation="relu", name="first")
        self.others = [layers.Dense(FEATURES, name="second"), layers.Dense(FEATURES, name="third")]
        self.scale = self.add_weight(shape=(FEATURES,), initializer="ones", name="scale")

    def call(self, inputs: Any) -> Any:
        return _sum(self.others, self.first(inputs)) * self.scale


def _sum(parts: Sequence[Any], inputs: Any) -> Any:
    """The first part's output, twice the second's, ...: parts that change places change the sum."""
    total = parts[0](inputs)
    for times, part in enumerate(parts[1:], 2):
        total = total + part(inputs) * float(times)
    return total


def _of(layer: type[Any], name: str) -> Any:
    inputs = keras.Input((FEATURES,), name="inputs")
    hidden = layer(name=name)(layers.Dense(FEATURES, activation="relu", name="before")(inputs))
    return keras.Model(inputs, layers.Dense(2, name="after")(hidden))


def _sequential() -> Any:
    return keras.Sequential(
        [
            keras.Input((FEATURES,), name="inputs"),
            layers.Dense(FEATURES, activation="relu", name="first"),
            layers.Dense(2, name="second"),
        ]
    )


def _functional() -> Any:
    inputs = keras.Input((FEATURES,), name="inputs")
    shared = layers.Dense(FEATURES, activation="relu", name="shared")
    part_in = keras.Input((FEATURES,), name="part_inputs")
    part = keras.Model(part_in, layers.Dense(FEATURES, name="inside")(part_in), name="part")
    chain = keras.Sequential([layers.Dense(FEATURES, name="link")], name="chain")
    left, right = part(shared(inputs)), chain(shared(shared(inputs)))
    return keras.Model(inputs, layers.Dense(2, name="head")(layers.Add(name="add")([left, right])))


def _own() -> Any:
    model = Own(name="own")
    model(np.zeros((1, FEATURES), np.float32))
    return model


def _every() -> Any:
    """One layer of every kind that has weights, with their default arguments where possible."""
    inputs = keras.Input((FEATURES,), name="inputs")
    x = layers.Reshape((2, FEATURES // 2), name="steps")(inputs)
    for layer in (
        layers.Conv1D(4, 2, padding="same"),
        layers.SeparableConv1D(4, 2, padding="same"),
        layers.Conv1DTranspose(4, 2, padding="same"),
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.GroupNormalization(2),
        layers.PReLU(),
        layers.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d"),
        layers.SimpleRNN(4, return_sequences=True),
        layers.GRU(4, return_sequences=True),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(4)),
    ):
        x = layer(x)
    x = layers.MultiHeadAttention(2, 2, name="attention")(x, x)
    return keras.Model(inputs, layers.Dense(2, name="head")(layers.GlobalAveragePooling1D()(x)))


#: Composed models by name, each fresh and with its variables.
BUILDERS: Mapping[str, Callable[[], Any]] = {
    "sequential": _sequential,
    "functional": _functional,
    "flat": lambda: _of(Flat, "flat"),
    "nested": lambda: _of(Nested, "nested"),
    "own": _own,
    "layers": _every,
}

#: Those that do more than add and multiply: their outputs are rounded.
ROUNDED = ("layers",)


def build(name: str) -> Any:
    """A fresh model, with layers named as in a new process: Keras 2 finds weights by these names."""
    keras.backend.clear_session()
    return BUILDERS[name]()


def filled(model: Any) -> Any:
    """The model, with quarters of whole numbers from -4 to 4 for weights, the same in every version."""
    for number, weight in enumerate(model.weights):
        weight.assign(quarters(f"weight {number}", tuple(weight.shape)))
    return model


def given() -> Array:
    """Inputs, float32 (SAMPLES, FEATURES)."""
    return quarters("inputs", (SAMPLES, FEATURES))


def quarters(role: str, shape: tuple[int, ...]) -> Array:
    """Quarters of whole numbers from -4 to 4, the same for the same role and shape."""
    random = np.random.Generator(np.random.Philox(zlib.crc32(role.encode())))
    values = random.integers(-4, 5, shape)
    return (values / 4).astype(np.float32)


def numbers(model: Any) -> Array:
    """All weights of a model in one row, float32 (count,), in an order that depends on shapes and
    values alone, as versions list them in orders of their own."""
    arrays = sorted(
        (np.asarray(weight, np.float32) for weight in model.get_weights()),
        key=lambda array: (array.shape, array.tobytes()),
    )
    return np.concatenate([array.ravel() for array in arrays])
