"""The full report of a conclusion: ``report.md`` and ``report.html``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from bench.published.rows import rows as published_rows
from bench.report.document import Document, Section
from bench.report.published import published_section
from bench.report.sections.answer import answer_blocks, title
from bench.report.sections.blame import blame_section
from bench.report.sections.cells import counts_section, crash_section, lost_sections, open_section
from bench.report.sections.changes import changes_section
from bench.report.sections.checks import checks_section, claims_section
from bench.report.sections.grids import grid_sections
from bench.report.sections.metrics import evidence_table, metric_sections
from bench.report.sections.next_steps import next_steps
from bench.report.sections.rollback import rollback_section
from bench.report.sections.rounding import rounding_section
from bench.report.sections.sides import left_out_section, sides_section
from bench.report.sections.speed import savings_section, speed_section
from bench.report.text import capital, clipped
from bench.results.plan import Item
from bench.verdict.conclusion import Conclusion

#: No cell has a script that shows its change.
NO_SCRIPTS: Mapping[Item, str] = MappingProxyType({})


def full_report(
    conclusion: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Mapping[Item, str] = NO_SCRIPTS,
) -> Document:
    """Everything: the answer, what speaks for and against it, every cell.

    Args:
        conclusion: of a run, an upgrade or two runs.
        total_sec: how long measuring took; None if that is not known.
        reproducers: the path of a script that shows the change of a cell.
    """
    blocks = [
        *answer_blocks(conclusion),
        *sections(conclusion, total_sec, reproducers),
        evidence_table(conclusion),
    ]
    return Document(f"{capital(clipped(title(conclusion)))}: {conclusion.answer.value}", blocks)


def sections(
    conclusion: Conclusion,
    total_sec: float | None,
    reproducers: Mapping[Item, str],
    *,
    brief: bool = False,
) -> Iterator[Section]:
    """Sections that have something to tell, the most important first; in a brief report what to do
    stands behind what changed, and what every cell has is left out."""
    run = conclusion.run
    trials = [run.trials[trial] for trial in run.plan.trials if trial in run.trials]
    steps = next_steps(conclusion, reproducers)
    every = [
        changes_section(conclusion, reproducers, brief=brief),
        blame_section(conclusion.blames),
        rounding_section(conclusion, brief=brief),
        steps if brief else None,
        *metric_sections(conclusion, brief=brief),
        checks_section(conclusion, brief=brief),
        claims_section(conclusion, brief=brief),
        crash_section(conclusion, reproducers),
        *lost_sections(conclusion, brief=brief),
        speed_section(conclusion),
        rollback_section(conclusion),
        savings_section(conclusion, brief=brief),
        None if brief else published_section(trials, conclusion.findings, published_rows(trials)),
        open_section(conclusion),
        None if brief else steps,
        counts_section(conclusion),
        *(() if brief else grid_sections(conclusion)),
        sides_section(conclusion, total_sec=total_sec, brief=brief),
        left_out_section(conclusion),
    ]
    return (section for section in every if section is not None)
