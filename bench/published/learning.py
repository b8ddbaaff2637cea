"""Claims on what is learned: P2's scales, P3's and P4's accuracies, P7's reach of remedies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from bench.published.claim import (
    BEYOND_CHANCE,
    Claim,
    Runs,
    Verdict,
    accuracy,
    counted,
    every_seed_learns,
    missing,
)
from bench.published.experiments import DEPTHS, P3, P4, P7, REMEDIES, SCALES, Published
from bench.published.rows import compared
from bench.results.trial import TrialResult
from bench.statistics.ranks import concordance, lower, majority, welch_lower
from bench.statistics.shares import holm
from bench.theory.claims import LEARNED

#: Chance that a statement on ranks or counts is said to hold, or not to hold, where neither is so. It
#: is the level at which three repetitions a side can decide: all of one below all of the other has
#: p = 1/20.
LEVEL = 0.05


def _learns(experiment: str, variants: Sequence[str]) -> Claim:
    """The least that TensorFlow must do, whatever else becomes of an experiment."""
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
    """Test accuracies after every EARLY_EVERY of the first EARLY batches; None if not looked at."""
    curve = result.curves.get("test accuracy")
    if result.outcome == "diverged":
        return [0.0]
    seen = dict(zip(curve.steps, curve.values, strict=True)) if curve else {}
    looks = range(EARLY_EVERY, EARLY + 1, EARLY_EVERY)
    return [seen[look] or 0.0 for look in looks] if seen.keys() >= set(looks) else None


_LOOKS = f"looks at every {EARLY_EVERY} of its first {EARLY:,} steps"


def _each(values: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{name.removeprefix('w = ')} {np.mean(values[name]):.4f}" for name in _SCALES)


def _ends_in_figure(runs: Runs) -> Verdict:
    ends = {name: [accuracy(result) for result in runs[name]] for name in _SCALES}
    means = {name: float(np.mean(values)) for name, values in ends.items()}
    return (
        min(means.values()) >= AXIS,
        f"mean final test accuracy by w: {_each(ends)}; the figure begins at {AXIS:g}",
    )


def _end_lower(runs: Runs) -> Verdict:
    ends = {name: [accuracy(result) for result in runs[name]] for name in _SCALES}
    others = [name for name in _SCALES if name not in _LARGE]
    holds, evidence = ordered({n: ends[n] for n in _LARGE}, {n: ends[n] for n in others})
    return holds, f"final test accuracy by w: {_each(ends)}; {evidence}"


def _fastest(runs: Runs) -> Verdict:
    """The area under the curve of the first batches: every curve has one, and no level is chosen."""
    speeds: dict[str, list[float]] = {}
    for name in _SCALES:
        for result in runs[name]:
            early = _early(result)
            if early is None:
                return missing(_LOOKS, result)
            speeds.setdefault(name, []).append(float(np.mean(early)))
    others = [name for name in _SCALES if name not in _FAST]
    holds, evidence = ordered({n: speeds[n] for n in others}, {n: speeds[n] for n in _FAST})
    return (
        holds,
        f"mean test accuracy after every {EARLY_EVERY} of the first {EARLY:,} batches by w: "
        f"{_each(speeds)}; {evidence}",
    )


def _ranking(runs: Runs) -> Verdict:
    reached: dict[str, list[float]] = {}
    for name in _SCALES:
        for result in runs[name]:
            early = _early(result)
            if early is None:
                return missing(_LOOKS, result)
            reached.setdefault(name, []).append(early[-1])
    means = {name: float(np.mean(values)) for name, values in reached.items()}
    rises, descends = concordance(means, (_LARGE, _REST, _FAST))
    holds = True if rises <= LEVEL else False if descends <= LEVEL else None
    return (
        holds,
        f"test accuracy after {EARLY:,} batches by w: {_each(reached)}; exact p of the "
        f"published order {rises:.2g}, of its reverse {descends:.2g}",
    )


def ordered(low: Mapping[str, Sequence[float]], high: Mapping[str, Sequence[float]]) -> Verdict:
    """Whether each of ``low`` is below each of ``high``.

    It holds if an exact rank test shows it for every pair, each at LEVEL: all must succeed, so none
    needs a correction (Berger 1982). It is contradicted if any pair is the other way round, by Welch's
    t-tests at LEVEL for all pairs together (Holm 1979): ranks of few seeds cannot succeed among many.
    """
    pairs = [(one, other) for one in low for other in high]
    ranks = [lower(low[one], high[other]) for one, other in pairs]
    apart = sum(p <= LEVEL for p in ranks)
    evidence = f"{apart} of {len(pairs)} pairs are in the stated order (rank tests, p <= {LEVEL:g})"
    if apart == len(pairs):
        return True, evidence
    fewest = min(len(sample) for sample in (*low.values(), *high.values()))
    if fewest < 2:
        return None, f"{evidence}; one repetition decides nothing"
    reverse = holm(np.array([welch_lower(high[other], low[one]) for one, other in pairs]))
    worst = int(np.argmin(reverse))
    one, other = pairs[worst]
    if reverse[worst] <= LEVEL:
        return False, f"{evidence}; {one} is above {other} (Welch, adjusted p {reverse[worst]:.2g})"
    return None, evidence


_P2 = (
    _learns("P2", ("w = 0.1",)),
    Claim(
        "P2",
        "every-scale-learns",
        f"Every scale of the initial weights learns: every trial ends beyond {BEYOND_CHANCE:.4f} "
        "(Stack Overflow 43489697).",
        _SCALES,
        every_seed_learns,
        whole=True,  # w = .0001 has not always begun to after 1,000 batches
        seeds=2,
    ),
    Claim(
        "P2",
        "every-scale-passes-90",
        "The mean curve of every scale ends above .9, where the original's figure begins.",
        _SCALES,
        _ends_in_figure,
        whole=True,
        seeds=2,
    ),
    Claim(
        "P2",
        "large-scales-end-lower",
        "w = .3 and 1 end lower than every other scale.",
        _SCALES,
        _end_lower,
        whole=True,
        seeds=2,
    ),
    Claim(
        "P2",
        "middle-scales-are-fastest",
        "w = .03 and .1 are faster than every other scale: their mean accuracy over the first "
        f"{EARLY:,} batches is higher.",
        _SCALES,
        _fastest,
        seeds=2,
    ),
    Claim(
        "P2",
        "early-ranking-leans-to-published",
        f"After {EARLY:,} batches the scales lean towards the published order, .03 and .1, then the "
        "smaller ones, then .3 and 1, more than chance has it.",
        _SCALES,
        _ranking,
        seeds=2,
    ),
)

# --- P3, P4 -------------------------------------------------------------------------------------


def _as_published(runs: Runs, published: Published) -> Verdict:
    return compared(published, runs[published.variant])


def _final(name: str, experiment: str, published: Published) -> Claim:
    return Claim(
        experiment,
        name,
        f"The final {published.quantity} of '{published.variant}' is the published one, within the "
        "spread of the original's revisions and of our seeds (Geron 2017, chapter 11).",
        (published.variant,),
        partial(_as_published, published=published),
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
    found = [(name, reached(runs[name]), True) for name in do]
    found += [(name, reached(runs[name]), False) for name in do_not]
    evidence = "; ".join(f"{name}: {_accuracies(runs[name])}" for name, _, _ in found)
    evidence += f" (test accuracy; learned is above {LEARNED:g} in most seeds)"
    if any(is_ is not None and is_ is not should for _, is_, should in found):
        return False, evidence
    if all(is_ is should for _, is_, should in found):
        return True, evidence
    fewest = min(len(runs[name]) for name, _, _ in found)
    few = (
        f"; {counted(fewest, 'seed')} a variant: too few"
        if majority(fewest, fewest) > LEVEL
        else ""
    )
    return None, evidence + few


def _accuracies(results: Sequence[TrialResult]) -> str:
    ends = sorted(accuracy(result) for result in results if result.outcome != "diverged")
    learned = sum(end > LEARNED for end in ends)
    diverged = len(results) - len(ends)
    told = f"{ends[0]:.3f} to {ends[-1]:.3f}, {learned} of {len(results)} learned" if ends else ""
    return ", ".join(filter(None, [told, f"{diverged} diverged" if diverged else ""]))


def _he_above_xavier(runs: Runs) -> Verdict:
    xavier, he = (
        [accuracy(result) for result in runs[_variant(remedy, 30)]]
        for remedy in ("ReLU, Xavier", "ReLU, He")
    )
    return _one_sided(xavier, he, "test accuracy, 0 where diverged, with Xavier", "with He")


def _fewer_dead(runs: Runs) -> Verdict:
    """Each seed's share, the mean over depths; where a training diverged, at its last look before."""
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
        evidence += f"; {counted(diverged, 'trial')} at the last look before divergence"
    return holds, evidence


def _dead_shares(depths: Sequence[Sequence[TrialResult]]) -> list[float]:
    """By seed; seeds that lack a depth are left out."""
    found: dict[int, list[float]] = {}
    for result in (result for results in depths for result in results):
        curve = result.curves.get("dead share")
        known = [share for share in curve.values if share is not None] if curve else []
        if known:
            found.setdefault(result.trial.seed, []).append(known[-1])
    return [float(np.mean(shares)) for shares in found.values() if len(shares) == len(depths)]


def _one_sided(low: Sequence[float], high: Sequence[float], one: str, other: str) -> Verdict:
    below, above = lower(low, high), lower(high, low)
    holds = True if below <= LEVEL else False if above <= LEVEL else None
    return (
        holds,
        f"{one} {np.mean(low):.4f}, {other} {np.mean(high):.4f} ({len(low)} and {len(high)} seeds; "
        f"exact p of the stated order {below:.2g}, of its reverse {above:.2g})",
    )


def _reach_claim(
    name: str, statement: str, *, do: Sequence[str] = (), do_not: Sequence[str] = ()
) -> Claim:
    return Claim(
        "P7",
        name,
        statement,
        (*do, *do_not),
        partial(_reach, do=do, do_not=do_not),
        whole=True,
        seeds=2,
    )


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
    Claim(
        "P7",
        "relu-needs-he",
        "At depth 30, ReLU ends higher with He's variance than with Xavier's (He et al. 2015, eq. 10).",
        (_variant("ReLU, Xavier", 30), _variant("ReLU, He", 30)),
        _he_above_xavier,
        whole=True,
        seeds=2,
    ),
    Claim(
        "P7",
        "leaky-units-recover",
        "A ReLU that gives 0 for every image gets no gradient and stays dead; a leaky one recovers. At "
        "the end, fewer units are at most 0 for all images with leaky ReLU.",
        tuple(_variant(name, depth) for name in ("ReLU, He", "leaky ReLU, He") for depth in DEPTHS),
        _fewer_dead,
        whole=True,
        seeds=2,
    ),
)
assert set(P7.variants) >= {name for claim in _P7 for name in claim.variants}

LEARNING = (*_P2, *_ACCURACIES, *_P7)
