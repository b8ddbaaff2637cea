"""Engines: the ways in which users execute training steps. All compute the same steps.

=========== ==================================================================================
in_graph    all steps in one graph: a ``tf.while_loop`` inside one ``tf.function``
function    a Python loop over a ``tf.function`` of one step
xla         the same, with ``jit_compile=True``
eager       a Python loop over an undecorated step
fit         ``Model.fit`` without shuffling
fit_epochs  one ``Model.fit`` over arrays: two epochs, each with a short last batch
=========== ==================================================================================
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells.cell import EPOCHS, FITTED
from bench.nets.images import Images, scaled
from bench.nets.network import Network

Batch = npt.NDArray[np.int32]


class Engine(Protocol):
    """Trains a network in place."""

    def prepare(self, batch: int) -> None:
        """Traces and compiles for a batch size without training."""

    def train(
        self, order: npt.NDArray[np.int32], pixel_scale: Any
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Trains on the examples ``order``, int32 (steps, batch).

        Returns:
            The loss before each step, float32 (steps,), and the seconds that the steps took, to the
            moment when the last loss had arrived in NumPy.
        """

    def train_all(
        self,
        order: Sequence[Batch],
        pixel_scale: Any,
        *,
        stops: Sequence[int],
        at: Callable[[int], None],
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Trains on the batches of a whole training; calls ``at`` before each step of ``stops``, which
        are ascending from 0 to the number of steps, the end.

        Returns:
            As :meth:`train`; what ``at`` takes does not count.
        """


def engine(network: Network, optimizer: Any, loss: Callable[..., Any], images: Images) -> Engine:
    """The engine that the network's cell names."""
    if network.cell.engine == "fit_epochs":
        return _FitEpochs(network, optimizer, loss, images)
    if network.cell.engine == "fit":
        return _Fit(network, optimizer, loss, images)
    step = training_step(network, optimizer, loss, images)
    if network.cell.engine == "in_graph":
        return _InGraph(step)
    if network.cell.engine == "eager":
        return _Stepwise(step, warm_up=False)
    compiled = tf.function(
        step,
        jit_compile=True if network.cell.engine == "xla" else None,
        input_signature=[_BATCH, tf.TensorSpec([], tf.float64)],
    )
    return _Stepwise(compiled, warm_up=True)


def training_step(
    network: Network, optimizer: Any, loss: Callable[..., Any], images: Images
) -> Callable[[Any, Any], Any]:
    """``step(indices, pixel_scale) -> loss`` on a batch of training examples."""
    variables = network.model.trainable_variables

    def step(indices: Any, pixel_scale: Any) -> Any:
        inputs = scaled(network.cell, tf.gather(images.train_images, indices), pixel_scale)
        labels = tf.gather(images.train_labels, indices)
        with tf.GradientTape() as tape:
            value = loss(labels, network.model(inputs, training=True))
        gradients = tape.gradient(value, variables)
        optimizer.apply_gradients(zip(gradients, variables))  # noqa: B905 - AutoGraph of 2.12
        return tf.cast(value, tf.float32)

    return step


_BATCH = tf.TensorSpec([None], tf.int32)


class _InParts:
    """Trains from stop to stop."""

    def train_all(
        self: Engine,
        order: Sequence[Batch],
        pixel_scale: Any,
        *,
        stops: Sequence[int],
        at: Callable[[int], None],
    ) -> tuple[npt.NDArray[np.float32], float]:
        losses, seconds = [], 0.0
        for start, stop in itertools.pairwise(stops):
            at(start)
            part, took = self.train(np.asarray(order[start:stop]), pixel_scale)
            losses.append(part)
            seconds += took
        at(len(order))
        return np.concatenate(losses), seconds


class _InGraph(_InParts):
    def __init__(self, step: Callable[[Any, Any], Any]) -> None:
        @tf.function(
            input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([], tf.float64)]
        )
        def loop(order: Any, pixel_scale: Any) -> Any:
            steps = tf.shape(order)[0]
            losses = tf.TensorArray(tf.float32, size=steps, element_shape=[])
            for index in tf.range(steps):
                losses = losses.write(index, step(order[index], pixel_scale))
            return losses.stack()

        self._loop = loop

    def prepare(self, batch: int) -> None:
        self._loop(tf.zeros([0, batch], tf.int32), tf.zeros([], tf.float64))

    def train(
        self, order: npt.NDArray[np.int32], pixel_scale: Any
    ) -> tuple[npt.NDArray[np.float32], float]:
        batches = tf.constant(order)
        start = time.perf_counter()
        losses = self._loop(batches, pixel_scale).numpy()
        return losses, time.perf_counter() - start


class _Stepwise(_InParts):
    def __init__(self, step: Callable[[Any, Any], Any], *, warm_up: bool) -> None:
        self._step = step
        self._warm_up = warm_up

    def prepare(self, batch: int) -> None:
        if self._warm_up:  # A real step: whoever prepares resets the network afterwards.
            self._step(tf.zeros([batch], tf.int32), tf.zeros([], tf.float64)).numpy()

    def train(
        self, order: npt.NDArray[np.int32], pixel_scale: Any
    ) -> tuple[npt.NDArray[np.float32], float]:
        batches = list(tf.constant(order))
        start = time.perf_counter()
        losses = [self._step(batch, pixel_scale) for batch in batches]
        values = tf.stack(losses).numpy()
        return values, time.perf_counter() - start


class _Fit(_InParts):
    def __init__(
        self, network: Network, optimizer: Any, loss: Callable[..., Any], images: Images
    ) -> None:
        self._network = network
        self._images = images
        network.model.compile(optimizer=optimizer, loss=loss)

    def prepare(self, batch: int) -> None:
        self.train(np.zeros((1, batch), np.int32), tf.zeros([], tf.float64))

    def train(
        self, order: npt.NDArray[np.int32], pixel_scale: Any
    ) -> tuple[npt.NDArray[np.float32], float]:
        losses = _BatchLosses()
        seconds = self._fit(order.reshape(-1), pixel_scale, losses, batch=order.shape[1], epochs=1)
        return np.asarray(losses.values, np.float32), seconds

    def _fit(
        self, order: Batch, pixel_scale: Any, watch: _BatchLosses, *, batch: int, epochs: int
    ) -> float:
        """Seconds of one ``fit`` on the examples ``order``, (examples,)."""
        indices = tf.constant(order)
        inputs = scaled(
            self._network.cell, tf.gather(self._images.train_images, indices), pixel_scale
        ).numpy()
        labels = tf.gather(self._images.train_labels, indices).numpy()
        fed: dict[str, Any] = {"x": inputs, "y": labels, "batch_size": batch}
        if inputs.dtype == np.float64:  # of an array, Keras 3 makes float32
            fed = {"x": tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(batch)}
        start = time.perf_counter()
        self._network.model.fit(**fed, epochs=epochs, shuffle=False, verbose=0, callbacks=[watch])
        return time.perf_counter() - start


class _FitEpochs(_Fit):
    """Each epoch visits the batches of the first one again."""

    def train_all(
        self,
        order: Sequence[Batch],
        pixel_scale: Any,
        *,
        stops: Sequence[int],
        at: Callable[[int], None],
    ) -> tuple[npt.NDArray[np.float32], float]:
        epoch = order[: len(order) // EPOCHS]
        watch = _Stops(stops, at)
        seconds = self._fit(
            np.concatenate(epoch), pixel_scale, watch, batch=len(epoch[0]), epochs=EPOCHS
        )
        at(len(order))
        return np.asarray(watch.values, np.float32), seconds - watch.seconds


Inference = Callable[[npt.NDArray[np.int32], Any], float]


def inference(network: Network, images: Images) -> Inference:
    """``infer(order, pixel_scale)``: the seconds in which the network's engine predicts the class of
    the training examples ``order``, int32 (steps, batch), to the moment when all had arrived."""

    def predict(indices: Any, pixel_scale: Any) -> Any:
        inputs = scaled(network.cell, tf.gather(images.train_images, indices), pixel_scale)
        return tf.argmax(network.model(inputs, training=False), axis=-1)

    name = network.cell.engine
    if name in FITTED:
        return _predict_with_keras(network, images)
    if name == "in_graph":
        return _timed(_predict_in_graph(predict))
    if name != "eager":
        signature = [_BATCH, tf.TensorSpec([], tf.float64)]
        predict = tf.function(
            predict, jit_compile=True if name == "xla" else None, input_signature=signature
        )
    return _timed(lambda order, scale: tf.stack([predict(batch, scale) for batch in list(order)]))


def _predict_in_graph(predict: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([], tf.float64)]
    )
    def loop(order: Any, pixel_scale: Any) -> Any:
        return tf.map_fn(
            lambda batch: predict(batch, pixel_scale),
            order,
            parallel_iterations=1,
            fn_output_signature=tf.int64,
        )

    return loop


def _predict_with_keras(network: Network, images: Images) -> Inference:
    def infer(order: npt.NDArray[np.int32], pixel_scale: Any) -> float:
        pixels = tf.gather(images.train_images, tf.constant(order.reshape(-1)))
        inputs = scaled(network.cell, pixels, pixel_scale).numpy()
        start = time.perf_counter()
        network.model.predict(inputs, batch_size=order.shape[1], verbose=0)
        return time.perf_counter() - start

    return infer


def _timed(predict: Callable[[Any, Any], Any]) -> Inference:
    def infer(order: npt.NDArray[np.int32], pixel_scale: Any) -> float:
        batches = tf.constant(order)
        start = time.perf_counter()
        predict(batches, pixel_scale).numpy()
        return time.perf_counter() - start

    return infer


class _BatchLosses(tf.keras.callbacks.Callback):
    """Keras logs the mean loss since its metrics were last reset: reset them at every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras
        self.values.append(logs["loss"])


class _Stops(_BatchLosses):
    """Calls ``at`` before each step of ``stops``."""

    def __init__(self, stops: Sequence[int], at: Callable[[int], None]) -> None:
        super().__init__()
        self._stops = frozenset(stops)
        self._at = at
        self.seconds = 0.0
        """That ``at`` took."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        step = len(self.values)
        if step in self._stops:
            begin = time.perf_counter()
            self._at(step)
            self.seconds += time.perf_counter() - begin
        super().on_train_batch_begin(batch, logs)
