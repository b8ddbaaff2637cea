"""Training one replica: a cell under one seed, from initial weights to a record."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from msgspec import UNSET

from bench.cells.cell import RECIPE, Cell
from bench.cells.initial_values import batch_order, epochs_order
from bench.measure.flow import flow
from bench.measure.histogram import Histograms
from bench.measure.tensors import STEPS, TEST_LOGITS, fingerprints, joined, signs
from bench.measure.trajectory import digest, diverged_at, marks, state, trajectory
from bench.mnist import Mnist
from bench.nets import optimizers
from bench.nets.engines import Engine, Inference, engine, inference
from bench.nets.images import Images, on_device, pixel_scale, scaled
from bench.nets.network import Network, build
from bench.nets.recurrent import OverTime, TimeView
from bench.nets.views import BatchView, Evaluation, Signals, TestView
from bench.results.copy_result import Copy, CopyResult
from bench.results.flow import Flow, finite
from bench.results.record import Record, Tensors

Order = Sequence[npt.NDArray[np.int32]]
Tensor = npt.NDArray[Any]


@dataclass(frozen=True)
class _Look:
    """All that is measured of a network at one moment."""

    signals: Signals
    flow: Flow
    evaluation: Evaluation
    ends: Mapping[str, Tensor]
    """All variables, then the logits of the test images."""


@dataclass(frozen=True)
class Viewed:
    """A network and what looks into it, compiled for all cells that differ in how they step alone."""

    network: Network
    loss: Callable[..., Any]
    images: Images
    batch_view: BatchView
    test_view: TestView
    time_view: TimeView | None
    """Of a recurrent network."""

    @classmethod
    def of(cls, cell: Cell, images: Images) -> Viewed:
        network, loss = build(cell), optimizers.loss(cell)
        return cls(
            network=network,
            loss=loss,
            images=images,
            batch_view=BatchView(network, loss, images),
            test_view=TestView(network, loss, images),
            time_view=TimeView(
                network.cells, list(network.normalizations.values()), network.head, loss
            )
            if network.cells
            else None,
        )

    def serves(self, cell: Cell) -> bool:
        """Whether the cell has this network and loss, and batches of any size."""
        steps = ("optimizer", "clipping", "weight_decay", "batch")
        same = {name: getattr(cell, name) for name in steps}
        return msgspec.structs.replace(self.network.cell.graph(), **same) == cell.graph()


@dataclass(frozen=True)
class Graph:
    """Everything that is compiled for the cells with one :meth:`bench.cells.cell.Cell.graph`."""

    cell: Cell
    viewed: Viewed
    optimizer: Any
    optimizer_start: list[Any]
    engine: Engine
    clipped: optimizers.ClippedGradients | None

    @classmethod
    def of(cls, cell: Cell, images: Images, viewed: Viewed | None = None) -> Graph:
        """Builds and traces; the network is left in no particular state.

        Args:
            cell: what is trained.
            images: on the device.
            viewed: of another cell; used again if it serves this one too.
        """
        if viewed is None or not viewed.serves(cell):
            viewed = Viewed.of(cell, images)
        network = viewed.network
        variables = network.model.trainable_variables
        optimizer = optimizers.optimizer(cell, variables)
        built = cls(
            cell=cell.graph(),
            viewed=viewed,
            optimizer=optimizer,
            optimizer_start=optimizers.snapshot(optimizer),
            engine=engine(network, optimizer, viewed.loss, viewed.images),
            clipped=optimizers.ClippedGradients(cell, variables)
            if cell.clipping != "none"
            else None,
        )
        built.engine.prepare(cell.batch)
        return built

    @property
    def network(self) -> Network:
        return self.viewed.network

    def look(self, batch: npt.NDArray[np.int32], scale: Any, *, first: bool = False) -> _Look:
        """Measures gradient flow on a batch, int32 (examples,), and evaluates on the test images;
        ``first``, with products of Jacobians."""
        signals = self.viewed.batch_view(batch, scale)
        evaluation = self.viewed.test_view(scale)
        over_time = self._over_time(batch, scale)
        gradients = over_time.gradients if over_time else []
        measured = flow(
            signals=[np.stack(layer) for layer in gradients] or signals.signals,
            activations=signals.activations,
            gradients=signals.gradients,
            clipped=self.clipped(signals.gradients) if self.clipped else None,
            dead_units=evaluation.dead_units,
            places=self.network.hidden_places,
            over_time=gradients,
            products=over_time.products(self.network.cell) if over_time and first else None,
        )
        ends = {**self.network.named_values(), TEST_LOGITS: evaluation.logits}
        return _Look(signals, measured, evaluation, ends)

    def _over_time(self, batch: npt.NDArray[np.int32], scale: Any) -> OverTime | None:
        """Gradients over time on a batch; None without recurrent layers."""
        viewed = self.viewed
        if viewed.time_view is None:
            return None
        pixels, labels = (
            tf.gather(arrays, batch)
            for arrays in (viewed.images.train_images, viewed.images.train_labels)
        )
        return viewed.time_view(scaled(viewed.network.cell, pixels, scale), labels)

    def move(self, copy: Copy, step: int, digits: int) -> None:
        """Moves every trainable entry by one unit in the last of ``digits`` binary places."""
        move(self.network.model.trainable_variables, copy, step, digits)


def move(variables: Iterable[Any], copy: Copy, step: int, digits: int) -> None:
    """Moves every entry of a copy's trainable variables, before a step, by one unit in the last of
    ``digits`` binary places."""
    for index, variable in enumerate(variables):
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
    _graph: Graph | None = field(default=None, repr=False)
    _warm: tuple[Cell, str] | None = None
    _infer: Inference = field(init=False, repr=False)

    def graph(self, cell: Cell, *, fresh: bool = False) -> Graph:
        """The cell's compiled graph; only the last one is kept, since replicas come ordered, and its
        network for the next.

        Args:
            fresh: build it anew, as the framework's own random state demands.
        """
        if fresh:
            self._graph = None
        if self._graph is None or self._graph.cell != cell.graph():
            viewed = self._graph.viewed if self._graph is not None else None
            self._graph = None
            self._graph = Graph.of(cell, self.images, viewed)
        return self._graph

    @property
    def images(self) -> Images:
        """On the device, from the first use on."""
        if self._images is None:
            self._images = on_device(self.data, self.device)
        return self._images

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
        graph, order, scale = self._start(cell, seed)
        before = graph.look(order[0], scale, first=True)
        seen = Histograms() if self.histograms else None
        trained = _trained(graph, order, scale, see=seen)
        after = graph.look(order[0], scale)
        if seen is not None:
            seen(cell.steps, graph.network.named_values(), after.signals.tensors)
        evaluation = after.evaluation
        diverged = diverged_at(trained.losses, evaluation.loss)
        return Record(
            cell=cell,
            seed=seed,
            outcome="trained" if diverged is None else "diverged",
            data=self.data.fingerprint,
            environment=self.environment,
            test_accuracy=evaluation.accuracy if diverged is None else None,
            test_loss=finite(evaluation.loss) if diverged is None else None,
            diverged_step=diverged,
            digest=digest(
                [
                    *before.signals.gradients,
                    trained.losses,
                    *graph.network.values(),
                    np.array([evaluation.accuracy, evaluation.loss]),
                ]
            ),
            trajectory=trajectory(trained.losses),
            states=np.array(trained.states, "<u4").tobytes(),
            tensors=trained.tensors,
            ends=_ends(cell, before, after),
            recipe=RECIPE,
            start=before.flow,
            end=after.flow if diverged is None else None,
            images_per_sec=sum(map(len, order)) / trained.sec,
            training_sec=trained.sec,
            total_sec=time.perf_counter() - begin,
            histograms=seen.taken if seen is not None else UNSET,
        )

    def copy(self, copy: Copy) -> CopyResult:
        """Trains and measures a copy.

        Every entry of every trainable variable is moved by one unit in the last place of the format
        that hidden layers compute in, up or down at random: before step ``moved_at``, and once more
        after it, because what starts at exactly zero (biases, zero initialization) has no last place
        before. From then on every rounding differs, as it does between two versions.
        """
        begin = time.perf_counter()
        cell = copy.cell
        graph, order, scale = self._start(cell, copy.seed)
        digits = SIGNIFICANT_BITS[cell.precision]
        moves = [copy.moved_at, copy.moved_at + 1]
        if not copy.moved_at:  # so that the look at the start sees it
            graph.move(copy, moves.pop(0), digits)
        before = graph.look(order[0], scale)
        trained = _trained(
            graph, order, scale, moves=moves, move=lambda step: graph.move(copy, step, digits)
        )
        after = graph.look(order[0], scale)
        diverged = diverged_at(trained.losses, after.evaluation.loss)
        return CopyResult(
            copy=copy,
            trajectory=trajectory(trained.losses),
            tensors=trained.tensors,
            ends=_ends(cell, before, after),
            test_accuracy=after.evaluation.accuracy if diverged is None else None,
            test_loss=finite(after.evaluation.loss) if diverged is None else None,
            diverged_step=diverged,
            end=after.flow if diverged is None else None,
            total_sec=time.perf_counter() - begin,
        )

    def _start(self, cell: Cell, seed: int) -> tuple[Graph, Order, Any]:
        """The cell's graph at its initial values, the order of its batches, the pixel scale."""
        self._warm = None
        graph = self.graph(cell, fresh=cell.dropout > 0)
        graph.network.reset(cell, seed)
        optimizers.reset(graph.optimizer, graph.optimizer_start, cell.learning_rate)
        drawn = epochs_order if cell.engine == "fit_epochs" else batch_order
        examples = len(self.data.train_labels)
        order = list(drawn(seed, examples=examples, batch=cell.batch, steps=cell.steps))
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
            self._infer = inference(graph.network, graph.viewed.images)
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


#: Binary places of the format in which hidden layers compute.
SIGNIFICANT_BITS = {"float32": 24, "float64": 53, "mixed_bfloat16": 8, "mixed_float16": 11}


@dataclass(frozen=True)
class _Trained:
    """What was seen of a training."""

    losses: npt.NDArray[np.float32]
    states: list[int]
    tensors: Tensors
    sec: float
    """That the steps took."""


def _trained(
    graph: Graph,
    order: Order,
    scale: Any,
    *,
    moves: Collection[int] = (),
    move: Callable[[int], None] = lambda _: None,
    see: Histograms | None = None,
) -> _Trained:
    """Trains all steps, stopping where something is to be seen or done.

    Args:
        graph: at its initial values.
        order: the batches.
        scale: of the pixels.
        moves: the steps before which ``move`` is called; the number of steps is the end.
        move: moves the weights.
        see: called with the variables and the other tensors whose fingerprints are taken.
    """
    seen: list[Tensors] = []
    states: list[int] = []
    marked = frozenset(marks(len(order)))

    def at(step: int) -> None:
        if step in marked:
            states.append(state(graph.network.values()))
        if step in moves:
            move(step)
        if step in STEPS and step < len(order):
            variables = graph.network.named_values()
            tensors = graph.viewed.batch_view(order[step], scale).tensors
            seen.append(fingerprints({step: {**variables, **tensors}}))
            if see is not None:
                see(step, variables, tensors)

    stops = sorted({*STEPS, *marked, *moves, len(order)})
    stops = [step for step in stops if step <= len(order)]
    losses, seconds = graph.engine.train_all(order, scale, stops=stops, at=at)
    return _Trained(losses, states, joined(seen), seconds)


def _ends(cell: Cell, before: _Look, after: _Look) -> Tensors:
    return fingerprints({0: before.ends, cell.steps: after.ends})
