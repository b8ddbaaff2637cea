"""Family ``invariant``: exact identities on the gradients of every cell of the five grids.

A check is one network in one precision; it goes through all cells of the tier that have that network,
under all their initial weights and clippings. Truth is what must hold of TensorFlow's own tensors, so
these checks need neither a baseline nor a second implementation of the network:

============== ======================================================== ==========================
invariant      what                                                     for
============== ======================================================== ==========================
homogeneity    sum(W * dC/dW) + sum(b * dC/db) passes from layer to     ReLU and leaky ReLU without
               layer unchanged                                          normalization, depth >= 1
stretching     sum(W * dC/dW) is what epsilon leaves of it              hidden layers with a
shifting       dC/db, or each example's sum of dC/du, is 0              normalization
addition       gradients of two half batches are those of the whole     all but batch norm
permutation    another order of the batch changes nothing               all
doubling       8 times the loss: 8 times each gradient, in every bit    all
multiplication 3 times the loss: 3 times each gradient                  all
clipping       clipped gradients are the rule's, norms are bounded      cells that clip
============== ======================================================== ==========================

Bounds: :mod:`bench.theory.invariants`, :mod:`bench.theory.reruns`. float16 passes start from
:data:`LOSS_SCALE` times the loss, as trainings with it do, and what is below its normal numbers is
taken as rounded gradually (IEEE 754-2008, section 7.5). A pass in which a value is too large for its
format has no gradients to speak of: its cells are counted as not applicable, once the true value
of its first infinity is shown to be that large.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from bench.cells.cell import Cell, from_texts
from bench.cells.grids import GRIDS
from bench.cells.initial_values import batch_order, stream
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Check, Deviation
from bench.theory import invariants, reruns
from bench.theory.invariants import Trace
from bench.theory.oracle import clipping
from bench.theory.reruns import Step
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation
from bench.theory.rounding.formats import FLOAT16, FLOAT32, FLOAT64, Format

if TYPE_CHECKING:
    from bench.nets.gradients import Probe

FAMILY = "invariant"
PRECISIONS = ("float32", "float64", "mixed_bfloat16", "mixed_float16")

#: Examples of a pass; a convolution has 784 places per example, and sums over all of them.
BATCH, CNN_BATCH = 40, 4
#: 2^10: the usual 2^15 would take the largest signals of these networks out of float16.
LOSS_SCALE = {"mixed_float16": 1024.0}
DOUBLING, MULTIPLICATION = 8.0, 3.0

#: The number of starts from which on tracing a network once is cheaper than running each eagerly.
MANY_STARTS = 6

#: Digits that a pixel keeps: those which bfloat16 has, so that all precisions see the same images.
_PIXEL_UNIT = 2.0**-7


def checks(tier: str) -> list[Check]:
    """One check per distinct network of the tier's grids and precision.

    In the quick tier, precisions other than float32 see those of :func:`_shallow` only: what a
    precision changes is the arithmetic of a layer, and more of the same layers took 74 of the 120
    seconds that all precisions took.
    """
    shallow = _shallow(networks(tier))
    return [
        Check(family=FAMILY, subject=f"tier:{tier}-{_subject(cell)}", precision=precision)
        for cell in networks(tier)
        for precision in PRECISIONS
        if tier != "quick" or precision == "float32" or cell in shallow
    ]


def _shallow(found: Iterable[Cell]) -> set[Cell]:
    """Networks that have each activation with each normalization and kind of skip.

    Each is the shallowest of its kind with a hidden layer between two others.
    """
    chosen: set[Cell] = set()
    seen: set[tuple[str, ...]] = set()
    for cell in sorted((cell for cell in found if cell.depth > 2), key=lambda cell: cell.depth):
        parts = {
            (cell.activation, cell.normalization),
            (cell.activation, cell.architecture, cell.branch),
        }
        if not parts <= seen:
            chosen.add(cell)
            seen |= parts
    return chosen


@functools.cache
def networks(tier: str) -> dict[Cell, list[Cell]]:
    """Network -> its cells in the tier's five grids that differ in what a first pass depends on."""
    found: dict[Cell, dict[Cell, None]] = {}
    for grid in GRIDS.values():
        for cell in grid.cells(tier).values():
            if cell.engine != "in_graph":  # there for how it steps, on a network like others
                continue
            seen = _first_pass(cell)
            found.setdefault(_network(seen), {})[seen] = None
    return {network: list(cells) for network, cells in found.items()}


def _first_pass(cell: Cell) -> Cell:
    """The cell that stands for all with the same gradients before the first step."""
    defaults = Cell()
    same = ("learning_rate", "optimizer", "steps", "batch", "engine", "precision", "dropout")
    return msgspec.structs.replace(cell, **{name: getattr(defaults, name) for name in same})


def _network(cell: Cell) -> Cell:
    return msgspec.structs.replace(
        cell, initializer="zeros", bias=0.0, clipping="none", input_scale=1.0
    )


def _start(cell: Cell) -> Cell:
    """The cell that stands for all that differ in clipping alone."""
    return msgspec.structs.replace(cell, clipping="none")


def _subject(network: Cell) -> str:
    return msgspec.structs.replace(network, initializer=Cell().initializer).id(("depth", "act"))


def run(check: Check, lab: Lab) -> Iterable[Deviation]:
    """Deviations of all cells that have the check's network.

    Raises:
        AbsentError: no cell's pass stays within the format: nothing can be compared.
        ValueError: no cell of the tier has this network.
    """
    from bench.nets.gradients import Probe

    axes = check.axes
    tier = axes.pop("tier", "full")
    network = from_texts({"init": "zeros", **axes})
    cells = networks(tier).get(network)
    if not cells:
        raise ValueError(f"{check.subject}: no cell of tier {tier} has this network")
    form = lab.form(check.precision)
    if form is FLOAT16:
        form = replace(form, smallest=2.0**-25)  # gradual: half the distance of subnormal numbers
    own = FLOAT64 if form is FLOAT64 else lab.form("float32")
    probe = Probe(
        msgspec.structs.replace(network, precision=check.precision),
        form=form,
        output_form=own,
        seen=lab.seen,
        traced=len({_start(cell) for cell in cells}) >= MANY_STARTS,
    )
    return _Passes(probe, check, lab).of(cells)


class _Passes:
    """All cells of one network, through one probe."""

    def __init__(self, probe: Probe, check: Check, lab: Lab) -> None:
        self._probe, self._check = probe, check
        count = CNN_BATCH if probe.cell.architecture == "cnn" else BATCH
        data = lab.data
        chosen = batch_order(check.seed, examples=len(data.train_labels), batch=count, steps=1)[0]
        images = data.train_images[chosen].reshape(count, 784).astype(np.float64)
        self._pixels = np.floor(images / 255 / _PIXEL_UNIT) * _PIXEL_UNIT
        self._labels = data.train_labels[chosen].astype(np.int32)
        self._order = np.argsort(stream(check.seed, "permutation").random_raw(count))
        self._scale = LOSS_SCALE.get(check.precision, 1.0)

    def of(self, cells: Sequence[Cell]) -> Iterator[Deviation]:
        """Cells with one start share their passes."""
        starts: dict[Cell, list[Cell]] = {}
        for cell in cells:
            starts.setdefault(_start(cell), []).append(cell)
        applicable = 0
        for start, clipped in starts.items():
            self._probe.reset(start, self._check.seed)
            factors = [self._scale * factor for factor in (1.0, DOUBLING, MULTIPLICATION)]
            traces = self._probe.look(self._pixels, self._labels, factors)
            name = start.id(("init",))
            broken = self._overflow(name, traces[0], factors[0])
            if broken is not None:
                applicable += broken.out
                yield broken
                continue
            applicable += 1
            yield from self._start(name, traces, factors)
            for cell in clipped:
                if cell.clipping != "none":
                    yield from self._clipping(cell, traces[0])
        if not applicable:
            raise AbsentError(f"in {self._check.precision} every pass of this network overflows")

    def _overflow(self, name: str, trace: Trace, factor: float) -> Deviation | None:
        given = [trace.layers[0].inputs]
        given += [array for layer in trace.layers for array in (layer.kernel, layer.bias)]
        if any(np.any(np.isnan(array)) for array in given):
            return Deviation(tensor=f"{name}, images or variables", excess=None, evidence="NaN")
        found = reruns.overflow(reruns.steps(trace, self._labels, factor))
        if found is None:
            return None
        tensor, explained = found
        if explained:
            return Deviation(
                tensor=name,
                excess=0.0,
                evidence=f"not applicable: {tensor} is too large for {self._check.precision}",
            )
        return Deviation(
            tensor=f"{name}, {tensor}", excess=None, evidence="not finite, though its true value is"
        )

    def _start(
        self, name: str, traces: Sequence[Trace], factors: Sequence[float]
    ) -> Iterator[Deviation]:
        base, cell = traces[0], self._probe.cell
        if cell.normalization != "none":
            yield from _normalizations(name, base)
        elif cell.activation in invariants.HOMOGENEOUS and cell.depth:
            found = [
                deviation(f"{name}, homogeneity, layer {index + 1}", own, above)
                for index, own, above in invariants.homogeneity(base)
            ]
            yield _worst(found)
        before = reruns.steps(base, self._labels, factors[0])
        if cell.normalization != "batch":
            yield self._pair(f"{name}, addition", *self._halves(before, factors[0]))
        yield self._pair(f"{name}, permutation", *self._permuted(base, factors[0]))
        for what, index in (("doubling", 1), ("multiplication", 2)):
            ratio = factors[index] / factors[0]
            first = reruns.steps(reruns.multiplied(base, ratio), self._labels, factors[index])
            second = reruns.steps(traces[index], self._labels, factors[index])
            yield self._pair(f"{name}, {what}", first, second, ratio=ratio)

    def _halves(self, whole: list[Step], factor: float) -> tuple[list[Step], list[Step]]:
        half = len(self._labels) // 2
        parts = [
            self._probe.look(self._pixels[rows], self._labels[rows], [factor])[0]
            for rows in (slice(half), slice(half, None))
        ]
        return reruns.steps(reruns.joined(*parts), self._labels, factor), whole

    def _permuted(self, base: Trace, factor: float) -> tuple[list[Step], list[Step]]:
        order = self._order
        labels = self._labels[order]
        second = self._probe.look(self._pixels[order], labels, [factor])[0]
        return (
            reruns.steps(reruns.permuted(base, order), labels, factor),
            reruns.steps(second, labels, factor),
        )

    def _pair(
        self,
        name: str,
        first: Sequence[Step],
        second: Sequence[Step],
        *,
        ratio: float = 1.0,
    ) -> Deviation:
        """The first tensor that is out, or the one that used up most of its bound."""
        for steps in (first, second):
            found = reruns.overflow(steps)
            if found is not None:
                tensor, explained = found
                evidence = "not applicable: too large" if explained else "not finite"
                return Deviation(
                    tensor=f"{name}, {tensor}",
                    excess=0.0 if explained else None,
                    evidence=f"{evidence} in {self._check.precision}",
                )
        return _worst(list(reruns.compared(name, first, second, ratio=ratio)))

    def _clipping(self, cell: Cell, base: Trace) -> Iterator[Deviation]:
        clipped = self._probe.clip(cell, base.gradients)
        form = FLOAT64 if self._check.precision == "float64" else FLOAT32
        yield from clipping_deviations(cell, base.gradients, clipped, form)


def clipping_deviations(
    cell: Cell,
    gradients: Sequence[npt.NDArray[Any]],
    clipped: Sequence[npt.NDArray[Any]],
    form: Format,
) -> Iterator[Deviation]:
    """Clipped gradients against the rule, in running error analysis; by value, in every bit."""
    rule, threshold = cell.clipping_rule
    if threshold is None:
        return
    name = f"{cell.id(('init',))}, clipping"
    if rule == "value":
        limit = threshold if form is FLOAT64 else float(np.float32(threshold))
        expected = [Bounded(np.clip(array, -limit, limit), form=form) for array in gradients]
    else:
        given = [Bounded(array, form=form) for array in gradients]
        expected = clipping.clip(rule, given, threshold)
    pairs_ = zip(clipped, expected, strict=True)
    yield _worst(
        [
            deviation(f"{name}, variable {at + 1}", got, true)
            for at, (got, true) in enumerate(pairs_)
        ]
    )


def _normalizations(name: str, trace: Trace) -> Iterator[Deviation]:
    hidden = trace.layers[:-1]
    back = [invariants.back_error(layer) for layer in hidden]
    for what, identity in (
        ("stretching", invariants.stretching),
        ("shifting", invariants.shifting),
    ):
        yield _worst(
            [
                deviation(f"{name}, {what}, layer {index + 1}", *identity(layer, error))
                for index, (layer, error) in enumerate(zip(hidden, back, strict=True))
            ]
        )


def _worst(found: Sequence[Deviation]) -> Deviation:
    """The first that is out; if none is, the one that used up most of its bound."""
    out = [each for each in found if each.out]
    return out[0] if out else max(found, key=lambda each: each.used)
