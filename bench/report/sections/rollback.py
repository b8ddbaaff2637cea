"""What going back costs: files that the newer version wrote, and the older one cannot read."""

from __future__ import annotations

from bench.errors import count
from bench.report.document import Bullets, Section
from bench.report.markup import code
from bench.report.sections.speed import format_title
from bench.report.text import MOST_REASON, clipped
from bench.verdict.conclusion import Conclusion


def rollback_section(conclusion: Conclusion) -> Section | None:
    """Saved files that cannot be taken back; None of an upgrade, or if none was saved."""
    if not conclusion.rollback or not conclusion.savings:
        return None
    lost = [saving for saving in conclusion.savings if saving.outcome.lost and not saving.back]
    old, new = (run.environment.software["tensorflow"] for run in conclusion.both)
    text = f"NEW is the older version (TensorFlow {clipped(new)} in the place of {clipped(old)}). "
    if not lost:
        return Section("Rollback", [f"{text}It reads every model that OLD saved."])
    lines = [
        f"{code(saving.name)}, {format_title(saving)}: {clipped(saving.reason, MOST_REASON)}"
        for saving in lost
    ]
    files = count(len(lost), "file")
    text += f"It does not take back {files} that OLD saved; nobody promises that an older version "
    text += "reads what a newer one wrote. Keep what was saved before the upgrade:"
    return Section("Rollback", [text, Bullets(lines)])
