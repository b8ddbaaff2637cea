"""Tests that power grows with the change: a collapse is no harder to see than a small loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.statistics.sequential import levels, looks
from bench.verdict.baselines.samples import Sample
from bench.verdict.comparison import Pair, compare
from bench.verdict.judgement import Verdict
from bench.verdict.metrics import BY_NAME, METRICS

CELLS = 30
FINDINGS = {Verdict.REGRESSED, Verdict.IMPROVED, Verdict.CHANGED}
#: A usual value of each metric, and seeds' deviation, on its scale.
USUAL = {
    "test_accuracy": (0.92, 0.002),
    "test_loss": (0.27, 0.03),
    "steps_to_half_loss": (60.0, 0.1),
    "signal_ratio_start": (1.0, 0.0),
    "kernel_ratio_start": (1.0, 0.0),
    "signal_ratio_end": (1.0, 0.2),
    "dead_share_end": (0.05, 0.01),
}
#: Direction of a change for the worse.
WORSE = {metric.name: -metric.better or 1 for metric in METRICS}


def _noise(random: np.random.Generator, cells: int, seeds: int) -> np.ndarray:
    return random.normal(size=(len(USUAL), cells, seeds))


def _side(noise: np.ndarray, shift: dict[str, float] | None = None) -> list[Sample]:
    """Samples of one cell, from noise of shape (metrics, seeds)."""
    columns = {}
    for (name, (level, deviation)), row in zip(USUAL.items(), noise, strict=True):
        change = (shift or {}).get(name, 0.0) + deviation * row
        columns[name] = level * np.exp(change) if BY_NAME[name].scale == "log" else level + change
    return [
        Sample(
            seed=seed,
            outcome="trained",
            digest="d",
            metrics={name: float(column[seed]) for name, column in columns.items()},
        )
        for seed in range(noise.shape[1])
    ]


def _verdicts(
    changes: Sequence[float],
    name: str,
    *,
    seeds: tuple[int, int] = (3, 3),
    alpha: float = 0.05,
    first: int = 0,
) -> list[Verdict]:
    """Of the first cell, whose metric alone changes for the worse by each of these, among others."""
    random = np.random.default_rng([first, *seeds])
    before, after = (_noise(random, CELLS, number) for number in seeds)
    others = [Pair(baseline=_side(before[:, i]), run=_side(after[:, i])) for i in range(1, CELLS)]
    found = []
    for change in changes:
        moved = Pair(
            baseline=_side(before[:, 0]), run=_side(after[:, 0], {name: change * WORSE[name]})
        )
        told = {c.metric: c.verdict for c in compare([moved, *others], alpha=alpha)[0]}
        found.append(told[name])
    return found


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("test_accuracy", (0.02, 0.05, 0.8)),
        ("test_loss", (0.5, 1.0, 5.0)),
        ("steps_to_half_loss", (np.log(1.95), np.log(2.05), np.log(10.0))),
        ("signal_ratio_end", (np.log(9.0), np.log(11.0), np.log(1e6))),
        ("dead_share_end", (0.22, 0.26, 0.9)),
    ],
)
@pytest.mark.parametrize("alpha", [0.05, 0.025])
def test_a_collapse_is_seen_where_a_smaller_change_is(
    name: str, changes: Sequence[float], alpha: float
) -> None:
    """Three seeds a side, one cell of thirty, whatever part of the level envelopes take."""
    found = _verdicts(changes, name, alpha=alpha)
    assert set(found) <= {Verdict.REGRESSED, Verdict.CHANGED}


@pytest.mark.parametrize("seeds", [(3, 3), (3, 24), (24, 3), (5, 5)])
def test_a_collapse_is_seen_at_every_look(seeds: tuple[int, int]) -> None:
    """Luck does not grow with the number of looks, so its level is no part of what they share."""
    first = min(levels(looks(3, 24), 0.05))
    assert _verdicts([0.8], "test_accuracy", seeds=seeds, alpha=first) == [Verdict.REGRESSED]


@pytest.mark.parametrize("seeds", [(3, 3), (5, 3), (5, 5), (3, 24)])
@pytest.mark.parametrize("state", ["diverged", "crashed", "undefined"])
def test_the_end_of_every_seed_is_seen_at_every_look(state: str, seeds: tuple[int, int]) -> None:
    """All diverged, crashed, or never at half the loss, and none before."""
    fine = [Pair(baseline=_side(np.zeros((7, seeds[0]))), run=_side(np.zeros((7, seeds[1]))))]
    ended = [
        Sample(
            seed=sample.seed,
            outcome="trained" if state == "undefined" else state,  # type: ignore[arg-type]
            digest="" if state == "crashed" else "d",
            metrics=sample.metrics | {"steps_to_half_loss": None} if state == "undefined" else {},
        )
        for sample in fine[0].run
    ]
    told = compare([Pair(baseline=fine[0].baseline, run=ended), *fine * 29], alpha=0.0097)[0]
    name = "steps_to_half_loss" if state == "undefined" else state
    assert {c.metric: c.verdict for c in told}[name] is Verdict.REGRESSED


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(USUAL)),
    st.sampled_from([(3, 3), (3, 5), (5, 5), (5, 10), (10, 10)]),
    st.lists(st.floats(1.0, 100.0), min_size=2, max_size=5),
    st.integers(0, 1000),
)
@pytest.mark.slow
def test_a_larger_change_is_no_harder_to_see(
    name: str, seeds: tuple[int, int], times: list[float], first: int
) -> None:
    """The noise stays, the change grows: what was found is found."""
    margin = BY_NAME[name].minimum_effect
    most = {"test_accuracy": 0.9, "dead_share_end": 0.9}.get(name, 500.0)
    changes = sorted(min(x * margin, most) for x in times)
    found = [v in FINDINGS for v in _verdicts(changes, name, seeds=seeds, first=first)]
    assert found == sorted(found)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(3, 8), st.integers(3, 8), st.booleans(), st.booleans())
@pytest.mark.slow
def test_seeds_in_line_with_the_others_do_not_hide_a_collapse(
    first: int, before: int, after: int, mixed: bool, of_baseline: bool
) -> None:
    """A collapse that is found is found with a seed more on either side, also beside a cell that ends
    in two states."""
    random = np.random.default_rng([first, 4])
    noise = [_noise(random, CELLS, 9) for _ in "ab"]
    falls = random.random((2, 9)) < 0.5 * mixed

    def pair(cell: int, n: int, m: int) -> Pair:
        sides = [_side(noise[0][:, cell, :n]), _side(noise[1][:, cell, :m])]
        if cell == 1:
            for side, down in zip(sides, falls, strict=True):
                for sample, low in zip(side, down, strict=False):
                    if low:
                        sample.metrics["test_accuracy"] = 0.1
        return Pair(baseline=sides[0], run=sides[1])

    def found(n: int, m: int) -> bool:
        pairs = [pair(cell, before, after) for cell in range(1, CELLS)]
        cell = pair(0, n, m)
        for sample in cell.run:
            sample.metrics["test_accuracy"] = 0.11
        told = compare([cell, *pairs], alpha=0.05)[0]
        return {c.metric: c.verdict for c in told}["test_accuracy"] is Verdict.REGRESSED

    if found(before, after):
        assert found(before + of_baseline, after + (not of_baseline))
