"""Work beside training and inference whose time and memory are watched: see
:data:`bench.results.timings.Work`."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import tensorflow as tf

from bench.cells.cell import Cell
from bench.cells.initial_values import batch_order
from bench.nets.images import pixel_scale, scaled

if TYPE_CHECKING:
    from bench.nets.replica import Trainer

#: Sequences, places in each, numbers at each place, units. A kernel for each sequence would take 64
#: MiB, where the kernel has 1 MiB and all outputs .5 MiB (keras #22823).
_SEQUENCES, _PLACES, _NUMBERS, _UNITS = 64, 4, 512, 512


def epochs(trainer: Trainer, cell: Cell, steps: int) -> float:
    """Seconds of one ``Model.fit`` of ``steps`` epochs, two batches each: what an epoch costs by itself
    (keras #18648)."""
    model = trainer.graph(msgspec.structs.replace(cell, engine="fit")).network.model
    images = trainer.images
    pixels, labels = images.train_images[: 2 * cell.batch], images.train_labels[: 2 * cell.batch]
    inputs = scaled(cell, pixels, pixel_scale(cell)).numpy()
    begin = time.perf_counter()
    model.fit(inputs, labels.numpy(), batch_size=cell.batch, epochs=steps, verbose=0)
    return time.perf_counter() - begin


def models(trainer: Trainer, cell: Cell, steps: int) -> float:
    """Seconds of building a network, training it by one step and dropping it, ``steps`` times."""
    order = batch_order(0, examples=len(trainer.data.train_labels), batch=cell.batch, steps=1)
    eager = msgspec.structs.replace(cell, engine="eager")
    begin = time.perf_counter()
    for _ in range(steps):
        trainer.forget()
        trainer.graph(eager).engine.train(order, pixel_scale(cell))
    trainer.forget()
    gc.collect()
    return time.perf_counter() - begin


class Sequences:
    """The gradient of a Dense layer over sequences, compiled."""

    def __init__(self) -> None:
        self._x = tf.constant(np.full((_SEQUENCES, _PLACES, _NUMBERS), 0.5, np.float32))
        layer = tf.keras.layers.Dense(_UNITS)
        layer.build(self._x.shape)

        @tf.function
        def step(x: Any) -> Any:
            with tf.GradientTape() as tape:
                y = tf.reduce_sum(layer(x))
            return tape.gradient(y, layer.trainable_variables)

        self._step = step

    def burst(self, steps: int) -> float:
        """Seconds of ``steps`` gradients, to the moment when the last one had arrived in NumPy."""
        self._step(self._x)[0].numpy()
        begin = time.perf_counter()
        for _ in range(steps):
            gradient = self._step(self._x)[0]
        gradient.numpy()
        return time.perf_counter() - begin
