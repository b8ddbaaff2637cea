"""Reasons for an answer: what speaks against it, what leaves it open, what it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.cells.cell import Cell
from bench.results.check import Check, CheckResult
from bench.results.run import StoredRun
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import counts
from bench.verdict.saving import Outcome

if TYPE_CHECKING:
    from bench.verdict.conclusion import Conclusion

#: Verdicts of cells that say nothing of two sides: one of them, or both, were not trained.
_NOTHING = (Verdict.CRASHED, Verdict.MISSING, Verdict.NOT_COMPARABLE, Verdict.NEW)

#: Of checks that count neither for these versions of TensorFlow and Keras nor against them.
_KNOWN = "by known faults of these versions, as expected"
_NOT_HERE = "not applicable to these versions"


def against(found: Conclusion) -> list[str]:
    """What fails, and did not on the other side."""
    newly = [contrast.check for contrast in found.checks if contrast.wrong is Wrong.NEW]
    mended = sum(contrast.mended and contrast.counts_against for contrast in found.checks)
    otherwise = sum(contrast.new is not None for contrast in found.documents)
    gone = len(found.documents) - otherwise
    claims = {claim.item.cell for claim in found.claims if claim.wrong is Wrong.NEW}
    broken = [saving for saving in found.savings if saving.outcome.fails]
    misread = sum(saving.back for saving in broken)
    crashed = [trial for trial in found.run.trials.values() if trial.outcome == "crashed"]
    failing = [finding for finding in found.findings if finding.fails]
    since = "" if found.old is None else "newly "
    return [
        *_by_verdict(counts(found.failing)),
        *_some(len(found.lost), "cell", "cannot be trained any more"),
        *_checks(newly, (f"{since}out of bounds",) * 2, f"{since}broken"),
        *_some(mended, "contract", "broken in OLD and kept in NEW: behaviour changes"),
        *_some(otherwise, "contract", "documented otherwise: behaviour changes"),
        *_some(gone, "contract", "of a part that NEW lacks"),
        *([f"a claim newly violated by {_count(len(claims), 'cell')}"] if claims else []),
        *_some(len(broken) - misread, "saved model", "not read back as saved"),
        *_some(misread, "saved model", "of the new side not read as saved by the old one"),
        *(
            f"{workload.title}: crashed while timed"
            for workload, sides in found.stopped.items()
            if "new" in sides and "old" not in sides
        ),
        *(
            f"{workload.title}: slower, {speed.ratio} of time"
            for workload, speed in found.speeds.items()
            if speed.verdict == "slower"
        ),
        *(
            f"{one.title}: more than before, side by side: {one.live.ratio}"
            for one in found.paces
            if one.worse and one.live is not None
        ),
        *(
            f"{result.pace.workload.title}: crashed while measured"
            for result in found.run.paces.values()
            if result.crash is not None and found.old is None
        ),
        *_some(len(crashed), "trial", "of published experiments crashed"),
        *_some(len(failing), "published finding", "contradicted"),
    ]


def undecided(found: Conclusion) -> list[str]:
    """What was not decided or not measured; that nothing was compared, where that is so."""
    open_cells = counts(judgement for judgement in found.judgements if _open(found, judgement))
    reasons = _by_verdict(open_cells)
    if found.old is not None:
        gone = unmeasured(found.old)
        missing = (j for j in found.judgements if j.verdict is not Verdict.MISSING)
        cells = sum(judgement.item.cell in gone for judgement in missing)
        reasons += _some(cells, "cell", "not measured on the old side")
    runs = [found.run] if found.old is None else [found.old, found.run]
    for kind, noun in {"check": "check", "trial": "trial", "pace": "workload"}.items():
        reasons += _some(sum(not_run(run)[kind] for run in runs), noun, "not run")
    reasons += [
        f"{name} is missing: that part was not measured, or is lost" for name in found.lacking
    ]
    reasons += [
        f"speed of {workload.title}: {speed.reason}"
        for workload, speed in found.speeds.items()
        if speed.verdict == "undecided"
    ]
    reasons += [
        f"{one.title} {one.changed}, to be decided side by side" for one in found.paces if one.open
    ]
    return reasons or ([] if _compared(found) else ["nothing could be compared"])


def in_favour(found: Conclusion) -> list[str]:
    """What was compared and is as it was; then what was tried and says nothing, so that it adds up."""
    known = [contrast.check for contrast in found.checks if contrast.wrong is Wrong.BOTH]
    same = [s.back for s in found.savings if s.outcome in (Outcome.SAME, Outcome.ROUNDING)]
    outcomes = Counter(saving.outcome for saving in found.savings)
    agreeing = sum(finding.holds is True for finding in found.findings)
    names = Counter(speed.name for speed in found.speeds.values())
    speeds = ", ".join(f"{number} {name}" for name, number in names.items())
    where = "" if found.old is None else " on both sides"
    return [
        *reversed(_by_verdict(counts(found.judgements))),
        *_checks(_held(found), ("holds" + where, "hold" + where), "kept" + where),
        *_checks(known, ("wrong on both sides",) * 2, "broken on both sides"),
        *_checks(_faults(found), (f"wrong {_KNOWN}",) * 2, f"broken {_KNOWN}"),
        *_checks(_absent(found), (_NOT_HERE,) * 2, _NOT_HERE),
        *_some(same.count(False), "saved model", "read back the same"),
        *_some(same.count(True), "saved model", "of the new side read the same by the old one"),
        *_some(outcomes[Outcome.BOTH], "saved model", "wrong before and now"),
        *_some(outcomes[Outcome.ABSENT], "saved model", "not written: that side lacks the format"),
        *([f"speed of {_count(len(found.speeds), 'workload')}: {speeds}"] if names else []),
        *_paces(found),
        *_some(agreeing, "published finding", "reproduced"),
    ]


def beside(found: Conclusion) -> list[str]:
    """What whoever has files of either side should know, whatever the answer."""
    unpromised = [s.back for s in found.savings if s.outcome is Outcome.UNPROMISED]
    lost = unpromised.count(False) if found.rollback else 0
    return [
        *_some(lost, "saved model", "that the older version cannot read, as nobody promised"),
        *_some(
            unpromised.count(True),
            "saved model",
            "of the new side refused by the old one (a rollback)",
        ),
    ]


def unmeasured(run: StoredRun) -> set[Cell]:
    """Cells of which a planned replica was not tried."""
    cells, seeds = run.plan.names(), frozenset(run.plan.seeds)
    skipped = {
        record.cell
        for record in run.records.values()
        if not record.attempted and record.cell in cells and record.seed in seeds
    }
    return skipped | {replica.cell for replica in run.missing}


def not_run(run: StoredRun) -> dict[str, int]:
    """How many checks, trials and paces of the plan have no result, by noun."""
    return {
        "check": len(run.plan.checks) - len(run.results),
        "trial": len(run.plan.trials) - len(run.trials),
        "pace": len(run.plan.paces) - len(run.paces),
    }


def _open(found: Conclusion, judgement: Judgement) -> bool:
    """Whether nothing was concluded of a cell, and could have been."""
    if judgement.verdict is Verdict.NOT_COMPARABLE:
        absent = judgement.rung == "absent"
        return not absent and not (found.old is not None and _crashes(found.old, judgement))
    return judgement.verdict in (Verdict.MISSING, Verdict.INCONCLUSIVE)


def _crashes(run: StoredRun, judgement: Judgement) -> bool:
    return any(record.crash is not None for record in run.of(judgement.item.cell))


def _compared(found: Conclusion) -> bool:
    """Whether anything was held against something, and decided. The cells of a run that has any are
    what its baseline is for: checks alone do not make it compared."""
    if any(judgement.verdict not in _NOTHING for judgement in found.judgements):
        return True
    if found.old is None and found.judgements:
        return False
    checked = any(result.compared for result in found.run.results)
    paced = any(one.conclusion != "new" for one in found.paces)
    return checked or paced or bool(found.speeds or found.savings or found.run.trials)


def _paces(found: Conclusion) -> list[str]:
    """What speed and memory are against stored runs of this machine, and side by side."""
    within = sum(one.conclusion == "within limits" for one in found.paces)
    below = sum(one.conclusion == "below" for one in found.paces)
    machine = sum(one.conclusion == "machine" for one in found.paces)
    live = [one.live.name for one in found.paces if one.live is not None and not one.worse]
    of = "number", "of speed and memory"
    return [
        *_some(within, of[0], f"{of[1]} within this machine's limits"),
        *_some(below, of[0], f"{of[1]} below its limits"),
        *_some(machine, of[0], f"{of[1]} beyond its limits with the same software"),
        *(f"{number} {name} side by side" for name, number in Counter(live).items()),
    ]


def _held(found: Conclusion) -> list[Check]:
    """Checks that compared something and hold, on both sides if there are two."""
    results = [result for result in found.run.results if result.compared and not result.wrong]
    if found.old is None:
        return [result.check for result in results]
    before = found.old.checks
    return [
        result.check
        for result in results
        if (old := before.get(result.check)) is not None and not old.wrong
    ]


def _faults(found: Conclusion) -> list[Check]:
    """Known faults of a run's version; those of two sides are contrasted."""
    if found.old is not None:
        return []
    return [result.check for result in found.run.results if result.wrong and not result.fails]


def _absent(found: Conclusion) -> list[Check]:
    """Checks of parts, or of a document, that no side has."""
    before = {} if found.old is None else found.old.checks
    return [
        result.check
        for result in found.run.results
        if result.absent and (found.old is None or _is_absent(before.get(result.check)))
    ]


def _is_absent(result: CheckResult | None) -> bool:
    return result is not None and bool(result.absent)


def _checks(checks: Sequence[Check], one_or_many: tuple[str, str], contract: str) -> list[str]:
    """Numbers of checks of arithmetic, of which one or many are something, and of contracts."""
    contracts = sum(check.is_contract for check in checks)
    arithmetic = len(checks) - contracts
    return [
        *_some(arithmetic, "check", f"of arithmetic {one_or_many[arithmetic != 1]}"),
        *_some(contracts, "contract", contract),
    ]


def _by_verdict(numbers: Mapping[Verdict, int]) -> list[str]:
    return [f"{_count(number, 'cell')} {verdict.value}" for verdict, number in numbers.items()]


def _some(number: int, noun: str, predicate: str) -> list[str]:
    return [f"{_count(number, noun)} {predicate}"] if number else []


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
