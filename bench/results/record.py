"""Replica and record: one training of a cell, and its measurements or failure.

A number that is not finite is written as ``null``: JSON has no other word for it. Its place shows
which layer overflowed.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from bench.cells import recurrent
from bench.cells.architectures import CONVOLUTIONAL, FEED_FORWARD, PATCH, TOKENS, sides
from bench.cells.cell import Cell
from bench.results.bounds import (
    Count,
    Finite,
    Name,
    NotNegative,
    Rate,
    Seconds,
    Seed,
    Share,
    Step,
    Text,
)
from bench.results.histogram import Histogram
from bench.results.kind import Crash, Kind, Outcome, Task
from bench.results.own_model import OwnMeasured

SCHEMA = 3

#: Schemas that this version reads: 1 had no ``tensors`` and no ``recipe``; 2 kept the losses of 200
#: steps, and neither ``states`` nor ``ends``.
READABLE = (1, 2, 3)


class Products(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gradients over time of the last recurrent layer, measured and by products of Jacobians.

    Lists have an entry per step, in the order in which the layer takes them: mean squares, as in
    :attr:`Flow.over_time`, over a batch's first examples."""

    measured: list[NotNegative | None]
    product: list[NotNegative | None]
    """From the gradient at the last step, in float64."""
    error: list[NotNegative | None]
    """Bound on how far rounding may take the measured one from it."""


class Flow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Gradient flow at one moment. Lists have one entry per hidden layer, first layer first.

    All but ``dead_units`` are taken on the replica's first training batch in training mode.
    """

    signal: list[NotNegative | None]
    """Mean square of dC/dz, C one example's loss, z the input of the activation: g_l = E[(dC/dz_l)^2]
    (Schoenholz et al. 2017, eq. 14)."""
    kernel_gradient: list[NotNegative | None]
    """Variance over the kernel's entries of the batch-mean gradient."""
    bias_gradient: list[NotNegative | None]
    """Variance over the bias' entries of the batch-mean gradient."""
    activation_mean: list[Finite | None]
    activation_variance: list[NotNegative | None]
    dead_units: list[Share | None]
    """Share of units (channels of a convolution) whose activation is 0 for every test image."""
    gradient_norm: NotNegative | None
    """Global l2 norm over all trainable variables, before clipping."""
    clipped_norm: NotNegative | None
    """The same norm as the optimizer applies it, after clipping."""
    clipped_peak: NotNegative | None
    """Largest absolute entry of any variable's gradient after clipping."""
    clipped_variable_norm: NotNegative | None
    """Largest l2 norm of one variable's gradient after clipping."""
    clip_error: NotNegative | None
    """Largest |clipped - unclipped| over all entries, relative to the largest unclipped entry."""
    kernel_gradient_peak: NotNegative | None
    """Largest absolute entry of any layer's kernel gradient, the output layer's included; exactly 0
    if all is dead."""
    over_time: list[list[NotNegative | None]] | msgspec.UnsetType = msgspec.UNSET
    """Recurrent networks only. Of each layer, for each step in the order in which it takes them: mean
    square of dC/ds, s the state after that step, all that the layer hands on to the next (of LSTM the
    cell state, too), and C one example's loss. Of two directions the mean."""
    products: Products | msgspec.UnsetType = msgspec.UNSET
    """Before the first step only."""

    def check(self, cell: Cell) -> None:
        """Raises ValueError unless it may be the flow of a cell."""
        by_layer = (
            *(self.signal, self.kernel_gradient, self.bias_gradient),
            *(self.activation_mean, self.activation_variance, self.dead_units),
        )
        if any(len(values) != cell.depth for values in by_layer):
            raise ValueError(f"a flow is not that of {cell.depth} hidden layers")
        count = recurrent.steps(cell) if cell.architecture in recurrent.ARCHITECTURES else 0
        over_time = self.over_time if isinstance(self.over_time, list) else []
        lists = [*over_time]
        if isinstance(self.products, Products):
            lists += [self.products.measured, self.products.product, self.products.error]
        if len(over_time) not in (0, cell.depth) or any(len(each) != count for each in lists):
            raise ValueError(
                f"a flow over time is not that of {cell.depth} layers of {count} steps"
            )

    @property
    def signal_ratio(self) -> float | None:
        """First over last hidden layer's signal; of a recurrent network, after the first over after the
        last step of its last layer. None without a hidden layer or a finite ratio."""
        return _ratio(self.over_time[-1] if isinstance(self.over_time, list) else self.signal)

    @property
    def kernel_ratio(self) -> float | None:
        """First over last hidden layer's kernel gradient variance."""
        return _ratio(self.kernel_gradient)

    @property
    def dead_share(self) -> float | None:
        """Mean over hidden layers of :attr:`dead_units`; None without a hidden layer."""
        return _mean(self.dead_units)


class PackedFlow(bytes):
    """A flow of a stored record in a tenth of its memory, with all attributes of a :class:`Flow`: its
    numbers in the order of the fields as float64, NaN for None. One over time is not packed."""

    __slots__ = ()
    over_time = products = msgspec.UNSET

    @classmethod
    def of(cls, flow: Flow) -> PackedFlow:
        numbers = [
            *(*flow.signal, *flow.kernel_gradient, *flow.bias_gradient),
            *(*flow.activation_mean, *flow.activation_variance, *flow.dead_units),
            *(flow.gradient_norm, flow.clipped_norm, flow.clipped_peak),
            *(flow.clipped_variable_norm, flow.clip_error, flow.kernel_gradient_peak),
        ]
        if None in numbers:
            numbers = [math.nan if number is None else number for number in numbers]
        return cls(struct.pack(f"{len(numbers)}d", *numbers))

    @property
    def whole(self) -> Flow:
        """The flow."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in (*_LISTS, *_SINGLE)}
        return Flow(**fields)

    def __getattr__(self, name: str) -> Any:
        numbers = memoryview(self).cast("d")
        if name in _LISTS:
            place, layers = _LISTS[name], self._layers
            return _given(numbers[layers * place : layers * (place + 1)])
        if name in _SINGLE:
            number = numbers[_SINGLE[name]]
            return None if math.isnan(number) else number
        return getattr(self.whole, name)

    def __eq__(self, other: object) -> bool:
        return self.whole == other if isinstance(other, Flow) else super().__eq__(other)

    __hash__ = bytes.__hash__

    @property
    def signal_ratio(self) -> float | None:
        return self._ratio("signal")

    @property
    def kernel_ratio(self) -> float | None:
        return self._ratio("kernel_gradient")

    @property
    def dead_share(self) -> float | None:
        return _mean(self.dead_units)

    def _ratio(self, name: str) -> float | None:
        place, layers = _LISTS[name], self._layers
        ends = slice(layers * place, layers * (place + 1), max(layers - 1, 1))
        return _ratio(_given(memoryview(self).cast("d")[ends]))

    @property
    def _layers(self) -> int:
        return (len(self) // 8 - len(_SINGLE)) // len(_LISTS)


#: Number of each list among the lists of a flow.
_LISTS = {name: place for place, name in enumerate(Flow.__struct_fields__[:6])}
#: Number from the end, which is -1, of each number of a flow.
_SINGLE = {name: place - 6 for place, name in enumerate(Flow.__struct_fields__[6:12])}


def _given(view: memoryview[float]) -> list[float | None]:
    """Numbers of a view, with None for NaN."""
    numbers: list[Any] = view.tolist()
    if not math.isnan(sum(numbers)):
        return numbers
    return [None if math.isnan(number) else number for number in numbers]


#: Numbers that stand for a tensor in :class:`Tensors`.
VALUES = 3


class Tensors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Fingerprints of a replica's tensors before some steps: enough to say which of them departed, and
    by how much, when only one side can be run again. :mod:`bench.measure.tensors` takes them."""

    names: list[Name]
    """Tensors in the order of the computation: variables, as the last step left them, then the forward
    and the backward pass."""
    steps: list[Step]
    hashes: bytes
    """Little-endian uint32 (steps, names): a hash of all bits of a tensor; base64 in JSON."""
    values: bytes
    """Little-endian float32 (steps, names, VALUES): root mean square of the entries, then their
    sums with random signs, over the square root of their number; base64 in JSON."""

    def __post_init__(self) -> None:
        count = len(self.names) * len(self.steps)
        if len(self.hashes) != 4 * count or len(self.values) != 4 * VALUES * count:
            raise ValueError(f"fingerprints of {count} tensors have another size")
        if len(set(self.names)) < len(self.names) or sorted(set(self.steps)) != self.steps:
            raise ValueError("a tensor is named twice, or steps do not rise")


class Training(Task, frozen=True, forbid_unknown_fields=True):
    """A task that trains a cell once."""

    turns: ClassVar[tuple[int, int]] = (0, 4)

    cell: Cell
    seed: int

    @property
    def cost(self) -> float:
        cell = self.cell
        if cell.architecture == "cnn":
            first, second, dense = cell.filters, 2 * cell.filters, 32 * cell.filters
            per_image = (
                28 * 28 * 25 * first + 14 * 14 * 25 * first * second + 7 * 7 * second * dense
            )
        elif cell.architecture in recurrent.ARCHITECTURES:
            gates = {"simple_rnn": 1, "lstm": 4, "gru": 3}[cell.architecture]
            per_step = gates * cell.width * (cell.pixels + (2 * cell.depth - 1) * cell.width)
            # A step of a loop takes about as long as 10,000 products beside what it computes.
            per_step += 10_000 * cell.depth // cell.batch
            per_image = recurrent.steps(cell) * recurrent.directions(cell) * per_step
        elif cell.architecture in CONVOLUTIONAL:
            widths = [1, *[cell.filters] * (cell.depth - 1)]
            layers = zip(sides(cell), widths, strict=True)
            per_image = sum(9 * side**2 * width * cell.filters for side, width in layers)
        elif cell.architecture == "transformer":
            block = 4 * cell.width**2 + 2 * TOKENS * cell.width + 2 * FEED_FORWARD * cell.width**2
            per_image = TOKENS * (PATCH**2 * cell.width + cell.depth * block)
        else:
            per_image = 784 * cell.width + max(cell.depth - 1, 0) * cell.width**2
        normalized = 2 if cell.normalization != "none" else 1
        return normalized * per_image * cell.batch * cell.steps / 1e6

    @property
    def shares(self) -> Hashable:
        return self.cell.graph()

    @property
    def order(self) -> tuple[int, ...]:
        return (self.seed,)

    @property
    def id(self) -> str:
        return self.title({})

    def title(self, names: Mapping[Cell, str]) -> str:
        """``depth/depth:3-act:relu, seed 0``."""
        name = names.get(self.cell) or self.cell.id(("depth", "act", "init", "norm"))
        return f"{name}, seed {self.seed}"


class Replica(Training, frozen=True, forbid_unknown_fields=True, gc=False):
    """One training of a cell under one seed."""

    def crashed(self, crash: Crash) -> Record:
        return Record(cell=self.cell, seed=self.seed, outcome="crashed", crash=crash)


class Record(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Measurements of a replica, or its failure."""

    schema: int = SCHEMA
    cell: Cell
    seed: Seed
    outcome: Literal["trained", "diverged", "crashed", "absent"]
    data: Name = ""
    """Fingerprint of the images."""
    environment: Name = ""
    """Environment class that the digest belongs to."""
    test_accuracy: Share | None = None
    """Share of test images. None unless trained."""
    test_loss: NotNegative | None = None
    diverged_step: Step | None = None
    """First step, counted from 0, whose loss is NaN or infinite."""
    digest: Name = ""
    """Equal digests mean that nothing computed differs: step-0 gradients, losses, variables at the end,
    test accuracy and loss. Empty if crashed."""
    trajectory: bytes = b""
    """Loss of the first steps, little-endian float32; base64 in JSON."""
    states: bytes = b""
    """Little-endian uint32: a hash of all variables before each of
    :func:`bench.measure.trajectory.marks`; base64 in JSON."""
    tensors: Tensors | None = None
    ends: Tensors | None = None
    """Fingerprints before the first step and after the last one: of all variables, and of the logits of
    all test images in inference mode."""
    recipe: Count = 1
    """:data:`bench.cells.cell.RECIPE` of the code that trained it."""
    start: Flow | None = None
    end: Flow | None = None
    images_per_sec: Rate | None = None
    """Speed of the training loop alone: no tracing, compilation or evaluation."""
    training_sec: Seconds = 0.0
    total_sec: Seconds = 0.0
    """Seconds from the request to the record, tracing and measuring included."""
    worker: Name = ""
    crash: Crash | None = None
    absent: Text = ""
    """Reason why this TensorFlow cannot train the cell: ``Keras 2.12.0 has no optimizer Lamb``."""
    histograms: Sequence[Histogram] | msgspec.UnsetType = msgspec.UNSET
    """Histograms of each variable and its gradient, for TensorBoard: no stored record has them."""
    own: OwnMeasured | msgspec.UnsetType = msgspec.UNSET
    """Measurements of a model of the user's."""

    def __post_init__(self) -> None:
        if self.schema not in READABLE:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")
        if (self.outcome == "crashed") != (self.crash is not None):
            raise ValueError("outcome 'crashed' and a crash go together")
        if (self.outcome == "absent") != bool(self.absent):
            raise ValueError("outcome 'absent' and a reason go together")
        if (self.outcome == "diverged") != (self.diverged_step is not None):
            raise ValueError("outcome 'diverged' and a diverged_step go together")
        if len(self.states) % 4 or len(self.trajectory) % 4:
            raise ValueError("a trajectory and states are of numbers of four bytes")
        lacks = self.test_accuracy is None and not self.cell.model
        if self.outcome == "trained" and (lacks or not self.digest):
            raise ValueError("a trained replica has a test accuracy and a digest")
        for flow in (self.start, self.end):
            if flow is not None:
                flow.check(self.cell)

    @property
    def attempted(self) -> bool:
        """Whether it was tried: a replica is skipped after another one of its cell hung."""
        return self.crash is None or self.crash.reason != "not attempted"

    @property
    def key(self) -> Replica:
        return Replica(self.cell, self.seed)

    def compact(self) -> None:
        """Shares what other records have too, and packs flows."""
        change = msgspec.structs.force_setattr
        change(self, "cell", _CELLS.setdefault(self.cell, self.cell))
        for name in ("data", "environment", "worker"):
            change(self, name, sys.intern(getattr(self, name)))
        for name in ("start", "end"):
            flow = getattr(self, name)
            if flow is not None and flow.over_time is flow.products:  # it has neither
                change(self, name, PackedFlow.of(flow))

    def stored(self) -> Record:
        """The record without its histograms."""
        return msgspec.structs.replace(self, histograms=msgspec.UNSET)


#: Cells of records in memory: a million of them share a few thousand.
_CELLS: dict[Cell, Cell] = {}

RECORDS = Kind(
    Replica,
    Record,
    file="records.jsonl",
    plural="replicas",
    what=f"record of schema {SCHEMA}",
    required=True,
)


def finite(value: float) -> float | None:
    """``value`` as records hold it: None stands for NaN and infinity."""
    value = float(value)
    return value if math.isfinite(value) else None


def finite_list(values: Iterable[float]) -> list[float | None]:
    """:func:`finite` for each value."""
    return [finite(value) for value in values]


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None]
    return sum(finite) / len(finite) if finite else None


def _ratio(values: Sequence[float | None]) -> float | None:
    if not values or values[0] is None or not values[-1]:
        return None
    return finite(values[0] / values[-1])
