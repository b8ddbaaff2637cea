"""Training one replica: a cell under one seed, from initial weights to a record."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from bench.cell import RECIPE, Cell
from bench.copies import Copy, CopyResult
from bench.initial import batch_order
from bench.measure.flow import flow
from bench.measure.histogram import Histogram, histogram
from bench.measure.tensors import STEPS, fingerprints, joined, signs
from bench.measure.trajectory import LENGTH, digest, first_not_finite, trajectory
from bench.mnist import Mnist
from bench.nets import optimizers
from bench.nets.engines import Engine, Inference, engine, inference
from bench.nets.images import Images, on_device, pixel_scale
from bench.nets.network import Network, build
from bench.nets.views import BatchView, Signals, TestView
from bench.record import Flow, Record, Tensors, finite


@dataclass
class Graph:
    """Everything that is compiled for the cells with one :meth:`bench.cell.Cell.graph`."""

    network: Network
    images: Images
    optimizer: Any
    optimizer_start: list[Any]
    engine: Engine
    batch_view: BatchView
    test_view: TestView
    clipped: optimizers.ClippedGradients | None

    @classmethod
    def of(cls, cell: Cell, images: Images) -> Graph:
        """Builds and traces; the network is left in no particular state."""
        network = build(cell)
        optimizer = optimizers.optimizer(cell, network.model.trainable_variables)
        optimizer_start = optimizers.snapshot(optimizer)
        loss = optimizers.loss(cell)
        clipped = None
        if cell.clipping != "none":
            clipped = optimizers.ClippedGradients(cell, build(cell).model.trainable_variables)
        built = cls(
            network=network,
            images=images,
            optimizer=optimizer,
            optimizer_start=optimizer_start,
            engine=engine(network, optimizer, loss, images),
            batch_view=BatchView(network, loss, images),
            test_view=TestView(network, loss, images),
            clipped=clipped,
        )
        built.engine.prepare(cell.batch)
        return built

    def move(self, copy: Copy, step: int, digits: int) -> None:
        """Moves every trainable entry by one unit in the last of ``digits`` binary places."""
        for index, variable in enumerate(self.network.model.trainable_variables):
            value = variable.numpy()
            role = f"copy {copy.number} before step {step}"
            up = signs(role, value.size, copy.seed + index * 2**32).reshape(value.shape)
            _, exponent = np.frexp(value)
            unit = np.where(value == 0, 0.0, np.ldexp(1.0, exponent - digits))
            variable.assign((value + up * unit).astype(value.dtype))


@dataclass
class Trainer:
    """Trains replicas one after another; cells that share a graph share its trace.

    Args:
        data: the images.
        device: ``cpu`` or ``gpu``.
        environment: class that records carry.
        histograms: whether records carry histograms, which change nothing that is measured.
    """

    data: Mnist
    device: str
    environment: str
    histograms: bool = False
    _images: Images | None = None
    _key: Cell | None = None
    _graph: Graph | None = field(default=None, repr=False)
    _warm: tuple[Cell, str] | None = None
    _infer: Inference = field(init=False, repr=False)

    def graph(self, cell: Cell, *, fresh: bool = False) -> Graph:
        """The cell's compiled graph; only the last one is kept, since replicas come ordered.

        Args:
            fresh: build it anew, as the framework's own random state demands.
        """
        key = cell.graph()
        if self._graph is None or self._key != key or fresh:
            self._graph = None
            if self._images is None:
                self._images = on_device(self.data, self.device)
            self._graph, self._key = Graph.of(cell, self._images), key
        return self._graph

    def forget(self) -> None:
        """Drops the compiled graph, which a failure may have left half built."""
        self._graph = self._warm = None

    def train(self, cell: Cell, seed: int) -> Record:
        """Trains and measures one replica. A loss that is not finite is an outcome, not an error; so
        is an optimizer that this Keras lacks."""
        begin = time.perf_counter()
        if lacking := optimizers.absent(cell):
            return Record(
                cell=cell,
                seed=seed,
                outcome="absent",
                data=self.data.fingerprint,
                environment=self.environment,
                recipe=RECIPE,
                absent=lacking,
            )
        graph, order, scale = self._start(cell, seed, cell.steps)

        def look() -> tuple[Signals, Flow, float, float]:
            signals = graph.batch_view(order[0], scale)
            clipped = graph.clipped(signals.gradients) if graph.clipped else None
            evaluation = graph.test_view(scale)
            measured = flow(
                signals=signals.signals,
                activations=signals.activations,
                gradients=signals.gradients,
                clipped=clipped,
                dead_units=evaluation.dead_units,
            )
            return signals, measured, evaluation.accuracy, evaluation.loss

        signals, start, _, _ = look()
        seen = _Histograms() if self.histograms else None
        losses, tensors, training_sec = _trained(graph, order, scale, see=seen)
        diverged = first_not_finite(losses)
        ended, end, accuracy, test_loss = look()
        if seen is not None:
            seen(cell.steps, _values(graph), ended.tensors)
        if diverged is None and not np.isfinite(test_loss):
            diverged = cell.steps
        return Record(
            cell=cell,
            seed=seed,
            outcome="trained" if diverged is None else "diverged",
            data=self.data.fingerprint,
            environment=self.environment,
            test_accuracy=accuracy if diverged is None else None,
            test_loss=finite(test_loss) if diverged is None else None,
            diverged_step=diverged,
            digest=digest(
                [
                    *signals.gradients,
                    losses,
                    *(variable.numpy() for variable in graph.network.model.variables),
                    np.array([accuracy, test_loss]),
                ]
            ),
            trajectory=trajectory(losses),
            tensors=tensors,
            recipe=RECIPE,
            start=start,
            end=end if diverged is None else None,
            images_per_sec=cell.steps * cell.batch / training_sec,
            training_sec=training_sec,
            total_sec=time.perf_counter() - begin,
            histograms=seen.taken if seen is not None else UNSET,
        )

    def copy(self, copy: Copy) -> CopyResult:
        """Trains a copy over the steps that a trajectory keeps.

        Every entry of every trainable variable is moved by one unit in the last place of the format
        that hidden layers compute in, up or down at random: before the first step, and once more
        after it, because what starts at exactly zero (biases, zero initialization) has no last place
        before. From then on every rounding differs, as it does between two versions.
        """
        begin = time.perf_counter()
        steps = min(copy.cell.steps, LENGTH)
        graph, order, scale = self._start(copy.cell, copy.seed, steps)
        digits = SIGNIFICANT_BITS[copy.cell.precision]
        losses, tensors, _ = _trained(
            graph, order, scale, move=lambda step: graph.move(copy, step, digits)
        )
        return CopyResult(
            copy=copy,
            trajectory=trajectory(losses),
            tensors=tensors,
            total_sec=time.perf_counter() - begin,
        )

    def _start(self, cell: Cell, seed: int, steps: int) -> tuple[Graph, Order, Any]:
        """The cell's graph at its initial values, the order of ``steps`` batches, the pixel scale."""
        self._warm = None
        graph = self.graph(cell, fresh=cell.dropout > 0)
        graph.network.reset(cell, seed)
        optimizers.reset(graph.optimizer, graph.optimizer_start, cell.learning_rate)
        order = batch_order(
            seed, examples=len(self.data.train_labels), batch=cell.batch, steps=steps
        )
        return graph, order, pixel_scale(cell)

    def burst(self, cell: Cell, *, work: str, steps: int) -> float:
        """Seconds of ``steps`` consecutive training steps or inference batches, nothing else.

        The first burst of a cell compiles and warms up before its clock starts. Training goes on
        where the last burst ended.
        """
        if self._warm != (cell, work):
            graph = self.graph(cell)
            graph.network.reset(cell, 0)
            optimizers.reset(graph.optimizer, graph.optimizer_start, cell.learning_rate)
            self._infer = inference(graph.network, graph.images)
            self._warm = None
        graph = self.graph(cell)
        order = batch_order(0, examples=len(self.data.train_labels), batch=cell.batch, steps=steps)
        scale = pixel_scale(cell)
        runs = 1 if self._warm else 2
        for _ in range(runs):
            if work == "training":
                _, seconds = graph.engine.train(order, scale)
            else:
                seconds = self._infer(order, scale)
        self._warm = cell, work
        return seconds


Order = npt.NDArray[np.int32]

#: Binary places of the format in which hidden layers compute.
SIGNIFICANT_BITS = {"float32": 24, "float64": 53, "mixed_bfloat16": 8, "mixed_float16": 11}


Tensor = npt.NDArray[Any]


class _Histograms:
    """Takes histograms of each variable and, if it is trained, its gradient."""

    def __init__(self) -> None:
        self.taken: list[Histogram] = []

    def __call__(
        self, step: int, variables: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
    ) -> None:
        for name, value in variables.items():
            self.taken.append(histogram(name, value, step=step, gradient=False))
            gradient = tensors.get(f"{name}, gradient")
            if gradient is not None:
                self.taken.append(histogram(name, gradient, step=step, gradient=True))


def _values(graph: Graph) -> dict[str, Tensor]:
    """All variables by name."""
    return {name: value.numpy() for name, value in graph.network.variables.items()}


def _trained(
    graph: Graph,
    order: Order,
    scale: Any,
    move: Callable[[int], None] | None = None,
    see: _Histograms | None = None,
) -> tuple[npt.NDArray[np.float32], Tensors, float]:
    """Losses of all steps, fingerprints of the tensors, and the seconds that the steps took.

    Args:
        graph: at its initial values.
        order: the batches.
        scale: of the pixels.
        move: called before the first and the second step.
        see: called with the variables and the other tensors whose fingerprints are taken.
    """
    seen, losses, seconds = [], [], 0.0
    starts = [step for step in STEPS if step < len(order)]
    for start, stop in itertools.pairwise([*starts, len(order)]):
        if move and start <= 1:
            move(start)
        variables = _values(graph)
        tensors = graph.batch_view(order[start], scale).tensors
        seen.append(fingerprints({start: {**variables, **tensors}}))
        if see is not None:
            see(start, variables, tensors)
        part, took = graph.engine.train(order[start:stop], scale)
        losses.append(part)
        seconds += took
    return np.concatenate(losses), joined(seen), seconds
