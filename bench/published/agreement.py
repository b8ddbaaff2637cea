"""Both forms of a program agree: under one seed they differ by no more than seeds do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy import special

from bench.published.claim import BEYOND_CHANCE, BOTH, Claim, Runs, Verdict
from bench.published.experiments import EXPERIMENTS
from bench.results.trial import TrialResult

#: Chance that sound forms are called different, over all variants of an experiment. In truth it is far
#: smaller: a seed's two forms have the same initial weights and examples.
LEVEL = 0.01

#: A trial's number: NaN if the training diverged, None if it was not measured.
Measure = Callable[[TrialResult], float | None]


def _first_loss(result: TrialResult) -> float | None:
    """ln of the mean loss until the first look behind step 0."""
    curve = result.curves.get("loss")
    if curve is None or not curve.values:
        return math.nan if result.outcome == "diverged" else None
    first = curve.values[0]
    return math.log(first) if first else math.nan


def _end(result: TrialResult) -> float | None:
    """Final test accuracy; where it was not watched, ln of the last mean loss."""
    if result.outcome == "diverged":
        return math.nan
    if "test" in result.trial.watched:
        return result.final("test accuracy")
    last = result.final("loss")
    return math.log(last) if last else None


def _agree(runs: Runs, *, measure: Measure, what: str) -> Verdict:
    p_values: dict[str, float] = {}
    sizes: list[str] = []
    for variant, results in runs.items():
        forms: dict[str, dict[int, float]] = {"keras": {}, "session": {}}
        for result in results:
            value = measure(result)
            if value is None:
                return None, f"{result.trial.id} has no {what}"
            forms[result.trial.form][result.trial.seed] = value
        shared = sorted(forms["keras"].keys() & forms["session"].keys())
        if not shared:
            continue
        diverged = [
            (seed, form) for form in forms for seed, v in forms[form].items() if math.isnan(v)
        ]
        # Where several trials diverge, it is the seed that decides, or rounding.
        if len(diverged) == 1 and diverged[0][0] in shared:
            return False, "{}, seed {}: diverged in the {} form alone".format(variant, *diverged[0])
        if measure is _end and _blind(results):
            continue
        tested = _test([list(values.items()) for values in forms.values()])
        if tested is not None:
            p_values[variant], size = tested
            sizes.append(size)
    if not p_values:
        return None, "no variant has three seeds in one form and one of them in the other"
    worst = min(p_values, key=lambda variant: p_values[variant])
    adjusted = min(1.0, p_values[worst] * len(p_values))
    return (
        adjusted > LEVEL,
        f"{what}: the forms differ most in '{worst}', by {sizes[list(p_values).index(worst)]} "
        f"({len(p_values)} variants, adjusted p {adjusted:.2g})",
    )


def _blind(results: Sequence[TrialResult]) -> bool:
    """Whether no trial learned anything: which class such a network names is decided by its last steps,
    and five seeds that all name the same one are no measure of its spread."""
    return all(
        "test" in result.trial.watched and (result.final("test accuracy") or 0.0) < BEYOND_CHANCE
        for result in results
    )


def _test(forms: Sequence[Sequence[tuple[int, float]]]) -> tuple[float, str] | None:
    """p-value of the mean difference d of m shared seeds, and a text on d; None if seeds are too few.

    t = |d| / (s sqrt(2 / m)), s^2 the pooled variance of seeds within both forms: what two sets of m
    unrelated seeds differ by. Forms that share weights and examples differ by less, so that the p-value
    is too large rather than too small.
    """
    clean = [{seed: value for seed, value in form if math.isfinite(value)} for form in forms]
    shared = clean[0].keys() & clean[1].keys()
    freedom = sum(len(form) for form in clean) - 2
    if not shared or freedom < 2:
        return None
    squares = sum(float(np.var(list(form.values()))) * len(form) for form in clean)
    distance = abs(float(np.mean([clean[0][seed] - clean[1][seed] for seed in shared])))
    error = math.sqrt(squares / freedom * 2.0 / len(shared))
    if error == 0:
        return float(distance == 0), f"{distance:.3g}, where seeds do not differ at all"
    p = 2.0 * float(special.stdtr(freedom, -distance / error))
    return p, f"{distance:.3g}, where seeds differ by {math.sqrt(squares / freedom):.3g}"


_claim = partial(Claim, variants=(), accuracy=False, form=BOTH)
AGREEMENT = tuple(
    claim
    for experiment in EXPERIMENTS
    for claim in (
        _claim(
            experiment,
            "forms-start-alike",
            "Today's API and the graph-and-session program train alike at first: under the same "
            "seed the mean loss until the first look differs by no more than seeds do.",
            judge=partial(
                _agree, measure=_first_loss, what="ln of the mean loss until the first look"
            ),
            binding=True,
        ),
        _claim(
            experiment,
            "forms-end-alike",
            "They end alike: under the same seed the final accuracy (P1 and P6: the last loss) "
            "differs by no more than seeds do.",
            judge=partial(_agree, measure=_end, what="final test accuracy or ln of the last loss"),
        ),
    )
)
