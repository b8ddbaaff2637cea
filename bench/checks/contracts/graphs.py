"""Graphs: what ``tf.function``, control flow, gradient tapes and variables owe a Python reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.tensors import whole
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("graphs")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


@contract(
    "autograph",
    thing="tf.function",
    truth="Loops with break, continue and return, and branches on tensors, do what Python does.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    def walk(n: Any, least: Any, numbers: Any) -> Any:
        total = n * 0
        for i in numbers(n):
            if i % 3 == 1:
                continue
            if total > 20:
                break
            total += i * i
        while total > least:
            total -= 7
        if total < 3:
            return total - 100
        return total

    graph = tf.function(lambda n, least: walk(n, least, tf.range))
    for n, least in ((0, 0), (4, 50), (9, 10), (9, 0), (30, 2)):
        got = graph(tf.constant(n), tf.constant(least))
        yield exact(f"{n} and {least}", lab.seen(got), walk(n, least, range))


@contract(
    "loop-slope",
    thing="tf.while_loop",
    truth="Gradients through loops of a length that the data decide, through branches, arrays of"
    " tensors, maps and scans are those of the same steps written out.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    @tf.function
    def power(x: Any, n: Any) -> Any:
        return tf.while_loop(lambda i, _: i < n, lambda i, y: (i + 1, y * x), (0, x * 0 + 1))[1]

    @tf.function
    def branch(x: Any, _: Any) -> Any:
        return tf.cond(tf.reduce_sum(x) > 0, lambda: x * x, lambda: 3 * x)

    @tf.function
    def stored(x: Any, n: Any) -> Any:
        array = tf.TensorArray(tf.float32, size=n)
        for i in tf.range(n):
            array = array.write(i, x * tf.cast(i, tf.float32))
        return tf.reduce_sum(array.stack(), 0) + array.read(n - 1)

    @tf.function
    def scanned(x: Any, _: Any) -> Any:
        return tf.scan(lambda a, b: 2 * a + b, x)

    @tf.function
    def mapped(x: Any, _: Any) -> Any:
        return tf.map_fn(lambda one: one * one * one, x)

    @tf.function
    def vectorized(x: Any, _: Any) -> Any:
        return tf.vectorized_map(lambda one: one * one * one, x)

    x = np.array([1.0, -2.0, 3.0], np.float32)
    two = np.tril(2.0 ** (np.arange(3)[:, None] - np.arange(3)))
    for name, function, truth, slope in (
        ("power", power, x**4, 4 * x**3),
        ("branch", branch, x * x, 2 * x),
        ("stored", stored, 9 * x, np.full(3, 9.0)),
        ("scanned", scanned, two @ x, two.sum(0)),
        ("mapped", mapped, x**3, 3 * x * x),
        ("vectorized", vectorized, x**3, 3 * x * x),
    ):
        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            got = function(given, tf.constant(4))
        yield exact(name, lab.seen(got), truth)
        yield exact(f"slope of {name}", lab.seen(tape.gradient(got, given)), slope)


@contract(
    "derivatives",
    thing="tf.GradientTape",
    truth="Jacobians, batch Jacobians, second derivatives, forward-mode products and several gradients"
    " of one tape; without a dependence None, or zeros where they are asked for.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, matrix = whole("x", 3, 2), whole("matrix", 2, 4)
    given, other = tf.constant(x), tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([given, other])
        squares = tf.square(given) @ matrix
        total = tf.reduce_sum(squares)
    truth = 2 * x[:, None, :] * matrix.T
    yield exact("batches", lab.seen(tape.batch_jacobian(squares, given)), truth)
    full = np.einsum("bij,bc->bicj", truth, np.eye(3))
    yield exact("Jacobian", lab.seen(tape.jacobian(squares, given)), full)
    yield exact("slope", lab.seen(tape.gradient(total, given)), truth.sum(1))
    weighted = tape.gradient(squares, given, output_gradients=np.ones((3, 4), np.float32) * 3)
    yield exact("weighted", lab.seen(weighted), 3 * truth.sum(1))
    none = np.array(tape.gradient(total, other) is None)
    yield exact("none", none, np.ones((), bool))
    zero = tape.gradient(total, other, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    yield exact("zeros", lab.seen(zero), 0.0)
    with tf.GradientTape() as outer:
        outer.watch(given)
        with tf.GradientTape() as inner:
            inner.watch(given)
            cubes = tf.reduce_sum(given**3)
        slope = inner.gradient(cubes, given)
    yield exact("slope of a cube", lab.seen(slope), 3 * x**2)
    yield exact("slope of its slope", lab.seen(outer.gradient(slope, given)), 6 * x)
    tangent = whole("tangent", 3, 2)
    with tf.autodiff.ForwardAccumulator(given, tf.constant(tangent)) as forward:
        product = tf.square(given) @ matrix
    yield exact("forwards", lab.seen(forward.jvp(product)), (2 * x * tangent) @ matrix)
    with tf.GradientTape() as paused:
        paused.watch(given)
        y = given * 2.0
        with paused.stop_recording():
            y_unseen = y * y
        z = tf.reduce_sum(y * tf.stop_gradient(y) + y_unseen)
    yield exact("stopped", lab.seen(paused.gradient(z, given)), 2 * (2 * x))


@contract(
    "custom_gradient",
    thing="tf.custom_gradient",
    truth="A custom gradient replaces the true one, in graphs, too, for inputs and variables;"
    " recompute_grad changes nothing.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    weight = tf.Variable(3.0)

    @tf.custom_gradient
    def scaled(x: Any) -> Any:
        def grad(above: Any, variables: Any = None) -> Any:
            return above * 10.0, [tf.reduce_sum(above) * 100.0 for _ in variables]

        return x * weight, grad

    x = whole("x", 5)
    for name, function in (("eager", scaled), ("graph", tf.function(scaled))):
        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = function(given)
        slopes = tape.gradient(y, [given, weight])
        yield exact(f"value, {name}", lab.seen(y), 3 * x)
        yield exact(f"slope, {name}", lab.seen(slopes[0]), np.full(5, 10.0))
        yield exact(f"of the variable, {name}", lab.seen(slopes[1]), 500.0)

    again = tf.recompute_grad(lambda x: tf.square(x) * weight)
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = again(given)
    slopes = tape.gradient(y, [given, weight])
    yield exact("computed again", lab.seen(slopes[0]), 6 * x)
    yield exact("its variable", lab.seen(slopes[1]), (x * x).sum())


@contract(
    "variables",
    thing="tf.Variable",
    truth="Assignments happen in the order in which they are written, in graphs, too; slices, rows and"
    " indices are written, added and read; the gradient of rows adds up what comes twice.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    @tf.function
    def ordered(variable: Any) -> Any:
        first = variable.read_value()
        variable.assign_add(first)
        second = variable.read_value()
        variable.assign(variable * second)
        if second > 5:
            variable.assign_sub(1.0)
        return first, second, variable.read_value()

    yield exact("order", lab.seen(ordered(tf.Variable(3.0))), [3.0, 6.0, 35.0])
    yield exact("order, small", lab.seen(ordered(tf.Variable(1.0))), [1.0, 2.0, 4.0])
    base, rows = whole("base", 4, 3), whole("rows", 3, 3)
    table, truth = tf.Variable(base), base.copy()
    table[1:3, ::2].assign(rows[:2, :2])
    truth[1:3, ::2] = rows[:2, :2]
    yield exact("slice", lab.seen(table), truth)
    table.scatter_add(tf.IndexedSlices(rows, [3, 0, 3]))
    np.add.at(truth, [3, 0, 3], rows)
    yield exact("rows added", lab.seen(table), truth)
    table.scatter_nd_update([[2, 1], [0, 0]], [50.0, 60.0])
    truth[[2, 0], [1, 0]] = 50.0, 60.0
    yield exact("addresses", lab.seen(table), truth)
    yield exact("rows read", lab.seen(table.sparse_read([1, 3])), truth[[1, 3]])
    with tf.GradientTape() as tape:
        taken = tf.gather(table, [1, 3, 1])
        total = tf.reduce_sum(taken * rows)
    slope = tape.gradient(total, table)
    dense = np.zeros(base.shape)
    np.add.at(dense, [1, 3, 1], rows)
    yield exact("slope of rows", lab.seen(tf.convert_to_tensor(slope)), dense)


@contract(
    "traces",
    thing="tf.function",
    truth="One trace serves all tensors of a signature; a new shape, type or Python value takes a new"
    " one, unless the signature is open; structures and defaults are handed on.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    traced: list[str] = []

    @tf.function
    def free(x: Any, factor: Any = 2, *, parts: Any = None) -> Any:
        traced.append("free")
        return {"y": x * factor, "parts": parts}

    row = tf.constant([1.0, 2.0])
    for _ in range(2):
        free(row)
        free(row + 1.0)
    yield exact("one signature", np.array(len(traced)), np.array(1))
    free(row, 3)
    free(tf.constant([1.0, 2.0, 3.0]))
    free(tf.constant([1, 2]))
    yield exact("others", np.array(len(traced)), np.array(4))
    got = free(row, factor=tf.constant(4.0), parts=(row, {"a": row * 2}))
    yield exact("value", lab.seen(got["y"]), [4.0, 8.0])
    yield exact("structure", lab.seen(got["parts"][1]["a"]), [2.0, 4.0])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def open_shape(x: Any) -> Any:
        traced.append("open")
        return tf.reduce_sum(x)

    sums = [open_shape(tf.ones([n])) for n in (1, 3, 0)]
    yield exact("open shapes", lab.seen(sums), [1.0, 3.0, 0.0])
    yield exact("their traces", np.array(traced.count("open")), np.array(1))


@contract(
    "python-calls",
    thing="tf.py_function",
    truth="Python runs in the middle of a graph, in its order, with the values of the moment, and"
    " gradients go through it; switch_case takes the last branch for an index out of range.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    seen: list[float] = []

    def note(x: Any) -> Any:
        seen.append(float(x))
        return x * x

    @tf.function
    def steps(x: Any) -> Any:
        for _ in range(3):
            x = tf.ensure_shape(tf.py_function(note, [x], tf.float32), []) + 1.0
        return x

    given = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = steps(given)
    yield exact("value", lab.seen(y), 26.0)
    yield exact("calls", np.array(seen), [1.0, 2.0, 5.0])
    yield exact("slope", lab.seen(tape.gradient(y, given)), 2.0 * 4.0 * 10.0)

    @tf.function
    def switched(index: Any) -> Any:
        return tf.switch_case(index, [lambda: 10, lambda: 20, lambda: 30])

    got = [switched(tf.constant(at)) for at in (1, 0, 7, -1)]
    yield exact("branches", lab.seen(got), [20, 10, 30, 30])


@contract(
    "compiled",
    thing="tf.function",
    truth="Compiled by XLA, exact numbers and their gradients are the same.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, w = whole("x", 4, 3), whole("w", 3, 5)

    rows = np.arange(1.0, 5.0, dtype=np.float32)[:, None]

    def function(x: Any, w: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(w)
            y = tf.maximum(x @ w, 0.0)
            y = tf.concat([y[:, ::-1], tf.gather(y, [1, 0, 3, 2])], 1)
            for _ in tf.range(2):
                y = y - tf.reduce_max(y, 0)
            total = tf.reduce_sum(y * rows)
        return tf.cumsum(y, axis=0), tape.gradient(total, w)

    called = [tf.function(function, jit_compile=compiled) for compiled in (False, True)]
    plain, compiled = [
        [lab.seen(part) for part in each(tf.constant(x), tf.constant(w))] for each in called
    ]
    product = np.maximum(x @ w, 0.0)
    truth = np.concatenate([product[:, ::-1], product[[1, 0, 3, 2]]], 1)
    truth = np.cumsum(truth - truth.max(0), axis=0)
    yield exact("plain", plain[0], truth)
    yield exact("compiled", compiled[0], truth)
    yield exact("slope", compiled[1], plain[1])
