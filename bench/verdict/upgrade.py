"""Is this upgrade safe? What two sides showed, judged and put together into one answer.

Cells of NEW are judged against those of OLD by the ladder, as of one environment class: both sides ran
on this machine, and whatever else differs between them is what is asked about. Claims and checks do
not decide on cells here, as in a run against its baseline: they are told for each side, because what
was wrong before is no change.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bench.cells.cell import Cell
from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE, EXIT_UNDECIDED
from bench.results.check import Check, CheckResult
from bench.results.plan import Item
from bench.results.record import Crash, Record
from bench.results.run import StoredRun
from bench.results.tasks import Task
from bench.results.timings import Side, Workload
from bench.results.upgrade import Measured
from bench.theory.claim import ClaimResult
from bench.theory.claims import check_claims
from bench.verdict import speed
from bench.verdict.baselines.samples import Baseline, baseline_from_run
from bench.verdict.bits import replicas_wanted
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import counts, judge, still_wanted
from bench.verdict.saving import Outcome, SavingJudgement, judge_saving


class Answer(str, enum.Enum):
    """Whether the upgrade is safe."""

    UNSAFE = "not safe"
    UNDECIDED = "undecided"
    SAFE = "safe"


class Wrong(str, enum.Enum):
    """On which side a claim does not hold, or a check fails."""

    NEW = "wrong on the new side only"
    BOTH = "wrong on both sides"
    OLD = "wrong on the old side only"


@dataclass(frozen=True, kw_only=True)
class ClaimContrast:
    """A claim that does not hold of a cell on one side or on both."""

    item: Item
    wrong: Wrong
    old: ClaimResult | None
    new: ClaimResult | None


@dataclass(frozen=True, kw_only=True)
class CheckContrast:
    """A check that fails on one side or on both."""

    check: Check
    wrong: Wrong
    old: CheckResult | None
    new: CheckResult | None


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """What is concluded of an upgrade."""

    measured: Measured
    judgements: Sequence[Judgement]
    """Of every cell, NEW against OLD, in the order of the plan."""
    crashed_before: frozenset[Item]
    """Cells that crash on both sides, and on the new one under no larger a share of seeds."""
    lost: Sequence[Item]
    """Cells that OLD trains and for which NEW has no parts."""
    claims: Sequence[ClaimContrast]
    checks: Sequence[CheckContrast]
    speeds: Mapping[Workload, speed.Speed]
    stopped: Mapping[Workload, Mapping[Side, Crash]]
    """Workloads that were given up, with the sides on which their process failed."""
    savings: Sequence[SavingJudgement]
    answer: Answer
    because: Sequence[str]
    """What the answer rests on, the most important first."""
    incomplete: bool
    """Whether something of the plan was not measured."""

    @property
    def failing(self) -> list[Judgement]:
        """Cells on which the upgrade fails, in the order of attention."""
        failing = [j for j in self.judgements if _fails(j, self.crashed_before)]
        return sorted(failing, key=lambda judgement: list(Verdict).index(judgement.verdict))

    @property
    def exit_code(self) -> int:
        """0 safe, 1 not safe, 3 undecided; 2 if undecided because something was not measured."""
        if self.answer is Answer.UNDECIDED and self.incomplete:
            return EXIT_TROUBLE
        codes = {Answer.SAFE: EXIT_OK, Answer.UNSAFE: EXIT_REGRESSED}
        return codes.get(self.answer, EXIT_UNDECIDED)


def conclude(measured: Measured) -> Upgrade:
    """The answer, and all that it rests on."""
    old, new = measured.old, measured.new
    judgements = judge(new, stand_in(old))
    crashed_before = frozenset(
        j.item for j in judgements if 0 < _crashes(new, j.item) <= _crashes(old, j.item)
    )
    lost = [j.item for j in judgements if j.rung == "absent" and _trained(old, j.item)]
    claims, checks = _claims(old, new), _checks(old, new)
    rounds = {timings.workload: timings.rounds for timings in measured.timings}
    versions = {side: run.environment.software for side, run in (("old", old), ("new", new))}
    savings = [
        judge_saving(e, old=versions["old"], new=versions["new"]) for e in measured.exchanges
    ]
    found = Upgrade(
        measured=measured,
        judgements=judgements,
        crashed_before=crashed_before,
        lost=lost,
        claims=claims,
        checks=checks,
        speeds=speed.judge(rounds),
        stopped={t.workload: t.crashes for t in measured.timings if t.crashes},
        savings=savings,
        answer=Answer.SAFE,
        because=(),
        incomplete=_incomplete(measured, judgements),
    )
    return _answered(found)


def stand_in(old: StoredRun, name: str = "OLD") -> Baseline:
    """A side in the place of the other one's baseline. Both ran on this machine, so that whatever their
    environment classes differ in is what is asked about."""
    return msgspec.structs.replace(baseline_from_run(old), name=name, short=name)


def following(old: StoredRun, new: StoredRun) -> tuple[Sequence[Task], Sequence[Task]]:
    """What each side still has to train: the further seeds of cells whose bits differ, then NEW the
    copies that its rounding envelopes need."""
    replicas = replicas_wanted(old, stand_in(new)), replicas_wanted(new, stand_in(old))
    return replicas if any(replicas) else ([], still_wanted(new, stand_in(old)))


def _crashes(run: StoredRun, item: Item) -> float:
    """The share of the replicas tried that crashed."""
    tried = [record for record in run.of(item.cell) if _attempted(record)]
    return sum(record.crash is not None for record in tried) / max(len(tried), 1)


def _attempted(record: Record) -> bool:
    return record.crash is None or record.crash.reason != "not attempted"


def _unmeasured(run: StoredRun) -> set[Cell]:
    """Cells of which a planned replica was not tried."""
    return {
        cell
        for cell, seed in run.plan.replicas()
        if (record := run.records.get((cell, seed))) is None or not _attempted(record)
    }


def _trained(run: StoredRun, item: Item) -> bool:
    return any(record.outcome in ("trained", "diverged") for record in run.of(item.cell))


def _fails(judgement: Judgement, crashed_before: Collection[Item]) -> bool:
    crashed = judgement.verdict is Verdict.CRASHED
    return judgement.verdict.fails and not (crashed and judgement.item in crashed_before)


def _wrong(fails: Sequence[bool]) -> Wrong:
    """Of whether it fails on the old and on the new side; one of them does."""
    if all(fails):
        return Wrong.BOTH
    return Wrong.NEW if fails[1] else Wrong.OLD


def _claims(old: StoredRun, new: StoredRun) -> list[ClaimContrast]:
    contrasts = []
    for item in new.plan.items:
        before, after = (
            {result.claim: result for result in check_claims(item.cell, run.of(item.cell))}
            for run in (old, new)
        )
        for name in dict.fromkeys([*before, *after]):
            one, other = before.get(name), after.get(name)
            violated = [result is not None and not result.holds for result in (one, other)]
            if any(violated):
                contrasts.append(
                    ClaimContrast(item=item, wrong=_wrong(violated), old=one, new=other)
                )
    return sorted(contrasts, key=lambda contrast: list(Wrong).index(contrast.wrong))


def _checks(old: StoredRun, new: StoredRun) -> list[CheckContrast]:
    contrasts = []
    for check in new.plan.checks:
        one, other = old.checks.get(check), new.checks.get(check)
        fails = [result is not None and result.fails for result in (one, other)]
        if any(fails):
            contrasts.append(CheckContrast(check=check, wrong=_wrong(fails), old=one, new=other))
    return sorted(contrasts, key=lambda contrast: list(Wrong).index(contrast.wrong))


def _incomplete(measured: Measured, judgements: Sequence[Judgement]) -> bool:
    runs = (measured.old, measured.new)
    return any(j.verdict is Verdict.MISSING for j in judgements) or any(
        len(run.results) < len(run.plan.checks) or _unmeasured(run) for run in runs
    )


def _answered(found: Upgrade) -> Upgrade:
    """The answer: not safe if anything fails on the new side that did not on the old one; else
    undecided if a cell or a workload's speed is, or was not measured; else safe. Speed that is not to
    count is left out by the user, and then nothing is said of it."""
    against = _against(found)
    if against:
        return dataclasses.replace(found, answer=Answer.UNSAFE, because=against)
    open_ = _open(found)
    if open_:
        return dataclasses.replace(found, answer=Answer.UNDECIDED, because=open_)
    return dataclasses.replace(found, because=_in_favour(found))


def _against(found: Upgrade) -> list[str]:
    by_verdict = counts(found.failing)
    told = [f"{_count(number, 'cell')} {verdict.value}" for verdict, number in by_verdict.items()]
    if found.lost:
        told.append(f"{_count(len(found.lost), 'cell')} cannot be trained any more")
    newly = sum(contrast.wrong is Wrong.NEW for contrast in found.checks)
    if newly:
        told.append(f"{_count(newly, 'check')} of arithmetic newly out of bounds")
    claims = {c.item.cell for c in found.claims if c.wrong is Wrong.NEW}
    if claims:
        told.append(f"a claim newly violated by {_count(len(claims), 'cell')}")
    broken = [saving for saving in found.savings if saving.outcome.fails]
    if broken:
        told.append(f"{_count(len(broken), 'saved model')} not read back as saved")
    stopped = [w for w, sides in found.stopped.items() if "new" in sides and "old" not in sides]
    told += [f"{workload.title}: crashed while timed" for workload in stopped]
    slower = {w: s for w, s in found.speeds.items() if s.verdict == "slower"}
    told += [f"{workload.title}: slower, {s.ratio} of time" for workload, s in slower.items()]
    return told


def _open(found: Upgrade) -> list[str]:
    by_verdict = counts(found.judgements)
    open_ = (Verdict.MISSING, Verdict.INCONCLUSIVE)
    told = [
        f"{_count(by_verdict[verdict], 'cell')} {verdict.value}"
        for verdict in open_
        if verdict in by_verdict
    ]
    unmeasured = _unmeasured(found.measured.old)
    before = [
        j
        for j in found.judgements
        if j.item.cell in unmeasured and j.verdict is not Verdict.MISSING
    ]
    if before:
        told.append(f"{_count(len(before), 'cell')} not measured on the old side")
    runs = (found.measured.old, found.measured.new)
    missing = sum(len(run.plan.checks) - len(run.results) for run in runs)
    if missing:
        told.append(f"{_count(missing, 'check')} not run")
    told += [
        f"speed of {workload.title}: {s.reason}"
        for workload, s in found.speeds.items()
        if s.verdict == "undecided"
    ]
    if not told and not _compared(found):
        told.append("nothing could be compared")
    return told


def _compared(found: Upgrade) -> bool:
    """Whether anything was measured on both sides and decided."""
    without = (Verdict.CRASHED, Verdict.MISSING, Verdict.NOT_COMPARABLE, Verdict.NEW)
    return (
        any(judgement.verdict not in without for judgement in found.judgements)
        or any(result.compared for result in found.measured.new.results)
        or bool(found.speeds)
        or bool(found.savings)
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _in_favour(found: Upgrade) -> list[str]:
    told = [
        f"{_count(number, 'cell')} {verdict.value}"
        for verdict, number in reversed(counts(found.judgements).items())
    ]
    before = found.measured.old.checks
    held = [
        result
        for result in found.measured.new.results
        if result.compared
        and not result.fails
        and (one := before.get(result.check)) is not None
        and not one.fails
    ]
    if held:
        verb = "holds" if len(held) == 1 else "hold"
        told.append(f"{_count(len(held), 'check')} of arithmetic {verb} on both sides")
    known = sum(contrast.wrong is Wrong.BOTH for contrast in found.checks)
    if known:
        told.append(f"{_count(known, 'check')} of arithmetic wrong on both sides")
    same = sum(saving.outcome in (Outcome.SAME, Outcome.ROUNDING) for saving in found.savings)
    if same:
        told.append(f"{_count(same, 'saved model')} read back the same")
    names = Counter(each.name for each in found.speeds.values())
    if names:
        words = ", ".join(f"{number} {name}" for name, number in names.items())
        told.append(f"speed of {_count(len(found.speeds), 'workload')}: {words}")
    return told
