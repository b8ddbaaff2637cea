"""Flow: gradients and activations of a network at one moment, layer by layer.

A number that is not finite is written as ``null``: JSON has no other word for it. Its place shows
which layer overflowed.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from bench.cells import recurrent
from bench.cells.cell import Cell
from bench.results.bounds import Finite, NotNegative, Share


class Products(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gradients over time of the last recurrent layer, measured and by products of Jacobians.

    Lists have an entry per step, in the order in which the layer takes them; of many steps the last
    ones alone. Mean squares, as in :attr:`Flow.over_time`, over a batch's first examples."""

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
        lengths = (
            *(len(self.signal), len(self.kernel_gradient), len(self.bias_gradient)),
            *(len(self.activation_mean), len(self.activation_variance), len(self.dead_units)),
        )
        if lengths != (cell.depth,) * 6:
            raise ValueError(f"a flow is not that of {cell.depth} hidden layers")
        if self.over_time is self.products and cell.architecture not in recurrent.ARCHITECTURES:
            return  # it has neither
        count = recurrent.steps(cell) if cell.architecture in recurrent.ARCHITECTURES else 0
        over_time = self.over_time if isinstance(self.over_time, list) else []
        fits = len(over_time) in (0, cell.depth) and all(len(each) == count for each in over_time)
        if isinstance(self.products, Products):
            lists = (self.products.measured, self.products.product, self.products.error)
            followed = len(self.products.product)
            fits &= 0 < followed <= count and all(len(each) == followed for each in lists)
        if not fits:
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
    """What is judged of a flow, in a twentieth of its memory: float64 numbers of its signal, then those
    of :data:`SINGLE`; what is not finite stands for None. One over time is not packed."""

    __slots__ = ()
    over_time = products = msgspec.UNSET

    @classmethod
    def of(cls, flow: Flow) -> PackedFlow:
        kernel, units = flow.kernel_gradient, flow.dead_units
        single = (
            *(flow.gradient_norm, flow.clipped_norm, flow.clipped_peak),
            *(flow.clipped_variable_norm, flow.clip_error, flow.kernel_gradient_peak),
        )
        pack = _packer(len(flow.signal) + len(SINGLE))
        try:  # as the properties do it, in a third of their time
            ratio, share = kernel[0] / kernel[-1], sum(units) / len(units)  # type: ignore
            return cls(pack(*flow.signal, ratio, share, *single))
        except (
            TypeError,
            ZeroDivisionError,
            IndexError,
            struct.error,
        ):  # there is a None, or no layer
            numbers = (*flow.signal, flow.kernel_ratio, flow.dead_share, *single)
            return cls(pack(*(math.nan if number is None else number for number in numbers)))

    @property
    def signal(self) -> list[float | None]:
        numbers: list[Any] = memoryview(self).cast("d")[: -len(SINGLE)].tolist()
        return numbers if not math.isnan(sum(numbers)) else _given(numbers)

    @property
    def signal_ratio(self) -> float | None:
        end = len(self) - 8 * len(SINGLE)
        return _ratio((*_number(self, 0), *_number(self, end - 8))) if end else None

    def __getattr__(self, name: str) -> float | None:
        if name not in SINGLE:
            raise AttributeError(f"a packed flow has no {name}")
        (number,) = _number(self, len(self) + 8 * SINGLE[name])
        return finite(number)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(PackedFlow.of(other) if isinstance(other, Flow) else other)

    __hash__ = bytes.__hash__

    def check(self, cell: Cell) -> None:
        """Raises ValueError unless it may be the flow of a cell."""
        if len(self) != 8 * (cell.depth + len(SINGLE)):
            raise ValueError(f"a flow is not that of {cell.depth} hidden layers")


#: A number of a packed flow, by where it begins.
_number = struct.Struct("d").unpack_from


@functools.lru_cache(maxsize=256)
def _packer(count: int) -> Callable[..., bytes]:
    return struct.Struct(f"{count}d").pack


#: Number from the end, which is -1, of each number of a packed flow behind its signal.
SINGLE = {
    name: place - 8
    for place, name in enumerate(("kernel_ratio", "dead_share", *Flow.__struct_fields__[6:12]))
}


def _given(numbers: Iterable[float]) -> list[float | None]:
    """Numbers with None for NaN."""
    return [None if math.isnan(number) else number for number in numbers]


def finite(value: float) -> float | None:
    """``value`` as records hold it: None stands for NaN and infinity."""
    value = float(value)
    return value if math.isfinite(value) else None


def finite_list(values: Iterable[float]) -> list[float | None]:
    """:func:`finite` for each value."""
    return [finite(value) for value in values]


def _mean(values: Sequence[float | None]) -> float | None:
    if None in values:
        values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None  # type: ignore[arg-type]  # none is None


def _ratio(values: Sequence[float | None]) -> float | None:
    if not values or values[0] is None or not values[-1]:
        return None
    return finite(values[0] / values[-1])  # of a packed flow's NaN it is none, too
