"""Operations: functions of ``keras.ops``, at once, in a graph and for symbols."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts import (
    ops_activations,
    ops_arrays,
    ops_control,
    ops_elementwise,
    ops_images,
    ops_linear,
    ops_neural,
    ops_pixels,
    ops_plain,
    ops_products,
    ops_sequences,
    ops_slopes,
    ops_sums,
    ops_windows,
)
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.operation import register
from bench.checks.lab import Lab
from bench.results.check import Deviation

catalogue = Catalogue("ops")
checks, run = catalogue.checks, catalogue.run

for table in (
    *(ops_elementwise, ops_arrays, ops_sums, ops_linear, ops_products),
    *(ops_activations, ops_neural, ops_sequences, ops_windows),
    *(ops_images, ops_pixels, ops_control, ops_slopes),
):
    register(catalogue, table.OPERATIONS)
ops_plain.register(catalogue)

#: Types, narrowest first among those of a kind.
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_INTEGERS = ("uint8", "int8", "int16", "uint32", "int32", "int64")


def promoted(one: str, other: str) -> str:
    """Type of a sum. Keras documents the rules of JAX, "Type promotion semantics": bool below integers
    below floats; a signed and an unsigned type meet in a signed one that holds both; float16 and
    bfloat16, in float32."""
    if one == other or other == "bool":
        return one
    if one == "bool":
        return other
    floats = [kind for kind in _FLOATS if kind in (one, other)]
    if floats:
        return "float32" if floats == ["float16", "bfloat16"] else floats[-1]
    kinds = [np.dtype(one), np.dtype(other)]
    return np.promote_types(*kinds).name


def _told(lab: Lab, name: str, got: Any, expected: str) -> Deviation:
    lab.seen(str(got))
    return Deviation(
        tensor=name,
        excess=0.0 if got == expected else None,
        evidence=f"got {got}, expected {expected}",
    )


@catalogue.contract(
    "add-types",
    thing="keras.ops.add",
    truth="Types of any two arrays meet by JAX' rules, in either order, for numbers and for symbols.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    kinds = ("bool", *_INTEGERS, *_FLOATS)
    for one, other in itertools.product(kinds, kinds):
        if one == other == "bool":
            continue
        got = keras.ops.add(tf.zeros(2, one), tf.zeros(2, other)).dtype.name
        yield _told(lab, f"{one} + {other}", got, promoted(one, other))
        symbols = [keras.KerasTensor((2,), kind) for kind in (one, other)]
        yield _told(lab, f"symbols {one} + {other}", keras.ops.add(*symbols).dtype, got)


@catalogue.contract(
    "multiply-types",
    thing="keras.ops.multiply",
    truth="A Python number keeps an array's type, but that a float makes float32 of integers and an"
    " integer int32 of booleans.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    for kind in ("bool", *_INTEGERS, *_FLOATS):
        for number in (2, 0.5):
            floats = kind in _FLOATS
            made = "int32" if kind == "bool" else kind
            expected = kind if floats else made if number == 2 else "float32"
            got = keras.ops.multiply(tf.ones(2, kind), number).dtype.name
            yield _told(lab, f"{kind} * {number}", got, expected)
            symbol = keras.ops.multiply(keras.KerasTensor((2,), kind), number)
            yield _told(lab, f"symbol {kind} * {number}", symbol.dtype, expected)
