"""TensorFlow's optimizers and clipping operations on given arrays."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells.keras_arguments import CLASSES
from bench.nets.keras_version import keras_generation, keras_version
from bench.nets.optimizers import clipped, keras, variable

Array = npt.NDArray[Any]

#: Optimizer -> slot, as the papers' terms are called here -> where Keras keeps a list of them, one per
#: variable, in Keras 2.12 to 3.15; no public way is the same in all of them.
SLOTS: Mapping[str, Mapping[str, str]] = {
    "sgd": {"momentum": "momentums"},
    "adam": {
        "momentum": "_momentums",
        "velocity": "_velocities",
        "velocity_hat": "_velocity_hats",
    },
    "adamax": {"momentum": "_m", "norm": "_u"},
    "nadam": {"momentum": "_momentums", "velocity": "_velocities"},
    "rmsprop": {
        "velocity": "_velocities",
        "momentum": "_momentums",
        "average_gradient": "_average_gradients",
    },
    "adagrad": {"accumulator": "_accumulators"},
    "adadelta": {
        "accumulated_grad": "_accumulated_grads",
        "accumulated_delta_var": "_accumulated_delta_vars",
    },
    "ftrl": {"accumulator": "_accumulators", "linear": "_linears"},
    "lion": {"momentum": "_momentums"},
    "lamb": {"momentum": "_momentums", "velocity": "_velocities"},
    "adafactor": {"velocity": "_v", "row": "_r", "column": "_c"},
}
_EMA = "_model_variables_moving_average"


@dataclass(frozen=True)
class Snapshot:
    """After some step.

    Args:
        step: counted from 1.
        variables: their values.
        slots: of each variable its slots by name.
    """

    step: int
    variables: Sequence[Array]
    slots: Sequence[Mapping[str, Array]]


def has(name: str) -> bool:
    """Whether this Keras has an optimizer."""
    return hasattr(keras.optimizers, CLASSES[name])


def defaults(name: str) -> dict[str, Any]:
    """The constants of an optimizer that was given none."""
    return dict(getattr(keras.optimizers, CLASSES[name])().get_config())


def run(
    name: str,
    constants: Mapping[str, Any],
    variables: Sequence[Array],
    gradients: Sequence[Sequence[Array]],
    slots: Sequence[Sequence[str]],
    *,
    seen: Sequence[int],
    graph: bool,
) -> list[Snapshot]:
    """What a Keras optimizer makes of variables.

    Args:
        name: one of :data:`CLASSES`.
        constants: Keras' arguments.
        variables: initial values.
        gradients: of each step, one per variable.
        slots: of each variable the slots to look at; ``ema`` is its average.
        seen: the steps after which to look.
        graph: whether steps run in a ``tf.function``, all of them in one traced graph.
    """
    held = [variable(value) for value in variables]
    built = getattr(keras.optimizers, CLASSES[name])(**constants)
    built.build(held)

    def step(given: Sequence[Any]) -> None:
        # AutoGraph of TensorFlow 2.12 knows no zip(strict=True).
        built.apply_gradients(list(zip(given, held)))  # noqa: B905

    compiled = tf.function(step) if graph else step
    found = []
    for count, given in enumerate(gradients, 1):
        compiled([tf.constant(gradient) for gradient in given])
        if count in seen:
            found.append(
                Snapshot(
                    count,
                    [each.numpy() for each in held],
                    [
                        {key: _slot(name, built, key)[at].numpy() for key in of}
                        for at, of in enumerate(slots)
                    ],
                )
            )
    return found


def _slot(name: str, built: Any, slot: str) -> Any:
    attribute = _EMA if slot == "ema" else SLOTS["adam" if name == "adamw" else name][slot]
    if name == "lion" and keras_generation() == 2 and slot == "momentum":
        attribute = "momentums"
    if not hasattr(built, attribute):
        raise LookupError(
            f"Keras {keras_version()} keeps no {attribute} in its {CLASSES[name]}, where other "
            f"versions keep {slot!r}; name its new place in bench/nets/updates.py, SLOTS"
        )
    return getattr(built, attribute)


def clip(rule: str, gradients: Sequence[Array], threshold: float, *, graph: bool) -> list[Array]:
    """What TensorFlow's operation for a rule of :mod:`bench.theory.oracle.clipping` makes of them."""
    operation = functools.partial(clipped, rule, threshold)
    compiled = tf.function(operation) if graph else operation
    return [result.numpy() for result in compiled([tf.constant(value) for value in gradients])]


def optimizer_clip(
    argument: str, gradients: Sequence[Array], threshold: float, *, graph: bool
) -> list[Array]:
    """The gradients as an optimizer takes them with ``clipvalue``, ``clipnorm`` or
    ``global_clipnorm``: plain SGD with rate 1 moves a variable from 0 to minus its gradient."""
    zeros = [np.zeros_like(gradient) for gradient in gradients]
    constants = {"learning_rate": 1.0, argument: threshold}
    nothing: Sequence[Sequence[str]] = [()] * len(gradients)
    (end,) = run("sgd", constants, zeros, [gradients], nothing, seen=(1,), graph=graph)
    return [-value for value in end.variables]
