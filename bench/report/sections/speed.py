"""What two sides do beside training: speed and saved models."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import count
from bench.report.document import Block, Bullets, Section, Table, limited_table
from bench.report.markup import code, strong
from bench.report.text import NOTHING, clipped, significant
from bench.results.saved_models import FORMATS
from bench.results.timings import Timings, Workload
from bench.verdict import speed
from bench.verdict.conclusion import Conclusion
from bench.verdict.saving import Outcome, SavingJudgement

_SPEED = (
    "workload",
    "OLD (ms/step)",
    "NEW (ms/step)",
    "change of time",
    "noise floor: one side against itself",
    "restarts",
    "conclusion",
)


def speed_section(conclusion: Conclusion) -> Section | None:
    """Ratios of time with their intervals; None if nothing was timed."""
    timings = conclusion.timings
    if not timings:
        return None
    crashes = [
        f"{workload.title}: the process of {side.upper()} ended: {clipped(crash.message)}"
        for workload, sides in conclusion.stopped.items()
        for side, crash in sides.items()
    ]
    table = Table(_SPEED, [_speed_row(conclusion, each) for each in timings], "lrrrrrl")
    return Section(
        "Speed", [table, Bullets(crashes), _speed_notes() if conclusion.speeds else None]
    )


def speed_text(workload: Workload, result: speed.Speed) -> str:
    """One line: the ratio, its interval, the noise floor and what remains possible."""
    text = f"{workload.title}: {result.name}: "
    text += result.reason if result.verdict == "undecided" else f"time {result.ratio}"
    restarts = f"{count(result.restarts, 'restart')} of each side"
    return f"{text}; one side against itself {result.floor}; {restarts}"


def format_title(saving: SavingJudgement) -> str:
    """The format of a saved model; its name if this version does not know it."""
    known = FORMATS.get(saving.format)
    return known.title if known is not None else saving.format


def savings_section(conclusion: Conclusion) -> Section | None:
    """What each side makes of the models that the other saved; None if none was."""
    if not conclusion.savings:
        return None
    content: list[Block] = [
        "Each side saved models in every format, and the other loaded them. Outputs are the same if "
        f"they lie within what rounding explains of {_truth(conclusion)}; "
        "composed models round nothing, and have the same bits. That OLD refuses a file of NEW is a "
        "fact of a rollback and no failure."
    ]
    for back, title in ((False, "Files of OLD in NEW:"), (True, "Files of NEW in OLD:")):
        if savings := [saving for saving in conclusion.savings if saving.back == back]:
            content += [title, *_savings_table(savings)]
    return Section("Saved models", content)


def _savings_table(savings: Sequence[SavingJudgement]) -> list[Block]:
    rows = [
        [
            code(saving.name),
            format_title(saving),
            strong(saving.outcome.value) if saving.outcome.fails else saving.outcome.value,
            clipped(saving.reason) or NOTHING,
        ]
        for saving in sorted(savings, key=lambda saving: list(Outcome).index(saving.outcome))
    ]
    headers = ("saved model", "format", "outcome", "why")
    return limited_table(headers, rows, "llll", "file")


def _truth(conclusion: Conclusion) -> str:
    """What outputs of saved models are held against."""
    if any(judgement.item.cell.model for judgement in conclusion.judgements):
        return (
            "those before saving, as copies show it that were moved by one unit in the last place"
        )
    return "a forward pass in float64 with the saved weights"


def _speed_row(conclusion: Conclusion, timings: Timings) -> list[str]:
    title = timings.workload.title
    result = conclusion.speeds.get(timings.workload)
    if result is None:
        why = "a process crashed" if timings.crashes else "not measured"
        return [title, *[NOTHING] * 4, "0", why]
    steps = [
        significant(1000 * seconds / timings.steps) if timings.steps else NOTHING
        for seconds in result.seconds
    ]
    verdict = strong(result.name) if result.verdict == "slower" else result.name
    if result.verdict == "undecided":
        verdict += f": {clipped(result.reason)}"
    if timings.crashes:
        verdict += "; given up, as a process crashed"
    return [title, *steps, str(result.ratio), str(result.floor), str(result.restarts), verdict]


def _speed_notes() -> str:
    return (
        "Bursts of steps of OLD and NEW alternated on the same machine; positive changes are slower. "
        "All of these intervals hold what is true with probability "
        f"{100 * (1 - speed.ALPHA):.0f} %. A change of less than {100 * speed.MARGIN:.0f} % does not "
        "matter; where noise forbids to say that much, a wider margin is named. 'Not slower' leaves "
        "open whether NEW is faster."
    )
