"""Training one replica: a cell under one seed, from initial weights to a record."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.cell import Cell
from bench.initial import batch_order
from bench.measure.flow import flow
from bench.measure.trajectory import digest, first_not_finite, trajectory
from bench.mnist import Mnist
from bench.nets import optimizers
from bench.nets.engines import Engine, Inference, engine, inference
from bench.nets.images import Images, on_device, pixel_scale
from bench.nets.network import Network, build
from bench.nets.views import BatchView, Signals, TestView
from bench.record import Flow, Record, finite


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


@dataclass
class Trainer:
    """Trains replicas one after another; cells that share a graph share its trace.

    Args:
        data: the images.
        device: ``cpu`` or ``gpu``.
        environment: class that records carry.
    """

    data: Mnist
    device: str
    environment: str
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
        """Trains and measures one replica. A loss that is not finite is an outcome, not an error."""
        begin = time.perf_counter()
        self._warm = None
        graph = self.graph(cell, fresh=cell.dropout > 0)
        graph.network.reset(cell, seed)
        optimizers.reset(graph.optimizer, graph.optimizer_start, cell.learning_rate)
        scale = pixel_scale(cell)
        order = batch_order(
            seed, examples=len(self.data.train_labels), batch=cell.batch, steps=cell.steps
        )

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
        losses, training_sec = graph.engine.train(order, scale)
        stored = trajectory(losses)
        diverged = first_not_finite(losses)
        _, end, accuracy, test_loss = look()
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
            trajectory=stored,
            start=start,
            end=end if diverged is None else None,
            images_per_sec=cell.steps * cell.batch / training_sec,
            training_sec=training_sec,
            total_sec=time.perf_counter() - begin,
        )

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
