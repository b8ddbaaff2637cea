"""Tests of the ladder: each verdict once where it belongs, and once where it does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.results.kind import Crash
from bench.results.plan import Item
from bench.results.record import Record
from bench.theory.claim import ClaimResult
from bench.verdict.baselines.samples import baseline_from_run
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import counts, judge, stale
from bench.verdict.metrics import METRICS
from support.builders import (
    crashed,
    diverged,
    environment,
    flow,
    healthy,
    plan,
    replaced,
)
from support.laddered import BASELINE, CHOSEN, ITEMS, SEEDS, chosen, made, with_cell


def _edit(**changes: Any) -> Callable[[Record], Record]:
    return lambda record: msgspec.structs.replace(record, **changes)


def test_equal_digests_are_identical_and_cost_nothing() -> None:
    """Every cell is identical on the digest rung, without one comparison."""
    for judgement in judge(made(), BASELINE):
        assert (judgement.verdict, judgement.rung) == (Verdict.IDENTICAL, "digest")
        assert judgement.comparisons == ()
        assert judgement.reason == "bit-identical training and evaluation under 5 seeds"


def test_one_other_digest_is_not_identical() -> None:
    """One seed of five that parts brings its cell, and no other, to the distribution rung."""
    run = made(lambda r: msgspec.structs.replace(r, digest="x") if r.seed == 3 else r)
    judgements = judge(run, BASELINE)
    assert [j.rung for j in judgements].count("distribution") == 1
    assert judgements[5].verdict is Verdict.EQUIVALENT


def test_equal_digests_of_another_class_are_identical_and_say_so() -> None:
    """Equal bits are equal, whoever computed them."""
    numerics = msgspec.structs.replace(environment().numerics, isa="avx2")
    other = baseline_from_run(replaced(made(), environment=environment(numerics=numerics)))
    judgement = chosen(made(), other)
    assert (judgement.verdict, judgement.rung) == (Verdict.IDENTICAL, "digest")
    assert "another environment class (cpu-avx2-onednn-1thread)" in judgement.reason
    compared = chosen(made(salt="x"), other)
    assert compared.rung == "distribution"
    assert "against another environment class (cpu-avx2-onednn-1thread)" in compared.reason


@pytest.mark.parametrize("seeds", [1, 5])
def test_a_crash_is_a_verdict_whatever_else_is_there(seeds: int) -> None:
    """One crashed seed of five suffices, with or without a baseline; the reason says how it died."""
    run = made(lambda r: crashed(r.cell, r.seed) if r.seed < seeds else r)
    for baseline in (BASELINE, None):
        judgement = chosen(run, baseline)
        assert (judgement.verdict, judgement.rung) == (Verdict.CRASHED, "outcome")
        assert judgement.reason == f"{seeds} of 5 seeds crashed; seed 0: killed by SIGABRT"


@pytest.mark.parametrize("left", [0, 4])
def test_fewer_seeds_than_planned_are_missing(left: int) -> None:
    """None of five and four of five are both missing, never a silent pass."""
    judgement = chosen(made(lambda r: r if r.seed < left else None))
    assert judgement.verdict is Verdict.MISSING
    assert judgement.reason.startswith(f"{left} of 5 seeds were measured")


def test_a_replica_that_was_not_attempted_is_missing() -> None:
    """That no worker was left says nothing about TensorFlow."""
    crash = Crash(reason="not attempted", message="no worker left")
    gone = lambda r: Record(cell=r.cell, seed=r.seed, outcome="crashed", crash=crash)  # noqa: E731
    judgement = chosen(made(gone))
    assert judgement.verdict is Verdict.MISSING
    assert "no worker left" in judgement.reason


def test_a_violated_claim_outranks_equal_digests() -> None:
    """What is wrong on both sides is wrong; a claim that holds changes nothing and is kept."""
    bad = ClaimResult(claim="c", statement="s", holds=False, evidence="2 > 1")
    good = msgspec.structs.replace(bad, holds=True)
    judgement = chosen(made(), claims={CHOSEN: [good, bad]})
    assert (judgement.verdict, judgement.rung) == (Verdict.CLAIM_VIOLATED, "claim")
    assert judgement.reason == "c: 2 > 1"
    assert judgement.claims == (good, bad)
    judgement = chosen(made(), claims={CHOSEN: [good]})
    assert judgement.verdict is Verdict.IDENTICAL
    assert judgement.claims == (good,)
    assert chosen(made(salt="x"), claims={CHOSEN: [good]}).claims == (good,)


def test_without_a_baseline_cell_it_is_new() -> None:
    """No baseline at all, or none for this cell: named apart."""
    assert chosen(made(), None).reason == "no baseline: nothing to compare with"
    cells = {k: v for k, v in BASELINE.grids["depth"].items() if k != CHOSEN.id}
    judgement = chosen(made(), msgspec.structs.replace(BASELINE, grids={"depth": cells}))
    assert (judgement.verdict, judgement.rung) == (Verdict.NEW, "none")
    assert "has no such cell" in judgement.reason


NOT_COMPARABLE = {
    "other images": (
        msgspec.structs.replace(BASELINE, data={"fingerprint": "f00"}),
        "trained on other images: fingerprint 741c988805d008ac, and f00 in run",
    ),
    "other cell": (
        with_cell(cell=msgspec.structs.replace(CHOSEN.cell, steps=600)),
        "the same id means another cell than in run 20261121-031502-quick: steps 600, now 200",
    ),
    "crashed before": (with_cell(samples=[]), "every seed crashed in run"),
}


@pytest.mark.parametrize("name", NOT_COMPARABLE)
def test_what_cannot_be_compared_says_why(name: str) -> None:
    """Other images, a changed default: not comparable, even with equal digests."""
    baseline, reason = NOT_COMPARABLE[name]
    judgement = chosen(made(), baseline)
    assert (judgement.verdict, judgement.rung) == (Verdict.NOT_COMPARABLE, "none")
    assert judgement.reason.startswith(reason)


def test_seeds_that_do_not_match_are_two_samples() -> None:
    """None in common, or one: compared all the same, and never identical."""
    for seeds in ((7, 8, 9, 10, 11, 12), (0, 8, 9)):
        judgement = chosen(made(salt="x"), baseline_from_run(made(seeds=seeds)))
        assert (judgement.verdict, judgement.rung) == (Verdict.EQUIVALENT, "distribution")
        assert f"n = {min(len(SEEDS), len(seeds))}" in judgement.reason


def test_other_bits_and_the_same_numbers_are_equivalent() -> None:
    """Shown, not assumed: every metric lies within its margin at the stated level."""
    for judgement in judge(made(salt="x"), BASELINE):
        assert (judgement.verdict, judgement.rung) == (Verdict.EQUIVALENT, "distribution")
        assert len(judgement.comparisons) == len(METRICS)
        assert judgement.reason.startswith(
            f"all {len(METRICS)} metrics within their margins; test accuracy"
        )
        assert judgement.reason.endswith("no envelope: no copies in the run")


@pytest.mark.parametrize(
    ("drop", "verdict"),
    [(0.02, Verdict.REGRESSED), (-0.02, Verdict.IMPROVED), (0.0, Verdict.EQUIVALENT)],
)
def test_two_points_of_accuracy(drop: float, verdict: Verdict) -> None:
    """Lost: regressed. Won: improved. The other 23 cells stay equivalent."""

    def change(record: Record) -> Record:
        assert record.test_accuracy is not None
        return msgspec.structs.replace(record, test_accuracy=record.test_accuracy - drop)

    judgements = judge(made(change, salt="x"), BASELINE)
    assert judgements[5].verdict is verdict
    assert {j.verdict for j in judgements if j.item != CHOSEN} == {Verdict.EQUIVALENT}
    if drop > 0:
        pattern = r"test accuracy 0\.9\d+ -> 0\.9\d+ \(-1\.\d+ pp|-2\.\d+ pp, n = 5\), adjusted p"
        assert re.search(pattern, judgements[5].reason)
        assert "margin 0.50 pp" in judgements[5].reason


def test_more_dead_units_are_regressed() -> None:
    """Less is better: a fifth more dead units fails."""
    run = made(lambda r: msgspec.structs.replace(r, end=flow(r.cell, dead=0.2)), salt="x")
    judgement = chosen(run)
    assert judgement.verdict is Verdict.REGRESSED
    assert "dead units" in judgement.reason


def test_a_metric_that_is_worse_speaks_before_one_that_changed() -> None:
    """Another signal at step 0 and half the accuracy."""
    change = _edit(test_accuracy=0.47, start=flow(CHOSEN.cell, ratio=0.525))
    judgement = chosen(made(change, salt="x"))
    assert judgement.verdict is Verdict.REGRESSED
    assert {Verdict.REGRESSED, Verdict.CHANGED} <= {c.verdict for c in judgement.comparisons}
    assert judgement.reason.startswith("test accuracy")


def test_three_reasons_are_given_and_further_ones_counted() -> None:
    """Accuracy, loss and dead units are worse; then the steps to half the loss, too."""
    worse = {"test_accuracy": 0.5, "test_loss": 9.0, "end": flow(CHOSEN.cell, dead=0.5)}
    slow = {**worse, "trajectory": np.full(20, 2.3, "<f4").tobytes()}
    for changes, more in ((worse, ""), (slow, "; and 1 more")):
        judgement = chosen(made(_edit(**changes), salt="x"))
        assert judgement.verdict is Verdict.REGRESSED
        assert [c.verdict for c in judgement.comparisons].count(Verdict.REGRESSED) == 3 + bool(more)
        assert re.findall("; and [0-9]+ more", judgement.reason) == ([more] if more else [])


@pytest.mark.parametrize(("ratio", "verdict"), [(0.525, "changed"), (0.504, "equivalent")])
def test_the_first_step_is_compared_seed_by_seed(ratio: float, verdict: str) -> None:
    """5 % at step 0 is a changed formula, good or bad not known; .8 % is certain but too small."""
    run = made(lambda r: msgspec.structs.replace(r, start=flow(r.cell, ratio=ratio)), salt="x")
    judgement = chosen(run)
    assert judgement.verdict.value == verdict
    (comparison,) = (c for c in judgement.comparisons if c.metric == "signal_ratio_start")
    assert comparison.adjusted_p is not None and comparison.adjusted_p < 1e-4


def test_pairs_are_subtracted_even_if_seeds_differ_a_thousandfold() -> None:
    """Each seed starts from its own ratio; 5 % on each is found all the same."""

    def start(factor: float) -> Callable[[Record], Record]:
        return lambda r: msgspec.structs.replace(
            r, start=flow(r.cell, ratio=factor * 10.0**-r.seed)
        )

    baseline = baseline_from_run(made(start(1.0)))
    assert chosen(made(start(1.05), salt="x"), baseline).verdict is Verdict.CHANGED
    assert chosen(made(start(1.0), salt="x"), baseline).verdict is Verdict.EQUIVALENT


def test_too_much_spread_is_inconclusive_and_says_how_many_seeds_would_decide() -> None:
    """Seeds that differ by points show neither a change nor its absence."""
    spread = {0: 0.90, 1: 0.96, 2: 0.92, 3: 0.95, 4: 0.93}
    run = made(lambda r: msgspec.structs.replace(r, test_accuracy=spread[r.seed]), salt="x")
    judgement = chosen(run)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    found = re.search(r"about (\d+) seeds would decide", judgement.reason)
    assert found and int(found[1]) > 5


def test_every_seed_that_diverges_anew_is_a_regression_and_back_an_improvement() -> None:
    """5 of 5 against 0 of 5."""
    bad = made(lambda r: diverged(r.cell, r.seed), salt="x")
    judgement = chosen(bad)
    assert judgement.verdict is Verdict.REGRESSED
    assert judgement.reason.startswith("diverged under 5 of 5 seeds, baseline 0 of 5")
    assert chosen(made(salt="y"), baseline_from_run(bad)).verdict is Verdict.IMPROVED


def test_one_seed_that_diverges_anew_is_inconclusive() -> None:
    """1 of 5 against 0 of 5 may be luck; it is not passed over in silence."""
    judgement = chosen(made(lambda r: diverged(r.cell, r.seed) if not r.seed else r, salt="x"))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "diverged under 1 of 5 seeds, baseline 0 of 5: may be luck" in judgement.reason


def test_divergence_on_both_sides_is_compared_by_its_first_step() -> None:
    """A cell that always diverges is compared by what it has: the start."""
    both = lambda r: diverged(r.cell, r.seed, step=4)  # noqa: E731
    later = lambda r: diverged(r.cell, r.seed, step=5)  # noqa: E731
    judgement = chosen(made(later), baseline_from_run(made(both)))
    assert judgement.verdict is Verdict.EQUIVALENT
    assert {c.metric for c in judgement.comparisons} == {"signal_ratio_start", "kernel_ratio_start"}


def test_a_metric_that_is_undefined_on_one_side_alone_is_a_change() -> None:
    """A trained signal that vanished to nothing has no ratio; on both sides it is left out."""
    vanished = lambda r: msgspec.structs.replace(r, end=flow(r.cell, ratio=None))  # noqa: E731
    judgement = chosen(made(vanished, salt="x"))
    assert judgement.verdict is Verdict.CHANGED
    assert "signal ratio, trained is not defined" in judgement.reason
    (comparison,) = (c for c in judgement.comparisons if c.metric == "signal_ratio_end")
    assert (comparison.mean, comparison.change) == (None, None)
    both = chosen(made(vanished, salt="x"), baseline_from_run(made(vanished)))
    assert both.verdict is Verdict.EQUIVALENT
    assert "signal_ratio_end" not in {c.metric for c in both.comparisons}


def test_a_metric_that_the_baseline_never_measured_is_left_out() -> None:
    """A metric added since then is no change."""
    samples = [
        msgspec.structs.replace(
            s, metrics={k: v for k, v in s.metrics.items() if k != "dead_share_end"}
        )
        for s in BASELINE.grids["depth"][CHOSEN.id].samples
    ]
    judgement = chosen(made(salt="x"), with_cell(samples=samples))
    assert judgement.verdict is Verdict.EQUIVALENT
    assert len(judgement.comparisons) == len(METRICS) - 1


def test_nothing_defined_on_either_side_is_inconclusive() -> None:
    """Other bits, and no number to compare: not a pass."""
    nothing = lambda step: lambda r: diverged(r.cell, r.seed, step=step, start=None)  # noqa: E731
    judgement = chosen(made(nothing(3)), baseline_from_run(made(nothing(4))))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "no metric is defined" in judgement.reason


def test_one_seed_is_inconclusive() -> None:
    """It shows no spread."""
    judgement = chosen(made(salt="x", seeds=(0,)), baseline_from_run(made(seeds=(0,))))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "n = 1" in judgement.reason


def test_a_cell_in_two_grids_is_tested_once() -> None:
    """Both items get the same comparisons, and the correction does not count it twice."""
    twice = [*ITEMS, *(Item(grid="width", id=i.id, cell=i.cell) for i in ITEMS)]
    run, before = (replaced(made(salt=salt), plan=plan(twice, seeds=SEEDS)) for salt in ("x", ""))
    judgements = judge(run, baseline_from_run(before))
    assert len(judgements) == 48
    alone = judge(made(salt="x"), BASELINE)
    for index, judgement in enumerate(alone):
        assert judgements[index].comparisons == judgement.comparisons
        assert judgements[index + 24].comparisons == judgement.comparisons


def _of(*verdicts: Verdict) -> list[Judgement]:
    return [Judgement(item=CHOSEN, verdict=v, reason="", rung="none") for v in verdicts]


def test_counts_are_in_the_order_of_attention() -> None:
    """What to look at first comes first, and verdicts of no cell are left out."""
    counted = counts(_of(Verdict.IDENTICAL, Verdict.CRASHED, Verdict.IDENTICAL))
    assert list(counted.items()) == [(Verdict.CRASHED, 1), (Verdict.IDENTICAL, 2)]


def test_stale_cells_are_those_that_the_plan_no_longer_has() -> None:
    """Unless the run selected cells, the cell is of another grid, or a larger tier has it."""
    run = replaced(made(), plan=plan(ITEMS[1:], seeds=SEEDS))
    assert stale(run, BASELINE) == [ITEMS[0]]
    assert stale(run, BASELINE, ITEMS) == []
    assert stale(replaced(run, plan=plan(ITEMS[1:], selected=True)), BASELINE) == []
    other = [Item(grid="width", id=i.id, cell=i.cell) for i in ITEMS]
    assert stale(replaced(run, plan=plan(other)), BASELINE) == []


def test_a_stored_baseline_names_itself_in_reasons(tmp_path: Path) -> None:
    """``baseline <class>``, so that a reader knows which file to look at."""
    from bench.verdict.baselines.folder import read_baseline, write_baseline

    write_baseline(tmp_path, baseline_from_run(healthy()))
    judgement = judge(made(), read_baseline(tmp_path, BASELINE.environment_class))[0]
    assert judgement.reason.startswith(f"baseline {BASELINE.environment_class} has no such cell")


def test_rounding_alone_is_equivalent_however_far_seeds_lie_apart() -> None:
    """Seeds up to 12 points apart, each within .04 points of itself in the baseline: five pairs
    suffice, where two samples would need hundreds. The same values under other seeds decide nothing."""

    def moved(shift: int, by: float) -> Callable[[Record], Record]:
        def change(record: Record) -> Record:
            accuracy = 0.84 + 0.03 * ((record.seed + shift) % 5) + by * (record.seed - 2)
            digest = f"{record.digest}{shift}{by}"
            return msgspec.structs.replace(record, test_accuracy=accuracy, digest=digest)

        return change

    before = baseline_from_run(made(moved(0, 0.0), everywhere=True))
    matched = judge(made(moved(0, 0.0002), everywhere=True), before)
    assert {judgement.verdict for judgement in matched} == {Verdict.EQUIVALENT}
    shuffled = judge(made(moved(1, 0.0002), everywhere=True), before)
    assert {judgement.verdict for judgement in shuffled} == {Verdict.INCONCLUSIVE}
