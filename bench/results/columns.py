"""What many outcomes have in one field at once: a fraction of the time that it takes one by one."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt

from bench.results.flow import SINGLE, Flow, PackedFlow
from bench.results.kind import Outcome

Array = npt.NDArray[np.float64]
Packed = Sequence[PackedFlow]


def signals(flows: Sequence[Flow]) -> Array:
    """Signal of each flow of a cell, (flows, layers); NaN for None."""
    packed = _packed(flows)
    if packed is None:
        return np.array([flow.signal for flow in flows], np.float64)
    return packed[:, : -len(SINGLE)]


def numbers(flows: Sequence[Flow], name: str) -> Array:
    """A number of each flow, ``signal_ratio`` or one of :data:`bench.results.flow.SINGLE`; NaN for
    None."""
    packed = _packed(flows)
    if packed is None:
        return np.array([getattr(flow, name) for flow in flows], np.float64)
    if name != "signal_ratio":
        found = packed[:, SINGLE[name]]
    else:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found = packed[:, 0] / packed[:, -len(SINGLE) - 1]
    return np.where(np.isfinite(found), found, np.nan)


def known(flows: Sequence[Flow], name: str) -> list[float]:
    """The same of each flow that has it."""
    found = numbers(flows, name)
    kept: list[float] = found[~np.isnan(found)].tolist()
    return kept


def _packed(flows: Sequence[Flow]) -> Array | None:
    """The numbers of each flow, if all are packed and of one length, and there is a layer."""
    if {*map(type, flows)} != {PackedFlow} or len({*map(len, packed := cast(Packed, flows))}) > 1:
        return None
    array = np.frombuffer(b"".join(packed)).reshape(len(packed), -1)
    return array if array.shape[1] > len(SINGLE) else None


# --- From one process to another


class Columns(NamedTuple):
    """Outcomes of one type, for another process: that takes a third of the time of one by one."""

    size: int
    first: Outcome
    fields: dict[str, Sequence[Any]]
    """Those in which they differ, but for packed flows."""
    flows: dict[str, tuple[bytes, Sequence[int]]]
    """Packed flows, joined, and the length of each."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Columns:
        """At least one outcome."""
        sent = cls(len(outcomes), outcomes[0], {}, {})
        every = zip(*map(msgspec.structs.astuple, outcomes), strict=True)
        for name, column in zip(sent.first.__struct_fields__, every, strict=True):
            if all(type(each) is PackedFlow for each in column):
                sent.flows[name] = b"".join(column), [*map(len, column)]
            elif type(column[0]) is float or column.count(column[0]) < len(column):  # 0.0 == -0.0
                sent.fields[name] = column
        return sent

    def outcomes(self) -> list[Outcome]:
        """The outcomes."""
        made = [copy.copy(self.first) for _ in range(self.size)]
        parted = {name: _parted(*flows) for name, flows in self.flows.items()}
        for name, column in (self.fields | parted).items():
            for outcome, value in zip(made, column, strict=True):
                msgspec.structs.force_setattr(outcome, name, value)
        return made


def _parted(joined: bytes, lengths: Sequence[int]) -> list[PackedFlow]:
    ends = [*itertools.accumulate(lengths, initial=0)]
    return [PackedFlow(joined[begin:end]) for begin, end in itertools.pairwise(ends)]
