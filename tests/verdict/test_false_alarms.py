"""Simulated runs in which nothing changed: how often wolf is cried.

Every number of alarms is held against the most that the nominal level gives by chance: the 99.9 %
quantile of the binomial distribution. ``python tests/verdict/simulated.py`` measures more of each.
"""

from __future__ import annotations

import numpy as np
import pytest

from bench.statistics import variances
from bench.statistics.sequential import levels, looks
from bench.verdict.baselines.samples import Sample
from bench.verdict.comparison import Pair, compare
from bench.verdict.judgement import Verdict
from verdict import simulated
from verdict.simulated import (
    ACCURACY,
    ALPHA,
    CELLS,
    FINDINGS,
    Truth,
    accuracies,
    judged,
    measure,
    samples,
)

pytestmark = pytest.mark.slow

#: 5 % of 40 are 2; 8 or more alarms are less likely than one in a thousand.
RUNS = 40

NULLS = [
    (simulated.normal, 2),
    (simulated.normal, 3),
    (simulated.skewed, 3),
    (simulated.heavy_tailed, 10),
    (simulated.tied, 3),
    (simulated.without_spread, 3),
    (simulated.few_vary_some, 3),
    (simulated.few_vary_more, 3),
    (simulated.all_vary, 3),
    (simulated.coins, 3),
    (simulated.coins, 5),
    (simulated.one_coin, 3),
    (simulated.one_near, 3),
    (simulated.near_states, 3),
    (simulated.near_states, 5),
]


@pytest.mark.parametrize(
    ("truth", "seeds"), NULLS, ids=[f"{truth.__name__}-{seeds}" for truth, seeds in NULLS]
)
def test_false_alarms_of_a_run_stay_at_the_level(truth: Truth, seeds: int) -> None:
    """With nothing changed, at most 5 % of runs of 150 cells have any finding."""
    alarms = measure(truth, seeds, RUNS, parts="a", alone=True).alarms
    assert not alarms.exceeds(ALPHA), f"{alarms.hits} of {alarms.trials} runs"


def test_false_alarms_over_all_metrics_stay_at_the_level() -> None:
    """The level is the whole run's: 150 cells and every metric."""
    alarms = measure(simulated.coins, 3, 15, parts="a").alarms
    assert not alarms.exceeds(ALPHA), f"{alarms.hits} of {alarms.trials} runs"


def test_the_simulation_can_fail_where_luck_is_not_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Were every flip believed, cells that learn under every second seed would be reported, and those
    that learn more or less."""
    monkeypatch.setattr("bench.statistics.luck.chance", lambda *_: 0.0)
    for truth in (simulated.fair_coins, simulated.near_states):
        assert measure(truth, 3, RUNS, parts="a", alone=True).alarms.exceeds(ALPHA)


def test_the_simulation_can_fail_where_all_cells_are_thought_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Were one variance taken for all cells, the ones that vary more would be reported."""

    def pooled(squares: np.ndarray, df: np.ndarray, floors: np.ndarray) -> variances.Variances:
        variance = np.array([squares.sum() / df.sum() / floors.mean()])
        return variances.Variances(variance, np.ones((squares.size, 1)), floors)

    monkeypatch.setattr("bench.verdict.analysis.posteriors", pooled)
    assert measure(simulated.few_vary_more, 5, 20, parts="a", alone=True).alarms.exceeds(ALPHA)


def test_false_alarms_of_outcomes_stay_at_the_level() -> None:
    """Cells that diverge, or crash, with any probability: at most 5 % of runs have a finding."""
    alarms = simulated.Rate()
    for run in range(RUNS):
        random = np.random.default_rng([run, 77])
        chance = random.uniform(0, 1, (CELLS, 2)) * (np.arange(CELLS) < 12)[:, None]
        sides = [[_ended(random, row) for row in chance] for _ in "ab"]
        compared = compare(
            [Pair(baseline=a, run=b) for a, b in zip(*sides, strict=True)], alpha=ALPHA
        )
        alarms.count(any(c.verdict in FINDINGS for told in compared for c in told), 1)
    assert not alarms.exceeds(ALPHA), f"{alarms.hits} of {alarms.trials} runs"


def _ended(random: np.random.Generator, chance: np.ndarray) -> list[Sample]:
    """Three seeds that crash, else diverge, with these probabilities."""
    found = []
    for seed in range(3):
        crashed, diverged = random.random(2) < chance
        if crashed:
            found.append(Sample(seed=seed, outcome="crashed", digest="", metrics={}))
        else:
            outcome = "diverged" if diverged else "trained"
            value = {ACCURACY: None if diverged else 0.9}
            found.append(Sample(seed=seed, outcome=outcome, digest="d", metrics=value))
    return found


@pytest.mark.parametrize("truth", [simulated.normal, simulated.coins], ids=["normal", "coins"])
def test_looking_several_times_keeps_the_level(truth: Truth) -> None:
    """Looks at 3, 6, 12 and 24 seeds of the cells that are still open: at most 5 % of runs have a
    finding, and at most 5 % of cells at the margin are called equivalent."""
    found = simulated.decide(truth, 6)
    assert not found.alarms.exceeds(ALPHA), f"{found.alarms.hits} of {found.alarms.trials} runs"
    assert not found.wrong.exceeds(ALPHA), f"{found.wrong.hits} of {found.wrong.trials} cells"


def test_looking_several_times_at_the_whole_level_does_not_keep_it() -> None:
    """The same looks, each at .05: more than 5 % of cells at the margin are called equivalent."""
    rate, numbers = simulated.Rate(), looks(3, 24)
    assert max(levels(numbers, ALPHA)) < ALPHA
    for run in range(4):
        random = np.random.default_rng([run, 8])
        before, after = simulated.draw(simulated.normal, random, 24)
        ever = np.zeros(CELLS, bool)
        for seeds in numbers:
            part = judged(
                before[:, :seeds], after[:, :seeds] - simulated.MARGIN, random, alone=True
            )
            ever |= [verdict is Verdict.EQUIVALENT for verdict in accuracies(part)]
        rate.count(int(ever.sum()), CELLS)
    assert rate.exceeds(ALPHA)


def test_a_cell_that_stops_learning_is_found_with_three_seeds() -> None:
    """.92 under every seed, now .1135 under every seed, and no other cell does both."""
    random = np.random.default_rng(5)
    before, after = simulated.draw(simulated.normal, random, 3)
    after[7] = 0.1135
    verdicts = accuracies(judged(before, after, random))
    assert [i for i, v in enumerate(verdicts) if v in FINDINGS] == [7]


@pytest.mark.parametrize(("seeds", "found"), [(3, Verdict.INCONCLUSIVE), (5, Verdict.REGRESSED)])
def test_a_flip_may_be_luck_beside_cells_that_do_both(seeds: int, found: Verdict) -> None:
    """Three cells are mixed: with three seeds a flip is open, and says what would decide; with five
    it is none of luck."""
    random = np.random.default_rng(5)
    before, after = simulated.draw(simulated.normal, random, seeds)
    after[0] = 0.1135
    before[20, 0] = before[21, 1] = after[22, 1] = 0.1135
    told = next(c for c in judged(before, after, random)[0] if c.metric == ACCURACY)
    assert told.verdict is found
    open_ = found is Verdict.INCONCLUSIVE
    assert ("some seeds of 3 other cells end in one state" in told.reason) == open_
    assert told.reason.endswith("about 4 seeds would decide, on both sides") == open_


@pytest.mark.parametrize(("mixed", "found"), [(0, Verdict.REGRESSED), (3, Verdict.INCONCLUSIVE)])
def test_divergence_of_every_seed_is_found_unless_others_do_both(
    mixed: int, found: Verdict
) -> None:
    """3 of 3 against 0 of 3 is a finding; not where three cells diverge under some seeds anyway."""
    fine = samples({ACCURACY: np.full((1, 3), 0.9)}, range(3))[0]
    ended = [
        Sample(seed=s, outcome="diverged", digest="d", metrics={ACCURACY: None}) for s in range(3)
    ]
    pairs = [Pair(baseline=fine, run=fine)] * CELLS
    pairs[4] = Pair(baseline=fine, run=ended)
    for cell in range(10, 10 + mixed):
        pairs[cell] = Pair(baseline=[*fine[:2], ended[2]], run=[*fine[:2], ended[2]])
    compared = compare(pairs, alpha=ALPHA)
    assert [c.verdict for c in compared[4]] == [found]
    assert all(c.verdict not in FINDINGS for i in range(CELLS) if i != 4 for c in compared[i])
