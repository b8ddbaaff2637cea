"""Faults of functions of ``keras.ops``: in numbers, in types, and in the shapes of symbols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tests.checks.contracts.planting import SLIGHTLY, Fault, Plant, found, result

keras = tf.keras


def _in_function(change: Callable[[Any], Any]) -> Plant:
    """What the contract's function returns is changed."""

    def plant(thing: str) -> Any:
        owner, _, name = thing.rpartition(".")
        return result(found(owner), name, change)

    return plant


def _off(value: Any) -> Any:
    """Floats by 1e-4, integers by one, booleans turned; symbols and what is no number stay."""
    if not tf.is_tensor(value):
        return value
    if value.dtype == tf.bool:
        return tf.logical_not(value)
    if value.dtype.is_integer:
        return value + 1
    return value * tf.cast(SLIGHTLY, value.dtype) + tf.cast(1e-4, value.dtype)


def _longer(value: Any) -> Any:
    """Symbols have an axis more."""
    if not isinstance(value, keras.KerasTensor):
        return value
    return keras.KerasTensor((*value.shape, 1), value.dtype)


def _wide(value: Any) -> Any:
    return tf.cast(value, tf.float64) if tf.is_tensor(value) else value


FAULTS = (
    Fault(("ops:*-types",), "all are float64", _in_function(_wide)),
    Fault(("ops:*-symbols",), "an axis more", _in_function(_longer)),
    Fault(("ops:*",), "off by 1e-4, or by one", _in_function(_off)),
)
