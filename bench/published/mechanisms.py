"""Claims on what gradients do: P1's vanishing, P5's zeros, P6's clipping."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from bench.cells.cell import split_number
from bench.published.claim import (
    BEYOND_CHANCE,
    CLASS_COUNTS,
    TEST_IMAGES,
    Claim,
    Runs,
    Verdict,
    accuracy,
    counted,
    every_seed_learns,
    missing,
)
from bench.published.experiments import P1, P5, P6
from bench.published.replay import STEPS, WINDOW, predicted, replay
from bench.published.rows import compared
from bench.results.trial import TrialResult
from bench.statistics.ranks import falls
from bench.theory.rounding.formats import FLOAT32, FLOAT64, sum_growth

#: Chance that a sound TensorFlow lies outside a replayed range. These claims are binding: three of
#: them in two forms give 6 false alarms in 10,000 runs.
REPLAY_LEVEL = 1e-4

#: Level of the test for a trend.
TREND_LEVEL = 0.05

Measure = Callable[[TrialResult], float | None]

# --- P1 -----------------------------------------------------------------------------------------


def _log_scale(result: TrialResult) -> float | None:
    """ln of the standard deviation of the first layer's gradient; None if not measured."""
    variance = result.numbers.get("variance w1")
    if variance is None:
        return None
    return 0.5 * math.log(variance) if variance > 0 else -math.inf


def _log_loss(result: TrialResult) -> float | None:
    """ln of the mean loss of the steps 950 to 1,000; None if not looked at then."""
    curve = result.curves.get("loss")
    steps = curve.steps if curve else []
    if curve is None or not {STEPS - WINDOW, STEPS} <= set(steps):
        return None
    loss = curve.values[steps.index(STEPS)]
    return None if loss is None or loss <= 0 else math.log(loss)


def _replayed(variant: str, what: str) -> np.ndarray:
    seen = replay(P1.variants[variant])
    return 0.5 * np.log(seen.variance) if what == "scale" else np.log(seen.loss)


def _as_replayed(runs: Runs, *, over: str, under: str, what: str) -> Verdict:
    """The ratio of two variants under the same seeds, against the replay's, in logarithms."""
    measure: Measure = _log_scale if what == "scale" else _log_loss
    tops, bottoms = ({r.trial.seed: r for r in runs[variant]} for variant in (over, under))
    logs = []
    for seed in sorted(tops.keys() & bottoms.keys()):
        pair = tops[seed], bottoms[seed]
        for result in pair:
            if result.outcome == "diverged":
                return False, f"{result.trial.id} diverged"
            if result.trial.recipe.steps < STEPS or measure(result) is None:
                return missing(f"{what} of {STEPS:,} steps", result)
        top, bottom = (measure(result) for result in pair)
        assert top is not None
        assert bottom is not None
        if math.isinf(top) or math.isinf(bottom):
            return False, f"a first-layer gradient of seed {seed} is exactly 0 in every step"
        logs.append(top - bottom)
    if not logs:
        return None, "no seed ran in both variants"
    low, high = predicted(
        _replayed(over, what) - _replayed(under, what), trials=len(logs), level=REPLAY_LEVEL
    )
    mean = float(np.mean(logs))
    return (
        low <= mean <= high,
        f"{math.exp(mean):.3g} (geometric mean of {counted(len(logs), 'seed')}), a float64 replay "
        f"gives {math.exp(low):.3g} to {math.exp(high):.3g} ({100 * (1 - REPLAY_LEVEL):g} %)",
    )


_TWO, _THREE, _FIXED = "two layers", "three layers", "three layers, Xavier"

_P1 = (
    Claim(
        "P1",
        "first-layer-starves",
        "One more layer divides the scale of the first layer's gradients by about 500: as much as in "
        f"a replay of the program in NumPy, over the first {STEPS:,} steps (Stack Overflow 2017; "
        "there, as a histogram).",
        (_TWO, _THREE),
        partial(_as_replayed, over=_TWO, under=_THREE, what="scale"),
        binding=True,
        accuracy=False,
    ),
    Claim(
        "P1",
        "fix-restores-gradients",
        "With Xavier's weights and biases of .1, the three layers' first-layer gradients are larger "
        "by the factor of the replay (the question's answer; Glorot and Bengio 2010, eq. 16).",
        (_FIXED, _THREE),
        partial(_as_replayed, over=_FIXED, under=_THREE, what="scale"),
        binding=True,
        accuracy=False,
    ),
    Claim(
        "P1",
        "fix-restores-learning",
        "The same fix lowers the three layers' loss around step 1,000 by the factor of the replay.",
        (_FIXED, _THREE),
        partial(_as_replayed, over=_FIXED, under=_THREE, what="loss"),
        binding=True,
        accuracy=False,
    ),
)

# --- P5 -----------------------------------------------------------------------------------------

_SOFTMAX, _ZEROS, _UNIFORM = tuple(P5.variants)


def _about_published(runs: Runs) -> Verdict:
    return compared(P5.published[0], runs[_SOFTMAX])


def _nothing_moves(runs: Runs) -> Verdict:
    """ReLU(0) = 0 has slope 0 in TensorFlow: no signal reaches the first kernel, nothing comes out of
    the hidden layer, and the output kernel is 0. No rounding makes anything of zeros."""
    still = [
        f"{kind} {name}" for name in ("w1", "b1", "w2") for kind in ("largest norm", "largest")
    ]
    peak, where = 0.0, ""
    for result in runs[_ZEROS]:
        if result.outcome == "diverged":
            return False, f"{result.trial.id} diverged"
        for number in (*still, "largest norm b2"):
            if result.numbers.get(number) is None:
                return missing(number, result)
        for number in still:
            if abs(result.numbers[number] or 0.0) > peak:
                peak, where = abs(result.numbers[number] or 0.0), f" ({number})"
        if result.numbers["largest norm b2"] == 0:
            return False, f"{result.trial.id}: the output bias has no gradient either"
    seeds = counted(len(runs[_ZEROS]), "seed")
    return peak == 0, f"largest of w1, b1, w2 and their gradients {peak:g}{where}, {seeds}"


def _share_of_a_class(runs: Runs) -> Verdict:
    """An output that is the same for all images names one class: as many are right as it has. The
    rounding of a mean of 10,000 is far from half an image."""
    right = [round(TEST_IMAGES * accuracy(result), 3) for result in runs[_ZEROS]]
    wrong = [count for count in right if round(count) not in CLASS_COUNTS]
    counts = ", ".join(str(round(count)) for count in sorted(set(right)))
    return (
        not wrong,
        f"right answers {counts} of {TEST_IMAGES:,}; MNIST's classes have "
        f"{', '.join(map(str, sorted(CLASS_COUNTS)))}",
    )


_P5 = (
    Claim(
        "P5",
        "softmax-regression-learns",
        f"Softmax regression learns from zeros: every seed ends beyond {BEYOND_CHANCE:.4f}.",
        (_SOFTMAX,),
        every_seed_learns,
        binding=True,
    ),
    Claim(
        "P5",
        "softmax-regression-as-published",
        "Softmax regression from zeros reaches about .92 (TensorFlow's tutorial, which rounds to two "
        "digits and shows one run).",
        (_SOFTMAX,),
        _about_published,
        whole=True,
    ),
    Claim(
        "P5",
        "zeros-stay-zero",
        "In a hidden layer that starts from zeros every gradient but the output bias' is exactly 0, "
        "and so are its weights for ever (Cross Validated 2017).",
        (_ZEROS,),
        _nothing_moves,
        binding=True,
        accuracy=False,
    ),
    Claim(
        "P5",
        "zeros-name-one-class",
        "Such a network gives every image the same answer: its accuracy is exactly the share of one "
        "class, as the published .1135 is that of the digit 1.",
        (_ZEROS,),
        _share_of_a_class,
        binding=True,
    ),
    Claim(
        "P5",
        "small-uniform-learns",
        "From uniform(-.01, .01) the same network learns: every seed ends beyond "
        f"{BEYOND_CHANCE:.4f}.",
        (_UNIFORM,),
        every_seed_learns,
        binding=True,
    ),
)

# --- P6 -----------------------------------------------------------------------------------------

(_CLIPPED,) = P6.variants
_LIMIT = float(split_number(P6.variants[_CLIPPED].clipping)[1] or math.nan)

#: Entries of all gradients together, 784-256-128-10.
_ENTRIES = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10


#: How far the norm after clipping may be from min(norm, limit), relatively. TensorFlow's norm is a
#: sum of squares in float32, off by g = :func:`sum_growth` roundoffs u, each square by one; the root
#: halves both and adds u. The factor, limit / norm or limit * min(1 / norm, 1 / limit), takes two
#: operations and its product with an entry one more. What is measured is added up in float64.
_CLIP_ROUNDING = (0.5 * (sum_growth(_ENTRIES) + 1.0) + 1.0 + 3.0) * FLOAT32.roundoff

#: What 1 - cosine may be. Each entry is multiplied, and in some versions divided, on its own: off by at
#: most 2 u, which turns the gradient by as much at most and takes (2 u)^2 / 2 from the cosine. The rest
#: is that of the float64 in which it is measured: a sum of products, half of two sums of squares, a
#: product and a quotient.
_COSINE_ROUNDING = 2.0 * FLOAT32.roundoff**2 + 2.0 * (sum_growth(_ENTRIES) + 3.0) * FLOAT64.roundoff


def _numbers(runs: Runs, name: str) -> list[float | None] | None:
    """One for each trial, None where not finite; None if a trial has not measured it at all."""
    if any(name not in result.numbers for result in runs[_CLIPPED]):
        return None
    return [result.numbers[name] for result in runs[_CLIPPED]]


def _within_limit(runs: Runs) -> Verdict:
    errors, norms = (
        _numbers(runs, f"largest {what}") for what in ("clipping error", "clipped norm")
    )
    if errors is None or norms is None:
        return missing("largest clipping error", runs[_CLIPPED][0])
    known = [error for error in errors if error is not None]
    largest = [norm for norm in norms if norm is not None]
    if len(known) < len(errors) or len(largest) < len(norms):
        return False, "a norm after clipping is not finite"
    return (
        max(known) <= _CLIP_ROUNDING,
        f"largest global norm after clipping {min(largest):.9g} to {max(largest):.9g} over "
        f"{counted(len(known), 'seed')}; any step's is min(norm, {_LIMIT:g}) but for a relative "
        f"{max(known):.2g}, allowed {_CLIP_ROUNDING:.2g} of rounding",
    )


def _direction(runs: Runs) -> Verdict:
    cosines = _numbers(runs, "smallest cosine")
    if cosines is None:
        return missing("smallest cosine", runs[_CLIPPED][0])
    known = [cosine for cosine in cosines if cosine is not None]
    if len(known) < len(cosines):
        return False, "a cosine is not finite"
    return (
        1.0 - min(known) <= _COSINE_ROUNDING,
        f"smallest cosine before and after clipping 1 - {1 - min(known):.2g} over "
        f"{counted(len(known), 'seed')}, "
        f"allowed 1 - {_COSINE_ROUNDING:.2g}",
    )


def _acts(runs: Runs) -> Verdict:
    shares = _numbers(runs, "clipped steps")
    if shares is None:
        return missing("clipped steps", runs[_CLIPPED][0])
    least = min(share or 0.0 for share in shares)
    return (
        least > 0,
        f"at least {100 * least:.2g} % of the steps are clipped, {counted(len(shares), 'seed')}",
    )


def _first_falls_against_last(runs: Runs) -> Verdict:
    """A trend in ln |w1| - ln |w3|. Each look has another batch, so its noise is its own; but all seeds
    have the same batch there, so their mean is one series with one test."""
    found = [_log_ratios(result) for result in runs[_CLIPPED]]
    shared = sorted(set.intersection(*(set(logs) for logs in found)))
    if len(shared) < 2:
        return missing("ratio of norms", runs[_CLIPPED][0])
    series = np.array([[logs[look] for look in shared] for logs in found])
    third = max(1, len(shared) // 3)
    factors = np.exp(series[:, -third:].mean(axis=1) - series[:, :third].mean(axis=1))
    falling, rising = falls(list(series.mean(axis=0)))
    evidence = (
        f"from the first to the last third of the training it changes by a factor of "
        f"{factors.min():.3g} to {factors.max():.3g}, {counted(len(found), 'seed')}; Mann-Kendall p of "
        f"a fall {falling:.2g}, of a rise {rising:.2g}, for the mean of all seeds"
    )
    return (True if falling <= TREND_LEVEL else False if rising <= TREND_LEVEL else None), evidence


def _log_ratios(result: TrialResult) -> dict[int, float]:
    """By look."""
    first, last = result.curves.get("norm w1"), result.curves.get("norm w3")
    if first is None or last is None:
        return {}
    points = zip(first.steps, first.values, last.values, strict=True)
    return {step: math.log(one / three) for step, one, three in points if one and three}


_P6 = (
    Claim(
        "P6",
        "global-norm-at-most-15",
        "The global norm after clipping is min(norm, 15) in every step, up to the rounding of a factor "
        "(Pascanu et al. 2013, algorithm 1).",
        (_CLIPPED,),
        _within_limit,
        binding=True,
        accuracy=False,
    ),
    Claim(
        "P6",
        "direction-kept",
        "Clipping by the global norm changes the length of the gradient, not its direction.",
        (_CLIPPED,),
        _direction,
        binding=True,
        accuracy=False,
    ),
    Claim(
        "P6",
        "clipping-acts",
        "Some steps of the recipe are clipped: the limit is no idle one.",
        (_CLIPPED,),
        _acts,
        accuracy=False,
    ),
    Claim(
        "P6",
        "first-layer-falls-against-last",
        "The first layer's gradient shrinks against the last one's as the training goes on (the "
        "course's figure of w1 against w3).",
        (_CLIPPED,),
        _first_falls_against_last,
        accuracy=False,
    ),
)

MECHANISMS = (*_P1, *_P5, *_P6)
