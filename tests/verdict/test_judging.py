"""Tests of judging in looks: undecided cells are given seeds until they are decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from bench.cells.cell import Cell
from bench.results.record import Replica
from bench.results.run import StoredRun
from bench.verdict.baselines.samples import Baseline, baseline_from_run
from bench.verdict.judgement import Verdict
from bench.verdict.judging import judge_with_claims, still_wanted
from support.builders import items, plan, stored, trained

CELLS = [Cell(depth=depth, steps=200) for depth in range(2, 14)]
ITEMS = items("depth", CELLS, ("depth",))
CHOSEN = ITEMS[5]
FIRST, LIMIT = 3, 12


def _run(
    accuracy: Callable[[Cell, int], float],
    *,
    seeds: Iterable[int] = range(FIRST),
    further: Iterable[int] = (),
    salt: str = "",
    decide: int = 0,
) -> StoredRun:
    """``further`` seeds are of CHOSEN alone."""
    seeds = list(seeds)
    keys = [(cell, seed) for cell in CELLS for seed in seeds]
    keys += [(CHOSEN.cell, seed) for seed in further]
    records = [
        trained(cell, seed, accuracy=accuracy(cell, seed), spread=0.0, salt=salt, trajectory=b"")
        for cell, seed in keys
    ]
    return stored(plan(ITEMS, seeds=seeds, decide=decide), records)


def _steady(_: Cell, seed: int) -> float:
    return 0.94 + 0.0002 * (seed % 3)


def _worse(by: float, spread: float) -> Callable[[Cell, int], float]:
    """CHOSEN is worse in the mean; its seeds are ``spread`` apart."""

    def accuracy(cell: Cell, seed: int) -> float:
        shift = spread * (seed % 3 - 1) - by if cell == CHOSEN.cell else 0.0
        return _steady(cell, seed) + shift

    return accuracy


_noisy = _worse(0.04, 0.05)


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return baseline_from_run(_run(_steady, seeds=range(24)))


def _verdict(run: StoredRun, baseline: Baseline) -> Verdict:
    return next(j.verdict for j in judge_with_claims(run, baseline) if j.item == CHOSEN)


def test_an_undecided_cell_alone_is_given_seeds(baseline: Baseline) -> None:
    """Three seeds leave it open: the next look has six, so three more are wanted, of that cell."""
    run = _run(_noisy, salt="b", decide=LIMIT)
    assert _verdict(run, baseline) is Verdict.INCONCLUSIVE
    assert still_wanted(run, baseline) == [Replica(CHOSEN.cell, seed) for seed in (3, 4, 5)]


def test_without_the_option_nothing_is_added(baseline: Baseline) -> None:
    """The plan says up to how many."""
    assert still_wanted(_run(_noisy, salt="b"), baseline) == []


def test_what_an_interruption_left_out_is_asked_for(baseline: Baseline) -> None:
    """One of the three further seeds is there."""
    run = _run(_noisy, further=[3], salt="b", decide=LIMIT)
    assert still_wanted(run, baseline) == [Replica(CHOSEN.cell, seed) for seed in (4, 5)]


def test_looks_end_at_the_limit(baseline: Baseline) -> None:
    """With twelve seeds nothing further is wanted, decided or not."""
    run = _run(_noisy, further=range(3, 12), salt="b", decide=LIMIT)
    assert still_wanted(run, baseline) == []


def test_more_seeds_decide(baseline: Baseline) -> None:
    """What three seeds could not tell is regressed with twenty-four."""
    run = _run(_noisy, further=range(3, 24), salt="b", decide=24)
    assert _verdict(run, baseline) is Verdict.REGRESSED


def test_a_decision_stands(baseline: Baseline) -> None:
    """A cell that the first look decided is not reopened by seeds that it has all the same. Five seeds:
    the first look's part of the level is too small for luck to be excluded under three."""
    first, limit = 5, 20

    def collapsed(cell: Cell, seed: int) -> float:
        worse = cell == CHOSEN.cell and seed < first
        return _steady(cell, seed) - (0.05 if worse else 0.0)

    run = _run(collapsed, seeds=range(first), further=range(first, limit), salt="b", decide=limit)
    assert _verdict(run, baseline) is Verdict.REGRESSED
    assert still_wanted(run, baseline) == []


def test_the_first_look_is_stricter_than_a_single_one(baseline: Baseline) -> None:
    """The level is spent over all looks: what is just significant alone is not so at the first."""

    def smallest(decide: int) -> int:
        """Permille by which CHOSEN must be worse to have regressed."""
        return next(
            step
            for step in range(5, 500, 2)
            if _verdict(_run(_worse(step / 1000, 0.03), salt="b", decide=decide), baseline)
            is Verdict.REGRESSED
        )

    assert smallest(0) < smallest(LIMIT)
