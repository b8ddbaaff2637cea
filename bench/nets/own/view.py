"""A look into a model: what leaves its layers, the gradients of its loss, and what it predicts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.nets.network import tensorflow_variable
from bench.nets.own.source import sublayers, trains_itself

keras = tf.keras
Array = npt.NDArray[Any]

#: Calls of one layer in one pass that are looked at: shared layers have several.
MOST_CALLS = 4


class Recorder:
    """Context in which what leaves each layer is kept, by the layer's path; of layers that are called
    within TensorFlow's own functions nothing is seen."""

    def __init__(self, model: Any) -> None:
        self._layers = dict(sublayers(model))
        self._own = {path: vars(layer).get("call") for path, layer in self._layers.items()}
        self.tensors: dict[str, Any] = {}

    def __enter__(self) -> Recorder:
        for path, layer in self._layers.items():
            layer.call = self._seen(path, layer.call)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for path, layer in self._layers.items():
            if self._own[path] is None:
                del layer.call  # the class has it
            else:
                layer.call = self._own[path]  # of Keras 2's layers of one operation

    def _seen(self, path: str, call: Callable[..., Any]) -> Callable[..., Any]:
        calls = 0

        @functools.wraps(call)
        def seen(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            outputs = call(*args, **kwargs)
            calls += 1
            if calls <= MOST_CALLS:
                again = f", call {calls}" if calls > 1 else ""
                self._keep(f"{path}{again}", outputs)
            return outputs

        return seen

    def _keep(self, path: str, outputs: Any) -> None:
        tensors = [one for one in tf.nest.flatten(outputs) if _is_seen(one)]
        for number, tensor in enumerate(tensors):
            part = f" {number + 1}" if len(tensors) > 1 else ""
            self.tensors[f"{path}, output{part}"] = tensor


def _is_seen(tensor: Any) -> bool:
    return tf.is_tensor(tensor) and hasattr(tensor, "numpy") and tensor.dtype.is_floating


def look(model: Any, weights: Mapping[str, Any], x: Any, y: Any) -> dict[str, Array]:
    """Every tensor of a forward and a backward pass in training mode, and the outputs in inference
    mode, in the order of the computation; the model is left as it was.

    Args:
        model: compiled.
        weights: by the names of the tensors of weights and gradients.
        x: a batch of inputs.
        y: its targets; None if the model has none.
    """
    x, y = _tensors(x), _tensors(y)
    state = [(variable, variable.numpy()) for variable in model.variables]
    trainable = {id(variable) for variable in model.trainable_variables}
    parameters = {n: tensorflow_variable(v) for n, v in weights.items() if id(v) in trainable}
    outputs = predicted(model, x)
    with Recorder(model) as recorder, tf.GradientTape() as tape:
        made = model(x, training=True)
        loss = None
        if not trains_itself(model):
            loss = model.compute_loss(x=x, y=y, y_pred=made)
    of_tensors, of_weights = {}, {}
    if loss is not None:
        of_tensors, of_weights = tape.gradient(loss, (recorder.tensors, parameters))
    backward = {
        **{f"{name}, gradient": of_tensors.get(name) for name in reversed(recorder.tensors)},
        **{f"{name}, gradient": gradient for name, gradient in of_weights.items()},
    }
    for variable, value in state:
        variable.assign(value)
    return {
        **{name: np.asarray(variable.numpy()) for name, variable in weights.items()},
        **{name: np.asarray(tensor) for name, tensor in recorder.tensors.items()},
        **{f"{name}, inference": value for name, value in outputs.items()},
        **({} if loss is None else {"loss": np.asarray(loss)}),
        **{
            name: np.asarray(tf.convert_to_tensor(gradient))
            for name, gradient in backward.items()
            if gradient is not None
        },
    }


def _tensors(arrays: Any) -> Any:
    """Arrays as ``fit`` hands them to a model."""
    return None if arrays is None else tf.nest.map_structure(tf.convert_to_tensor, arrays)


def predicted(model: Any, x: Any) -> dict[str, Array]:
    """Outputs of a batch in inference mode by name."""
    return by_name(model, model(_tensors(x), training=False))


def trained_outputs(model: Any, x: Any) -> dict[str, Array]:
    """Outputs of a batch in training mode by name."""
    return by_name(model, model(_tensors(x), training=True))


def by_name(model: Any, outputs: Any) -> dict[str, Array]:
    """A model's outputs by the names that it gives them, or by their numbers."""
    tensors = tf.nest.flatten(outputs)
    return {
        name: np.asarray(tensor)
        for name, tensor in zip(output_names(model, len(tensors)), tensors, strict=True)
    }


def output_names(model: Any, count: int) -> list[str]:
    """Names of a model's outputs: of those that Keras knows, else numbers."""
    known = list(getattr(model, "output_names", None) or ())
    if len(known) == count:
        return known
    return [f"output {number + 1}" if count > 1 else "output" for number in range(count)]
