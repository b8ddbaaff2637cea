"""The rounding envelope on the ladder: what it decides, what it leaves open, what copies it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.measure.tensors import fingerprints
from bench.results.copy_result import Copy, CopyResult
from bench.results.kind import Crash
from bench.results.plan import Item
from bench.results.record import Record, Replica
from bench.results.run import StoredRun
from bench.verdict.baselines.samples import Baseline, baseline_from_run
from bench.verdict.bits import ALONE
from bench.verdict.envelope import FEWEST, MOST, copies_needed, risk, seeds_for
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import judge, still_wanted
from bench.verdict.metrics import METRICS
from bench.verdict.weighing import Weighing
from support.builders import (
    copied,
    crashed,
    flow,
    items,
    losses,
    moved,
    plan,
    replaced,
    stored,
    trained,
)
from support.laddered import BASELINE, CHOSEN, ITEMS, SEEDS, chosen, made, of_class, with_cell


def _copied(run: StoredRun, baseline: Baseline = BASELINE, **changes: Any) -> StoredRun:
    """The run with all copies that are wanted, in as many rounds as that takes."""
    while wanted := still_wanted(run, baseline):
        results = [copied(run.records[copy.replica], copy.number, **changes) for copy in wanted]
        run = replaced(run, copies={**run.copies, **{result.copy: result for result in results}})
    return run


def _since(step: int, size: float) -> Any:
    """A difference of all losses from a step on."""
    return size * (np.arange(20) >= step)


#: Well inside the envelope of copies that are up to 1e-6 off, and well outside.
ROUNDING, CHANGE = _since(3, 5e-7), _since(5, 1e-3)


def _moved(by: Any, **changes: Any) -> Callable[[Record], Record]:
    return lambda r: msgspec.structs.replace(moved(r, by), **changes)


def test_differences_within_the_envelope_are_rounding() -> None:
    """On the envelope's rung, with what was compared, how sharp the test was, and the comparisons of
    the distribution beside it."""
    judgement = chosen(_copied(made(_moved(ROUNDING))))
    assert (judgement.verdict, judgement.rung) == (Verdict.ROUNDING, "envelope")
    assert re.fullmatch(
        r"losses differ from step 3 on and stay within rounding \(at most 0\.\d+ of the envelope of "
        rf"{5 * FEWEST} copies over 5 seeds; sharp for 20 of 20 steps; no stored tensor decides\)",
        judgement.reason,
    )
    assert judgement.envelope is not None
    assert judgement.envelope.inside
    assert len(judgement.comparisons) == len(METRICS)


def test_what_is_too_scattered_to_be_equivalent_is_rounding_only_if_copies_scatter_so() -> None:
    """The distribution decides nothing. Copies that were not evaluated leave it at that; whose
    accuracy is the replica's say that rounding does not scatter it; and those that scatter explain
    it."""
    spread = {0: 0.90, 1: 0.96, 2: 0.92, 3: 0.95, 4: 0.93}
    change = lambda r: msgspec.structs.replace(  # noqa: E731
        moved(r, ROUNDING), test_accuracy=spread[r.seed]
    )
    run = made(change)
    assert chosen(run).verdict is Verdict.INCONCLUSIVE
    blind = chosen(_copied(run, whole=False))
    assert blind.verdict is Verdict.INCONCLUSIVE
    assert "but no copy shows what rounding does to test accuracy" in blind.reason
    same = chosen(_copied(run))
    assert same.verdict is Verdict.CHANGED
    assert same.reason.endswith("at the end no copy differs as much in test_accuracy")
    assert chosen(_copied(run, test_accuracy=0.94)).verdict is Verdict.ROUNDING


def test_differences_beyond_the_envelope_are_changed_though_the_distribution_is_equivalent() -> (
    None
):
    """Step, size against the envelope, and where it begins, as far as that is known."""
    judgement = chosen(_copied(made(_moved(CHANGE))))
    assert (judgement.verdict, judgement.rung) == (Verdict.CHANGED, "envelope")
    assert re.match(
        r"losses leave the rounding envelope at step 5, up to \d+(\.\d)? times beyond it at step \d+ "
        r"\(\d+ copies over 5 seeds; sharp for 20 of 20 steps\); no stored tensor departs",
        judgement.reason,
    )
    assert "margins" not in judgement.reason, "what is equivalent is no part of it"
    assert chosen(made(_moved(CHANGE))).verdict is Verdict.EQUIVALENT, "without copies nobody knows"


@pytest.mark.parametrize(
    ("strays", "everywhere", "verdict"),
    [(4, False, Verdict.ROUNDING), (2, True, Verdict.ROUNDING), (3, True, Verdict.CHANGED)],
)
def test_most_seeds_of_a_cell_may_jump_and_those_of_every_cell_may_not(
    strays: int, everywhere: bool, verdict: Verdict
) -> None:
    """Jumps strike seeds independently: by luck most seeds of one cell leave their envelope now and
    then, and those of 24 cells at once never."""
    change = lambda r: moved(r, CHANGE if r.seed < strays else ROUNDING)  # noqa: E731
    judgement = chosen(_copied(made(change, everywhere=everywhere)))
    assert judgement.verdict is verdict
    if verdict is Verdict.ROUNDING:
        assert f", {strays} stray alone" in judgement.reason
    else:
        assert judgement.reason.startswith(
            "3 of 5 seeds leave; in 24 of 24 cells at least half of the seeds leave the envelope"
        )


def test_cells_most_of_whose_seeds_leave_get_more_copies() -> None:
    """They may show that rounding reaches as far. Two of five seeds that leave are left to luck."""
    needed = copies_needed(24, 5, ALONE)
    for strays, each in ((3, needed), (2, FEWEST)):
        change = lambda r, n=strays: moved(r, CHANGE if r.seed < n else ROUNDING)  # noqa: E731
        assert len(_copied(made(change, everywhere=True)).copies) == 24 * 5 * each


@pytest.mark.parametrize("drop", [0.02, -0.02])
def test_a_change_that_is_shown_to_be_worse_is_regressed(drop: float) -> None:
    """The reason holds both; one that is shown to be better stays a change, and says so."""
    change = lambda r: msgspec.structs.replace(  # noqa: E731
        moved(r, CHANGE), test_accuracy=r.test_accuracy - drop
    )
    judgement = chosen(_copied(made(change)))
    verdict = Verdict.REGRESSED if drop > 0 else Verdict.CHANGED
    assert (judgement.verdict, judgement.rung) == (verdict, "envelope")
    assert judgement.reason.startswith("losses leave the rounding envelope at step 5")
    assert re.search(r"test accuracy 0\.9\d+ -> 0\.9\d+ \([+-][12]\.\d+ pp", judgement.reason)


def test_against_another_class_a_metric_that_is_worse_still_speaks() -> None:
    """Losses outside the envelope may be the kernels' doing there; two points of accuracy are not."""
    change = lambda r: msgspec.structs.replace(  # noqa: E731
        moved(r, CHANGE), test_accuracy=r.test_accuracy - 0.02
    )
    other = of_class(BASELINE, isa="avx2")
    judgement = chosen(_copied(made(change), other), other)
    assert (judgement.verdict, judgement.rung) == (Verdict.REGRESSED, "distribution")
    assert "kernels may be to blame" in judgement.reason
    judgement = chosen(_copied(made(_moved(CHANGE)), other), other)
    assert (judgement.verdict, judgement.rung) == (Verdict.INCONCLUSIVE, "envelope")


def _weighed(found: Judgement, **changes: Any) -> Judgement:
    """The verdict where the envelope of a cell inside is another one."""
    run = _copied(made(_moved(ROUNDING)))
    envelope = chosen(run).envelope
    assert envelope is not None
    tested = msgspec.structs.replace(envelope, **changes)
    return Weighing(run, BASELINE, CHOSEN, ALONE, None).of(found, tested)


@pytest.mark.parametrize("since", [0, 7])
def test_two_sharp_steps_are_enough(since: int) -> None:
    """A forward pass, a backward pass and an update from where the bits part; one step has not seen all
    three, unless a tensor decides."""
    found = chosen(made(_moved(ROUNDING)))
    blunt = {"equal_until": since, "sharp_steps": since + 1, "decisive": False}
    assert _weighed(found, **blunt).verdict is Verdict.INCONCLUSIVE
    assert "too blunt" in _weighed(found, **blunt).reason
    assert _weighed(found, **blunt | {"decisive": True}).verdict is Verdict.ROUNDING
    assert _weighed(found, **blunt | {"sharp_steps": since + 2}).verdict is Verdict.ROUNDING


def test_metrics_of_the_first_step_are_covered_by_tensors_that_decide() -> None:
    """And by nothing else: an undecided signal ratio stays undecided without them."""
    found = chosen(made(_moved(ROUNDING)))
    open_ = [
        msgspec.structs.replace(c, verdict=Verdict.INCONCLUSIVE)
        for c in found.comparisons
        if c.metric == "signal_ratio_start"
    ]
    found = msgspec.structs.replace(found, verdict=Verdict.INCONCLUSIVE, comparisons=open_)
    assert _weighed(found, decisive=True).verdict is Verdict.ROUNDING
    judgement = _weighed(found, decisive=False)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "no copy shows what rounding does to signal ratio, first step" in judgement.reason


def test_a_metric_that_changed_outweighs_losses_within_the_envelope() -> None:
    """Another signal at step 0, which no loss shows: the distribution's verdict and rung stay, and the
    envelope is told."""
    run = made(_moved(ROUNDING, start=flow(CHOSEN.cell, ratio=0.525)))
    judgement = chosen(_copied(run))
    assert (judgement.verdict, judgement.rung) == (Verdict.CHANGED, "distribution")
    assert judgement.reason.startswith("signal ratio, first step")
    assert "; losses differ from step 3 on and stay within rounding" in judgement.reason


def test_one_seed_beyond_the_envelope_is_inconclusive_unless_nothing_can_jump() -> None:
    """Rounding alone does that more often than the level allows; the seeds that would decide are
    named. At step 0 nothing jumps, and one seed suffices."""
    before = baseline_from_run(made(seeds=(0,)))
    for since, verdict in ((5, Verdict.INCONCLUSIVE), (0, Verdict.CHANGED)):
        run = _copied(made(_moved(_since(since, 1e-3)), seeds=(0,)), before)
        assert len(run.copies) == (MOST if since else FEWEST)
        judgement = chosen(run, before)
        assert (judgement.verdict, judgement.rung) == (verdict, "envelope")
        assert judgement.reason.startswith(f"losses leave the rounding envelope at step {since}")
        doubt = f"; a jump may do that under 1 seed: {seeds_for(ALONE)} would decide"
        assert judgement.reason.endswith(doubt) is (verdict is Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("drop", [0.02, -0.02])
def test_where_a_jump_may_have_done_it_a_shown_metric_still_speaks(drop: float) -> None:
    """With copies of one seed alone the envelope decides nothing, and a metric that is worse does: the
    reason gives both."""
    change = lambda r: msgspec.structs.replace(  # noqa: E731
        moved(r, CHANGE), test_accuracy=r.test_accuracy - drop
    )
    run = _copied(made(change))
    run = replaced(run, copies={copy: r for copy, r in run.copies.items() if copy.seed == 0})
    judgement = chosen(run)
    if drop > 0:
        assert (judgement.verdict, judgement.rung) == (Verdict.REGRESSED, "distribution")
        assert judgement.reason.startswith("test accuracy 0.9")
    else:  # better, but perhaps by another formula
        assert (judgement.verdict, judgement.rung) == (Verdict.INCONCLUSIVE, "envelope")
    assert "a jump may do that under 1 seed" in judgement.reason


def test_the_level_is_shared_by_all_cells_that_are_tested() -> None:
    """Four copies of each of three seeds decide on a cell alone; the same of 24 cells do not."""
    few = tuple(range(3))
    before = baseline_from_run(made(seeds=few))
    four = risk(4 * 3, 3)
    assert ALONE / 24 < four < ALONE
    for everywhere, verdict in ((False, Verdict.CHANGED), (True, Verdict.INCONCLUSIVE)):
        run = _copied(made(_moved(CHANGE), seeds=few, everywhere=everywhere), before)
        some = {copy: result for copy, result in run.copies.items() if copy.number < 4}
        judgements = judge(replaced(run, copies=some), before)
        assert judgements[5].verdict is verdict
        # As many copies as are wanted decide on all.
        assert judge(run, before)[5].verdict is Verdict.CHANGED


def test_a_departure_that_no_loss_shows_is_changed() -> None:
    """The moving mean departs under all seeds, before step 1: named with step and size, which is a
    hundredth as the fingerprint has it."""
    values = np.random.default_rng(0).normal(size=50)

    def tensors(size: float) -> Any:
        return fingerprints(
            {step: {"layer 1, moving mean": values * (1 + size * step)} for step in (0, 1)}
        )

    before = baseline_from_run(made(lambda r: msgspec.structs.replace(r, tensors=tensors(0))))
    run = made(lambda r: msgspec.structs.replace(r, tensors=tensors(0.01), digest="x"))
    run = _copied(run, before, tensors=tensors(0.01 + 1e-7))
    judgement = chosen(run, before)
    assert (judgement.verdict, judgement.rung) == (Verdict.CHANGED, "envelope")
    assert "it begins in layer 1, moving mean, which departs by 0.0" in judgement.reason
    assert "before step 1 (at step 0 all was within rounding)" in judgement.reason


@pytest.mark.parametrize(
    ("size", "axes", "verdict", "rung"),
    [
        (1e-4, {}, Verdict.EQUIVALENT, "distribution"),
        (1e-2, {}, Verdict.CHANGED, "envelope"),
        (1e-4, {"normalization": "layer"}, Verdict.CHANGED, "envelope"),
    ],
)
def test_variances_of_a_convolution_may_be_summed_otherwise(
    size: float, axes: dict[str, Any], verdict: Verdict, rung: str
) -> None:
    """Batch normalization over 28 x 28 x 100 = 78,400 numbers is off by up to 78,400 x 2^-24 = .0047 in
    another order of adding up. Where that much is what a difference begins with, copies prove nothing
    and seeds are compared instead; a larger one, or another normalization's, is a change."""
    cell = Cell(**{"architecture": "cnn", "normalization": "batch", "steps": 200, **axes})
    values = np.random.default_rng(0).normal(size=50)

    def tensors(by: float) -> Any:
        return fingerprints({0: {"layer 1, normalized": values * (1 + by)}})

    before, after = (
        lambda record: msgspec.structs.replace(record, tensors=tensors(0)),
        lambda record: msgspec.structs.replace(
            moved(record, _since(1, 1e-3)), tensors=tensors(size)
        ),
    )
    run, _ = _small(cell, after)
    baseline = baseline_from_run(_small(cell, before)[0])
    run = _copied(run, baseline, tensors=tensors(size + 1e-7))
    (judgement,) = judge(run, baseline)
    assert (judgement.verdict, judgement.rung) == (verdict, rung)
    told = "may be rounded by 0.0047 where they are added up in another order"
    assert (told in judgement.reason) is (rung == "distribution")


def _small(cell: Cell, change: Callable[[Record], Record]) -> tuple[StoredRun, Baseline]:
    """A run of one cell, and a baseline that differs from it."""
    the_plan = plan(items("other", [cell], ("depth",)))
    records = [trained(cell, seed) for seed in the_plan.seeds]
    return stored(the_plan, map(change, records)), baseline_from_run(stored(the_plan, records))


def test_where_no_envelope_is_possible_the_reason_says_why() -> None:
    """Dropout, another class, a baseline without trajectories, copies that all crashed, no copies."""
    dropout, before = _small(Cell(dropout=0.5, steps=200), _moved(CHANGE))
    assert still_wanted(dropout, before) == []
    (judgement,) = judge(dropout, before)
    assert judgement.rung == "distribution"
    assert judgement.reason.endswith(
        "; no envelope: dropout draws from TensorFlow's own random stream, which may change"
    )

    run = made(_moved(CHANGE))
    other = of_class(BASELINE, fpmath="bf16")
    assert still_wanted(run, other) == []
    assert "no envelope: bits are not compared with cpu-avx512_bf16-" in chosen(run, other).reason

    samples = [
        msgspec.structs.replace(sample, trajectory=b"")
        for sample in BASELINE.grids["depth"][CHOSEN.id].samples
    ]
    bare = with_cell(samples=samples)
    assert still_wanted(run, bare) == []
    assert "; no envelope: no trajectory in run" in chosen(run, bare).reason

    assert chosen(run).reason.endswith("; no envelope: no copies in the run")
    crashes = {copy: _crashed_copy(copy) for copy in still_wanted(run, BASELINE)}
    assert chosen(replaced(run, copies=crashes)).reason.endswith(
        f"; no envelope: all of {len(crashes)} copies crashed: killed by SIGABRT"
    )


def _crashed_copy(copy: Copy) -> CopyResult:
    return CopyResult(copy=copy, crash=Crash(reason="signal", message="killed by SIGABRT"))


def test_crashed_copies_leave_the_others() -> None:
    """The envelope of those that are there, with fewer counted and more risk."""
    run = _copied(made(_moved(CHANGE)))
    copies = {c: _crashed_copy(c) if c.seed < 2 else r for c, r in run.copies.items()}
    judgement = chosen(replaced(run, copies=copies))
    assert judgement.envelope is not None
    assert judgement.envelope.seeds == 3
    assert judgement.envelope.copies == len([c for c in copies if c.seed >= 2])
    assert judgement.envelope.risk == risk(judgement.envelope.copies, 3)


# Which copies are trained


def test_copies_are_wanted_of_cells_whose_bits_differ() -> None:
    """Of each seed that both sides have two, and none of identical cells; no more if the same cell
    stands in two grids."""
    assert still_wanted(made(), BASELINE) == []
    assert still_wanted(made(_moved(CHANGE)), None) == []
    one = still_wanted(made(_moved(CHANGE)), BASELINE)
    assert one == [
        Copy(cell=CHOSEN.cell, seed=seed, number=number)
        for seed in SEEDS
        for number in range(FEWEST)
    ]
    everywhere = still_wanted(made(_moved(CHANGE), everywhere=True), BASELINE)
    assert len(everywhere) == 24 * 5 * FEWEST
    twice = plan([*ITEMS, *(Item(grid="w", id=i.id, cell=i.cell) for i in ITEMS)], seeds=SEEDS)
    run = replaced(made(_moved(CHANGE)), plan=twice)
    assert still_wanted(run, baseline_from_run(replaced(made(), plan=twice))) == one
    other_seeds = baseline_from_run(made(_moved(ROUNDING), seeds=(3, 4, 5)))
    assert {copy.seed for copy in still_wanted(made(), other_seeds)} == {3, 4}


def test_further_seeds_come_between_the_first_copies_and_the_others() -> None:
    """Those that the plan names, of the cell whose bits differ, and no others."""
    further = SEEDS[1:]
    run = made(_moved(CHANGE), seeds=SEEDS[:1], further=list(further))
    first = still_wanted(run, BASELINE)
    assert first == [Copy(cell=CHOSEN.cell, seed=SEEDS[0], number=n) for n in range(FEWEST)]
    run = replaced(run, copies={c: copied(run.records[c.replica], c.number) for c in first})
    assert still_wanted(run, BASELINE) == [Replica(CHOSEN.cell, seed) for seed in further]
    whole = replaced(run, records=made(_moved(CHANGE)).records)
    assert {copy.seed for copy in still_wanted(whole, BASELINE)} == set(further)


def test_cells_that_leave_their_envelope_get_as_many_copies_as_the_level_asks_for() -> None:
    """And those that stay inside get no more."""
    needed = copies_needed(24, 5, ALONE)
    assert needed > FEWEST
    for by, each in ((CHANGE, needed), (ROUNDING, FEWEST)):
        assert len(_copied(made(_moved(by), everywhere=True)).copies) == 24 * 5 * each


def test_copies_that_are_there_are_not_asked_for_again() -> None:
    """Also not those that crashed: what kills one kills it again."""
    run = made(_moved(CHANGE))
    first, second, *others = still_wanted(run, BASELINE)
    there = {
        first: copied(run.records[first.replica]),
        second: _crashed_copy(second),
    }
    assert still_wanted(replaced(run, copies=there), BASELINE) == others


def test_no_copies_of_what_is_decided_before() -> None:
    """Crashed and missing replicas, other images, another recipe: no envelope is asked for."""
    crash = made(lambda r: crashed(r.cell, r.seed) if not r.seed else moved(r, CHANGE))
    assert still_wanted(crash, BASELINE) == []
    assert still_wanted(made(lambda r: moved(r, CHANGE) if r.seed else None), BASELINE) == []
    other = msgspec.structs.replace(BASELINE, data={"fingerprint": "f00"})
    assert still_wanted(made(_moved(CHANGE)), other) == []
    recipe = made(_moved(CHANGE, recipe=99))
    assert still_wanted(recipe, BASELINE) == []
    judgement = chosen(recipe)
    assert judgement.verdict is Verdict.NOT_COMPARABLE
    assert "recipe 99" in judgement.reason


def test_losses_of_the_builders_are_what_they_say() -> None:
    """The tests above stand on this: a moved replica's losses, a copy's differences."""
    record = trained(CHOSEN.cell, 0)
    np.testing.assert_allclose(losses(moved(record, CHANGE)) - losses(record), CHANGE, atol=3e-7)
    copy = copied(record)
    apart = np.frombuffer(copy.trajectory, "<f4").astype(float) - losses(record)
    assert 2e-7 < np.abs(apart).max() < 1.3e-6
