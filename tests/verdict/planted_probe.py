"""Trains the first cell of a planted fault, with whatever Keras there is, and stores what came out.

    python planted_probe.py FAULT FILE.npz

It is run in two environments by :mod:`planted_upgrades`, which compares the two files bit by bit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from bench import mnist
from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.expression import compile_expression
from bench.cells.initial_values import batch_order
from bench.nets import optimizers
from bench.nets.images import on_device, pixel_scale, scaled
from bench.nets.replica import Graph
from support.planted_faults import BY_NAME, Fault

SEED = 0
#: Test images whose logits are stored.
EXAMPLES = 2000


def cells(fault: Fault) -> Iterator[Cell]:
    """Those that the fault touches."""
    matches = compile_expression(fault.expression)
    for name in fault.grids:
        for id_, cell in UPGRADE_GRIDS[name].cells(fault.tier).items():
            if matches(f"{name}/{id_}"):
                yield cell


def probe(fault: Fault, path: Path) -> None:
    """Trains up to the fault's moment and from there to the end."""
    cell = next(cells(fault))
    data = mnist.load()
    graph = Graph.of(cell, on_device(data, "cpu"))
    graph.network.reset(cell, SEED)
    optimizers.reset(graph.optimizer, graph.optimizer_start, cell.learning_rate)
    order = batch_order(SEED, examples=len(data.train_labels), batch=cell.batch, steps=cell.steps)
    scale, model = pixel_scale(cell), graph.network.model
    images = scaled(cell, graph.images.test_images[:EXAMPLES], scale)
    trainable = {id(variable) for variable in model.trainable_variables}

    def look() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        values = {name: v.numpy() for name, v in graph.network.variables.items()}
        learnt = {n: values[n] for n, v in graph.network.variables.items() if id(v) in trainable}
        moving = {name: value for name, value in values.items() if name not in learnt}
        return learnt, {**moving, "logits": np.asarray(model(images, training=False))}

    since = max(fault.place.since, 0) if fault.place else 0
    before = {}
    if since:
        losses, _ = graph.engine.train(order[:since], scale)
        learnt, inferred = look()
        before = {"losses": losses, **learnt, **inferred}
    losses, _ = graph.engine.train(order[since:], scale)
    learnt, inferred = look()
    np.savez(
        path,
        **{f"before/{name}": array for name, array in before.items()},
        **{f"training/{name}": array for name, array in {"losses": losses, **learnt}.items()},
        **{f"inference/{name}": array for name, array in inferred.items()},
    )


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    probe(BY_NAME[sys.argv[1]], Path(sys.argv[2]))
