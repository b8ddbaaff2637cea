"""Is the upgrade safe: what speaks against it, what leaves it open, what is known already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bench.report.full import full_report
from bench.report.markdown import markdown
from bench.report.terminal import summary_lines
from bench.results.check import Check, CheckResult
from bench.results.kind import Crash
from bench.results.record import Record, Replica
from bench.results.run import StoredRun
from bench.results.saved_models import Exchange, Written
from bench.verdict.conclusion import Answer, Conclusion, against_baseline
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import Verdict
from bench.verdict.judging import still_wanted_of_both
from bench.verdict.reasons import in_favour
from support.builders import copied, diverged, moved, replaced
from support.upgraded import (
    CELLS,
    CHECK,
    ITEMS,
    absent,
    checked,
    crash,
    exchange,
    lacking,
    other_bits,
    same,
    side,
    timed,
    upgraded,
    where,
    worse,
)


def nadam(cell: Any) -> bool:
    return bool(cell.optimizer == "nadam")


def broken(record: Record) -> Record:
    """It diverges."""
    return diverged(record.cell, record.seed)


def reasons(found: Conclusion, verdict: Verdict) -> set[str]:
    """Of the Nadam cells with this verdict."""
    chosen = [j for j in found.judgements if nadam(j.item.cell) and j.verdict is verdict]
    return {judgement.reason for judgement in chosen}


def of(change: Callable[[Record], Record | None]) -> Conclusion:
    """NEW differs by a change of its Nadam cells."""
    return upgraded(new=side("new", where(nadam, change)))


def test_equal_sides_are_safe() -> None:
    """Everything identical: safe, exit 0, and the reason says what was compared."""
    found = upgraded(
        old=side("old", checks={CHECK: checked()}), new=side("new", checks={CHECK: checked()})
    )
    assert (found.answer, found.exit_code) == (Answer.SAFE, 0)
    assert found.because == ["12 cells identical", "1 check of arithmetic holds on both sides"]
    assert not found.failing


@pytest.mark.parametrize(
    ("change", "verdict"), [(worse, Verdict.REGRESSED), (crash, Verdict.CRASHED)]
)
def test_a_failing_cell_is_not_safe(change: Any, verdict: Verdict) -> None:
    """A cell that regresses or crashes on the new side alone speaks against the upgrade."""
    found = of(change)
    assert (found.answer, found.exit_code) == (Answer.UNSAFE, 1)
    assert found.because[0] == f"4 cells {verdict.value}"
    assert {j.item.cell for j in found.failing} == {cell for cell in CELLS if nadam(cell)}


def test_a_crash_on_both_sides_is_no_change() -> None:
    """What crashes on both sides is known, and the upgrade is safe."""
    runs = [side(name, where(nadam, crash)) for name in ("old", "new")]
    found = upgraded(*runs)
    assert found.answer is Answer.SAFE
    assert len(found.crashed_before) == 4
    assert not found.failing


@pytest.mark.parametrize(("before", "known"), [({0}, False), ({1, 2}, True), ({0, 1, 2}, True)])
def test_a_cell_that_crashes_more_often_is_not_known(before: set[int], known: bool) -> None:
    """Under two of three seeds in NEW: known only if OLD crashes under as many, whichever they are."""

    def under(seeds: set[int]) -> Any:
        return where(nadam, lambda record: crash(record) if record.seed in seeds else record)

    found = upgraded(side("old", under(before)), side("new", under({0, 1})))
    assert len(found.crashed_before) == (4 if known else 0)
    assert found.answer is (Answer.SAFE if known else Answer.UNSAFE)


def test_a_replica_that_was_not_attempted_is_no_crash_of_the_old_side() -> None:
    """A crash of NEW is not excused because OLD's process did not come to that replica."""
    never = lambda record: crash(record, "not attempted", "its worker was given up")  # noqa: E731
    found = upgraded(old=side("old", where(nadam, never)), new=side("new", where(nadam, crash)))
    assert found.answer is Answer.UNSAFE
    assert not found.crashed_before


def test_lost_cells() -> None:
    """What OLD trains and NEW has no parts for speaks against it; what neither has does not."""
    found = of(absent)
    assert found.answer is Answer.UNSAFE
    assert found.because == ["4 cells cannot be trained any more"]
    assert {item.cell.optimizer for item in found.lost} == {"nadam"}
    neither = upgraded(side("old", where(nadam, absent)), side("new", where(nadam, absent)))
    assert (neither.answer, list(neither.lost)) == (Answer.SAFE, [])


def test_parts_that_only_new_has_do_not_count_against_it() -> None:
    """OLD has no such optimizer: nothing to compare, and no reason to stay."""
    found = upgraded(old=side("old", where(nadam, absent)))
    assert found.answer is Answer.SAFE
    assert not found.lost
    assert reasons(found, Verdict.NEW) == {
        "OLD cannot train it, as Keras has no nadam: nothing to compare with"
    }


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reason"),
    [
        (crash, other_bits, Verdict.IMPROVED, "crashed under 0 of 3 seeds, OLD 3 of 3: luck does"),
        (lambda record: record, broken, Verdict.REGRESSED, "under 3 of 3 seeds, OLD 0 of 3: "),
    ],
)
def test_reasons_name_the_sides(before: Any, after: Any, verdict: Verdict, reason: str) -> None:
    """No reader of an upgrade's report knows of a baseline, nor of folders called run old."""
    found = upgraded(side("old", where(nadam, before)), side("new", where(nadam, after)))
    told = reasons(found, verdict)
    assert told
    assert all(reason in words for words in told), told
    words = " ".join(judgement.reason for judgement in found.judgements)
    assert "baseline" not in words
    assert "run old" not in words


@pytest.mark.parametrize("name", ["old", "new"])
def test_a_missing_side_leaves_it_open(name: str) -> None:
    """Cells that one side did not measure leave the upgrade undecided: exit 2."""
    found = upgraded(**{name: side(name, where(nadam, lacking))})
    assert found.answer is Answer.UNDECIDED
    assert found.incomplete
    assert found.exit_code == 2
    assert "4 cells" in found.because[0]


def test_nothing_that_could_be_compared_is_not_safe() -> None:
    """Where no cell was compared and no check ran there is nothing to call safe."""
    runs = [side(name, absent) for name in ("old", "new")]
    found = upgraded(*runs)
    assert found.answer is Answer.UNDECIDED
    assert upgraded(side("old", chosen=[]), side("new", chosen=[])).answer is Answer.UNDECIDED


def test_one_seed_with_other_bits_is_undecided() -> None:
    """With one seed no metric can be tested: exit 3, as everything was measured."""
    found = upgraded(side("old", seeds=[0]), side("new", where(nadam, other_bits), seeds=[0]))
    assert (found.answer, found.exit_code) == (Answer.UNDECIDED, 3)
    assert found.because == ["4 cells inconclusive"]


@pytest.mark.parametrize(
    ("old", "new", "wrong", "answer"),
    [
        (False, True, Wrong.NEW, Answer.UNSAFE),
        (True, True, Wrong.BOTH, Answer.SAFE),
        (True, False, Wrong.OLD, Answer.SAFE),
    ],
)
def test_checks_by_side(old: bool, new: bool, wrong: Wrong, answer: Answer) -> None:
    """Only a check that fails newly speaks against the upgrade; the others are told."""
    found = upgraded(
        side("old", checks={CHECK: checked(out=old)}), side("new", checks={CHECK: checked(out=new)})
    )
    assert [contrast.wrong for contrast in found.checks] == [wrong]
    assert found.answer is answer
    assert not any("hold" in reason for reason in found.because)
    if old and new:
        assert "1 check of arithmetic wrong on both sides" in found.because


def test_a_check_that_did_not_run_leaves_it_open() -> None:
    """A planned check without a result: undecided, exit 2."""
    plain = side("new", checks={CHECK: checked()})
    found = upgraded(side("old", checks={CHECK: checked()}), replaced(plain, checks={}))
    assert found.because == ["1 check not run"]
    assert found.exit_code == 2


@pytest.mark.parametrize(("known", "answer"), [("#1", Answer.SAFE), ("", Answer.UNSAFE)])
def test_what_one_side_alone_ran_is_no_contrast(known: str, answer: Answer) -> None:
    """A known fault that the old side was not asked about is not newly there; another one fails."""
    faulty = msgspec.structs.replace(checked(out=True), known=known)
    found = upgraded(side("old"), side("new", checks={CHECK: faulty}))
    assert found.answer is answer
    assert bool(found.checks) == (not known)


def test_a_fault_that_the_new_side_was_not_asked_about_is_not_mended() -> None:
    new = replaced(side("new", checks={CHECK: checked()}), checks={})
    found = upgraded(side("old", checks={CHECK: checked(out=True)}), new)
    assert (found.checks, found.answer) == ([], Answer.UNDECIDED)


def test_speed() -> None:
    """Slower is not safe; the same is told in favour; a crash while timed on NEW alone is not safe."""
    slow = upgraded(timings=[timed(0.08)])
    assert slow.answer is Answer.UNSAFE
    assert "training, MLP of depth 3, fit: slower" in slow.because[0]
    fine = upgraded(timings=[timed()])
    assert fine.answer is Answer.SAFE
    assert fine.because[-1] == "speed of 1 workload: 1 same"
    ended = Crash(reason="signal", message="killed by SIGSEGV")
    for sides, answer in (({"new"}, Answer.UNSAFE), ({"old", "new"}, Answer.SAFE)):
        stopped = upgraded(timings=[timed(rounds=0, crashes=dict.fromkeys(sides, ended))])
        assert stopped.answer is answer


def test_undecided_speed_is_undecided() -> None:
    """The answer covers all its parts: it names the workload, and what remains possible."""
    found = upgraded(timings=[timed(), timed(noise=0.5, engine="eager")])
    assert [each.verdict for each in found.speeds.values()] == ["same", "undecided"]
    assert (found.answer, found.exit_code) == (Answer.UNDECIDED, 3)
    (reason,) = found.because
    assert reason.startswith("speed of training, MLP of depth 3, eager: anything from -")
    assert "% remains possible after 8 restarts; about " in reason
    cells = upgraded(new=side("new", crash), timings=[timed(noise=0.5)])
    assert cells.answer is Answer.UNSAFE  # what is shown is not made undecided by what is not
    assert not any("speed" in reason for reason in cells.because)


def test_speed_that_was_left_out_is_not_open() -> None:
    """With --skip speed nothing is timed, and nothing is missing."""
    found = upgraded(left_out=["--skip speed"])
    assert (found.answer, found.exit_code) == (Answer.SAFE, 0)


def test_the_answer_names_the_wider_margin() -> None:
    """How sure each workload's speed is, counted by verdict."""
    found = upgraded(
        timings=[
            timed(),
            timed(noise=0.05, engine="eager"),
            timed(-0.07, noise=0.1, engine="function"),
            timed(engine="xla"),
        ]
    )
    names = [each.name for each in found.speeds.values()]
    assert names == ["same", "same within 5 %", "not slower", "same"]
    assert found.answer is Answer.SAFE
    assert found.because[-1] == "speed of 4 workloads: 2 same, 1 same within 5 %, 1 not slower"


def test_saved_models() -> None:
    """A file whose outputs differ, or that is refused against a promise, is not safe."""
    assert upgraded(exchanges=[exchange()]).answer is Answer.SAFE
    for broken in (exchange(excess=9.0), exchange(error="ValueError: no")):
        found = upgraded(exchanges=[broken])
        assert found.because == ["1 saved model not read back as saved"]


def test_saved_models_or_speed_alone_are_measured() -> None:
    """With --skip cells and --skip checks, a part that is left is what the answer rests on; without any
    part nothing was measured."""
    empty = [side(name, chosen=()) for name in ("old", "new")]
    found = upgraded(*empty, exchanges=[exchange()])
    assert found.answer is Answer.SAFE
    assert found.because == ["1 saved model read back the same"]
    assert upgraded(*empty, timings=[timed()]).answer is Answer.SAFE
    assert upgraded(*empty).exit_code == 2


def test_files_of_new_in_old() -> None:
    """Outputs that differ in servers that stay behind are not safe; a refusal is told beside any
    answer."""
    found = upgraded(exchanges=[exchange(), exchange(excess=9.0, back=True)])
    assert found.because == ["1 saved model of the new side not read as saved by the old one"]
    refused = exchange("export", error="ValueError: no", back=True)
    told = "1 saved model of the new side refused by the old one (a rollback)"
    found = upgraded(exchanges=[exchange(), exchange(back=True), refused])
    assert found.answer is Answer.SAFE
    assert found.because[-3:] == [
        "1 saved model read back the same",
        "1 saved model of the new side read the same by the old one",
        told,
    ]
    found = upgraded(exchanges=[exchange(excess=9.0), refused])
    assert found.answer is Answer.UNSAFE
    assert found.because == ["1 saved model not read back as saved", told]


def test_the_reasons_of_a_safe_answer_add_up() -> None:
    """Every contract and saved model of what the answer covers is in one of its numbers."""
    held, broken, lacking = (Check(family="losses", subject=f"formula-{n}") for n in "abc")
    outcomes = [
        CheckResult(check=held, compared=1),
        msgspec.structs.replace(checked(check=broken, out=True), known="mended by a later version"),
        CheckResult(check=lacking, absent="Keras 3 documents it otherwise"),
    ]
    results = {result.check: result for result in outcomes}
    nothing = Written(model="mlp", format="export", absent="Keras 2.12 has no export")
    found = upgraded(
        side("old", checks=results),
        side("new", checks=results),
        exchanges=[exchange(), Exchange(written=nothing)],
    )
    assert found.answer is Answer.SAFE
    for told in (
        "1 contract kept on both sides",
        "1 contract broken on both sides",
        "1 contract not applicable to these versions",
        "1 saved model read back the same",
        "1 saved model not written: that side lacks the format",
    ):
        assert told in found.because
    run = against_baseline(side("new", checks=results), None)
    assert "1 contract broken by known faults of these versions, as expected" in in_favour(run)


def test_what_is_worst_comes_first() -> None:
    """Failing cells are in the order of attention, whatever their order in the plan."""

    def change(record: Record) -> Record:
        return {"sgd": worse, "nadam": crash}.get(record.cell.optimizer, same)(record)

    verdicts = [j.verdict for j in upgraded(new=side("new", change)).failing]
    assert verdicts == [Verdict.CRASHED] * 4 + [Verdict.REGRESSED] * 4


def test_further_seeds_and_copies() -> None:
    """Cells whose bits differ under the first seed need copies of it and, if these do not settle it,
    every seed on both sides; identical ones, crashed ones and those without parts need nothing."""

    def change(record: Record) -> Record:
        if record.cell.optimizer == "sgd":
            return crash(record)
        return moved(record, 0.001) if record.cell.optimizer == "nadam" else record

    def first(run: StoredRun) -> StoredRun:
        return replaced(run, plan=msgspec.structs.replace(run.plan, further=[1, 2]))

    old, new = first(side("old", seeds=[0])), first(side("new", change, seeds=[0]))
    chosen = [Replica(cell, seed) for cell in CELLS if nadam(cell) for seed in (1, 2)]
    _, copies = still_wanted_of_both(old, new)
    new = replaced(new, copies={c: copied(new.records[c.replica], c.number) for c in copies})
    assert still_wanted_of_both(old, new) == (chosen, chosen)
    of_old, copies = still_wanted_of_both(side("old", seeds=[0]), side("new", change, seeds=[0]))
    assert not of_old
    assert {copy.cell for copy in copies} == {cell for cell in CELLS if nadam(cell)}
    assert {copy.seed for copy in copies} == {0}


def test_another_class_is_compared_bit_by_bit() -> None:
    """Sides under other settings, such as without oneDNN, are identical where their bits are."""
    new = side("new")
    numerics = type(new.environment.numerics)(
        device="cpu", isa="avx2", onednn=False, xla=False, tf32=False, threads=1
    )
    fields: dict[str, Any] = {
        name: getattr(new.environment, name) for name in ("software", "machine", "data", "run")
    }
    other: StoredRun = replaced(new, environment=type(new.environment)(numerics=numerics, **fields))
    found = upgraded(new=other)
    assert {j.verdict for j in found.judgements} == {Verdict.IDENTICAL}
    assert len(found.judgements) == len(ITEMS)


# --- What Keras 2 and Keras 3 document otherwise

PAIR = [
    Check(family="stress", subject=f"batch-images:4-moving_variance:keras{major}")
    for major in (2, 3)
]
ALONE = Check(family="loops", subject="train_on_batch-reset_metrics:false")


def held_to(name: str, held: Check, *others: Check) -> StoredRun:
    """A side that was held to one contract, and found nothing of the others."""
    absence = {one: CheckResult(check=one, absent="documented otherwise") for one in others}
    every = {held: checked(check=held), **absence}
    return side(name, checks={one: every[one] for one in sorted(every, key=lambda one: one.id)})


@pytest.mark.parametrize(("old", "new", "since"), [(0, 1, "since Keras 3"), (1, 0, "in Keras 2")])
def test_what_is_documented_otherwise_changes_behaviour(old: int, new: int, since: str) -> None:
    """Both sides keep what they promise, and promise different things: not safe, and told by thing."""
    found = upgraded(
        held_to("old", PAIR[old], PAIR[1 - old]), held_to("new", PAIR[new], PAIR[1 - new])
    )
    assert found.checks == []
    assert found.because == ["1 contract documented otherwise: behaviour changes"]
    assert (found.answer, found.exit_code) == (Answer.UNSAFE, 1)
    text = markdown(full_report(found))
    assert f"documented otherwise {since}: `keras.layers.BatchNormalization`" in text
    told = "\n".join(summary_lines(found))
    assert "Documented otherwise: keras.layers.BatchNormalization" in told


def test_what_is_documented_no_more_is_told() -> None:
    """Of the thing nothing is there on the new side: not safe. On both sides, or gained: silent."""
    other = Check(family="loops", subject="predict-order")
    found = upgraded(held_to("old", ALONE, other), held_to("new", other, ALONE))
    assert found.because == ["1 contract of a part that NEW lacks"]
    assert "not there any more: `keras.Model.train_on_batch`" in markdown(full_report(found))
    for before in (ALONE, other):
        rest = other if before is ALONE else ALONE
        same_ = upgraded(held_to("old", before, rest), held_to("new", before, rest))
        assert same_.answer is Answer.SAFE
    gained = upgraded(held_to("old", other, ALONE), held_to("new", ALONE, other))
    assert gained.documents[0].check == other  # what only the new side has is no loss


def test_a_package_that_one_environment_lacks_is_no_change_of_what_is_documented() -> None:
    """TensorFlow 2.21 brings TensorBoard no more; where that is installed, all is as it was."""
    other = Check(family="loops", subject="predict-order")
    missing = CheckResult(check=ALONE, absent="TensorBoard is not installed")
    old, new = held_to("old", ALONE, other), held_to("new", other, ALONE)
    found = upgraded(old, replaced(new, checks={**new.checks, ALONE: missing}))
    assert found.documents == []
    assert found.answer is Answer.SAFE


def test_a_contract_that_a_later_version_of_bench_dropped_is_no_contrast() -> None:
    """Stored results may name contracts that are no more."""
    dropped = Check(family="loops", subject="no-such")
    other = Check(family="loops", subject="predict-order")
    found = upgraded(held_to("old", dropped, other), held_to("new", other, dropped))
    assert found.documents == []
