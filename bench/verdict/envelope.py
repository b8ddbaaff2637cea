"""Rounding envelope: does training differ by more than rounding, since when, and where does it begin?

Copies of a replica, trained from weights moved by one unit in the last place, show how far rounding
takes this network. What lies inside their envelope is rounding; what leaves it under every seed is not.

Three things are held against the copies, each under every seed: the losses of all steps, the stored
tensors (:mod:`bench.verdict.departures`), and the metrics at the end. What copies did not see, such as
an evaluation that they did not make, they do not excuse.

Why under every seed. Rounding grows smoothly most of the time, but now and then a pre-activation
lies within rounding of a kink and falls on the other side: a jump in a gradient that only some
copies have. Jumps strike seeds independently, as seeds share neither weights nor batches; a changed
formula acts under all seeds. Let jumps come at a constant or growing rate, the same for copies as for
the two sides: that is calibrated (docs/error-rates.md), not proven. The envelope at step t
is the largest difference of n copies up to step 2t + 1. So to leave it by jumps alone, each of S
seeds must jump in the first half of the time until the first of n copies does, and

    P <= E[(T/2)^S] = S! / (2n)^S,   T the minimum of n exponential times with rate 1.

In the second half of the trajectory the envelope cannot look as far ahead, and tensors and metrics are
held against copies of the same step. There each seed must jump before the end L and no copy at all,
with the probability

    P = (1 - exp(-L))^S exp(-nL) <= max over L of L^S exp(-nL) = (S / (e n))^S.

:func:`risk` is the sum of the two, and :func:`copies_needed` chooses n so that its sum over all cells
of a run stays at the level. Losses of step 0 come before any gradient: there nothing can jump.

What differs late. Rounding acts in every step, on numbers of the same kind: of 246 real pairs that
round otherwise (docs/error-rates.md) 244 part before step 2, and two before step 20, of an optimizer
whose steps are signs. Trainings that have the same bits for :data:`LATE` steps or more under every
seed and part then were not parted by rounding.

Where copies differ from their replica as much as one seed from another, rounding has done all it can:
there the envelope is what copies show, without the factor for another order of summation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bench.cells.cell import Cell
from bench.errors import count
from bench.verdict.departures import rounding_factor, tested
from bench.verdict.differences import Differences, first_of
from bench.verdict.judgement import EnvelopeTest
from bench.verdict.metrics import METRICS, Metric
from bench.verdict.traces import Seed, trained_apart

#: Fewest and most copies of a replica. Two is the least that shows a spread; beyond twelve another seed
#: says more.
FEWEST, MOST = 2, 12

#: Steps with equal bits under every seed that are no luck: more than twice as many as any single
#: seed of the real pairs had.
LATE = 50

#: Metrics at the end of training. Those of the first step are the stored tensors' affair.
_AT_END = tuple(metric for metric in METRICS if not metric.paired)


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


def stray_risk(copies: int, seeds: int) -> float:
    """Bound on the probability that at least half of the seeds of a cell jump out of the envelope: some
    set of so many seeds does (see above), and there are binomially many sets."""
    half = -(-seeds // 2)
    return min(1.0, math.comb(seeds, half) * risk(copies, half))


def seeds_for(level: float) -> str:
    """The fewest seeds that hold a level with as many copies as are made at most, in words."""
    for seeds in range(1, 20):
        if risk(MOST * seeds, seeds) <= level:
            return f"{seeds} seeds"
    return "more than 20 seeds"


def examine(cell: Cell, seeds: Sequence[Seed]) -> EnvelopeTest:
    """Holds the differences of all seeds against the envelope of all their copies.

    Args:
        cell: whose sums give the factor of :func:`bench.verdict.departures.rounding_factor`.
        seeds: at least one, with at least one copy among them, moved where each seed's sides part.
    """
    losses = Differences.of(cell, seeds)
    ratios = losses.ratios
    since = min(losses.parted)
    largest = ratios.max(axis=1)
    weakest = int(np.argmin(largest))
    worst = int(np.argmax(ratios[weakest]))
    outside = bool((largest > 1).all())
    late = since >= LATE and all(trained_apart(seed.run, seed.baseline) for seed in seeds)
    found = tested(cell, seeds, since)
    seen, beyond = _metrics(cell, seeds)
    copies = len(losses.copies)
    certain = late or (outside and bool((ratios[:, 0] > 1).all()))
    shown = outside or found.decides or late
    return EnvelopeTest(
        copies=copies,
        seeds=len(seeds),
        steps=since + ratios.shape[1],
        inside=not (shown or beyond),
        equal_until=since,
        late=late,
        starts=_earliest(losses),
        first_step=_first_step(losses, weakest, outside=outside, late=late),
        ratio=float(ratios[weakest, worst]),
        worst_step=losses.parted[weakest] + worst,
        strays=int((largest > 1).sum()),
        sharp_steps=since + losses.sharp,
        risk=0.0 if certain else (risk if shown else _rank_risk)(copies, len(seeds)),
        departure=found.departure if shown or beyond else None,
        sensitivity=found.sensitivity,
        decisive=found.decisive,
        seen=seen,
        beyond=beyond,
    )


def _first_step(losses: Differences, weakest: int, *, outside: bool, late: bool) -> int | None:
    """The first step outside, under the seed that strays least; of what is late alone, the first that
    differs."""
    if outside:
        return losses.parted[weakest] + int(np.argmax(losses.ratios[weakest] > 1))
    return _earliest(losses) if late else None


def _earliest(losses: Differences) -> int | None:
    """The first step whose loss differs under any seed."""
    found = [
        since + first
        for since, row in zip(losses.parted, losses.seeds, strict=True)
        if (first := first_of(row > 0)) is not None
    ]
    return min(found, default=None)


# --- Metrics at the end


def _metrics(cell: Cell, seeds: Sequence[Seed]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Metrics that copies have, and those that differ under every seed by more than they do."""
    seen, beyond = [], []
    for metric in _AT_END:
        copies = [(c.metrics, replica.metrics) for s in seeds for c, replica in s.moved()]
        sides = [_sides(seed) for seed in seeds]
        if all(metric.name in side for pair in (*copies, *sides) for side in pair):
            seen.append(metric.name)
            if _beyond(metric, rounding_factor(cell), sides, copies):
                beyond.append(metric.name)
    return tuple(seen), tuple(beyond)


def _beyond(metric: Metric, factor: float, sides: Sequence[_Pair], copies: Sequence[_Pair]) -> bool:
    """Whether the sides differ, under every seed, by more than matters and more than copies do: scaled
    like the losses' envelope, and capped like it by how far seeds lie apart."""
    apart = [_metric_apart(metric, *pair) for pair in sides]
    shown = max(_metric_apart(metric, *pair) for pair in copies)
    run = [metric.transform(value) for side, _ in sides if (value := side[metric.name]) is not None]
    spread = max(run) - min(run) if len(run) == len(sides) and len(run) > 1 else math.inf
    allowed = max(shown, min(factor * shown, spread), metric.minimum_effect)
    return all(distance > allowed for distance in apart)


def calm(seeds: Sequence[Seed]) -> bool:
    """Whether neither rounding nor anything else changes what matters: at the end no copy differs from
    its replica, nor one side from the other, by more than the smallest change that matters, in any
    metric; and all were measured."""
    pairs = [
        pair
        for seed in seeds
        for pair in (*((c.metrics, r.metrics) for c, r in seed.moved()), _sides(seed))
    ]
    return all(
        metric.name in first
        and metric.name in second
        and _metric_apart(metric, first, second) <= metric.minimum_effect
        for first, second in pairs
        for metric in _AT_END
    )


_Side = Mapping[str, float | None]
_Pair = tuple[_Side, _Side]


def _sides(seed: Seed) -> _Pair:
    return seed.run.metrics, seed.baseline.metrics


def _metric_apart(metric: Metric, first: _Side, second: _Side) -> float:
    a, b = first[metric.name], second[metric.name]
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    return abs(metric.change(a, b))


def _rank_risk(copies: int, seeds: int) -> float:
    """Bound on the probability that some metric at the end differs under all seeds by more than under
    any copy, where all of them differ at random: the seeds' differences are then the largest of all."""
    ranks = math.lgamma(seeds + 1) + math.lgamma(copies + 1) - math.lgamma(copies + seeds + 1)
    return min(1.0, len(_AT_END) * math.exp(ranks))


# --- In words


def describe(test: EnvelopeTest) -> str:
    """The outcome in words: what was compared, how sharp the test was, and what it found."""
    basis = f"{test.copies} copies over {count(test.seeds, 'seed')}"
    sharp = f"sharp for {test.sharp_steps} of {test.steps} steps"
    since = f"bits are equal up to step {test.equal_until}; " if test.equal_until else ""
    if test.inside:
        found = (
            f"losses differ from step {test.starts} on"
            if test.starts is not None
            else ("no loss differs")
        )
        strays = f", {test.strays} stray alone" if test.strays else ""
        return (
            f"{since}{found} and stay within rounding (at most {test.ratio:.2g} of the envelope of "
            f"{basis}{strays}; {sharp}; {sensitivity(test)})"
        )
    if test.late and test.ratio <= 1:
        found = (
            f"losses differ from step {test.first_step} on, and rounding, which acts in every step, "
            f"does not begin so late ({basis})"
            if test.first_step is not None
            else "no loss differs, and what follows does"
        )
    elif test.first_step is None:
        found = f"losses stay within rounding (envelope of {basis}; {sharp})"
    else:
        far = f"up to {test.ratio:.3g} times beyond it"
        if math.isinf(test.ratio):
            far = "not finite on one side alone"
        found = (
            f"losses leave the rounding envelope at step {test.first_step}, {far} at step "
            f"{test.worst_step} ({basis}; {sharp})"
        )
    ends = ""
    if test.beyond:
        ends = f"; at the end no copy differs as much in {', '.join(test.beyond)}"
    return f"{since}{found}; {_located(test)}{ends}"


def sensitivity(test: EnvelopeTest) -> str:
    """How small a change would have shown."""
    if test.sensitivity is not None:
        return f"a gradient changed by {test.sensitivity:.2g} of its size would show"
    if test.equal_until:
        return "all before is known to the bit"
    return "no stored tensor decides"


def _located(test: EnvelopeTest) -> str:
    departure = test.departure
    if departure is None:
        return "no stored tensor departs by itself before that"
    when = f"before step {departure.step}"
    if departure.earlier is not None:
        when += f" (at step {departure.earlier} all was within rounding)"
    begins = f"it begins in {departure.tensor}, which"
    if departure.distance is None:
        return f"{begins} is zero or not finite on one side alone {when}"
    return (
        f"{begins} departs by {departure.distance:.2g} of its size {when}, where rounding explains "
        f"{departure.allowed:.2g}"
    )
