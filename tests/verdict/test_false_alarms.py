"""Simulated runs with known truth: how often wolf is cried, and how often a wolf is missed.

Every rate is held against the most that its nominal value gives by chance: the 99.9 % quantile of the
binomial distribution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from bench.verdict.analysis import DIVERGED, FLIPS, Sides, analyse
from bench.verdict.metrics import METRICS
from bench.verdict.statistics import Array

ALPHA = 0.05
RUNS = 300
Draw = Callable[[np.random.Generator, int], Array]


def _sides(a: Array, b: Array) -> Sides:
    return Sides(a, b, np.ones(a.shape, bool), np.ones(b.shape, bool))


def _findings(values: dict[str, tuple[Array, Array]], diverged: tuple[Array, Array]) -> set[int]:
    """Cells that are said to have changed in any metric or in divergence."""
    analysis = analyse(_sides(*diverged), {name: _sides(*pair) for name, pair in values.items()})
    found = {int(i) for i in np.flatnonzero(analysis.shares[DIVERGED].adjusted <= ALPHA)}
    for metric in METRICS:
        means = analysis.means[metric.name]
        with np.errstate(invalid="ignore"):
            beyond = np.abs(means.difference.change) > metric.minimum_effect
            found |= {int(i) for i in np.flatnonzero((means.adjusted <= ALPHA) & beyond)}
            changed = analysis.shares[metric.name].adjusted <= ALPHA
        found |= {int(i) for i in np.flatnonzero(changed)}
    return found


def _run(draw: Draw, random: np.random.Generator, cells: int, seeds: int) -> dict[str, tuple]:
    """Both sides of every metric under the null: accuracies from ``draw``, paired ones by rounding."""
    values = {"test_accuracy": (draw(random, seeds), draw(random, seeds))}
    for name in ("signal_ratio_start", "kernel_ratio_start"):
        start = random.normal(0, 2, (cells, seeds))
        values[name] = (start, start + random.normal(0, 1e-6, start.shape))
    spread = np.exp(random.normal(-1, 0.5, (cells, 1)))
    values["signal_ratio_end"] = tuple(spread * random.normal(size=(cells, seeds)) for _ in "ab")
    values["dead_share_end"] = tuple(random.binomial(100, 0.1, (cells, seeds)) / 100 for _ in "ab")
    return values


def _normal(cells: int) -> Draw:
    return lambda random, seeds: 0.94 + 0.003 * random.normal(size=(cells, seeds))


def _few_vary_more(cells: int) -> Draw:
    """7 % of the cells vary 25 times as much as the others."""
    scale = np.where(np.arange(cells) < 0.07 * cells, 0.05, 0.002)[:, None]
    return lambda random, seeds: 0.8 + scale * random.normal(size=(cells, seeds))


def _heavy_tails(cells: int) -> Draw:
    return lambda random, seeds: 0.9 + 0.003 * random.standard_t(3, (cells, seeds))


def _learn_or_not(cells: int) -> Draw:
    """A tenth of the cells learn under some seeds only; the others always do."""
    chance = np.random.default_rng(9).uniform(0, 1, cells) * (np.arange(cells) < 0.1 * cells)
    learned = np.random.default_rng(8).uniform(0.8, 0.96, (cells, 1))

    def draw(random: np.random.Generator, seeds: int) -> Array:
        fails = random.random((cells, seeds)) < chance[:, None]
        return np.where(fails, 0.1135, learned + 0.004 * random.normal(size=(cells, seeds)))

    return draw


def _one_coin(cells: int) -> Draw:
    """One cell learns under every second seed: the worst case for telling flips from changes."""

    def draw(random: np.random.Generator, seeds: int) -> Array:
        values = 0.9 + 0.004 * random.normal(size=(cells, seeds))
        values[0] = np.where(random.random(seeds) < 0.5, 0.1135, values[0])
        return values

    return draw


def _ties(cells: int) -> Draw:
    """Most of the spread is lost: three digits, often the same ones."""
    return lambda random, seeds: np.round(0.94 + 0.001 * random.normal(size=(cells, seeds)), 3)


def _stuck(cells: int) -> Draw:
    """No spread at all."""
    return lambda random, seeds: np.full((cells, seeds), 0.1135)


NULLS = [_normal, _few_vary_more, _heavy_tails, _learn_or_not, _one_coin, _ties, _stuck]


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("null", NULLS, ids=lambda null: null.__name__.strip("_"))
def test_false_alarms_of_a_run_stay_at_the_level(null: Callable[[int], Draw], seeds: int) -> None:
    """With nothing changed, at most 5 % of runs of 150 cells and 5 metrics have any finding."""
    cells, alarms = 150, 0
    for run in range(RUNS):
        random = np.random.default_rng([run, seeds])
        nothing = np.zeros((cells, seeds))
        values = _run(null(cells), random, cells, seeds)
        alarms += bool(_findings(values, (nothing, nothing)))
    assert alarms <= stats.binom.ppf(0.999, RUNS, ALPHA), f"{alarms} of {RUNS} runs"


def test_the_simulation_can_fail() -> None:
    """Without the luck of flips, cells that learn or not are reported far too often."""
    random_runs, alarms = 300, 0
    for run in range(random_runs):
        random = np.random.default_rng([run, 3])
        draw = _learn_or_not(150)
        accuracy = (draw(random, 3), draw(random, 3))
        flat = np.zeros((150, 3))
        values = {metric.name: (flat, flat) for metric in METRICS} | {"test_accuracy": accuracy}
        analysis = analyse(_sides(flat, flat), {k: _sides(*v) for k, v in values.items()})
        means = analysis.means["test_accuracy"]
        alarms += bool((means.lucky[means.difference.p_value < 1e-6] > ALPHA / FLIPS).any())
    assert alarms > stats.binom.ppf(0.999, random_runs, ALPHA)


def _power(drop: float, deviation: float, seeds: int, runs: int = 100) -> float:
    """How often a drop in one cell of 150 is found."""
    cells, found = 150, 0
    for run in range(runs):
        random = np.random.default_rng([run, seeds])
        draw = _run(_normal(cells), random, cells, seeds)
        sides = [0.94 + deviation * random.normal(size=(cells, seeds)) for _ in "ab"]
        sides[1][0] -= drop
        nothing = np.zeros((cells, seeds))
        found += 0 in _findings(draw | {"test_accuracy": tuple(sides)}, (nothing, nothing))
    return found / runs


@pytest.mark.parametrize(
    ("drop", "deviation", "seeds", "least"),
    [(0.02, 0.002, 3, 0.8), (0.05, 0.004, 3, 0.8), (0.02, 0.004, 5, 0.6)],
)
def test_a_drop_is_found(drop: float, deviation: float, seeds: int, least: float) -> None:
    """One cell of 150 that loses 2 or 5 points is found, among five metrics, in most runs."""
    assert _power(drop, deviation, seeds) >= least


def test_a_cell_that_stops_learning_is_found_with_three_seeds() -> None:
    """.94 under every seed, now .1135 under every seed, and no other cell does both."""
    random = np.random.default_rng(5)
    values = _run(_normal(150), random, 150, 3)
    values["test_accuracy"][1][7] = 0.1135
    nothing = np.zeros((150, 3))
    assert _findings(values, (nothing, nothing)) == {7}


@pytest.mark.parametrize(("mixed", "found"), [(0, {4}), (3, set())])
def test_divergence_of_every_seed_is_found_unless_others_do_both(
    mixed: int, found: set[int]
) -> None:
    """3 of 3 against 0 of 3 is a finding; not where three cells diverge under some seeds anyway."""
    nothing = np.zeros((150, 3))
    baseline, run = nothing.copy(), nothing.copy()
    run[4] = 1
    baseline[10 : 10 + mixed, 0] = run[10 : 10 + mixed, 1] = 1
    random = np.random.default_rng(6)
    values = _run(_normal(150), random, 150, 3)
    assert _findings(values, (baseline, run)) == found


def test_false_alarms_of_divergence_stay_at_the_level() -> None:
    """Cells that diverge with any probability: at most 5 % of runs have a finding."""
    alarms = 0
    flat = np.zeros((150, 3))
    values = {metric.name: (flat, flat) for metric in METRICS}
    for run in range(RUNS):
        random = np.random.default_rng([run, 77])
        chance = random.uniform(0, 1, (150, 1)) * (np.arange(150) < 12)[:, None]
        sides = tuple((random.random((150, 3)) < chance).astype(float) for _ in "ab")
        alarms += bool(_findings(values, sides))
    assert alarms <= stats.binom.ppf(0.999, RUNS, ALPHA), f"{alarms} of {RUNS} runs"
