"""Training of the user's model as its user would, seen from inside."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells.cell import RECIPE, Cell
from bench.cells.initial_values import batch_order
from bench.measure.tensors import STEPS, fingerprints, joined
from bench.measure.trajectory import digest, diverged_at, marks, state, trajectory
from bench.nets import optimizers
from bench.nets.own import source, view, weights
from bench.nets.own.data import Feed
from bench.nets.replica import SIGNIFICANT_BITS, move
from bench.results.copy_result import Copy, CopyResult
from bench.results.files import read_json
from bench.results.flow import finite
from bench.results.own_model import (
    ARRAYS,
    DESCRIPTION,
    HELD_OUT,
    Description,
    OwnMeasured,
    weights_file,
)
from bench.results.record import Record, Tensors

Array = npt.NDArray[Any]
Order = npt.NDArray[np.int32]

#: Names under which Keras reports the share of right answers.
_ACCURACIES = (
    *("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy"),
    "binary_accuracy",
)


@dataclass
class Built:
    """The model, built and compiled, and all that puts it back to its start."""

    model: Any
    named: Mapping[str, Any]
    """Weights by the names under which they are stored."""
    optimizer_start: list[Any]

    def values(self) -> list[Array]:
        """All weights, in the order in which they are stored."""
        return [np.asarray(variable.numpy()) for variable in self.named.values()]


@dataclass
class OwnTrainer:
    """Trains the user's model in the training process of a side.

    Args:
        folder: what :func:`bench.nets.own.describe.describe` left.
        data: fingerprint of the images, which records carry.
        environment: class that records carry.
    """

    folder: Path
    data: str
    environment: str
    _built: Built | None = None
    _warm: tuple[Cell, str] | None = None
    description: Description = field(init=False)
    feed: Feed = field(init=False)

    def __post_init__(self) -> None:
        self.description = told = read_json(self.folder / DESCRIPTION, Description)
        with np.load(self.folder / ARRAYS, allow_pickle=False) as stored:
            parts = {
                role: {key[2:]: stored[key] for key in stored.files if key[0] == role}
                for role in "xy"
            }
        self.feed = Feed(parts["x"], parts["y"], told.named, told.named_targets, told.examples)

    def forget(self) -> None:
        """Drops the model, which a failure may have left half trained."""
        self._built = self._warm = None

    def start(self, seed: int) -> Built:
        """The model at the initial weights of a seed.

        Raises:
            ValueError: weights cannot be matched.
            Exception: whatever the user's code raises.
        """
        self._warm = None
        if self._built is None or self.description.model.random:
            self._built = None  # what draws numbers is built anew: its state is hidden
            self._built = self._new(seed)
        built = self._built
        with np.load(weights_file(self.folder, seed), allow_pickle=False) as stored:
            for name, variable in built.named.items():
                variable.assign(stored[name])
        optimizers.put_back(built.model.optimizer, built.optimizer_start)
        return built

    def _new(self, seed: int) -> Built:
        told = self.description
        model = source.build(Path(told.path), told.function, seed)
        view.predicted(model, self.feed.x(slice(0, 1)))  # a subclass makes its weights when called
        if told.losses:
            source.compile_with(model, told.losses)
        with np.load(weights_file(self.folder, told.seeds[0]), allow_pickle=False) as stored:
            shapes = {name: stored[name].shape for name in stored.files}
        named = weights.matched(shapes, model)
        if hasattr(model.optimizer, "build"):
            model.optimizer.build(model.trainable_variables)
        return Built(model, named, optimizers.snapshot(model.optimizer))

    def train(self, cell: Cell, seed: int) -> Record:
        """Trains and measures one replica; a loss that is not finite is an outcome, not an error."""
        begin = time.perf_counter()
        built = self.start(seed)
        seen = _Seen(self.feed, built, cell, seed)
        before = seen.ends()
        training_sec = seen.train()
        after = seen.ends()
        evaluated = seen.evaluated
        diverged = diverged_at(seen.losses, evaluated.get("loss", 0.0))
        return Record(
            cell=cell,
            seed=seed,
            outcome="trained" if diverged is None else "diverged",
            data=self.data,
            environment=self.environment,
            diverged_step=diverged,
            digest=digest([*seen.first, seen.logs, *built.values(), _array(evaluated)]),
            trajectory=trajectory(seen.losses),
            states=np.array(seen.states, "<u4").tobytes(),
            tensors=joined(seen.looks),
            ends=fingerprints({0: before, cell.steps: after}),
            recipe=RECIPE,
            images_per_sec=cell.steps * cell.batch / training_sec,
            training_sec=training_sec,
            total_sec=time.perf_counter() - begin,
            own=OwnMeasured(
                metrics={name: finite(value) for name, value in evaluated.items()},
                peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            ),
            **_at_end(evaluated, diverged),
        )

    def copy(self, copy: Copy) -> CopyResult:
        """Trains and measures a copy; moved as :meth:`bench.nets.replica.Trainer.copy` does."""
        begin = time.perf_counter()
        cell, built = copy.cell, self.start(copy.seed)
        digits = significant_bits(built.model)

        def moved(step: int) -> None:
            move(built.model.trainable_variables, copy, step, digits)

        moves = [copy.moved_at, copy.moved_at + 1]
        if not copy.moved_at:  # so that the look at the start sees it
            moved(moves.pop(0))
        seen = _Seen(self.feed, built, cell, copy.seed, moves=moves, move=moved)
        before = seen.ends()
        seen.train()
        after = seen.ends()
        diverged = diverged_at(seen.losses, seen.evaluated.get("loss", 0.0))
        return CopyResult(
            copy=copy,
            trajectory=trajectory(seen.losses),
            tensors=joined(seen.looks),
            ends=fingerprints({0: before, cell.steps: after}),
            diverged_step=diverged,
            total_sec=time.perf_counter() - begin,
            **_at_end(seen.evaluated, diverged),
        )

    def trained(self, cell: Cell, seed: int) -> Any:
        """The model after training."""
        built = self.start(seed)
        order = _order(cell, self.feed, seed, cell.steps)
        _steps(built.model, self.feed, order, cell.engine, _Watch())
        return built.model

    def burst(self, cell: Cell, *, work: str, steps: int) -> float:
        """Seconds of so many steps, or batches of inference; the first burst compiles before."""
        built = self._built
        if self._warm != (cell, work) or built is None:
            built = self.start(self.description.seeds[0])
        order = _order(cell, self.feed, 0, steps)
        runs = 1 if self._warm == (cell, work) else 2
        for _ in range(runs):
            begin = time.perf_counter()
            if work == "training":
                _steps(built.model, self.feed, order, cell.engine, _Watch())
            else:
                rows = order.reshape(-1)
                built.model.predict(self.feed.x(rows), batch_size=cell.batch, verbose=0)
            seconds = time.perf_counter() - begin
        self._warm = cell, work
        return seconds


class _Watch:
    """What is done before and after each step; nothing."""

    def before(self, step: int) -> None:
        """Called before a step."""

    def after(self, logs: Mapping[str, Any]) -> None:
        """Called with the loss and the metrics of its batch."""


class _Seen(_Watch):
    """What is seen of one training.

    Args:
        feed: the rows.
        built: at its initial weights, or moved.
        cell: what is trained.
        seed: of the order of rows.
        moves: steps before which ``move`` is called; the number of steps is the end.
        move: moves the weights.
    """

    def __init__(
        self,
        feed: Feed,
        built: Built,
        cell: Cell,
        seed: int,
        *,
        moves: Collection[int] = (),
        move: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._feed, self._built, self._cell = feed, built, cell
        self._order = _order(cell, feed, seed, cell.steps)
        self._marked = frozenset(marks(cell.steps))
        self._moves, self._move = moves, move
        self._logs: list[dict[str, float]] = []
        self.states: list[int] = []
        self.looks: list[Tensors] = []
        self.first: list[Array] = []
        """All tensors before the first step."""
        self.evaluated: dict[str, float] = {}
        """Loss and metrics of the held-out rows at the last of the :meth:`ends`."""

    @property
    def losses(self) -> npt.NDArray[np.float32]:
        """Loss of each step, (steps,)."""
        return np.array([logs["loss"] for logs in self._logs], np.float32)

    @property
    def logs(self) -> Array:
        """Loss and metrics of each step, (steps, metrics)."""
        return np.array([list(logs.values()) for logs in self._logs])

    def train(self) -> float:
        """All steps; the seconds that they took, looks included."""
        begin = time.perf_counter()
        _steps(self._built.model, self._feed, self._order, self._cell.engine, self)
        self._at(self._cell.steps)
        return time.perf_counter() - begin

    def before(self, step: int) -> None:
        self._at(step)
        if step in STEPS:
            rows, model = self._order[step], self._built.model
            tensors = view.look(model, self._built.named, self._feed.x(rows), self._feed.y(rows))
            self.first = self.first or list(tensors.values())
            self.looks.append(fingerprints({step: tensors}))
        self._built.model.reset_metrics()  # or what is logged are means since the start

    def after(self, logs: Mapping[str, Any]) -> None:
        self._logs.append({name: float(value) for name, value in logs.items()})

    def _at(self, step: int) -> None:
        if step in self._marked:
            self.states.append(state(self._built.values()))
        if step in self._moves:
            self._move(step)

    def ends(self) -> dict[str, Array]:
        """All weights, what the held-out rows give, and the metrics of these, in inference mode."""
        model, rows = self._built.model, self._feed.held_out
        x, y = self._feed.x(rows), self._feed.y(rows)
        batch = self._cell.batch
        outputs = view.by_name(model, model.predict(x, batch_size=batch, verbose=0))
        self.evaluated = {}
        if y is not None:
            found = model.evaluate(x, y, batch_size=batch, verbose=0, return_dict=True)
            self.evaluated = {name: float(value) for name, value in found.items()}
        return {
            **{n: np.asarray(v.numpy()) for n, v in self._built.named.items()},
            **{f"{n} {HELD_OUT}": value for n, value in outputs.items()},
            **{f"{name} {HELD_OUT}": np.array([value]) for name, value in self.evaluated.items()},
        }


def _steps(model: Any, feed: Feed, order: Order, engine: str, watch: _Watch) -> None:
    """Trains on the rows ``order``, (steps, batch)."""
    if engine == "fit":
        rows = order.reshape(-1)
        model.fit(
            feed.x(rows),
            feed.y(rows),
            batch_size=order.shape[1],
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=[_Callback(watch)],
        )
        return
    for step, rows in enumerate(order):
        watch.before(step)
        watch.after(model.train_on_batch(feed.x(rows), feed.y(rows), return_dict=True))


class _Callback(tf.keras.callbacks.Callback):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras
        self._watch.before(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras
        self._watch.after(logs)


def _order(cell: Cell, feed: Feed, seed: int, steps: int) -> Order:
    return batch_order(seed, examples=feed.examples, batch=cell.batch, steps=steps)


def significant_bits(model: Any) -> int:
    """Binary places of the coarsest format that a layer computes in."""
    known = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16", "float64": "float64"}
    formats = {str(getattr(layer, "compute_dtype", "")) for _, layer in source.sublayers(model)}
    return min(SIGNIFICANT_BITS[known.get(name, "float32")] for name in formats or {""})


def _at_end(evaluated: Mapping[str, float], diverged: int | None) -> dict[str, Any]:
    """Accuracy and loss of the held-out rows, where there are such; a loss that is not above 0 has no
    logarithm, in which losses are compared."""
    if diverged is not None:
        return {}
    loss = evaluated.get("loss", 0.0)
    accuracy = next((evaluated[name] for name in _ACCURACIES if name in evaluated), None)
    return {
        "test_accuracy": accuracy,
        "test_loss": finite(loss) if loss > 0 else None,
    }


def _array(evaluated: Mapping[str, float]) -> Array:
    return np.array(list(evaluated.values()))
