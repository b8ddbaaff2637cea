"""What functions of ``keras.ops`` owe that no table of numbers says: functions that give functions,
gradients of one's own, and what a tensor is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.formulas import float32
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import function_of
from bench.checks.contracts.tensors import whole
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

Array = Any


def _cond(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    cond, x = keras.ops.cond, whole("values", 2, 3)

    def chosen(which: Any) -> Any:
        return cond(which, lambda: tf.constant(x) * 2.0, lambda: tf.constant(x) + 1.0)

    for which, truth in ((True, x * 2.0), (False, x + 1.0)):
        yield exact(f"{which}", lab.seen(chosen(which)), truth)
        yield exact(f"a tensor, {which}", lab.seen(chosen(tf.constant(which))), truth)
        compiled = tf.function(chosen, autograph=False)
        yield exact(f"in a graph, {which}", lab.seen(compiled(tf.constant(which))), truth)
    given = keras.KerasTensor((2, 3))
    symbol = cond(keras.KerasTensor((), "bool"), lambda: given * 2.0, lambda: given + 1.0)
    yield exact("symbol", symbol.shape, (2, 3))


def _cond_nested(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    x = whole("values", 3)
    for which in (True, False):
        got = keras.ops.cond(
            tf.constant(which),
            lambda: {"a": tf.constant(x), "b": (tf.constant(x) + 1.0, tf.constant(x) + 2.0)},
            lambda: {"a": tf.constant(x) * 2.0, "b": (tf.constant(x), tf.constant(x) * 3.0)},
        )
        truth = (x, x + 1.0, x + 2.0) if which else (x * 2.0, x, x * 3.0)
        for part, true in zip((got["a"], *got["b"]), truth, strict=True):
            yield exact(f"{which}", lab.seen(part), true)


def _vectorize(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    vectorize = function_of("vectorize")
    x, y = whole("values", 4, 3), whole("others", 4, 3)
    add = vectorize(lambda one, other: one + 2.0 * other)
    yield exact("numbers", lab.seen(add(tf.constant(x), tf.constant(y))), x + 2.0 * y)
    total = vectorize(lambda one: keras.ops.sum(one), signature="(n)->()")
    yield exact("signature", lab.seen(total(tf.constant(x))), x.sum(1))
    product = vectorize(keras.ops.dot, signature="(m,n),(n)->(m)")
    matrices = whole("matrices", 2, 3, 4)
    got = product(tf.constant(matrices), tf.constant(matrices[:, 0]))
    yield exact("two dimensions", lab.seen(got), np.einsum("bmn,bn->bm", matrices, matrices[:, 0]))


def _custom_gradient(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    custom, x = function_of("custom_gradient"), whole("values", 4)

    @custom
    def doubled(given: Any) -> Any:
        def slope(*upstream: Any, **_: Any) -> Any:
            return upstream[0] * 5.0

        return given * 2.0, slope

    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        result = doubled(given)
        total = tf.reduce_sum(result * 3.0)
    yield exact("value", lab.seen(result), x * 2.0)
    yield exact("gradient", lab.seen(tape.gradient(total, given)), np.full(4, 15.0))


def _stop_gradient(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    given = tf.constant(whole("values", 4))
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(keras.ops.stop_gradient(given) * given)
    yield exact("gradient", lab.seen(tape.gradient(total, given)), whole("values", 4))


def _normalize_zeros(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    normalize = function_of("normalize")
    given = tf.constant(float32([[0.0, 0.0], [3.0, 4.0]]))
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(normalize(given))
    slope = lab.seen(tape.gradient(total, given))
    yield exact("finite", np.isfinite(slope), np.ones((2, 2)))


def _questions(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    ops, x = keras.ops, drawn("values", 2, 3)
    tensor, variable = tf.constant(x), keras.Variable(x)
    yield exact("array", lab.seen(ops.convert_to_numpy(tensor)), x)
    yield exact("an array", np.asarray(isinstance(ops.convert_to_numpy(tensor), np.ndarray)), 1)
    yield exact("variable", lab.seen(ops.convert_to_numpy(variable)), x)
    yield exact("list", lab.seen(ops.convert_to_numpy([1.0, 2.0])), [1.0, 2.0])
    yield exact("a tensor", np.asarray(ops.is_tensor(tensor)), 1)
    yield exact("no tensor", [ops.is_tensor(x), ops.is_tensor([1.0])], [False, False])
    for name, given in (("tensor", tensor), ("variable", variable), ("numpy", x)):
        yield exact(f"shape of a {name}", ops.shape(given), (2, 3))
        yield exact(f"ndim of a {name}", np.asarray(ops.ndim(given)), 2)
        yield exact(f"size of a {name}", np.asarray(ops.size(given)), 6)
    symbol = keras.KerasTensor((None, 3))
    yield exact("shape of a symbol", [size is None for size in ops.shape(symbol)], [True, False])

    @tf.function(input_signature=[tf.TensorSpec([None, 3])], autograph=False)
    def unknown(given: Any) -> Any:
        return tf.stack(ops.shape(given))

    yield exact("shape in a graph", lab.seen(unknown(x)), (2, 3))


def _converted(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    convert = keras.ops.convert_to_tensor
    for name, given in (("a list", [0.5, 2.75, 0.0]), ("an array", np.array([0.5, 2.75, 0.0]))):
        for kind, truth in (
            ("float32", [0.5, 2.75, 0.0]),
            ("int32", [0, 2, 0]),
            ("bool", [1, 1, 0]),
        ):
            got = convert(given, kind)
            yield exact(f"{name} to {kind}", lab.seen(got), truth)
            yield exact(f"type of {name} to {kind}", np.asarray(got.dtype == kind), 1)
    variable = keras.Variable(drawn("values", 3))
    yield exact("a variable", lab.seen(convert(variable)), drawn("values", 3))


def _dtypes(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    name = function_of("dtype")
    for kind in ("float32", "float16", "int32", "int64", "uint8", "bool"):
        x = lab.seen(tf.cast(whole("values", 2), kind))
        names = [name(tf.constant(x)), name(x), name(keras.KerasTensor((2,), kind))]
        yield exact(kind, [one == kind for one in names], [True] * 3)


def register(catalogue: Catalogue) -> None:
    """Adds the contracts."""
    for subject, truth, test in (
        (
            "cond",
            "What the function of the case gives, at once, in a graph and for symbols.",
            _cond,
        ),
        ("cond-nested", "Results may be nested.", _cond_nested),
        (
            "vectorize",
            "The function of each part, over the dimensions that a signature names.",
            _vectorize,
        ),
        ("custom_gradient", "The gradient is the one that is given.", _custom_gradient),
        ("stop_gradient-slope", "No gradient flows through it.", _stop_gradient),
        ("normalize-slope_zeros", "The gradient at zeros is finite.", _normalize_zeros),
        ("shape", "Shapes, ranks, sizes and arrays of tensors, variables and arrays.", _questions),
        (
            "convert_to_tensor-given",
            "Lists and arrays, and what variables hold, of any type.",
            _converted,
        ),
        ("dtype", "Names of the types of tensors, arrays and symbols.", _dtypes),
    ):
        name = subject.partition("-")[0]
        catalogue.contract(subject, thing=f"keras.ops.{name}", truth=truth, keras=(3,))(test)
