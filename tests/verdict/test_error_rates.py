"""Simulated runs with known truth: what is called equivalent, what is missed, what advice is worth.

Rates are held against the 99.9 % quantile of the binomial distribution.
``python tests/verdict/simulated.py`` measures more of each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from bench.statistics.shares import PROMISED
from bench.verdict.comparison import Pair, compare
from bench.verdict.judgement import Verdict
from support.pages import excerpts
from verdict import simulated
from verdict.simulated import ACCURACY, ALPHA, MARGIN, Rate, Truth, judged, measure

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("truth", "seeds"),
    [
        (simulated.normal, 2),
        (simulated.normal, 3),
        (simulated.heavy_tailed, 3),
        (simulated.tied, 3),
        (simulated.few_vary_more, 3),
        (simulated.coins, 3),
    ],
)
def test_equivalence_is_wrong_at_most_at_its_level(truth: Truth, seeds: int) -> None:
    """A change of exactly the margin is called equivalent in at most 5 % of cells."""
    wrong = measure(truth, seeds, 10, parts="w").wrong
    assert not wrong.exceeds(ALPHA), f"{wrong.hits} of {wrong.trials} cells"


@pytest.mark.parametrize("rho", [0.0, 0.9, 0.99, 0.999])
def test_equivalence_of_correlated_pairs_is_wrong_at_most_at_its_level(rho: float) -> None:
    """The same, of pairs that correlate: the closer, the fewer seeds are needed, at the same level."""
    wrong = simulated.wrong_equivalence_of_pairs(rho, 3, 10)
    assert not wrong.exceeds(ALPHA), f"{wrong.hits} of {wrong.trials} cells"


def test_equivalence_of_samples_without_a_common_seed_is_wrong_at_most_at_its_level() -> None:
    """Three seeds against five others."""
    wrong = Rate()
    for run in range(10):
        random = np.random.default_rng([run, 21])
        before, after = simulated.draw(simulated.normal, random, 5)
        compared = judged(before[:, :3], after - MARGIN, random, alone=True, matched=False)
        wrong.count(simulated.accuracies(compared).count(Verdict.EQUIVALENT), len(compared))
    assert not wrong.exceeds(ALPHA), f"{wrong.hits} of {wrong.trials} cells"


def test_the_page_has_the_table_of_pairs() -> None:
    """Of docs/error-rates.md, number by number: what ``simulated.py 0.25`` prints."""
    (told,) = (
        one
        for one in excerpts()
        if one.page == "error-rates.md" and one.text.startswith("| correlation")
    )
    assert [list(row) for row in told.cells] == simulated.pairs(100)


def test_the_simulation_can_fail() -> None:
    """Were a third more than the margin allowed, more than 5 % of cells would be called equivalent."""
    object.__setattr__(simulated.BY_NAME[ACCURACY], "minimum_effect", MARGIN * 4 / 3)
    try:
        assert measure(simulated.normal, 3, 4, parts="w").wrong.exceeds(ALPHA)
    finally:
        object.__setattr__(simulated.BY_NAME[ACCURACY], "minimum_effect", MARGIN)


@pytest.mark.parametrize(
    ("truth", "seeds", "times", "least"),
    [
        (simulated.normal, 3, 4, 0.9),
        (simulated.few_vary_more, 5, 4, 0.9),
        (simulated.normal, 5, 2, 0.9),
    ],
)
def test_a_drop_is_found(truth: Truth, seeds: int, times: int, least: float) -> None:
    """Of cells whose seeds agree to .2 points, 90 % or more that lose 2 points under three seeds, or
    1 point under five, are found among 150 cells and all metrics; one side of the binomial bound."""
    power = measure(truth, seeds, 4, parts="p").power[times]
    misses = Rate(power.trials - power.hits, power.trials)
    assert not misses.exceeds(1 - least), f"{power.hits} of {power.trials} cells"


@pytest.mark.parametrize(
    "truth",
    [simulated.normal, simulated.all_vary, simulated.coins, simulated.near_states],
    ids=lambda truth: truth.__name__,
)
def test_a_cell_that_alone_changes_is_found(truth: Truth) -> None:
    """2 points with five seeds, and everything: nine times in ten, whatever the other cells do."""
    changes = simulated.CHANGES[-2:]
    single = measure(truth, 5, 8, parts="s", changes=changes).single
    for times in changes:
        rate = single[times]
        assert not Rate(rate.trials - rate.hits, rate.trials).exceeds(0.1), (
            f"{rate.hits} at {times}"
        )


def test_what_did_not_change_is_mostly_shown_to_be_equivalent() -> None:
    """Five seeds that agree to .2 points suffice in nine cells of ten."""
    equal = measure(simulated.normal, 5, 3, parts="a", alone=True).equivalent
    assert not Rate(equal.trials - equal.hits, equal.trials).exceeds(0.1)


@pytest.mark.parametrize("change", [0.0, 0.008], ids=["no change", "more than the margin"])
def test_with_the_advised_number_of_seeds_the_decision_falls(change: float) -> None:
    """Cells that vary by .5 points under four seeds are open. They are compared again, each with as
    many seeds as it was advised: at least the promised share is decided, by the binomial bound."""
    random = np.random.default_rng(31)

    def pairs(seeds: Sequence[int]) -> list[Pair]:
        sides = []
        for shift in (0.0, change):
            values = [0.9 - shift + 0.005 * random.normal(size=(1, n)) for n in seeds]
            sides.append([simulated.samples({ACCURACY: v}, range(v.shape[1]))[0] for v in values])
        return [Pair(baseline=a, run=b) for a, b in zip(*sides, strict=True)]

    advised = []
    for (told,) in compare(pairs([4] * 150), alpha=ALPHA):
        number = re.search(r"about (\d+) seeds would decide", told.reason)
        if told.verdict is Verdict.INCONCLUSIVE and number:
            advised.append(int(number[1]))
    assert len(advised) > 60
    again = [told.verdict for (told,) in compare(pairs(advised), alpha=ALPHA)]
    left = Rate(again.count(Verdict.INCONCLUSIVE), len(again))
    assert not left.exceeds(1 - PROMISED), f"{left.hits} of {left.trials} open"
