"""All that is known of one saved model: what it is, and what became of it."""

from __future__ import annotations

import shlex

from bench.report.document import Block, Section
from bench.report.markup import code, strong
from bench.report.sections.speed import format_title
from bench.report.text import clipped
from bench.verdict.conclusion import Conclusion
from bench.verdict.saving import SavingJudgement

_MOST_REASON = 2_000


def file_blocks(conclusion: Conclusion, saving: SavingJudgement) -> list[Block]:
    """Blocks of a document: who wrote it, who reads it, the outcome, and what to run next."""
    writer, reader = ("NEW", "OLD") if saving.back else ("OLD", "NEW")
    blocks: list[Block | None] = [
        f"{strong(saving.outcome.value)}: {clipped(saving.model)} as {format_title(saving)}, which "
        f"{writer} wrote, in {reader}.",
        clipped(saving.reason, _MOST_REASON) or None,
    ]
    if saving.outcome.lost and not saving.back:
        asked = f"bench bisect {shlex.quote(saving.name)} --of {conclusion.folder}"
        blocks.append(f"Which package and release is to blame: {code(asked)}")
    return [Section(saving.name, blocks)]
