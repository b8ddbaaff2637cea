"""Departures: which stored tensors of two trainings are further apart than rounding explains.

Tensors are looked at before steps 0, 1, 10 and 100 and, with the logits of the test images, at both
ends of training (:mod:`bench.measure.tensors`). What rounding explains of a tensor at a look is
what copies show of it there, times :func:`rounding_factor`, and at least one unit in the last place
of float32.

Some looks decide. Before steps 0 and 1 chaos has not begun: a forward pass, a backward pass and one
update have been made, and whatever the formulas are shows. At the end nothing follows that would
show it. Elsewhere the losses speak for training, but not for moving statistics and inference, which
they do not see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.cells import recurrent
from bench.cells.architectures import CONVOLUTIONAL, FEED_FORWARD, TOKENS, sides
from bench.cells.cell import Cell
from bench.cells.own_model import OwnModel
from bench.measure.tensors import common, distance
from bench.results.record import Tensors
from bench.verdict.judgement import Departure
from bench.verdict.traces import Seed, Trace

Array = npt.NDArray[np.float64]

#: Before these steps every tensor decides.
FIRST_STEPS = (0, 1)

#: A relative distance at which a gradient may as well be zero: what allows that decides nothing.
BLIND = 1.0


def rounding_factor(cell: Cell) -> float:
    """The factor by which two implementations may differ in rounding more than copies do.

    Two implementations add up the same N terms in another order. One after the other is the order
    with the largest error in use: with u the unit roundoff and terms of random sign, the sum s has an
    error of standard deviation u |s| sqrt(N/6) (partial sums grow like the square root, each rounding
    adds a variance of u^2/3 of its square; Higham 2002, section 4.2). A copy's weights are moved by u
    to 2u of their size, 1.4 u in the root mean square, which moves s by 1.4 u |s|, and two errors of
    independent sign differ by sqrt(2) of one. So the quotient is at most sqrt(N/6), with N the longest
    sum: over pixels, units or examples, for a convolution's kernel over places as well, for a recurrent
    layer's over steps, for a transformer's over tokens.
    """
    if isinstance(cell.own, OwnModel):
        return math.sqrt(cell.own.longest / 6)
    longest = max(784, cell.width, cell.batch)
    if cell.architecture == "cnn":
        longest = max(28 * 28 * cell.batch, 7 * 7 * 64)
    elif cell.architecture in recurrent.ARCHITECTURES:
        longest = max(recurrent.steps(cell) * cell.batch, 2 * cell.width)
    elif cell.architecture in CONVOLUTIONAL:
        longest = max(sides(cell)) ** 2 * cell.batch
    elif cell.architecture == "transformer":
        longest = max(TOKENS * cell.batch, FEED_FORWARD * cell.width)
    return math.sqrt(longest / 6)


def summed_otherwise(cell: Cell, departure: Departure | None) -> str:
    """Why copies cannot show how far rounding takes a cell, in words; empty if they can.

    Batch normalization of a convolution adds up the squares of N = 28 x 28 x batch numbers or, behind
    pooling, a quarter of them. They are positive, and over the images' background all the same: as long
    as the sum stays between two powers of two, each addition of the same number is rounded by the same
    amount in the same direction, and errors add up in proportion to N, not to its root. In no order of
    adding up is the sum off by more than N u (Higham 2002, section 4.2), so what is divided by its root
    by half as much; of two versions that add up in other orders each may be. For N = 39,200 that is
    2.3e-3, a thousand times what moving weights by a unit does, so copies meet none of the kinks that
    training meets from there. In MNIST's batches of 50, sums one after the other are off by 1e-4.
    """
    if departure is None or departure.step or departure.distance is None:
        return ""
    terms = _normalized(cell).get(departure.tensor, 0)
    bound = terms * float(np.finfo(np.float32).eps) / 2
    if departure.distance > bound + departure.allowed:
        return ""
    return (
        f"{departure.tensor}, departs by {departure.distance:.2g} of its size before step 0, and the "
        f"variance over {terms:,} numbers may be rounded by {bound:.2g} where they are added up in "
        "another order, far more than copies are moved"
    )


def _normalized(cell: Cell) -> dict[str, int]:
    """Numbers that a variance is taken over, by the tensor that is normalized with it."""
    if isinstance(cell.own, OwnModel):
        return {f"{layer}, output": terms for layer, terms in cell.own.normalized}
    if cell.architecture in CONVOLUTIONAL and cell.normalization == "batch":
        return {
            f"layer {number}, normalized": side**2 * cell.batch
            for number, side in enumerate(sides(cell), 1)
        }
    if cell.architecture != "cnn" or cell.normalization != "batch":
        return {}
    return {
        "layer 1, normalized": 28 * 28 * cell.batch,
        "layer 2, normalized": 14 * 14 * cell.batch,
    }


@dataclass(frozen=True)
class Look:
    """All tensors that were looked at before one step."""

    step: int
    names: Sequence[str]
    apart: Array
    """Distances of the two sides, (seeds, names)."""
    copies: Array
    """Of the copy that is furthest from its replica, (names,)."""
    decides: bool
    """Every tensor of it does; else only those that losses do not see."""

    @property
    def unseen(self) -> npt.NDArray[np.bool_]:
        """Tensors that the losses of training do not see, (names,)."""
        return self.inference | np.array(["moving" in name for name in self.names], bool)

    @property
    def inference(self) -> npt.NDArray[np.bool_]:
        """Tensors that were taken in inference mode, which leaves no trace in training, (names,)."""
        return np.array(["inference" in name for name in self.names], bool)


@dataclass(frozen=True)
class Tested:
    """What the stored tensors of a cell say."""

    departure: Departure | None
    """The first one, in the order of steps and of the computation, that is further apart than rounding
    explains under every seed."""
    decides: bool
    """Whether a tensor that decides is."""
    sensitivity: float | None
    """The relative change of a kernel's gradient that would have shown, in the layer where that is
    largest, at the first look; None without one."""
    decisive: bool
    """Whether a look that decides was compared, and could have shown something."""


def tested(cell: Cell, seeds: Sequence[Seed], since: int) -> Tested:
    """Holds all stored tensors against what rounding explains.

    Args:
        cell: what is trained.
        seeds: those with fingerprints on both sides and in a copy count.
        since: the step before which copies were moved. Before it, training has equal bits; inference is
            held against what copies show of it later.
    """
    looks = looked(cell, seeds)
    factor = rounding_factor(cell)
    found: list[Departure] = []
    decides = False
    for number, look in enumerate(looks):
        before = look.step < since
        shown = _later(looks, number, otherwise=np.inf) if before else look.copies
        out = _out(look, factor, shown)
        if before:  # training has equal bits there
            out &= look.inference
        if out.any():
            found.append(_departure(looks, number, int(np.argmax(out)), allowed(factor, shown)))
        if look.decides or before:
            decides |= bool(out.any())
        else:
            following = np.maximum(shown, _later(looks[: number + 2], number, otherwise=0.0))
            decides |= bool((_out(look, factor, following) & look.unseen).any())
    known = [look for look in looks if look.step >= since]
    sensitivity = _sensitivity(factor, known)
    late = any(look.decides and look.step > max(FIRST_STEPS) for look in known)
    return Tested(
        departure=found[0] if found else None,
        decides=decides,
        sensitivity=sensitivity,
        decisive=(sensitivity is not None and sensitivity < BLIND) or (since > 0 and late),
    )


def _out(look: Look, factor: float, copies: Array) -> npt.NDArray[np.bool_]:
    """Tensors that are further apart under every seed than so moved copies explain, (names,)."""
    return np.asarray((look.apart > allowed(factor, copies)).all(axis=0))


def allowed(factor: float, copies: Array) -> Array:
    return factor * np.maximum(copies, float(np.finfo(np.float32).eps))


def _later(looks: Sequence[Look], number: int, *, otherwise: float) -> Array:
    """What copies show of a look's tensors at later ones, where a jump of rounding that the sides made
    before it may have come about, (names,); ``otherwise`` of tensors that no later look has."""
    names = looks[number].names
    later = [dict(zip(look.names, look.copies, strict=True)) for look in looks[number + 1 :]]
    return np.array(
        [
            max((found[name] for found in later if name in found), default=otherwise)
            for name in names
        ]
    )


def _sensitivity(factor: float, looks: Sequence[Look]) -> float | None:
    for look in looks:
        kernels = [name.endswith("kernel, gradient") for name in look.names]
        if any(kernels):
            return float(allowed(factor, look.copies[kernels]).max())
    return None


def _departure(looks: Sequence[Look], number: int, place: int, allowed: Array) -> Departure:
    look = looks[number]
    nearest = float(look.apart[:, place].min())
    earlier = [before.step for before in looks[:number] if before.step < look.step]
    return Departure(
        step=look.step,
        earlier=earlier[-1] if earlier else None,
        tensor=look.names[place],
        distance=nearest if math.isfinite(nearest) else None,
        allowed=float(allowed[place]),
    )


def looked(cell: Cell, seeds: Sequence[Seed]) -> list[Look]:
    """Tensors in the order of steps; test logits come last at the start, alone at the end."""
    during = [_sides(seed, "tensors") for seed in seeds]
    ends = [_sides(seed, "ends") for seed in seeds]
    return sorted([*_of(cell, during), *_of(cell, ends)], key=lambda look: look.step)


#: Fingerprints of the run, of what it is compared with, and of each copy with its replica.
_Sides = tuple[Tensors, Tensors, list[tuple[Tensors, Tensors]]]


def _sides(seed: Seed, which: str) -> _Sides | None:
    """None where a side has no fingerprints, or no copy has."""

    def of(trace: Trace) -> Tensors | None:
        found: Tensors | None = getattr(trace, which)
        return found

    run, baseline = of(seed.run), of(seed.baseline)
    copies = [(a, b) for c, replica in seed.moved() if (a := of(c)) and (b := of(replica))]
    return (run, baseline, copies) if run and baseline and copies else None


def _of(cell: Cell, seeds: Sequence[_Sides | None]) -> list[Look]:
    known = [seed for seed in seeds if seed is not None]
    if not known:
        return []
    every = [
        side for a, b, copies in known for side in (a, b, *(s for pair in copies for s in pair))
    ]
    shared = common(*every)
    names, steps = shared[0].names, shared[0].steps
    apart, moved = [], []
    place = iter(shared)
    for _, _, copies in known:
        apart.append(distance(next(place), next(place)))
        moved += [distance(next(place), next(place)) for _ in copies]
    of_seeds, of_copies = np.stack(apart), np.max(moved, axis=0)
    return [
        Look(
            step=step,
            names=names,
            apart=of_seeds[:, number],
            copies=of_copies[number],
            decides=step in (*FIRST_STEPS, cell.steps),
        )
        for number, step in enumerate(steps)
    ]
