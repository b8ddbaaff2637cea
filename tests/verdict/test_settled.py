"""The first seed of a cell whose bits differ: when it decides alone, and when the others are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.results.copy_result import Copy, CopyResult
from bench.results.record import Record, Replica
from bench.results.run import StoredRun
from bench.verdict.baselines.samples import Baseline, baseline_from_run
from bench.verdict.bits import straying
from bench.verdict.envelope import FEWEST, stray_risk
from bench.verdict.judgement import EnvelopeTest, Judgement, Verdict
from bench.verdict.judging import still_wanted_of_both
from bench.verdict.ladder import judge, still_wanted
from bench.verdict.metrics import BY_NAME
from support.builders import replaced, stored
from support.parted import CELL, PLAN, ends, full, looks, ordinary, parted

ONE = msgspec.structs.replace(PLAN, seeds=[0], further=[1, 2, 3, 4])
WHOLE = baseline_from_run(stored(PLAN, [full(seed) for seed in PLAN.seeds]))


def rounded(record: Record, **changes: Any) -> Record:
    """The replica with another rounding from the first step on: inside, and nothing that matters."""
    return parted(record, 1, 5e-7, **{"ends": ends(1e-7, 1e-7), **changes})


def answered(
    change: Callable[[Record], Record] = rounded,
    *,
    baseline: Baseline = WHOLE,
    copy: Callable[[Record, Copy], CopyResult] = ordinary,
) -> tuple[Judgement, StoredRun, list[str]]:
    """The verdict on a run of one seed that trains what it is asked for, and what that was."""
    run = stored(ONE, [change(full(0))])
    asked = []
    while wanted := still_wanted(run, baseline):
        copies = [task for task in wanted if isinstance(task, Copy)]
        seeds = sorted({task.seed for task in wanted})
        asked.append(f"{'copies' if copies else 'replicas'} of {seeds}")
        records = {task: change(full(task.seed)) for task in wanted if not isinstance(task, Copy)}
        run = replaced(run, records={**run.records, **records})
        made = {task: copy(run.records[task.replica], task) for task in copies}
        run = replaced(run, copies={**run.copies, **made})
    (judgement,) = judge(run, baseline)
    return judgement, run, asked


ALL = ["copies of [0]", "replicas of [1, 2, 3, 4]", "copies of [1, 2, 3, 4]"]


def test_the_first_seed_settles_what_differs_by_rounding() -> None:
    """Three trainings in place of fifteen; the comparisons beside it are of that seed alone."""
    judgement, run, asked = answered()
    assert (judgement.verdict, asked) == (Verdict.ROUNDING, ["copies of [0]"])
    assert (len(run.records), len(run.copies)) == (1, FEWEST)
    assert f"{FEWEST} copies over 1 seed" in judgement.reason
    accuracy = next(c for c in judgement.comparisons if c.metric == "test_accuracy")
    assert accuracy.change == 0, "the other four seeds have other accuracies"


@pytest.mark.parametrize(
    ("change", "off"),
    [
        pytest.param(lambda r: parted(r, 1, 0.01), 0, id="loss"),
        pytest.param(
            lambda r: rounded(
                r, tensors=looks(lambda step, _: 1e-3 * (step > 0)), ends=ends(1e-3, 1e-3)
            ),
            1e-3,
            id="tensor",
        ),
        pytest.param(lambda r: rounded(r, ends=ends(1e-3, 1e-3)), 1e-3, id="end"),
        pytest.param(lambda r: parted(r, 250, 5e-7, ends=ends(2e-7, 2e-7)), 0, id="late"),
        pytest.param(lambda r: rounded(r, test_accuracy=0.1), 0, id="collapse"),
    ],
)
def test_what_leaves_is_asked_of_every_seed(change: Callable[[Record], Record], off: float) -> None:
    """And is found, with the evidence of all of them."""
    judgement, run, asked = answered(change, copy=lambda r, c: ordinary(r, c, off=off))
    assert asked[:3] == ALL
    assert len(run.records) == 5
    assert judgement.verdict in (Verdict.CHANGED, Verdict.REGRESSED)


def test_what_copies_scatter_by_is_asked_of_every_seed() -> None:
    """Where rounding alone moves the accuracy by more than matters, one seed hides anything."""
    effect = BY_NAME["test_accuracy"].minimum_effect

    def scattered(by: float) -> Callable[[Record, Copy], CopyResult]:
        def copy(record: Record, copy: Copy) -> CopyResult:
            found = ordinary(record, copy)
            assert record.test_accuracy is not None
            return msgspec.structs.replace(found, test_accuracy=record.test_accuracy - by)

        return copy

    assert answered(copy=scattered(0.9 * effect))[2] == ALL[:1]
    assert answered(copy=scattered(1.1 * effect))[2] == ALL


def test_sides_that_differ_by_what_matters_are_asked_of_every_seed() -> None:
    """Though one seed's envelope, which knows no distance between seeds, would allow it: its copies
    scatter by nearly as much."""
    effect = BY_NAME["test_accuracy"].minimum_effect

    def copy(record: Record, copy: Copy) -> CopyResult:
        found = ordinary(record, copy)
        assert record.test_accuracy is not None
        return msgspec.structs.replace(found, test_accuracy=record.test_accuracy - 0.9 * effect)

    def change(record: Record) -> Record:
        assert record.test_accuracy is not None
        return rounded(record, test_accuracy=record.test_accuracy - 3 * effect)

    judgement, _, asked = answered(change, copy=copy)
    assert asked[:3] == ALL
    assert judgement.verdict is not Verdict.ROUNDING


def test_copies_that_ended_early_or_died_settle_nothing() -> None:
    """What rounding does to the end is unknown then."""
    assert answered(copy=lambda r, c: ordinary(r, c, whole=False))[2] == ALL


def test_tensors_that_are_blind_settle_nothing() -> None:
    """Copies whose gradients are half of their size off, as in 16 bits, would excuse any gradient."""

    def copy(record: Record, copy: Copy) -> CopyResult:
        return msgspec.structs.replace(ordinary(record, copy), tensors=looks(lambda *_: 0.5))

    assert answered(copy=copy)[2] == ALL


def test_a_run_that_lacks_seeds_and_is_not_settled_says_so() -> None:
    """As when it was interrupted between the two."""
    run = stored(ONE, [parted(full(0), 1, 0.01)])
    copies = {copy: ordinary(run.records[copy.replica], copy) for copy in still_wanted(run, WHOLE)}
    (judgement,) = judge(replaced(run, copies=copies), WHOLE)
    assert judgement.verdict is Verdict.MISSING
    assert "4 of 4 seeds more were not measured" in judgement.reason


def test_seeds_that_are_there_are_used() -> None:
    """A run that has all of them is judged by all, settled or not."""
    run = stored(ONE, [rounded(full(seed)) for seed in range(5)])
    wanted = still_wanted(run, WHOLE)
    assert {task.seed for task in wanted} == set(range(5))


def test_both_sides_of_an_upgrade() -> None:
    """NEW trains copies; further seeds are trained by both, of what is not settled, or by neither."""
    for change, further in ((rounded, []), (lambda r: parted(r, 1, 0.01), [1, 2, 3, 4])):
        old, new = stored(ONE, [full(0)]), stored(ONE, [change(full(0))])
        of_old, copies = still_wanted_of_both(old, new)
        assert not of_old
        assert [(c.seed, c.number) for c in copies] == [(0, n) for n in range(FEWEST)]  # type: ignore[union-attr]
        made = {c: ordinary(new.records[c.replica], c) for c in copies}  # type: ignore[union-attr, misc]
        both = still_wanted_of_both(old, replaced(new, copies=made))
        expected = [Replica(CELL, seed) for seed in further]
        assert both == (expected, expected)


def test_strays_of_a_run_count_settled_cells_as_if_all_seeds_were_trained() -> None:
    """One seed of two copies leaves by luck in four of ten cells: were that expected of settled ones,
    strays would never be too many."""
    run = stored(ONE, [rounded(full(0))])
    base = answered()[0].envelope
    assert base is not None
    settled = [msgspec.structs.replace(base, worst_step=n) for n in range(40)]
    strayed = msgspec.structs.replace(base, seeds=5, copies=5 * FEWEST, strays=3)
    tests: dict[Any, EnvelopeTest | str] = {}
    for number, test in enumerate([*settled, *[strayed] * 20]):
        cell = msgspec.structs.replace(CELL, depth=number + 1)
        tests[msgspec.structs.replace(ONE.items[0], cell=cell)] = test
    found = straying(run, tests)
    assert found is not None
    assert found.cells == 20
    assert found.expected == pytest.approx(-60 * np.log1p(-stray_risk(5 * FEWEST, 5)))
