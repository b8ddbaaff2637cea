"""Rounding envelope: does training differ by more than rounding, since when, and where does it begin?

Copies of a replica, trained from weights moved by one unit in the last place, show how far rounding
takes this network. What lies inside their envelope is rounding; what leaves it under every seed is not.

Why under every seed. Rounding grows smoothly most of the time, but now and then a pre-activation
lies within rounding of a kink and falls on the other side: a jump in a gradient that only some
copies have. Jumps strike seeds independently, as seeds share neither weights nor batches; a changed
formula acts under all seeds. Let jumps come at a constant or growing rate. The envelope at step t
is the largest difference of n copies up to step 2t + 1. So to leave it by jumps alone, each of S
seeds must jump in the first half of the time until the first of n copies does, and

    P <= E[(T/2)^S] = S! / (2n)^S,   T the minimum of n exponential times with rate 1.

In the second half of the trajectory the envelope cannot look as far ahead. There each seed must jump
before the end L and no copy at all, with the probability

    P = (1 - exp(-L))^S exp(-nL) <= max over L of L^S exp(-nL) = (S / (e n))^S.

:func:`risk` is the sum of the two, and :func:`copies_needed` chooses n so that its sum over all cells
of a run stays at the level. Losses of step 0 come before any gradient: there nothing can jump.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.cell import Cell
from bench.measure.tensors import distance
from bench.measure.trajectory import from_bytes
from bench.record import Tensors
from bench.verdict.judgement import Departure, EnvelopeTest

Array = npt.NDArray[np.float64]

#: The envelope at step t covers copies up to this many times t + 1.
LOOK_AHEAD = 2

#: Fewest and most copies of a replica. Two is the least that shows a spread; beyond twelve, which train
#: for as long as four replicas of the quick tier, another seed says more.
FEWEST, MOST = 2, 12


@dataclass(frozen=True)
class Trace:
    """What the envelope looks at of one training."""

    losses: Array
    tensors: Tensors | None

    @classmethod
    def of(cls, trajectory: bytes, tensors: Tensors | None) -> Trace:
        """From what records, copies and baselines store."""
        return cls(from_bytes(trajectory).astype(np.float64), tensors)


@dataclass(frozen=True)
class Seed:
    """One seed of a cell: the run, what it is compared with, and the run's copies."""

    run: Trace
    baseline: Trace
    copies: Sequence[Trace]


def rounding_factor(cell: Cell) -> float:
    """By how much rounding differences between two implementations may exceed those between copies.

    Two implementations add up the same N terms in another order. One after the other is the order
    with the largest error in use: with u the unit roundoff and terms of random sign, the sum s has an
    error of standard deviation u |s| sqrt(N/6) (partial sums grow like the square root, each rounding
    adds a variance of u^2/3 of its square; Higham 2002, section 4.2). A copy's weights are moved by u
    to 2u of their size, 1.4 u in the root mean square, which moves s by 1.4 u |s|, and two errors of
    independent sign differ by sqrt(2) of one. So the quotient is at most sqrt(N/6), with N the longest
    sum: over pixels, units or examples, for a convolution's kernel over places as well.
    """
    longest = max(784, cell.width, cell.batch)
    if cell.architecture == "cnn":
        longest = max(28 * 28 * cell.batch, 7 * 7 * 64)
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
    convolution = cell.architecture == "cnn" and cell.normalization == "batch"
    if not convolution or departure is None or departure.step or departure.distance is None:
        return ""
    terms = {
        "layer 1, normalized": 28 * 28 * cell.batch,
        "layer 2, normalized": 14 * 14 * cell.batch,
    }.get(departure.tensor, 0)
    bound = terms * float(np.finfo(np.float32).eps) / 2
    if departure.distance > bound + departure.allowed:
        return ""
    return (
        f"{departure.tensor}, departs by {departure.distance:.2g} of its size before step 0, and the "
        f"variance over {terms:,} numbers may be rounded by {bound:.2g} where they are added up in "
        "another order, far more than copies are moved"
    )


def copies_needed(cells: int, seeds: int, level: float) -> int:
    """Copies of each replica with which ``cells`` cells hold the level together; see above.

    Solves cells risk(k S, S) <= level for k, within FEWEST and MOST.
    """
    if not cells or not seeds:
        return FEWEST
    n = math.exp((_log_jumps(seeds) + math.log(cells / level)) / seeds)
    return int(min(max(math.ceil(n / seeds), FEWEST), MOST))


def risk(copies: int, seeds: int) -> float:
    """Bound on the probability that rounding alone leaves the envelope; see above."""
    if not copies:
        return 1.0
    return math.exp(min(0.0, _log_jumps(seeds) - seeds * math.log(copies)))


def _log_jumps(seeds: int) -> float:
    """Logarithm of n^S times the bound, which many seeds would overflow."""
    ahead = math.lgamma(seeds + 1) - seeds * math.log(2)
    at_the_end = seeds * (math.log(seeds) - 1)
    larger, smaller = max(ahead, at_the_end), min(ahead, at_the_end)
    return larger + math.log1p(math.exp(smaller - larger))


def seeds_for(level: float) -> str:
    """The fewest seeds that hold a level with as many copies as are made at most, in words."""
    for seeds in range(1, 20):
        if risk(MOST * seeds, seeds) <= level:
            return f"{seeds} seeds"
    return "more than 20 seeds"


def examine(cell: Cell, seeds: Sequence[Seed]) -> EnvelopeTest:
    """Holds the differences of all seeds against the envelope of all their copies.

    Args:
        cell: whose sums give the factor of :func:`rounding_factor`.
        seeds: at least one, with at least one copy among them.
    """
    steps = _steps(seeds)
    factor = rounding_factor(cell)
    envelope = factor * _envelope(seeds, steps)
    apart = np.stack(
        [_apart(seed.baseline.losses[:steps], seed.run.losses[:steps]) for seed in seeds]
    )
    ratios = _ratio(apart, envelope)
    weakest = int(np.argmin(ratios.max(axis=1)))
    copies = sum(len(seed.copies) for seed in seeds)
    outside = bool((ratios.max(axis=1) > 1).all())
    departure = departed(cell, seeds, forward_only=not outside)
    worst = int(np.argmax(ratios[weakest]))
    return EnvelopeTest(
        copies=copies,
        seeds=len(seeds),
        steps=steps,
        inside=not outside and departure is None,
        starts=_first(apart.max(axis=0) > 0),
        first_step=_first(ratios[weakest] > 1) if outside else None,
        ratio=float(ratios[weakest, worst]),
        worst_step=worst,
        strays=int((ratios.max(axis=1) > 1).sum()),
        sharp_steps=_sharp(seeds, envelope),
        risk=0.0 if outside and (ratios[:, 0] > 1).all() else risk(copies, len(seeds)),
        departure=departure,
    )


@dataclass(frozen=True)
class Differences:
    """What a figure of the test shows: absolute differences of losses by step, infinite where one of
    two losses is not finite."""

    seeds: Array
    """Between the run and what it is compared with, (seeds, steps)."""
    copies: Array
    """Between copies and their replicas, (copies, steps)."""
    envelope: Array
    """(steps,)"""


def differences(cell: Cell, seeds: Sequence[Seed]) -> Differences:
    """The differences that :func:`examine` weighs; takes what it takes."""
    steps = _steps(seeds)
    return Differences(
        seeds=np.stack([_apart(s.baseline.losses[:steps], s.run.losses[:steps]) for s in seeds]),
        copies=np.stack(
            [_apart(c.losses[:steps], s.run.losses[:steps]) for s in seeds for c in s.copies]
        ),
        envelope=rounding_factor(cell) * _envelope(seeds, steps),
    )


def describe(test: EnvelopeTest) -> str:
    """The outcome in words: what was compared, how sharp the test was, and what it found."""
    basis = f"{test.copies} copies over {test.seeds} seed{'s' if test.seeds != 1 else ''}"
    sharp = f"sharp for {test.sharp_steps} of {test.steps} steps"
    if test.inside:
        found = (
            f"losses differ from step {test.starts} on"
            if test.starts is not None
            else ("no loss differs")
        )
        strays = f", {test.strays} stray alone" if test.strays else ""
        return (
            f"{found} and stay within rounding (at most {test.ratio:.2g} of the envelope of "
            f"{basis}{strays}; {sharp})"
        )
    if test.first_step is None:
        found = f"losses stay within rounding (envelope of {basis}; {sharp})"
    else:
        found = (
            f"losses leave the rounding envelope at step {test.first_step}, up to "
            f"{test.ratio:.3g} times beyond it at step {test.worst_step} ({basis}; {sharp})"
        )
    return f"{found}; {_located(test.departure)}"


def _located(departure: Departure | None) -> str:
    if departure is None:
        return "no stored tensor departs by itself before that"
    size = "infinitely" if departure.distance is None else f"by {departure.distance:.2g}"
    when = f"before step {departure.step}"
    if departure.earlier is not None:
        when += f" (at step {departure.earlier} all was within rounding)"
    return (
        f"it begins in {departure.tensor}, which departs {size} of its size {when}, where rounding "
        f"explains {departure.allowed:.2g}"
    )


def leave_one_out(cell: Cell, seeds: Sequence[Seed]) -> tuple[int, int]:
    """How many copies lie inside the envelope of the others, and how many there are."""
    inside = total = 0
    for index, seed in enumerate(seeds):
        for left_out in range(len(seed.copies)):
            others = [
                Seed(
                    s.run,
                    s.baseline,
                    [c for k, c in enumerate(s.copies) if (i, k) != (index, left_out)],
                )
                for i, s in enumerate(seeds)
            ]
            copy = seed.copies[left_out]
            steps = min(len(copy.losses), len(seed.run.losses))
            envelope = rounding_factor(cell) * _envelope(others, steps)
            apart = _apart(copy.losses[:steps], seed.run.losses[:steps])
            inside += bool((_ratio(apart, envelope) <= 1).all())
            total += 1
    return inside, total


def departed(cell: Cell, seeds: Sequence[Seed], *, forward_only: bool = False) -> Departure | None:
    """The localiser: the first tensor, in the order of steps and of the computation, that is further
    from the baseline's than rounding explains, under every seed.

    Rounding is what the copies show of that tensor, times :func:`rounding_factor`, and at least one
    unit in the last place of float32.

    Args:
        cell: what is trained.
        seeds: those with fingerprints on both sides and in a copy count.
        forward_only: look at moving statistics and at the logits in inference mode alone. The
            trajectory, taken in training mode, does not see them. Looks are at least a factor of
            LOOK_AHEAD apart, so here the envelope of a look is that of the next one.
    """
    usable = [_Fingerprints.of(seed) for seed in seeds]
    known = [seed for seed in usable if seed is not None]
    if not known or len({(tuple(seed.names), tuple(seed.steps)) for seed in known}) > 1:
        return None
    floor = float(np.finfo(np.float32).eps)
    copies = np.max([seed.copies for seed in known], axis=0)
    if forward_only:  # it decides, so what holds of the losses' envelope must hold here
        copies = np.maximum.accumulate(copies, axis=0)[[*range(1, len(copies)), -1]]
    allowed = rounding_factor(cell) * np.maximum(copies, floor)
    apart = np.stack([seed.apart for seed in known])
    out = (apart > allowed).all(axis=0)
    names = known[0].names
    if forward_only:
        out &= np.array(["moving" in name or "inference" in name for name in names])
    if not out.any():
        return None
    step, tensor = (int(index[0]) for index in np.nonzero(out))
    return Departure(
        step=known[0].steps[step],
        earlier=known[0].steps[step - 1] if step else None,
        tensor=names[tensor],
        distance=_finite(apart[:, step, tensor].min()),
        allowed=float(allowed[step, tensor]),
    )


@dataclass(frozen=True)
class _Fingerprints:
    """Distances of one seed's tensors, (steps, names)."""

    names: Sequence[str]
    steps: Sequence[int]
    apart: Array
    copies: Array
    """Of the copy that is furthest from the run."""

    @classmethod
    def of(cls, seed: Seed) -> _Fingerprints | None:
        """None where one side has no fingerprints, or of other tensors."""
        run, baseline = seed.run.tensors, seed.baseline.tensors
        copies = [copy.tensors for copy in seed.copies if copy.tensors is not None]
        if run is None or baseline is None or not copies:
            return None
        if (run.names, run.steps) != (baseline.names, baseline.steps):
            return None
        return cls(
            names=run.names,
            steps=run.steps,
            apart=distance(run, baseline),
            copies=np.max([distance(run, copy) for copy in copies], axis=0),
        )


def _steps(seeds: Sequence[Seed]) -> int:
    """How many all trajectories have."""
    sides = (side for seed in seeds for side in (seed.run, seed.baseline, *seed.copies))
    return min(len(side.losses) for side in sides)


def _envelope(seeds: Sequence[Seed], steps: int) -> Array:
    """Largest difference between a copy and its replica up to LOOK_AHEAD (t + 1) - 1, (steps,); at
    least one unit in the last place of the loss, to which losses are rounded."""
    apart = [
        _apart(copy.losses[:steps], seed.run.losses[:steps])
        for seed in seeds
        for copy in seed.copies
    ]
    largest = np.maximum.accumulate(np.max(apart, axis=0))
    ahead = np.minimum(LOOK_AHEAD * (np.arange(steps) + 1) - 1, steps - 1)
    with np.errstate(invalid="ignore"):
        unit = np.spacing(np.abs([seed.run.losses[:steps] for seed in seeds]).astype(np.float32))
    return np.maximum(largest[ahead], np.nan_to_num(unit, nan=0.0, posinf=0.0).max(axis=0))


def _apart(first: Array, second: Array) -> Array:
    """|first - second|: 0 where both are not finite, infinite where one is."""
    finite = np.isfinite(first), np.isfinite(second)
    with np.errstate(invalid="ignore"):
        apart = np.abs(first - second)
    return np.where(finite[0] & finite[1], apart, np.where(finite[0] == finite[1], 0.0, np.inf))


def _ratio(apart: Array, envelope: Array) -> Array:
    with np.errstate(invalid="ignore"):
        ratio = apart / envelope
    return np.where(apart == 0, 0.0, np.where(np.isinf(envelope), 0.0, ratio))


def _sharp(seeds: Sequence[Seed], envelope: Array) -> int:
    """Steps until the envelope is as wide as seeds lie apart: from there on it tells no more than
    another seed would. With one seed: as wide as the loss has fallen or risen since the start."""
    losses = np.stack([seed.run.losses[: envelope.size] for seed in seeds])
    with np.errstate(invalid="ignore"):
        if len(seeds) > 1:
            width = losses.max(axis=0) - losses.min(axis=0)
        else:
            width = np.maximum.accumulate(np.abs(losses[0] - losses[0, 0]))
        blunt = ~(envelope <= np.maximum.accumulate(np.nan_to_num(width)))
    first = _first(blunt[1:])
    return envelope.size if first is None else first + 1


def _first(mask: npt.NDArray[np.bool_]) -> int | None:
    found = np.flatnonzero(mask)
    return int(found[0]) if found.size else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
