"""Speed and memory of a run against stored runs of its machine."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import count
from bench.report.document import Section, Table
from bench.report.markup import code, strong
from bench.report.text import NOTHING, significant
from bench.results.pace import QUANTITIES
from bench.verdict.conclusion import Conclusion
from bench.verdict.pacing import ALPHA, FEWEST, PaceJudgement

_HEADERS = ("workload", "quantity", "this run", "stored", "change", "conclusion")


def paces_section(conclusion: Conclusion) -> Section | None:
    """A row for each quantity of each workload; None if none was measured."""
    paces = conclusion.paces
    if not paces:
        return None
    return Section(
        "Speed and memory against stored runs", [pace_line(paces), table(paces), *_notes(paces)]
    )


def pace_line(paces: Sequence[PaceJudgement]) -> str:
    """Counts by conclusion, in one sentence."""
    numbers = {"within limits": 0, "beyond": 0, "machine": 0, "below": 0, "new": 0}
    for one in paces:
        numbers[one.conclusion] += 1
    words = {
        "within limits": "within this machine's limits",
        "beyond": "beyond them",
        "machine": "beyond them with the same software, so the machine is another one tonight",
        "below": "below them",
        "new": f"new (fewer than {FEWEST} runs of this machine are stored)",
    }
    told = "; ".join(f"{number} {words[name]}" for name, number in numbers.items() if number)
    return f"{count(len(paces), 'number')} of speed and memory: {told}."


def table(paces: Sequence[PaceJudgement]) -> Table:
    """All of them, those that trip first."""
    order = ("beyond", "machine", "below", "within limits", "new")
    rows = [_row(one) for one in sorted(paces, key=lambda one: order.index(one.conclusion))]
    return Table(_HEADERS, rows, "llrrrl")


def _row(one: PaceJudgement) -> list[str]:
    before = NOTHING
    if one.change == one.change:
        before = f"{significant(one.centre)} {one.unit} in {count(one.stored, 'run')}"
    return [
        one.pace.workload.title,
        QUANTITIES[one.quantity].title,
        f"{significant(one.value)} {one.unit}",
        before,
        one.changed or NOTHING,
        _conclusion(one),
    ]


def _conclusion(one: PaceJudgement) -> str:
    if one.live is None:
        return strong("beyond: to be decided side by side") if one.open else one.conclusion
    told = f"{one.live.name} side by side: {one.live.ratio}"
    return strong(told) if one.worse else told


def _notes(paces: Sequence[PaceJudgement]) -> list[str]:
    notes = [
        "Memory is what the workload adds to the process. If nothing has changed, a run has a number "
        f"outside its limits with a chance of {100 * ALPHA:.0f} % at most. That is no verdict: "
        f"{code('bench speed check RUN --decide')} compares side by side."
    ]
    if any("calibration" in one.unit for one in paces):
        notes.append(
            "The calibration is a matrix product and a sweep through memory in the same process, "
            "without TensorFlow. It slows down with the machine, so a change of the multiple is "
            "TensorFlow's."
        )
    return notes
