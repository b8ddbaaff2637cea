"""Keras layers on the tape: exact inputs of formulas, and a layer's own passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.checks.lab import Lab
from bench.theory.oracle.tape import Traced
from bench.theory.rounding.arrays import Bounded


def traced(lab: Lab, x: Any) -> Traced:
    """An exact array in the format in which layers compute float32 on the lab's device."""
    return Traced(Bounded(x, form=lab.form("float32")))


def passed(
    layer: Any, inputs: Sequence[Any], upstream: Any, **call: Any
) -> tuple[Any, list[Any], list[Any]]:
    """A Keras layer forwards and backwards.

    Args:
        layer: takes its inputs as positional arguments.
        inputs: arrays; integers get no gradient.
        upstream: of the (first) output.
        call: further arguments.

    Returns:
        What it returned, and gradients with respect to the inputs of floating point and to its
        trainable variables, all dense.
    """
    from bench.nets.api import tf

    tensors = [tf.convert_to_tensor(x) for x in inputs]
    floats = [x for x in tensors if x.dtype.is_floating]
    with tf.GradientTape() as tape:
        for x in floats:
            tape.watch(x)
        returned = layer(*tensors, **call)
        output = returned[0] if isinstance(returned, (list, tuple)) else returned
    sources = [*floats, *layer.trainable_variables]
    found = tape.gradient(output, sources, output_gradients=tf.convert_to_tensor(upstream))
    dense = [None if g is None else np.asarray(tf.convert_to_tensor(g)) for g in found]
    return returned, dense[: len(floats)], dense[len(floats) :]
