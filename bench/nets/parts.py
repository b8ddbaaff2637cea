"""Parts: Keras' initializers, activations and normalization layers, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.nets.network import tensorflow_variable

keras = tf.keras
Array = npt.NDArray[Any]

#: Ways to execute a function.
MODES = ("eager", "graph")

#: Places where a user finds an activation: as a layer, among Keras' functions, among TensorFlow's.
ROUTES = ("layer", "keras", "tf")

#: Layers of an activation that is one, by its name; the others are ``Activation(name)``.
_ACTIVATION_LAYERS = {"leaky_relu": "LeakyReLU", "relu": "ReLU", "elu": "ELU"}


# --- Initializers


def initializer(kind: str, **config: Any) -> Any:
    """A new Keras initializer.

    Args:
        kind: the class, such as ``GlorotUniform``.
        config: its arguments; what is not given has Keras' default.
    """
    return getattr(keras.initializers, kind)(**config)


def drawn(made: Any, shape: tuple[int, ...], dtype: str = "float32") -> Array:
    """What an initializer gives for a variable of this shape."""
    return np.asarray(made(shape, dtype=dtype))


def samples(
    kind: str,
    shape: tuple[int, ...],
    seeds: Sequence[int],
    *,
    dtype: str = "float32",
    config: Mapping[str, Any],
) -> Array:
    """One kernel per seed, as matrices: shape (seeds, rows, columns), a kernel's last axis columns."""
    matrices = (-1, shape[-1]) if len(shape) > 1 else (1, -1)
    kernels = (drawn(initializer(kind, seed=seed, **config), shape, dtype) for seed in seeds)
    return np.stack([kernel.reshape(matrices) for kernel in kernels])


@dataclass(frozen=True)
class Layer:
    """What a layer made of its initializers: their classes by default, and its first values."""

    defaults: Sequence[str]
    kernel: Array
    bias: Array
    given: Array
    """The initializer's values for the kernel's shape."""


def layer(kind: str, shape: tuple[int, ...], *, seed: int) -> Layer:
    """Builds a ``Dense`` or ``Conv2D`` layer whose kernel has this shape.

    Args:
        kind: the class of the layer.
        shape: (in, out), or (height, width, in, out).
        seed: of the kernel's Glorot uniform initializer.
    """
    sizes = (shape[-1],) if kind == "Dense" else (shape[-1], shape[:-2])
    made = getattr(keras.layers, kind)
    default = made(*sizes)
    chosen = made(*sizes, kernel_initializer=initializer("GlorotUniform", seed=seed))
    chosen.build((None, *((28, 28) if kind == "Conv2D" else ()), shape[-2]))
    return Layer(
        defaults=[
            type(default.kernel_initializer).__name__,
            type(default.bias_initializer).__name__,
        ],
        kernel=chosen.kernel.numpy(),
        bias=chosen.bias.numpy(),
        given=drawn(initializer("GlorotUniform", seed=seed), shape),
    )


# --- Activations


def activation(name: str, route: str, *, dtype: str = "float32") -> Callable[[Any], Any] | None:
    """An activation as a function of a tensor, or None where this TensorFlow has none.

    Args:
        name: as a cell calls it.
        route: one of :data:`ROUTES`.
        dtype: of the layer; the functions take their argument's.
    """
    if route == "layer":
        if name in _ACTIVATION_LAYERS:
            return getattr(keras.layers, _ACTIVATION_LAYERS[name])(dtype=dtype)
        function = tf.nn.silu if name == "silu" else name  # Keras 2.12 calls it swish
        return keras.layers.Activation(function, dtype=dtype)
    if route == "keras":
        return getattr(keras.activations, name, None)
    return getattr(tf.nn, name, None) or getattr(tf, name, None)


def value_and_slope(
    function: Callable[[Any], Any], mode: str, *, dtype: str = "float32"
) -> Callable[[npt.ArrayLike], tuple[Array, Array]]:
    """What computes an activation and its slope of one-dimensional arrays of any length.

    The slope is the gradient of the sum: TensorFlow's gradient with an upstream of 1.

    Args:
        function: of a tensor.
        mode: ``eager``, or ``graph`` for a traced function.
        dtype: of the function's argument.
    """

    def both(x: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return value, tape.gradient(value, x)

    traced = both
    if mode == "graph":
        traced = tf.function(both).get_concrete_function(tf.TensorSpec([None], dtype))

    def compute(x: npt.ArrayLike) -> tuple[Array, Array]:
        value, slope = traced(tf.constant(np.asarray(x), dtype))
        return _in_numpy(value), _in_numpy(slope)

    return compute


def _in_numpy(tensor: Any) -> Array:
    """NumPy has no bfloat16: as float32, which holds it exactly."""
    return (tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor).numpy()


# --- Normalization


@dataclass(frozen=True)
class Passed:
    """What a normalization layer made of one batch; what it lacks is empty."""

    outputs: Array
    inputs_gradient: Array
    gradients: Mapping[str, Array] = field(default_factory=dict)
    """Gradients by the names of the variables: ``gamma``, ``beta``."""
    moving: Mapping[str, Array] = field(default_factory=dict)
    """``mean`` and ``variance`` after the pass."""


class Normalization:
    """A Keras normalization layer with given gamma, beta and moving statistics.

    Args:
        kind: ``BatchNormalization`` or ``LayerNormalization``.
        shape: of the inputs; the last axis are the features.
        dtype: of the layer.
        variables: values by name, of ``gamma``, ``beta``, and for batches ``moving_mean`` and
            ``moving_variance``; what is not given has the layer's own first value.
        options: of the layer; what is not given has Keras' default.
    """

    def __init__(
        self,
        kind: str,
        shape: tuple[int, ...],
        *,
        dtype: str,
        variables: Mapping[str, Array],
        options: Mapping[str, Any],
    ) -> None:
        self._layer = getattr(keras.layers, kind)(dtype=dtype, **options)
        self._layer.build((None, *shape[1:]))
        self._trains = kind == "BatchNormalization"
        self._traced: dict[bool, Any] = {}
        for name, value in variables.items():
            getattr(self._layer, name).assign(value)

    def variables(self) -> dict[str, Array]:
        """All variables now, by their attributes' names."""
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        return {
            name: getattr(self._layer, name).numpy() for name in names if hasattr(self._layer, name)
        }

    def __call__(
        self, inputs: Array, upstream: Array, *, training: bool, mode: str = "eager"
    ) -> Passed:
        """Passes a batch forward and a gradient back.

        Args:
            inputs: of the layer's shape.
            upstream: gradient of a loss with respect to the outputs.
            training: whether the batch's own statistics are used, and move the moving ones.
            mode: ``eager`` or ``graph``.
        """
        arguments = tf.constant(inputs), tf.constant(upstream)
        run = self._graph(training, *arguments) if mode == "graph" else self._both(training)
        outputs, gradients = run(*arguments)
        moving = {
            name[len("moving_") :]: value
            for name, value in self.variables().items()
            if name.startswith("moving_")
        }
        return Passed(
            outputs=outputs.numpy(),
            inputs_gradient=gradients[0].numpy(),
            gradients={"gamma": gradients[1].numpy(), "beta": gradients[2].numpy()},
            moving=moving,
        )

    def _graph(self, training: bool, *arguments: Any) -> Any:  # noqa: FBT001 - for this class only
        if training not in self._traced:
            function = tf.function(self._both(training))
            self._traced[training] = function.get_concrete_function(*arguments)
        return self._traced[training]

    def _both(self, training: bool) -> Callable[[Any, Any], Any]:  # noqa: FBT001 - as above
        weights = [tensorflow_variable(self._layer.gamma), tensorflow_variable(self._layer.beta)]
        options = {"training": training} if self._trains else {}

        def both(x: Any, passed_on: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = self._layer(x, **options)
            return outputs, tape.gradient(outputs, [x, *weights], output_gradients=passed_on)

        return both
