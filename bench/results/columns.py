"""Numbers of many flows at once: what takes a microsecond per flow takes a tenth of it as an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.results.flow import Flow, PackedFlow

Array = npt.NDArray[np.float64]

#: Lists that ratios are of.
_LISTS = {"signal_ratio": "signal", "kernel_ratio": "kernel_gradient"}


def layers(flows: Sequence[Flow], name: str) -> Array:
    """A list of each flow of a cell, (flows, layers); NaN for None."""
    packed = _packed(flows, name)
    if packed is None:
        return np.array([getattr(flow, name) for flow in flows], np.float64)
    return packed


def ratios(flows: Sequence[Flow], name: Literal["signal_ratio", "kernel_ratio"]) -> list[float]:
    """A ratio of each flow of a cell that has one."""
    numbers = _packed(flows, _LISTS[name])
    if numbers is None:
        return [ratio for flow in flows if (ratio := getattr(flow, name)) is not None]
    if not numbers.shape[1]:
        return []
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = numbers[:, 0] / numbers[:, -1]
    known: list[float] = found[np.isfinite(found)].tolist()
    return known


def dead_shares(flows: Sequence[Flow]) -> list[float | None]:
    """:attr:`Flow.dead_share` of each flow of a cell."""
    numbers = _packed(flows, "dead_units")
    if numbers is None or not numbers.shape[1] or np.isnan(numbers).any():
        return [flow.dead_share for flow in flows]
    return [sum(units) / len(units) for units in numbers.tolist()]


def _packed(flows: Sequence[Flow], name: str) -> Array | None:
    """A list of each flow, if all are packed and of one length."""
    packed = [flow for flow in flows if isinstance(flow, PackedFlow)]
    if len(packed) < len(flows) or len(set(map(len, packed))) != 1:
        return None
    begin, end = packed[0].place(name)
    return np.frombuffer(b"".join(packed)).reshape(len(packed), -1)[:, begin:end]
