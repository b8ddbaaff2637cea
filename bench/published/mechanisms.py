"""Claims on gradients: P1's vanishing, P5's zeros, P6's clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from bench.cells.numbers import split_number
from bench.errors import count
from bench.published.claim import (
    BEYOND_CHANCE,
    TEST_IMAGES,
    Claim,
    Runs,
    Verdict,
    accuracy,
    every_seed_learns,
    missing,
)
from bench.published.experiments import P1, P5, P6
from bench.published.replay import STEPS, WINDOW, predicted, replay
from bench.published.rows import compared
from bench.results.trial import TrialResult
from bench.statistics.ranks import falls
from bench.theory.claims import MNIST_TEST_COUNTS
from bench.theory.rounding.formats import FLOAT32, FLOAT64, sum_growth

#: Chance that a sound TensorFlow lies outside a replayed range. These claims are binding: three of
#: them in two forms give 6 false alarms in 10,000 runs.
REPLAY_LEVEL = 1e-4

#: Level of the test for a trend.
TREND_LEVEL = 0.05

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
    losses = dict(zip(curve.steps, curve.values, strict=True)) if curve else {}
    loss = losses.get(STEPS) if STEPS - WINDOW in losses else None
    return None if loss is None or loss <= 0 else math.log(loss)


def _log_replayed(variant: str, quantity: str) -> np.ndarray:
    result = replay(P1.variants[variant])
    return 0.5 * np.log(result.variance) if quantity == "scale" else np.log(result.loss)


def _as_replayed(runs: Runs, *, over: str, under: str, quantity: str) -> Verdict:
    """Whether the ratio of two variants under the same seeds is the replay's, in logarithms."""
    measure = _log_scale if quantity == "scale" else _log_loss
    tops, bottoms = ({r.trial.seed: r for r in runs[variant]} for variant in (over, under))
    logs = []
    for seed in sorted(tops.keys() & bottoms.keys()):
        pair = tops[seed], bottoms[seed]
        for result in pair:
            if result.outcome == "diverged":
                return False, f"{result.trial.id} diverged"
            if result.trial.recipe.steps < STEPS or measure(result) is None:
                return missing(f"{quantity} of {STEPS:,} steps", result)
        top, bottom = (measure(result) for result in pair)
        assert top is not None
        assert bottom is not None
        if math.isinf(top) or math.isinf(bottom):
            return False, f"a first-layer gradient of seed {seed} is exactly 0 in every step"
        logs.append(top - bottom)
    if not logs:
        return None, "no seed ran in both variants"
    replayed = _log_replayed(over, quantity) - _log_replayed(under, quantity)
    low, high = predicted(replayed, trials=len(logs), level=REPLAY_LEVEL)
    mean = float(np.mean(logs))
    return (
        low <= mean <= high,
        f"{math.exp(mean):.3g} (geometric mean of {count(len(logs), 'seed')}), a float64 replay "
        f"gives {math.exp(low):.3g} to {math.exp(high):.3g} ({100 * (1 - REPLAY_LEVEL):g} %)",
    )


_TWO, _THREE, _FIXED = "two layers", "three layers", "three layers, Xavier"

_p1_claim = partial(Claim, "P1", binding=True, accuracy=False)
_P1 = (
    _p1_claim(
        "first-layer-starves",
        "One more layer divides the scale of the first layer's gradients by about 500: as much as in "
        f"a replay of the program in NumPy, over the first {STEPS:,} steps (Stack Overflow 2017; "
        "there, as a histogram).",
        (_TWO, _THREE),
        partial(_as_replayed, over=_TWO, under=_THREE, quantity="scale"),
    ),
    _p1_claim(
        "fix-restores-gradients",
        "With Xavier's weights and biases of .1, the three layers' first-layer gradients are larger "
        "by the factor of the replay (the question's answer; Glorot and Bengio 2010, eq. 16).",
        (_FIXED, _THREE),
        partial(_as_replayed, over=_FIXED, under=_THREE, quantity="scale"),
    ),
    _p1_claim(
        "fix-restores-learning",
        "The same fix lowers the three layers' loss around step 1,000 by the factor of the replay.",
        (_FIXED, _THREE),
        partial(_as_replayed, over=_FIXED, under=_THREE, quantity="loss"),
    ),
)

# --- P5 -----------------------------------------------------------------------------------------

_SOFTMAX, _ZEROS, _UNIFORM = tuple(P5.variants)


def _nothing_moves(runs: Runs) -> Verdict:
    """Whether all but the output bias stays 0. ReLU(0) = 0 has slope 0 in TensorFlow: no signal reaches
    the first kernel, nothing comes out of the hidden layer, and the output kernel is 0. No rounding
    makes anything of zeros."""
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
            size = abs(result.numbers[number] or 0.0)
            if size > peak:
                peak, where = size, f" ({number})"
        if result.numbers["largest norm b2"] == 0:
            return False, f"{result.trial.id}: the output bias has no gradient either"
    seeds = count(len(runs[_ZEROS]), "seed")
    return peak == 0, f"largest of w1, b1, w2 and their gradients {peak:g}{where}, {seeds}"


def _share_of_a_class(runs: Runs) -> Verdict:
    """Whether as many answers are right as some class has images, since an output that is the same for
    all images names one class. The rounding of a mean of 10,000 is far from half an image."""
    right = [round(TEST_IMAGES * accuracy(result), 3) for result in runs[_ZEROS]]
    wrong = [each for each in right if round(each) not in MNIST_TEST_COUNTS]
    counts = ", ".join(str(round(each)) for each in sorted(set(right)))
    return (
        not wrong,
        f"right answers {counts} of {TEST_IMAGES:,}; MNIST's classes have "
        f"{', '.join(map(str, sorted(MNIST_TEST_COUNTS)))}",
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
        lambda runs: compared(P5.published[0], runs[_SOFTMAX]),
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

#: Largest relative distance of the norm after clipping from min(norm, limit). TensorFlow's norm is a
#: sum of squares in float32, off by g = :func:`sum_growth` roundoffs u, each square by one; the root
#: halves both and adds u. The factor, limit / norm or limit * min(1 / norm, 1 / limit), takes two
#: operations and its product with an entry one more. What is measured is added up in float64.
_CLIP_ROUNDING = (0.5 * (sum_growth(_ENTRIES) + 1.0) + 1.0 + 3.0) * FLOAT32.roundoff

#: Largest 1 - cosine. Each entry is multiplied, and in some versions divided, on its own: off by at
#: most 2 u, which turns the gradient by as much at most and takes (2 u)^2 / 2 from the cosine. The rest
#: is that of the float64 in which it is measured: a sum of products, half of two sums of squares, a
#: product and a quotient.
_COSINE_ROUNDING = 2.0 * FLOAT32.roundoff**2 + 2.0 * (sum_growth(_ENTRIES) + 3.0) * FLOAT64.roundoff


def _numbers(results: Sequence[TrialResult], name: str) -> list[float]:
    """Number of each trial that has it, NaN where it is not finite."""
    numbers = [result.numbers[name] for result in results if name in result.numbers]
    return [math.nan if number is None else number for number in numbers]


def _within_limit(runs: Runs) -> Verdict:
    results = runs[_CLIPPED]
    errors, norms = (
        _numbers(results, f"largest {what}") for what in ("clipping error", "clipped norm")
    )
    if min(len(errors), len(norms)) < len(results):
        return missing("largest clipping error", results[0])
    if not np.isfinite([*errors, *norms]).all():
        return False, "a norm after clipping is not finite"
    return (
        max(errors) <= _CLIP_ROUNDING,
        f"largest global norm after clipping {min(norms):.9g} to {max(norms):.9g} over "
        f"{count(len(errors), 'seed')}; any step's is min(norm, {_LIMIT:g}) but for a relative "
        f"{max(errors):.2g}, allowed {_CLIP_ROUNDING:.2g} of rounding",
    )


def _direction(runs: Runs) -> Verdict:
    cosines = _numbers(runs[_CLIPPED], "smallest cosine")
    if len(cosines) < len(runs[_CLIPPED]):
        return missing("smallest cosine", runs[_CLIPPED][0])
    if not np.isfinite(cosines).all():
        return False, "a cosine is not finite"
    return (
        1.0 - min(cosines) <= _COSINE_ROUNDING,
        f"smallest cosine before and after clipping 1 - {1 - min(cosines):.2g} over "
        f"{count(len(cosines), 'seed')}, allowed 1 - {_COSINE_ROUNDING:.2g}",
    )


def _acts(runs: Runs) -> Verdict:
    shares = _numbers(runs[_CLIPPED], "clipped steps")
    if len(shares) < len(runs[_CLIPPED]):
        return missing("clipped steps", runs[_CLIPPED][0])
    least = float(np.nan_to_num(shares).min())
    return (
        least > 0,
        f"at least {100 * least:.2g} % of the steps are clipped, {count(len(shares), 'seed')}",
    )


def _first_falls_against_last(runs: Runs) -> Verdict:
    """Whether ln |w1| - ln |w3| has a trend. Each look has another batch, so its noise is independent;
    but all seeds have the same batch there, so their mean is one series with one test."""
    ratios = [_log_ratios(result) for result in runs[_CLIPPED]]
    shared = sorted(set.intersection(*(set(logs) for logs in ratios)))
    if len(shared) < 2:
        return missing("ratio of norms", runs[_CLIPPED][0])
    series = np.array([[logs[look] for look in shared] for logs in ratios])
    third = max(1, len(shared) // 3)
    factors = np.exp(series[:, -third:].mean(axis=1) - series[:, :third].mean(axis=1))
    falling, rising = falls(list(series.mean(axis=0)))
    evidence = (
        f"from the first to the last third of the training it changes by a factor of "
        f"{factors.min():.3g} to {factors.max():.3g}, {count(len(ratios), 'seed')}; Mann-Kendall p "
        f"of a fall {falling:.2g}, of a rise {rising:.2g}, for the mean of all seeds"
    )
    return (True if falling <= TREND_LEVEL else False if rising <= TREND_LEVEL else None), evidence


def _log_ratios(result: TrialResult) -> dict[int, float]:
    """ln |w1| - ln |w3| of gradients, by look."""
    first, last = result.curves.get("norm w1"), result.curves.get("norm w3")
    if first is None or last is None:
        return {}
    points = zip(first.steps, first.values, last.values, strict=True)
    return {step: math.log(w1 / w3) for step, w1, w3 in points if w1 and w3}


_p6_claim = partial(Claim, "P6", variants=(_CLIPPED,), accuracy=False)
_P6 = (
    _p6_claim(
        "global-norm-at-most-15",
        "The global norm after clipping is min(norm, 15) in every step, up to the rounding of a factor "
        "(Pascanu et al. 2013, algorithm 1).",
        judge=_within_limit,
        binding=True,
    ),
    _p6_claim(
        "direction-kept",
        "Clipping by the global norm changes the length of the gradient, not its direction.",
        judge=_direction,
        binding=True,
    ),
    _p6_claim(
        "clipping-acts",
        "Some steps of the recipe are clipped: the limit is no idle one.",
        judge=_acts,
    ),
    _p6_claim(
        "first-layer-falls-against-last",
        "The first layer's gradient shrinks against the last one's as the training goes on (the "
        "course's figure of w1 against w3).",
        judge=_first_falls_against_last,
    ),
)

MECHANISMS = (*_P1, *_P5, *_P6)
