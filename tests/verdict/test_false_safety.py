"""What was once called safe and is not, through :func:`judge` with planted runs; each a hole that is
closed, and beside it what must still be safe."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_UNDECIDED, allowed
from bench.measure.tensors import TEST_LOGITS
from bench.measure.trajectory import marks
from bench.results.copy_result import Copy, CopyResult
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.verdict.baselines.samples import Baseline, baseline_from_run
from bench.verdict.conclusion import Conclusion, between
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import judge, still_wanted
from support.builders import copied, flow, losses, moved, replaced, stored
from support.laddered import BASELINE, CELLS, CHOSEN, chosen, made, of_class
from support.parted import CELL, PLAN, STEPS, ends, full, looks, ordinary, parted


def compared(
    change: Callable[[Record], Record],
    *,
    whole: bool = True,
    baseline: Callable[[Baseline], Baseline] = lambda b: b,
    copies: Callable[[Record, Copy], CopyResult] | None = None,
) -> tuple[Judgement, StoredRun]:
    """A cell under five seeds that went through ``change``, with all copies that it asks for."""
    before = baseline(baseline_from_run(stored(PLAN, [full(seed) for seed in PLAN.seeds])))
    run = stored(PLAN, [change(full(seed)) for seed in PLAN.seeds])
    make = copies or (lambda record, copy: ordinary(record, copy, whole=whole))
    while wanted := still_wanted(run, before):
        results = {copy: make(run.records[copy.replica], copy) for copy in wanted}
        run = replaced(run, copies={**run.copies, **results})
    (judgement,) = judge(run, before)
    return judgement, run


# Late faults


@pytest.mark.parametrize("since", [1, 60, 250, 599])
def test_a_late_change_is_changed_with_the_step_at_which_it_begins(since: int) -> None:
    """All losses before are equal to the bit; from there on they differ by a hundredth."""
    judgement, run = compared(lambda r: parted(r, since, 0.01))
    assert judgement.verdict is Verdict.CHANGED
    assert f"losses leave the rounding envelope at step {since}," in judgement.reason
    moved_at = max([0, *(m for m in marks(STEPS) if m <= since)])
    assert {copy.moved_at for copy in run.copies} == {moved_at}
    if moved_at:
        assert f"bits are equal up to step {moved_at}; " in judgement.reason


def test_a_late_change_is_found_in_a_network_that_amplifies_rounding() -> None:
    """Copies that are moved at the start are as far apart as seeds by step 250 and would excuse
    anything; those that are moved where the bits part have not had the time."""

    def chaotic(record: Record, copy: Copy) -> CopyResult:
        steps = np.maximum(np.arange(STEPS) - copy.moved_at, 0)
        part = np.minimum(1e-7 * 1.3**steps, 1.0) * (steps > 0)
        return msgspec.structs.replace(
            ordinary(record, copy), trajectory=moved(record, part).trajectory
        )

    judgement, _ = compared(lambda r: parted(r, 251, 0.01), copies=chaotic)
    assert judgement.verdict is Verdict.CHANGED


@pytest.mark.parametrize(("since", "verdict"), [(1, Verdict.ROUNDING), (250, Verdict.CHANGED)])
def test_rounding_does_not_begin_late(since: int, verdict: Verdict) -> None:
    """As far apart as copies that were moved there; but two implementations that round otherwise do
    so in every step, and these agreed in 250 under five seeds."""
    judgement, _ = compared(lambda r: parted(r, since, 5e-7, ends=ends(2e-7, 2e-7)))
    assert judgement.verdict is verdict
    if since > 1:
        assert "and rounding, which acts in every step, does not begin so late" in judgement.reason


@pytest.mark.parametrize("name", ["kernel", "logits"])
def test_what_differs_only_after_the_last_loss_is_changed(name: str) -> None:
    """A last step that was not taken, and an evaluation that is another one: no loss shows either."""
    judgement, run = compared(
        lambda r: msgspec.structs.replace(
            parted(r, 599 if name == "kernel" else 600, 0),
            ends=ends(**{name: 1e-3}),
        ),
        copies=lambda record, copy: ordinary(record, copy, off=1e-3),
    )
    assert judgement.verdict is Verdict.CHANGED
    tensor = TEST_LOGITS if name == "logits" else "output, kernel"
    assert f"it begins in {tensor}, which departs by 0.00" in judgement.reason
    assert {copy.moved_at for copy in run.copies} == {599 if name == "kernel" else 600}


def test_an_evaluation_that_rounds_otherwise_is_rounding() -> None:
    """Training is equal to the bit; the test images' logits differ by a unit in the last place."""
    judgement, _ = compared(
        lambda r: msgspec.structs.replace(parted(r, 600, 0), ends=ends(logits=1e-7))
    )
    assert judgement.verdict is Verdict.ROUNDING


def test_an_inference_that_differs_before_training_is_changed() -> None:
    """Whatever becomes of it: logits of the test images before the first step, or of a batch later."""
    change = ends(start=1e-3)
    assert (
        compared(lambda r: msgspec.structs.replace(parted(r, 600, 0), ends=change))[0].verdict
        is Verdict.CHANGED
    )
    for step in (0, 10):
        seen = looks(lambda s, n, step=step: 1e-3 * ((s, n) == (step, "logits in inference")))
        judgement, _ = compared(
            lambda r, t=seen: msgspec.structs.replace(parted(r, 600, 0), tensors=t)
        )
        assert judgement.verdict is Verdict.CHANGED
        assert "it begins in logits in inference" in judgement.reason


# Metrics that copies saw, and those that they did not


@pytest.mark.parametrize("whole", [True, False])
def test_a_collapse_after_the_trajectory_is_never_rounding(whole: bool) -> None:
    """Accuracy .94 to .11 and the loss eleven-fold, while 200 stored losses stay inside the
    envelope."""

    def collapse(record: Record) -> Record:
        short = parted(record, 3, 5e-7, test_accuracy=0.11, test_loss=2.2)
        return msgspec.structs.replace(short, trajectory=short.trajectory[: 4 * 200], states=b"")

    judgement, _ = compared(collapse, whole=whole)
    assert judgement.verdict is Verdict.REGRESSED


def test_a_smaller_loss_of_accuracy_is_undecided_if_no_copy_was_evaluated() -> None:
    """Seeds lie two points apart, and a drop of one is not shown; rounding does not excuse it
    unseen."""
    scattered = {0: 0.90, 1: 0.96, 2: 0.92, 3: 0.95, 4: 0.93}

    def worse(record: Record) -> Record:
        return parted(record, 3, 5e-7, test_accuracy=scattered[record.seed], ends=ends(2e-7, 2e-7))

    assert compared(worse, whole=False)[0].verdict is Verdict.INCONCLUSIVE
    assert compared(worse)[0].verdict is Verdict.CHANGED

    def scatters(record: Record, copy: Copy) -> CopyResult:
        accuracy = scattered[(copy.seed + copy.number) % 5]
        return msgspec.structs.replace(ordinary(record, copy), test_accuracy=accuracy)

    assert compared(worse, copies=scatters)[0].verdict is Verdict.ROUNDING


def test_a_single_cell_that_collapses_is_found_beside_cells_that_round() -> None:
    """One of 24, under three seeds and under five; all others differ by rounding and get envelopes."""
    for seeds in (range(3), range(5)):
        before = baseline_from_run(made(seeds=tuple(seeds)))

        def change(record: Record) -> Record:
            if record.cell == CHOSEN.cell:
                return msgspec.structs.replace(moved(record, 5e-7), test_accuracy=0.11)
            return moved(record, 5e-7)

        run = made(change, seeds=tuple(seeds), everywhere=True)
        while wanted := still_wanted(run, before):
            more = {c: copied(run.records[c.replica], c.number, whole=False) for c in wanted}
            run = replaced(run, copies={**run.copies, **more})
        judgements = judge(run, before)
        assert judgements[5].verdict is Verdict.REGRESSED
        assert {j.verdict for j in judgements if j.item != CHOSEN} == {Verdict.ROUNDING}


@pytest.mark.parametrize("points", [20, 80])
def test_a_single_cell_that_collapses_is_found_without_any_envelope(points: int) -> None:
    """Against another arithmetic, where bits are not compared."""
    other = of_class(baseline_from_run(made(seeds=(0, 1, 2))), fpmath="bf16")
    run = made(
        lambda r: msgspec.structs.replace(
            r, test_accuracy=r.test_accuracy - points / 100, digest="x"
        ),
        seeds=(0, 1, 2),
    )
    assert chosen(run, other).verdict is Verdict.REGRESSED


# The first steps' tensors decide


def test_a_learning_rate_off_by_a_thousandth_shows_in_the_tensors_of_step_1() -> None:
    """Losses stay inside the envelope of a network that amplifies rounding."""

    def chaotic(record: Record, copy: Copy) -> CopyResult:
        part = np.minimum(1e-7 * 1.5 ** np.arange(STEPS), 1.0)
        return msgspec.structs.replace(
            ordinary(record, copy, off=1e-4), trajectory=moved(record, part).trajectory
        )

    seen = looks(lambda step, name: 1e-4 * (step >= 1 and name == "output, kernel"))
    judgement, _ = compared(lambda r: parted(r, 1, 1e-7, tensors=seen), copies=chaotic)
    assert judgement.verdict is Verdict.CHANGED
    assert "it begins in output, kernel" in judgement.reason


def test_rounding_says_how_small_a_change_of_a_gradient_it_would_have_shown() -> None:
    """The allowed distance of the kernel's gradient at the first look: copies are up to 2e-7 off, times
    sqrt(784 / 6)."""
    judgement, _ = compared(lambda r: parted(r, 3, 5e-7, ends=ends(2e-7, 2e-7)))
    assert judgement.verdict is Verdict.ROUNDING
    assert judgement.envelope is not None
    assert judgement.envelope.sensitivity == pytest.approx(11.43 * 2e-7, rel=1)
    assert "a gradient changed by " in judgement.reason


def test_a_cell_that_is_sharp_for_one_step_alone_and_has_no_tensors_is_undecided() -> None:
    """Copies part by more than seeds do from the first step on."""

    def wild(record: Record, copy: Copy) -> CopyResult:
        part = 5.0 * (np.arange(STEPS) >= 1)
        return msgspec.structs.replace(
            ordinary(record, copy),
            trajectory=moved(record, part).trajectory,
            tensors=None,
            ends=None,
        )

    judgement, _ = compared(lambda r: parted(r, 1, 1e-3), copies=wild)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "too blunt to tell rounding from a change" in judgement.reason


# Another class of CPU


def foreign(baseline: Baseline, **software: str) -> Baseline:
    other = of_class(baseline, isa="avx2")
    return msgspec.structs.replace(other, software={**other.software, **software})


def test_equal_bits_are_identical_on_any_machine() -> None:
    """And so they are where the arithmetic is another one."""
    for other in (of_class(BASELINE, isa="amx"), of_class(BASELINE, fpmath="bf16")):
        judgement = chosen(made(), other)
        assert (judgement.verdict, judgement.rung) == (Verdict.IDENTICAL, "digest")
        assert "in spite of another environment class" in judgement.reason


def test_inside_is_rounding_on_another_class_of_cpu() -> None:
    """Copies show what rounding does here, whoever rounds otherwise."""
    change = lambda r: parted(r, 3, 5e-7, ends=ends(2e-7, 2e-7))  # noqa: E731
    assert compared(change, baseline=foreign)[0].verdict is Verdict.ROUNDING


def test_outside_is_undecided_on_another_class_of_cpu_and_the_decider_is_named() -> None:
    """A kernel may be to blame; where both versions are the same, no upgrade is."""
    change = lambda r: parted(r, 3, 0.01)  # noqa: E731
    judgement, _ = compared(change, baseline=lambda b: foreign(b, tensorflow="2.20.0"))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason.endswith(
        '`bench upgrade "tensorflow-cpu==2.20.0 keras==3.15.1" "tensorflow-cpu==2.21.0 keras==3.15.1"` '
        "on this machine decides"
    )
    same, _ = compared(change, baseline=foreign)
    assert same.verdict is Verdict.INCONCLUSIVE
    assert "the versions are the same" in same.reason


def test_a_better_result_outside_the_envelope_is_no_improvement() -> None:
    """On one kind of kernels it is another formula; on another class it is undecided."""
    change = lambda r: parted(r, 3, 0.01, test_accuracy=0.99)  # noqa: E731
    assert compared(change)[0].verdict is Verdict.CHANGED
    assert compared(change, baseline=foreign)[0].verdict is Verdict.INCONCLUSIVE


def test_a_baseline_that_has_some_cells_leaves_the_others_to_the_next_class() -> None:
    """And to the one after that."""
    grid = BASELINE.grids["depth"]
    some = {name: cell for name, cell in grid.items() if name == CHOSEN.id}
    own = msgspec.structs.replace(
        BASELINE, grids={"depth": some}, fallback=of_class(BASELINE, isa="avx2")
    )
    judgements = judge(made(), own)
    assert {j.verdict for j in judgements} == {Verdict.IDENTICAL}
    assert sum("another environment class" in j.reason for j in judgements) == len(CELLS) - 1


def test_two_runs_get_one_answer_whichever_is_asked_first() -> None:
    """Of an upgrade: a plan of one seed, three that are stored, copies of NEW alone. What is
    outside is so the other way round, too, held against the same copies."""
    one = msgspec.structs.replace(PLAN, seeds=[0], further=[1, 2])
    old, new = (
        stored(one, [make(full(seed)) for seed in range(3)])
        for make in (lambda r: r, lambda r: parted(r, 3, 0.01))
    )
    while wanted := still_wanted(new, baseline_from_run(old)):
        more = {copy: ordinary(new.records[copy.replica], copy) for copy in wanted}
        new = replaced(new, copies={**new.copies, **more})
    for before, after in ((old, new), (new, old)):
        found = between(before, after)
        (judgement,) = found.judgements
        assert judgement.verdict is Verdict.CHANGED
        assert judgement.envelope is not None
        assert (judgement.envelope.seeds, judgement.envelope.copies) == (3, len(new.copies))
        assert found.exit_code == EXIT_REGRESSED


# Nothing compared


@pytest.mark.parametrize("allow", [True, False])
def test_nothing_compared_and_undecided_are_no_success_unless_the_user_says_so(allow: bool) -> None:
    """All new, or all not comparable; one inconclusive among identical ones."""
    run = made()
    expected = EXIT_OK if allow else EXIT_UNDECIDED

    def code(of: StoredRun, baseline: Baseline | None) -> int:
        found = Conclusion(run=of, baseline=baseline, judgements=judge(of, baseline))
        return allowed(found.exit_code, undecided=allow)

    assert code(run, None) == expected
    other = msgspec.structs.replace(BASELINE, data={"fingerprint": "f00"})
    assert code(run, other) == expected
    scattered = itertools.cycle([0.90, 0.96, 0.92])
    open_ = made(
        lambda r: msgspec.structs.replace(r, test_accuracy=next(scattered), digest="x"),
        seeds=(0, 1, 2),
    )
    judgements = judge(open_, BASELINE)
    assert judgements[5].verdict is Verdict.INCONCLUSIVE
    assert code(open_, BASELINE) == expected


def test_another_signal_before_the_first_step_is_changed_whatever_losses_say() -> None:
    """A metric that is shown to have changed outweighs the envelope."""
    change = lambda r: parted(r, 3, 5e-7, start=flow(CELL, ratio=0.6))  # noqa: E731
    assert compared(change)[0].verdict is Verdict.CHANGED


def test_the_builder_of_this_module_is_what_it_says() -> None:
    """A replica whose losses part at step 250, and only there."""
    record = full(0)
    apart = losses(parted(record, 250, 0.01)) - losses(record)
    assert np.flatnonzero(apart)[0] == 250
    assert parted(record, 250, 0.01).states != record.states
