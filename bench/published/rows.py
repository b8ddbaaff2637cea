"""The table 'published / ours / within its noise?': every number that an original reports."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec
import numpy as np
from scipy import special

from bench.errors import count
from bench.published.experiments import EXPERIMENTS, P1, Experiment, Published
from bench.published.replay import predicted, replay
from bench.results.trial import FORMS, TrialResult

#: Chance that a sound run's number is said to lie outside its noise: 99 % intervals.
LEVEL = 0.01

#: Least degrees of freedom. With fewer an interval is so wide that it says nothing: Student's t reaches
#: to 64 with one, to 9.9 with two, to 5.8 with three.
LEAST_FREEDOM = 3

#: An original that gives a standard deviation had at least so many revisions.
FEWEST_REVISIONS = 2

#: Quantity for which a replay in NumPy stands: the answer to P1's question shows histograms.
REPLAYED = "variance w1"

#: Descriptions of numbers whose name does not say what they are.
_DESCRIPTIONS = {REPLAYED: "variance of w1's gradient, first 1,000 steps"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A published number and ours."""

    experiment: str
    variant: str
    form: str
    quantity: str
    published: str
    ours: str
    """Mean, standard deviation and number of seeds."""
    within: bool | None
    """Whether they differ by no more than runs do; None if it cannot be said."""
    why: str


def rows(results: Sequence[TrialResult]) -> list[Row]:
    """A row for each published number and form, of every experiment that was run whole."""
    table = []
    for experiment in EXPERIMENTS.values():
        for published, form in itertools.product(experiment.published, FORMS):
            key = (experiment.name, published.variant, form)
            ours = [
                result
                for result in results
                if (result.trial.experiment, result.trial.variant, result.trial.form) == key
            ]
            if ours and all(experiment.whole(result.trial) for result in ours):
                table.append(_row(experiment, published, form, ours))
    return table


def _row(
    experiment: Experiment, published: Published, form: str, results: Sequence[TrialResult]
) -> Row:
    ours = [value for result in results if (value := quantity(published, result)) is not None]
    within, why = unmeasured(results) or compared(published, results)
    return Row(
        experiment=experiment.name,
        variant=published.variant,
        form=form,
        quantity=_DESCRIPTIONS.get(published.quantity, published.quantity),
        published=_published(published),
        ours=_ours(published, ours),
        within=within,
        why=why,
    )


def unmeasured(results: Sequence[TrialResult]) -> tuple[None, str] | None:
    """Reason why trials have no number: crashed, or of a form that TensorFlow does not have."""
    for result in results:
        if result.outcome == "absent":
            return None, result.absent
        if result.outcome == "crashed":
            return None, f"crashed: {result.trial.id}"
    return None


def quantity(published: Published, result: TrialResult) -> float | None:
    """A trial's value of a published number; None if it diverged or did not measure it."""
    if result.outcome != "trained":
        return None
    if published.quantity in result.numbers:
        return result.numbers[published.quantity]
    return result.final(published.quantity)


def compared(published: Published, results: Sequence[TrialResult]) -> tuple[bool | None, str]:
    """Whether the mean of trials differs from what an original reports by no more than runs do.

    If both are draws of one normal distribution, n of ours and k of theirs, then the means differ by at
    most t s sqrt(1/n + 1/k) with probability 1 - LEVEL, s^2 the pooled variance and t of
    n + k - 2 degrees of freedom (Student's two samples; of one published run it is the prediction
    interval for it). Published numbers are rounded, by at most half of their last digit. The test
    images are the same on both sides: which of them were chosen adds no noise.

    A published mean with a standard deviation stands for two revisions, the fewest that have one. For a
    replayed number see :func:`_as_replayed`.
    """
    if any(result.outcome == "diverged" for result in results):
        return False, "diverged"
    if any(published.quantity not in {*result.numbers, *result.curves} for result in results):
        return None, "not measured"
    ours = [quantity(published, result) for result in results]
    if any(value is None for value in ours):
        return False, "not finite"
    known = np.array(ours, float)
    if published.quantity == REPLAYED:
        return _as_replayed(published, known)
    theirs = np.array(published.values)
    rounding = float(np.mean([_half_digit(value) for value in published.values]))
    runs = len(theirs) if published.spread is None else FEWEST_REVISIONS
    squares = _squares(known) + (
        _squares(theirs) if published.spread is None else (runs - 1) * published.spread**2
    )
    freedom = known.size + runs - 2
    if freedom < LEAST_FREEDOM:
        return None, f"{count(known.size, 'seed')}: {LEAST_FREEDOM + 2 - runs} are needed"
    t = float(special.stdtrit(freedom, 1.0 - LEVEL / 2.0))
    allowed = rounding + t * math.sqrt(squares / freedom * (1.0 / known.size + 1.0 / runs))
    distance = float(known.mean() - theirs.mean())
    # Equal numbers are within, whatever a mean's last bit says.
    within = abs(distance) <= allowed * (1 + 1e-12) + 1e-15
    return within, (
        f"difference {distance:+.4f}, allowed {allowed:.4f} "
        f"({100 * (1 - LEVEL):g} %, {freedom} degrees of freedom)"
    )


def _as_replayed(published: Published, ours: np.ndarray) -> tuple[bool, str]:
    """Whether a mean of logarithms lies where that of as many replayed seeds lies, but for LEVEL."""
    if (ours <= 0).any():
        return False, "exactly 0"
    logs = np.log(replay(P1.variants[published.variant]).variance)
    low, high = predicted(logs, trials=ours.size, level=LEVEL)
    mean = float(np.log(ours).mean())
    return (
        low <= mean <= high,
        f"geometric mean {math.exp(mean):.2g}, a replay gives {math.exp(low):.2g} to "
        f"{math.exp(high):.2g} ({100 * (1 - LEVEL):g} %)",
    )


def _squares(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 2).sum())


def _half_digit(value: float) -> float:
    """Half of the last digit that is written: .005 of .92."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    assert isinstance(exponent, int)
    return 0.5 * 10.0**exponent


def _published(published: Published) -> str:
    form = "{:.2g}" if published.quantity == REPLAYED else "{:g}"
    text = " / ".join(form.format(value) for value in published.values)
    if published.quantity == REPLAYED:
        text += " (mean of 20 replays)"
    return text if published.spread is None else f"{text} ± {published.spread:g}"


def _ours(published: Published, values: Sequence[float]) -> str:
    if not values:
        return "–"
    form = "{:.2g}" if published.quantity == REPLAYED else "{:.4f}"
    spread = f" ± {form.format(float(np.std(values, ddof=1)))}" if len(values) > 1 else ""
    return f"{form.format(float(np.mean(values)))}{spread}, {count(len(values), 'seed')}"
