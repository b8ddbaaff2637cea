"""The short report of a conclusion: a CI job's summary, a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.document import Block, Section
from bench.report.markdown import markdown
from bench.report.markup import code
from bench.report.reproducer import NO_SCRIPTS, Scripts
from bench.report.sections.answer import answer_blocks
from bench.report.sections.blame import blame_lines
from bench.report.sections.cells import counts_table
from bench.report.sections.findings import MOST_FINDINGS, findings_section
from bench.report.sections.next_steps import next_steps
from bench.report.sections.sides import other_packages
from bench.report.text import clipped, duration
from bench.results.run import REPORT
from bench.verdict.conclusion import Conclusion

#: Lines that a reviewer reads in half a minute.
MOST_LINES = 60
#: A comment on GitHub holds 65,536 characters; the rest is for what a workflow puts around it.
MOST_CHARACTERS = 65_000


def short_report(
    conclusion: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Scripts = NO_SCRIPTS,
) -> str:
    """Markdown of at most :data:`MOST_LINES` lines: the answer, findings, what to do, counts. Where
    that is too long, counts are left out, then findings. Arguments are
    :func:`bench.report.full.full_report`'s."""
    told = (
        markdown([*blocks, _ending(conclusion, total_sec)])
        for blocks in _forms(conclusion, reproducers)
    )
    return next(
        text for text in told if text.count("\n") <= MOST_LINES and len(text) < MOST_CHARACTERS
    )


def _forms(conclusion: Conclusion, reproducers: Scripts) -> Iterator[list[Block | None]]:
    """The report, the longest form first; the last one fits whatever happened."""
    answer = [*answer_blocks(conclusion), other_packages(conclusion)]
    steps = next_steps(conclusion, reproducers)
    counted, why = counts_table(conclusion), blame_lines(conclusion.blames)
    counts = Section("All cells", [counted]) if counted is not None else None
    for most in range(MOST_FINDINGS, 0, -1):
        found = findings_section(conclusion, reproducers, most=most)
        yield [*answer, found, why, steps, counts]
        yield [*answer, found, why, steps]
    yield [*answer]


def _ending(conclusion: Conclusion, total_sec: float | None) -> str:
    took = f" Measured in {duration(total_sec)}." if total_sec is not None else ""
    return f"Everything: {code(clipped(str(conclusion.folder / REPORT), 500))}.{took}"
