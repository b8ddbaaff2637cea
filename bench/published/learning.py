"""Claims on learning: P2's scales, P3's and P4's accuracies, P7's reach of remedies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from bench.errors import count
from bench.published.claim import (
    BEYOND_CHANCE,
    Claim,
    Runs,
    Verdict,
    accuracy,
    every_seed_learns,
    missing,
)
from bench.published.experiments import DEPTHS, P3, P4, P7, REMEDIES, SCALES, Published
from bench.published.rows import compared
from bench.results.trial import TrialResult
from bench.statistics.ranks import concordance, lower, majority, welch_lower
from bench.statistics.shares import holm
from bench.theory.claims import LEARNED

#: Chance that a statement on ranks or counts is called true, or false, where neither is so. It is the
#: level at which three repetitions a side can decide: all of one below all of the other has
#: p = 1/20.
LEVEL = 0.05


def _learns(experiment: str, variants: Sequence[str]) -> Claim:
    """Claim that TensorFlow must fulfil whatever else an experiment shows."""
    return Claim(
        experiment,
        "learns",
        f"{'; '.join(variants)}: every seed ends beyond {BEYOND_CHANCE:.4f}, however few batches were "
        "run.",
        tuple(variants),
        every_seed_learns,
        binding=True,
    )


# --- P2 -----------------------------------------------------------------------------------------

#: The original's figure begins at this accuracy.
AXIS = 0.9

#: Batches of P2's reduced form, over which speed is measured in the whole one, too: at every 200th.
EARLY, EARLY_EVERY = 1000, 200

_SCALES = tuple(f"w = {scale:g}" for scale in SCALES)
_LARGE = ("w = 0.3", "w = 1")
_FAST = ("w = 0.03", "w = 0.1")
_REST = tuple(name for name in _SCALES if name not in (*_LARGE, *_FAST))


def _early(result: TrialResult) -> list[float] | None:
    """Test accuracies after every EARLY_EVERY of the first EARLY batches; None if they were not looked
    at."""
    curve = result.curves.get("test accuracy")
    if result.outcome == "diverged":
        return [0.0]
    seen = dict(zip(curve.steps, curve.values, strict=True)) if curve else {}
    looks = range(EARLY_EVERY, EARLY + 1, EARLY_EVERY)
    return [seen[look] or 0.0 for look in looks] if seen.keys() >= set(looks) else None


def _early_by_scale(runs: Runs) -> dict[str, list[list[float]]] | Verdict:
    """:func:`_early` of every trial; the verdict if one lacks it."""
    early: dict[str, list[list[float]]] = {}
    for name in _SCALES:
        for result in runs[name]:
            accuracies = _early(result)
            if accuracies is None:
                return missing(f"looks at every {EARLY_EVERY} of its first {EARLY:,} steps", result)
            early.setdefault(name, []).append(accuracies)
    return early


def _by_scale(values: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{name.removeprefix('w = ')} {np.mean(values[name]):.4f}" for name in _SCALES)


def _ends_in_figure(runs: Runs) -> Verdict:
    ends = {name: [accuracy(result) for result in runs[name]] for name in _SCALES}
    means = {name: float(np.mean(values)) for name, values in ends.items()}
    return (
        min(means.values()) >= AXIS,
        f"mean final test accuracy by w: {_by_scale(ends)}; the figure begins at {AXIS:g}",
    )


def _end_lower(runs: Runs) -> Verdict:
    ends = {name: [accuracy(result) for result in runs[name]] for name in _SCALES}
    others = [name for name in _SCALES if name not in _LARGE]
    holds, evidence = ordered({n: ends[n] for n in _LARGE}, {n: ends[n] for n in others})
    return holds, f"final test accuracy by w: {_by_scale(ends)}; {evidence}"


def _fastest(runs: Runs) -> Verdict:
    """Whether areas under the curve of the first batches are in order: every curve has one, and no
    level is chosen."""
    early = _early_by_scale(runs)
    if isinstance(early, tuple):
        return early
    speeds = {name: [float(np.mean(trial)) for trial in trials] for name, trials in early.items()}
    others = [name for name in _SCALES if name not in _FAST]
    holds, evidence = ordered({n: speeds[n] for n in others}, {n: speeds[n] for n in _FAST})
    return (
        holds,
        f"mean test accuracy after every {EARLY_EVERY} of the first {EARLY:,} batches by w: "
        f"{_by_scale(speeds)}; {evidence}",
    )


def _ranking(runs: Runs) -> Verdict:
    early = _early_by_scale(runs)
    if isinstance(early, tuple):
        return early
    ends = {name: [trial[-1] for trial in trials] for name, trials in early.items()}
    means = {name: float(np.mean(values)) for name, values in ends.items()}
    rises, descends = concordance(means, (_LARGE, _REST, _FAST))
    return (
        _decided(rises, descends),
        f"test accuracy after {EARLY:,} batches by w: {_by_scale(ends)}; exact p of the "
        f"published order {rises:.2g}, of its reverse {descends:.2g}",
    )


def _decided(stated: float, reverse: float) -> bool | None:
    """Whether a stated order holds, given exact p-values of it and of its reverse."""
    return True if stated <= LEVEL else False if reverse <= LEVEL else None


def ordered(low: Mapping[str, Sequence[float]], high: Mapping[str, Sequence[float]]) -> Verdict:
    """Whether each of ``low`` is below each of ``high``.

    It holds if an exact rank test shows it for every pair, each at LEVEL: all must succeed, so none
    needs a correction (Berger 1982). It is contradicted if any pair is the other way round, by Welch's
    t-tests at LEVEL for all pairs together (Holm 1979): ranks of few seeds cannot succeed among many.
    """
    pairs = list(itertools.product(low, high))
    ranks = [lower(low[below], high[above]) for below, above in pairs]
    apart = sum(p <= LEVEL for p in ranks)
    evidence = f"{apart} of {len(pairs)} pairs are in the stated order (rank tests, p <= {LEVEL:g})"
    if apart == len(pairs):
        return True, evidence
    fewest = min(len(sample) for sample in (*low.values(), *high.values()))
    if fewest < 2:
        return None, f"{evidence}; one repetition decides nothing"
    reverse = holm(np.array([welch_lower(high[above], low[below]) for below, above in pairs]))
    worst = int(np.argmin(reverse))
    below, above = pairs[worst]
    if reverse[worst] <= LEVEL:
        return (
            False,
            f"{evidence}; {below} is above {above} (Welch, adjusted p {reverse[worst]:.2g})",
        )
    return None, evidence


_p2_claim = partial(Claim, "P2", variants=_SCALES, seeds=2)
_P2 = (
    _learns("P2", ("w = 0.1",)),
    _p2_claim(
        "every-scale-learns",
        f"Every scale of the initial weights learns: every trial ends beyond {BEYOND_CHANCE:.4f} "
        "(Stack Overflow 43489697).",
        judge=every_seed_learns,
        whole=True,  # w = .0001 has not always begun to after 1,000 batches
    ),
    _p2_claim(
        "every-scale-passes-90",
        "The mean curve of every scale ends above .9, where the original's figure begins.",
        judge=_ends_in_figure,
        whole=True,
    ),
    _p2_claim(
        "large-scales-end-lower",
        "w = .3 and 1 end lower than every other scale.",
        judge=_end_lower,
        whole=True,
    ),
    _p2_claim(
        "middle-scales-are-fastest",
        "w = .03 and .1 are faster than every other scale: their mean accuracy over the first "
        f"{EARLY:,} batches is higher.",
        judge=_fastest,
    ),
    _p2_claim(
        "early-ranking-leans-to-published",
        f"After {EARLY:,} batches the scales lean towards the published order, .03 and .1, then the "
        "smaller ones, then .3 and 1, more than chance has it.",
        judge=_ranking,
    ),
)

# --- P3, P4 -------------------------------------------------------------------------------------


def _final(name: str, experiment: str, published: Published) -> Claim:
    return Claim(
        experiment,
        name,
        f"The final {published.quantity} of '{published.variant}' is the published one, within the "
        "spread of the original's revisions and of our seeds (Geron 2017, chapter 11).",
        (published.variant,),
        lambda runs: compared(published, runs[published.variant]),
        whole=True,
    )


_ACCURACIES = (
    _learns("P3", tuple(P3.variants)),
    _final("final-accuracy-as-published", "P3", P3.published[0]),
    _learns("P4", tuple(P4.variants)),
    _final("value-clipping-as-published", "P4", P4.published[0]),
    _final("leaky-relu-as-published", "P4", P4.published[1]),
)

# --- P7 -----------------------------------------------------------------------------------------


def _variant(remedy: str, depth: int) -> str:
    return f"{remedy}, depth {depth}"


def reached(results: Sequence[TrialResult]) -> bool | None:
    """Whether a network of this depth learns: in most seeds it gets most test images right.

    Between what chance gives, a tenth, and what trained networks reach, more than .9, lie networks
    that tell some digits apart; LEARNED is in the middle. 'Most seeds' is decided by a sign test at
    LEVEL: five seeds must agree.
    """
    hits = sum(accuracy(result) > LEARNED for result in results)
    if majority(hits, len(results)) <= LEVEL:
        return True
    return False if majority(len(results) - hits, len(results)) <= LEVEL else None


def _reach(runs: Runs, *, do: Sequence[str] = (), do_not: Sequence[str] = ()) -> Verdict:
    """Whether all of ``do`` are reached and none of ``do_not``."""
    variants = (*do, *do_not)
    evidence = "; ".join(f"{name}: {_accuracies(runs[name])}" for name in variants)
    evidence += f" (test accuracy; learned is above {LEARNED:g} in most seeds)"
    fulfilled = [None if (is_ := reached(runs[n])) is None else is_ == (n in do) for n in variants]
    if False in fulfilled:
        return False, evidence
    if None not in fulfilled:
        return True, evidence
    fewest = min(len(runs[name]) for name in variants)
    if majority(fewest, fewest) > LEVEL:
        evidence += f"; {count(fewest, 'seed')} a variant: too few"
    return None, evidence


def _accuracies(results: Sequence[TrialResult]) -> str:
    ends = sorted(accuracy(result) for result in results if result.outcome != "diverged")
    learned = sum(end > LEARNED for end in ends)
    diverged = len(results) - len(ends)
    parts = (
        [f"{ends[0]:.3f} to {ends[-1]:.3f}, {learned} of {len(results)} learned"] if ends else []
    )
    return ", ".join([*parts, *([f"{diverged} diverged"] if diverged else [])])


def _he_above_xavier(runs: Runs) -> Verdict:
    xavier, he = (
        [accuracy(result) for result in runs[_variant(remedy, 30)]]
        for remedy in ("ReLU, Xavier", "ReLU, He")
    )
    return _one_sided(xavier, he, "test accuracy, 0 where diverged, with Xavier", "with He")


def _fewer_dead(runs: Runs) -> Verdict:
    """Whether seeds' shares of dead units, means over depths, are lower with leaky ReLU; where training
    diverged, the last look before counts."""
    shares = {
        remedy: _dead_shares([runs[_variant(remedy, depth)] for depth in DEPTHS])
        for remedy in ("leaky ReLU, He", "ReLU, He")
    }
    leaky, relu = shares["leaky ReLU, He"], shares["ReLU, He"]
    if not leaky or not relu:
        return None, "no seed has the share of dead units at every depth"
    holds, evidence = _one_sided(
        leaky, relu, "last share of dead units with leaky ReLU", "with ReLU"
    )
    diverged = sum(result.outcome == "diverged" for results in runs.values() for result in results)
    if diverged:
        evidence += f"; {count(diverged, 'trial')} at the last look before divergence"
    return holds, evidence


def _dead_shares(depths: Sequence[Sequence[TrialResult]]) -> list[float]:
    """Mean over depths of the last share of dead units, for each seed that has one at every depth."""
    by_seed: dict[int, list[float]] = {}
    for result in (result for results in depths for result in results):
        curve = result.curves.get("dead share")
        known = [share for share in curve.values if share is not None] if curve else []
        if known:
            by_seed.setdefault(result.trial.seed, []).append(known[-1])
    return [float(np.mean(shares)) for shares in by_seed.values() if len(shares) == len(depths)]


def _one_sided(
    low: Sequence[float], high: Sequence[float], low_name: str, high_name: str
) -> Verdict:
    stated, reverse = lower(low, high), lower(high, low)
    return (
        _decided(stated, reverse),
        f"{low_name} {np.mean(low):.4f}, {high_name} {np.mean(high):.4f} "
        f"({len(low)} and {len(high)} seeds; "
        f"exact p of the stated order {stated:.2g}, of its reverse {reverse:.2g})",
    )


_p7_claim = partial(Claim, "P7", whole=True, seeds=2)


def _reach_claim(
    name: str, statement: str, *, do: Sequence[str] = (), do_not: Sequence[str] = ()
) -> Claim:
    return _p7_claim(name, statement, (*do, *do_not), partial(_reach, do=do, do_not=do_not))


_SKIPS = "ReLU, He, batch norm, skips"
_P7 = (
    _learns(
        "P7", [_variant(name, 10) for name in ("tanh, Xavier", "ReLU, He", "ReLU, He, batch norm")]
    ),
    _reach_claim(
        "right-initialization-reaches-10",
        "Ten layers learn with the initialization that belongs to the activation: tanh with Xavier, "
        "ReLU with He (Stack Overflow 43489697).",
        do=(_variant("tanh, Xavier", 10), _variant("ReLU, He", 10)),
    ),
    _reach_claim(
        "batch-norm-reaches-30",
        "With batch norm and He initialization, 10 and 30 layers learn.",
        do=tuple(_variant("ReLU, He, batch norm", depth) for depth in (10, 30)),
    ),
    _reach_claim(
        "depth-30-needs-batch-norm",
        "Without batch norm, 30 layers do not learn, whatever the initialization.",
        do_not=tuple(
            _variant(name, 30) for name, what in REMEDIES.items() if "normalization" not in what
        ),
    ),
    _reach_claim(
        "skips-reach-50",
        "With skip connections, 50 layers learn.",
        do=(_variant(_SKIPS, 50),),
    ),
    _reach_claim(
        "depth-50-needs-skips",
        "Without skip connections, 50 layers do not learn, batch norm or not.",
        do_not=tuple(_variant(name, 50) for name in REMEDIES if name != _SKIPS),
    ),
    _reach_claim(
        "logistic-units-vanish",
        "Ten layers of logistic units do not learn, where ten of tanh do: a logistic slope is at most "
        "1/4.",
        do=(_variant("tanh, Xavier", 10),),
        do_not=(_variant("sigmoid, Xavier", 10),),
    ),
    _p7_claim(
        "relu-needs-he",
        "At depth 30, ReLU ends higher with He's variance than with Xavier's (He et al. 2015, eq. 10).",
        (_variant("ReLU, Xavier", 30), _variant("ReLU, He", 30)),
        _he_above_xavier,
    ),
    _p7_claim(
        "leaky-units-recover",
        "A ReLU that gives 0 for every image gets no gradient and stays dead; a leaky one recovers. At "
        "the end, fewer units are at most 0 for all images with leaky ReLU.",
        tuple(_variant(name, depth) for name in ("ReLU, He", "leaky ReLU, He") for depth in DEPTHS),
        _fewer_dead,
    ),
)
assert set(P7.variants) >= {name for claim in _P7 for name in claim.variants}

LEARNING = (*_P2, *_ACCURACIES, *_P7)
