"""Faults of functions of ``keras.ops``: in numbers, in types, and in the shapes of symbols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tests.checks.contracts.planting import Fault, Plant, found, method, result

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
    return value + tf.cast((abs(value) + 1) * 1e-4, value.dtype)


def _longer(value: Any) -> Any:
    """Symbols have an axis more."""
    if not isinstance(value, keras.KerasTensor):
        return value
    return keras.KerasTensor((*value.shape, 1), value.dtype)


def _naive(function: Callable[[Any], Any]) -> Plant:
    """The function as its formula, whose slope is NaN where a part of it overflows."""

    def plant(thing: str) -> Any:
        owner, _, name = thing.rpartition(".")
        return method(found(owner), name, lambda _, x, *__, **___: function(x))

    return plant


def _wide(value: Any) -> Any:
    return tf.cast(value, tf.float64) if tf.is_tensor(value) else value


FAULTS = (
    Fault(("ops:conv-empty",), "an axis more", _in_function(lambda value: value[..., None])),
    Fault(("ops:dtype",), "all are float64", _in_function(lambda _: "float64")),
    Fault(
        ("ops:custom_gradient",),
        "the function's own",
        _naive(lambda given: lambda x: given(x)[0]),
    ),
    Fault(("ops:sigmoid-slope_far",), "1 / (1 + exp(-x))", _naive(lambda x: 1 / (1 + tf.exp(-x)))),
    Fault(
        ("ops:normalize-slope_zeros",),
        "x / |x|",
        _naive(lambda x: x / tf.norm(x, axis=-1, keepdims=True)),
    ),
    Fault(("ops:*-types",), "all are float64", _in_function(_wide)),
    Fault(("ops:*-symbols",), "an axis more", _in_function(_longer)),
    Fault(("ops:*",), "off by 1e-4, or by one", _in_function(_off)),
)
