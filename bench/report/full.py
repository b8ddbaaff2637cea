"""The full report of a conclusion: ``report.md`` and ``report.html``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.published.rows import rows as published_rows
from bench.report.document import Document, Figure, Folded, Section
from bench.report.figures.contrast import agreement_picture, effects_picture
from bench.report.figures.picture import Picture
from bench.report.figures.speeds import speed_picture
from bench.report.groups import full_reasons
from bench.report.published import published_section
from bench.report.reproducer import NO_SCRIPTS, Scripts
from bench.report.sections.answer import answer_blocks, heading
from bench.report.sections.blame import blame_section
from bench.report.sections.cells import counts_section, crash_section, lost_sections, open_section
from bench.report.sections.changes import changes_section
from bench.report.sections.checks import checks_section, claims_section
from bench.report.sections.findings import findings_section
from bench.report.sections.grids import grid_sections
from bench.report.sections.metrics import evidence_table, metric_sections
from bench.report.sections.next_steps import next_steps
from bench.report.sections.own_model import own_section
from bench.report.sections.paces import paces_section
from bench.report.sections.rollback import rollback_section
from bench.report.sections.rounding import rounding_section
from bench.report.sections.scaling import scaling_section
from bench.report.sections.sides import left_out_section, other_packages, sides_section
from bench.report.sections.speed import savings_section, speed_section
from bench.report.text import capital
from bench.verdict.conclusion import Conclusion

#: Characters of a paragraph that stands open before the details of its section.
_MOST_LEAD = 400


def full_report(
    conclusion: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Scripts = NO_SCRIPTS,
    figures: Mapping[str, Picture] | None = None,
) -> Document:
    """Everything: the answer, what speaks for and against it, what to do and counts; then, folded,
    every cell and every number.

    Args:
        conclusion: of a run, an upgrade or two runs.
        total_sec: how long measuring took; None if that is not known.
        reproducers: the path of a script that shows the change of a cell.
        figures: those of :func:`bench.report.figures.curves.pictures`, where they are known.
    """
    blocks = [
        *answer_blocks(conclusion),
        other_packages(conclusion),
        findings_section(conclusion, reproducers),
        blame_section(conclusion.blames),
        next_steps(conclusion, reproducers),
        counts_section(conclusion),
        _pictures(conclusion),
        *map(folded, _details(conclusion, total_sec, reproducers, figures)),
        full_reasons(conclusion.judgements),
        evidence_table(conclusion),
    ]
    return Document(heading(conclusion), blocks, answer=capital(conclusion.answer.value))


def _pictures(conclusion: Conclusion) -> Section | None:
    """Both sides at a glance; None where there is nothing to see."""
    made = (agreement_picture, effects_picture, speed_picture)
    pictures = (picture(conclusion) for picture in made)
    drawn = [Figure(picture) for picture in pictures if picture is not None]
    return Section("Both sides in pictures", drawn) if drawn else None


def folded(section: Section) -> Section:
    """The section with its first paragraph open, if that is short, and the rest behind a title."""
    blocks = [block for block in section.blocks if block]
    lead = 1 if blocks and isinstance(blocks[0], str) and len(blocks[0]) <= _MOST_LEAD else 0
    rest = blocks[lead:]
    return Section(section.title, [*blocks[:lead], Folded("Details", rest) if rest else None])


def _details(
    conclusion: Conclusion,
    total_sec: float | None,
    reproducers: Scripts,
    figures: Mapping[str, Picture] | None,
) -> Iterator[Section]:
    """Sections that have something to tell, the most important first."""
    run = conclusion.run
    trials = [run.trials[trial] for trial in run.plan.trials if trial in run.trials]
    every = [
        changes_section(conclusion, reproducers),
        rounding_section(conclusion),
        *metric_sections(conclusion),
        checks_section(conclusion),
        claims_section(conclusion),
        crash_section(conclusion, reproducers),
        *lost_sections(conclusion),
        own_section(conclusion),
        speed_section(conclusion),
        paces_section(conclusion),
        scaling_section(conclusion),
        rollback_section(conclusion),
        savings_section(conclusion),
        published_section(trials, conclusion.findings, published_rows(trials)),
        open_section(conclusion),
        *grid_sections(conclusion, figures),
        sides_section(conclusion, total_sec=total_sec),
        left_out_section(conclusion),
    ]
    return (section for section in every if section is not None)
