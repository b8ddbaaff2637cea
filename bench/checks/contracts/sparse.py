"""Sparse gradients, of an Embedding, against the dense ones that they stand for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bench.cells.keras_arguments import CLASSES
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.training import Truth, apply, made, stateful, values
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("sparse")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _of_each(name: str) -> None:
    more = stateful(name)
    for rows in ("once", "twice"):

        @contract(
            f"{name}-rows:{rows}",
            thing=f"keras.optimizers.{CLASSES[name]}",
            truth=f"The sparse gradient of an Embedding, with rows unused and others used {rows},"
            " trains as its dense one does.",
        )
        def _(lab: Lab, rows: str = rows) -> Iterator[Deviation]:
            yield from _sparse(lab, name, rows, more)


def _sparse(lab: Lab, name: str, rows: str, arguments: Mapping[str, Any]) -> Iterator[Deviation]:
    optimizer = made(name, **arguments)
    table, gradients, dense = embedded(rows)
    truth = Truth(name, values([table]), **arguments)
    clipped = "".join(f", {key}" for key in arguments if "clip" in key)
    for step, (sparse, full) in enumerate(zip(gradients, dense, strict=True)):
        apply(optimizer, [sparse], [table])
        truth.step([full])
        yield deviation(f"table after step {step + 1}{clipped}", lab.seen(table), truth.weights[0])


def _clipped(rows: str) -> None:
    @contract(
        f"clipping-rows:{rows}",
        thing="keras.optimizers.SGD",
        truth=f"A sparse gradient, with rows used {rows}, is clipped as its dense one would"
        " be, by either norm or by value.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        for clipping in ({"clipnorm": 0.5}, {"global_clipnorm": 0.5}, {"clipvalue": 0.25}):
            yield from _sparse(lab, "sgd", rows, clipping)


_clipped("once")
_clipped("twice")


#: Optimizers of which every Keras 2 updates a table by the rows that were used. The others have needed
#: dense gradients at all times.
_ROWWISE = ("sgd", "adam", "adamw", "adamax", "rmsprop", "adagrad", "lion")

#: Options of SGD of which the same holds.
_OPTIONS = {"momentum": 0.75, "clipnorm": 0.5, "global_clipnorm": 0.5, "clipvalue": 0.25}


def _kept(name: str, arguments: Mapping[str, Any]) -> None:
    @contract(
        "-".join([name, *arguments, "kept"]),
        thing=f"keras.optimizers.{CLASSES[name]}",
        truth="The sparse gradient of an Embedding does not become a dense one of the table's size.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        dense = lab.seen(densified(made(name, **arguments)))
        yield exact("gradients of the table's size", dense, np.zeros(()))


def densified(optimizer: Any) -> int:
    """Tensors of the table's size that a step sums up from the rows of a sparse gradient."""
    from bench.nets.api import keras, tf

    layer = keras.layers.Embedding(5, 3)
    layer(np.zeros((1, 1), np.int32))
    (table,) = layer.trainable_variables

    @tf.function(autograph=False)
    def step(indices: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(layer(indices)))
        apply(optimizer, [tape.gradient(loss, table)], [table])

    graph = step.get_concrete_function(tf.constant([3, 1, 3])).graph.as_graph_def(add_shapes=True)
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    shapes = [
        tf.TensorShape(node.attr["_output_shapes"].list.shape[0])
        for node in itertools.chain(*bodies)
        if node.op == "UnsortedSegmentSum"
    ]
    return shapes.count(table.shape)


#: Rows of the table that each of two steps uses.
USED = {"once": ([3, 1, 4], [0, 1, 2]), "twice": ([3, 1, 3], [0, 1, 1])}


def embedded(rows: str) -> tuple[Any, list[Any], list[Bounded]]:
    """The table of an Embedding, two gradients by its layer, and the same as bounded dense arrays."""
    from bench.nets.api import keras, tf

    layer = keras.layers.Embedding(5, 3)
    layer(np.zeros((1, 1), np.int32))
    (table,) = layer.trainable_variables
    table.assign(drawn("table", 5, 3))
    sparse: list[Any] = []
    dense: list[Any] = []
    for step, indices in enumerate(USED[rows]):
        upstream = drawn(f"sparse upstream {step}", 3, 3)
        with tf.GradientTape() as tape:
            taken = layer(np.array(indices, np.int32))
        sparse.append(tape.gradient(taken, table, output_gradients=tf.constant(upstream)))
        full: Any = [Bounded(np.zeros(3))] * 5
        for index, row in zip(indices, upstream, strict=True):
            full[index] = full[index] + Bounded(row)
        dense.append(np.stack(full))
    return table, sparse, dense


for _name in CLASSES:
    _of_each(_name)
for _name in _ROWWISE:
    _kept(_name, {})
for _argument, _value in _OPTIONS.items():
    _kept("sgd", {_argument: _value})
