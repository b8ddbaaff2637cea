"""Simulated runs with known truth, judged by ``compare``: how often wolf is cried, and when missed.

``python tests/verdict/simulated.py`` prints the tables; an argument multiplies the numbers of runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.statistics.sequential import levels, looks
from bench.verdict.baselines.samples import Sample
from bench.verdict.comparison import Pair, compare
from bench.verdict.judgement import Comparison, Verdict
from bench.verdict.metrics import BY_NAME

Array = npt.NDArray[np.float64]
Random = np.random.Generator

ALPHA = 0.05
CELLS = 150
ACCURACY = "test_accuracy"
SHARES = (ACCURACY, "dead_share_end")
MARGIN = BY_NAME[ACCURACY].minimum_effect
#: Seeds' standard deviation: Jordan's at 8 % error.
DEVIATION = 0.002
LEVEL = 0.92
#: Changes whose power is measured, in margins; the last one loses everything but chance.
CHANGES = (1, 2, 4, (LEVEL - 0.1) / MARGIN)
#: The cell that alone changes: of middling spread where spreads differ, and in no truth a coin.
CHANGED = 75
FINDINGS = {Verdict.REGRESSED, Verdict.IMPROVED, Verdict.CHANGED}


# Truths: deviations of test accuracy, shape (cells, seeds), in units of DEVIATION


def normal(random: Random, cells: int, seeds: int) -> Array:
    return random.normal(size=(cells, seeds))


def skewed(random: Random, cells: int, seeds: int) -> Array:
    """Log-normal, exp(N(0, 1)) to the left, to a standard deviation of 1."""
    mean, deviation = np.exp(0.5), np.sqrt((np.e - 1) * np.e)
    return (mean - np.exp(random.normal(size=(cells, seeds)))) / deviation


def heavy_tailed(random: Random, cells: int, seeds: int) -> Array:
    """Student's t on 3 degrees of freedom, to a standard deviation of 1."""
    return random.standard_t(3, (cells, seeds)) / np.sqrt(3)


def tied(random: Random, cells: int, seeds: int) -> Array:
    """Rounded to a standard deviation: half of all pairs of values are one or two numbers."""
    return np.round(random.normal(size=(cells, seeds)))


def without_spread(random: Random, cells: int, seeds: int) -> Array:
    return np.zeros((cells, seeds))


def few_vary_more(random: Random, cells: int, seeds: int) -> Array:
    """One cell in fifteen varies 25 times as much as the others."""
    scale = np.where(_few(cells), 25.0, 1.0)[:, None]
    return scale * random.normal(size=(cells, seeds))


def few_vary_some(random: Random, cells: int, seeds: int) -> Array:
    """One cell in fifteen varies 5 times as much as the others."""
    scale = np.where(_few(cells), 5.0, 1.0)[:, None]
    return scale * random.normal(size=(cells, seeds))


def all_vary(random: Random, cells: int, seeds: int) -> Array:
    """Standard deviations of cells are log-normal, e-fold and more apart."""
    scale = np.exp(stats.norm.ppf((np.arange(cells) + 0.5) / cells))[:, None]
    return scale * random.normal(size=(cells, seeds))


def coins(random: Random, cells: int, seeds: int) -> Array:
    """One cell in ten learns under some seeds only, .8 apart, with any probability."""
    chance = _chances(cells)
    return normal(random, cells, seeds) - 400.0 * (random.random((cells, seeds)) < chance)


def near_states(random: Random, cells: int, seeds: int) -> Array:
    """One cell in ten has two states 4 points apart."""
    chance = _chances(cells)
    return normal(random, cells, seeds) - 20.0 * (random.random((cells, seeds)) < chance)


def one_near(random: Random, cells: int, seeds: int) -> Array:
    """One cell has two states 1.6 points apart, hardly told from seed-to-seed spread."""
    falls = (random.random((cells, seeds)) < 0.5) & (np.arange(cells) == 0)[:, None]
    return normal(random, cells, seeds) - 8.0 * falls


def fair_coins(random: Random, cells: int, seeds: int) -> Array:
    """One cell in ten learns under every second seed."""
    falls = (random.random((cells, seeds)) < 0.5) & (np.arange(cells) % 10 == 3)[:, None]
    return normal(random, cells, seeds) - 400.0 * falls


def one_coin(random: Random, cells: int, seeds: int) -> Array:
    """One cell learns under every second seed: the worst case, as no other cell shows it."""
    falls = (random.random((cells, seeds)) < 0.5) & (np.arange(cells) == 0)[:, None]
    return normal(random, cells, seeds) - 400.0 * falls


def _few(cells: int) -> npt.NDArray[np.bool_]:
    """Ten cells of 150, none of those whose power is measured."""
    return (np.arange(cells) % 10 == 3) & (np.arange(cells) < 100)


def _chances(cells: int) -> Array:
    """Of the lower state; a tenth of the cells has one that is not zero."""
    several = np.arange(cells) % 10 == 3
    chance = np.zeros(cells)
    chance[several] = (np.arange(several.sum()) + 0.5) / several.sum()
    return chance[:, None]


Truth = Callable[[Random, int, int], Array]


# Runs


@dataclass
class Rate:
    """How often something happened."""

    hits: int = 0
    trials: int = 0

    def count(self, hits: int, trials: int) -> None:
        self.hits += hits
        self.trials += trials

    @property
    def value(self) -> float:
        return self.hits / self.trials

    @property
    def upper(self) -> float:
        """Upper 95 % confidence limit (Clopper and Pearson 1934)."""
        if self.hits == self.trials:
            return 1.0
        return float(stats.beta.ppf(0.95, self.hits + 1, self.trials - self.hits))

    def exceeds(self, nominal: float, quantile: float = 0.999) -> bool:
        """Whether a true rate of ``nominal`` gives so many hits less than once in a thousand times."""
        return self.hits > stats.binom.ppf(quantile, self.trials, nominal)


def samples(columns: dict[str, Array], seeds: Sequence[int]) -> list[list[Sample]]:
    """One list of samples per cell, from raw values of shape (cells, seeds); NaN is not defined. A
    share ends at 0 and 1."""
    names = list(columns)
    values_of = {
        name: np.clip(values, 0.0, 1.0) if name in SHARES else values
        for name, values in columns.items()
    }
    rows = np.stack([values_of[name] for name in names], axis=-1).tolist()
    return [
        [
            Sample(
                seed=seed,
                outcome="trained",
                digest="d",
                metrics={n: None if v != v else v for n, v in zip(names, values, strict=True)},
            )
            for seed, values in zip(seeds, row, strict=True)
        ]
        for row in rows
    ]


def other_metrics(random: Random, seeds: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Both sides of every other metric, unchanged, so that the run tests as many as a real one."""
    shape = (CELLS, seeds)
    start = np.exp(random.normal(0, 2, (2, *shape)))
    both = []
    for _ in "ab":
        ratios = np.exp(np.exp(random.normal(-1, 0.5, (CELLS, 1))) * random.normal(size=shape))
        both.append(
            {
                "test_loss": 0.27 * np.exp(random.normal(0, 0.03, shape)),
                "steps_to_half_loss": np.round(60 * np.exp(random.normal(0, 0.1, shape))),
                "signal_ratio_start": start[0] * np.exp(random.normal(0, 1e-6, shape)),
                "kernel_ratio_start": start[1] * np.exp(random.normal(0, 1e-6, shape)),
                "signal_ratio_end": ratios,
                "dead_share_end": random.binomial(500, 0.05, shape) / 500,
            }
        )
    return both[0], both[1]


def judged(
    before: Array,
    after: Array,
    random: Random,
    *,
    alpha: float = ALPHA,
    alone: bool = False,
    matched: bool = True,
) -> list[list[Comparison]]:
    """Accuracies of both sides, shape (cells, seeds), compared, with every other metric or alone."""
    parts: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    if not alone:
        parts = other_metrics(random, max(before.shape[1], after.shape[1]))
        parts = tuple(  # type: ignore[assignment]
            {name: values[:, : side.shape[1]] for name, values in part.items()}
            for part, side in zip(parts, (before, after), strict=True)
        )
    first = range(before.shape[1])
    second = range(after.shape[1]) if matched else range(100, 100 + after.shape[1])
    sides = zip(
        samples({ACCURACY: before} | parts[0], first),
        samples({ACCURACY: after} | parts[1], second),
        strict=True,
    )
    return compare([Pair(baseline=a, run=b) for a, b in sides], alpha=alpha)


def accuracies(compared: Iterable[Sequence[Comparison]]) -> list[Verdict]:
    """The verdict on test accuracy, cell by cell."""
    return [next(c.verdict for c in told if c.metric == ACCURACY) for told in compared]


def draw(truth: Truth, random: Random, seeds: int, rho: float = 0.0) -> tuple[Array, Array]:
    """Accuracies of both sides; seeds of the same number correlate by ``rho``."""
    own = [truth(random, CELLS, seeds) for _ in "ab"]
    if rho:
        own[1] = rho * own[0] + np.sqrt(1 - rho**2) * own[1]
    return LEVEL + DEVIATION * own[0], LEVEL + DEVIATION * own[1]


@dataclass
class Rates:
    """What a truth gave; all of test accuracy but the false alarms, which are of the whole run."""

    runs: int = 0
    alarms: Rate = field(default_factory=Rate)
    """Runs without a change in which anything is found."""
    wrong: Rate = field(default_factory=Rate)
    """Cells called equivalent whose change is exactly the margin."""
    equivalent: Rate = field(default_factory=Rate)
    """Cells called equivalent that did not change."""
    power: dict[float, Rate] = field(default_factory=lambda: {x: Rate() for x in CHANGES[:-1]})
    """Cells called regressed, by their change in margins; a tenth of the run's cells each."""
    single: dict[float, Rate] = field(default_factory=lambda: {x: Rate() for x in CHANGES})
    """The same of runs in which one cell changed."""


def measure(
    truth: Truth,
    seeds: int,
    runs: int,
    *,
    parts: str = "awp",
    alone: bool = False,
    changes: Sequence[float] = CHANGES,
) -> Rates:
    """Simulates ``runs`` runs of each part: alarms (and equivalent), wrong, power, power of a single
    change (s), which is one of ``changes``; of test accuracy among all metrics, or alone."""
    rates = Rates(runs=runs)
    for run in range(runs):
        random = np.random.default_rng([run, seeds, 1, sum(truth.__name__.encode())])
        if "a" in parts:
            compared = judged(*draw(truth, random, seeds), random, alone=alone)
            rates.alarms.count(any(c.verdict in FINDINGS for told in compared for c in told), 1)
            rates.equivalent.count(accuracies(compared).count(Verdict.EQUIVALENT), CELLS)
        if "w" in parts:
            before, after = draw(truth, random, seeds)
            verdicts = accuracies(judged(before, after - MARGIN, random, alone=True))
            rates.wrong.count(verdicts.count(Verdict.EQUIVALENT), CELLS)
        if "p" in parts:
            before, after = draw(truth, random, seeds)
            for place, times in enumerate(rates.power):
                after[place::10] -= times * MARGIN
            verdicts = accuracies(judged(before, after, random))
            for place, times in enumerate(rates.power):
                found = verdicts[place::10]
                rates.power[times].count(found.count(Verdict.REGRESSED), len(found))
        if "s" in parts:
            before, after = draw(truth, random, seeds)
            for times in changes:
                changed = after.copy()
                changed[CHANGED] -= times * MARGIN
                verdict = accuracies(judged(before, changed, random, alone=alone))[CHANGED]
                rates.single[times].count(verdict is Verdict.REGRESSED, 1)
    return rates


def wrong_equivalence_of_pairs(rho: float, seeds: int, runs: int) -> Rate:
    """Cells called equivalent whose change is the margin, where seeds of both sides correlate."""
    rate = Rate()
    for run in range(runs):
        random = np.random.default_rng([run, seeds, 2, round(1000 * rho)])
        before, after = draw(normal, random, seeds, rho)
        verdicts = accuracies(judged(before, after - MARGIN, random, alone=True))
        rate.count(verdicts.count(Verdict.EQUIVALENT), CELLS)
    return rate


@dataclass
class Decided:
    """What looking several times gave."""

    alarms: Rate = field(default_factory=Rate)
    """Runs without a change in which anything is found at any look."""
    wrong: Rate = field(default_factory=Rate)
    """Cells at the margin that are called equivalent at any look."""
    open: Rate = field(default_factory=Rate)
    """Cells without a change that are inconclusive after the last look."""


def decide(truth: Truth, runs: int, *, first: int = 3, limit: int = 24) -> Decided:
    """Runs that add seeds to inconclusive cells only, look by look
    (:mod:`bench.statistics.sequential`).

    Of the cells without a change all metrics but accuracy are left out, so that many cells stay open.
    """
    decided, numbers = Decided(), looks(first, limit)
    for run in range(runs):
        random = np.random.default_rng([run, 3, sum(truth.__name__.encode())])
        for shift, rate in ((0.0, decided.alarms), (MARGIN, decided.wrong)):
            before, after = draw(truth, random, limit)
            final = [Verdict.INCONCLUSIVE] * CELLS
            have = np.full(CELLS, first)
            for seeds, level in zip(numbers, levels(numbers, ALPHA), strict=True):
                have[[v is Verdict.INCONCLUSIVE for v in final]] = seeds
                rows = [
                    Pair(
                        baseline=samples({ACCURACY: before[i : i + 1, : have[i]]}, range(have[i]))[
                            0
                        ],
                        run=samples(
                            {ACCURACY: after[i : i + 1, : have[i]] - shift}, range(have[i])
                        )[0],
                    )
                    for i in range(CELLS)
                ]
                verdicts = accuracies(compare(rows, alpha=level))
                final = [
                    new if old is Verdict.INCONCLUSIVE else old
                    for old, new in zip(final, verdicts, strict=True)
                ]
            if shift:
                rate.count(final.count(Verdict.EQUIVALENT), CELLS)
            else:
                rate.count(any(v in FINDINGS for v in final), 1)
                decided.open.count(final.count(Verdict.INCONCLUSIVE), CELLS)
    return decided


TRUTHS: dict[str, tuple[Truth, Sequence[int]]] = {
    "normal": (normal, (2, 3, 5, 10)),
    "skewed (log-normal)": (skewed, (3, 5)),
    "heavy tails (t on 3)": (heavy_tailed, (3, 5)),
    "ties": (tied, (3, 5)),
    "no spread": (without_spread, (3,)),
    "one cell in 15 varies 5-fold": (few_vary_some, (3, 5)),
    "one cell in 15 varies 25-fold": (few_vary_more, (3, 5)),
    "spreads log-normal": (all_vary, (3, 5)),
    "a tenth learns or not": (coins, (3, 5, 10)),
    "a single coin": (one_coin, (3, 5)),
    "a single cell has states 1.6 points apart": (one_near, (3, 5)),
    "a tenth has states 4 points apart": (near_states, (3, 5, 10)),
}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _words(rate: Rate) -> str:
    return f"{_short(rate.value, 3)} ({_short(rate.upper, 3)})"


def _short(share: float, digits: int = 2) -> str:
    return f"{share:.{digits}f}".removeprefix("0")


def pairs(runs: int) -> list[list[str]]:
    """Rows of the table by the correlation of matched seeds, its head first."""
    return [
        ["correlation", "2 seeds", "3 seeds", "5 seeds"],
        *(
            [
                f"{rho:g}".removeprefix("0") or "0",
                *(_words(wrong_equivalence_of_pairs(rho, n, max(runs // 8, 2))) for n in (2, 3, 5)),
            ]
            for rho in (0.0, 0.5, 0.9, 0.99, 0.999)
        ),
    ]


def main(times: float = 1.0) -> None:
    """Prints all tables."""
    runs, fewer = round(400 * times), max(round(100 * times), 2)
    rows = []
    for name, (truth, numbers) in TRUTHS.items():
        for seeds in numbers:
            rates = measure(truth, seeds, runs, parts="a")
            rest = measure(truth, seeds, fewer, parts="wps")
            power = [_short(rate.value) for rate in (*rest.power.values(), *rest.single.values())]
            found = [_words(rates.alarms), _words(rest.wrong), _short(rates.equivalent.value)]
            rows.append([f"{name}, {seeds} seeds", *found, *power])
            print(rows[-1], file=sys.stderr)
    print(
        f"{runs} runs of {CELLS} cells for alarms, {fewer} for the rest; in brackets the upper 95 %\n"
        "confidence limit. Power at 1, 2 and 4 times the smallest change that matters, where 45 cells\n"
        "changed; then where one did, and where one lost everything.\n"
    )
    head = ["truth", "runs with a false alarm", "wrongly equivalent", "rightly equivalent"]
    print(_table([*head, "1x", "2x", "4x", "one cell: 1x", "2x", "4x", "all"], rows))
    print("\nWrongly equivalent at the margin, by the correlation of matched seeds:\n")
    head, *rows = pairs(runs)
    print(_table(head, rows))
    several = []
    for name, truth in (
        ("normal", normal),
        ("heavy tails", heavy_tailed),
        ("a tenth learns or not", coins),
    ):
        found = decide(truth, max(runs // 2, 2))
        several.append(
            [name, _words(found.alarms), _words(found.wrong), _short(found.open.value, 3)]
        )
    print("\nLooks at 3, 6, 12 and 24 seeds:\n")
    print(_table(["truth", "runs with a false alarm", "wrongly equivalent", "still open"], several))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
