"""Each grid's cells: a table, the claims that hold, and what theory predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from bench.cells import recurrent
from bench.cells.cell import Cell
from bench.errors import count
from bench.report.document import Block, Bullets, Folded, Section, Table
from bench.report.figures.curves import SHOWN, pictures
from bench.report.figures.picture import Picture
from bench.report.markup import code, emphasis, strong
from bench.report.measured_over_time import why_zero
from bench.report.rows import Row, Rows, common_configuration, throughput
from bench.report.sections.prediction import READING, prediction_section
from bench.report.text import (
    MOST_NAMED,
    MOST_REASON,
    brief,
    change_points,
    clipped,
    grouped,
    more,
    percent,
    points,
    significant,
)
from bench.verdict.baselines.samples import Baseline
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import counts

#: Verdicts whose reason is printed below the table. The others' reason is the same for every cell
#: and stands in the legend.
_EXPLAINED = frozenset(Verdict) - {Verdict.IDENTICAL, Verdict.NEW, Verdict.EQUIVALENT}
_NOTES = (
    "Accuracy: mean ± standard deviation over seeds, after the last step. Ratios: variance of the "
    "gradient in the first over that in the last hidden layer, at initialization (below 1 it "
    f"shrinks on its way back); {emphasis('signal')} is each example's loss gradient at the "
    f"pre-activation, {emphasis('kernel')} the batch gradient of the weights. Dead units: 0 for "
    "every test image, trained. Ratios and dead units are medians over seeds. Baseline (or OLD) "
    "and change: over the seeds that both have. Throughput, below each table, was measured with all "
    "workers busy and is not compared: neither across machines nor with the baseline."
)
_OVER_TIME = (
    f"Of recurrent networks {emphasis('signal')} compares the gradient that arrives at the state after "
    "the first step with that after the last, in the last layer."
)


def grid_sections(
    conclusion: Conclusion, figures: Mapping[str, Picture] | None = None
) -> list[Section]:
    """How to read the tables, then a section for each grid; none without cells.

    Args:
        conclusion: what is told of.
        figures: those of :func:`bench.report.figures.curves.pictures`, where they are known.
    """
    grids = grouped((judgement.item.grid, judgement) for judgement in conclusion.judgements)
    if not grids:
        return []
    networks = {judgement.item.cell.architecture for judgement in conclusion.judgements}
    over_time = _OVER_TIME if networks & {*recurrent.ARCHITECTURES} else None
    reading = [_NOTES, over_time, READING if any(grid in SHOWN for grid in grids) else None]
    rows = Rows(conclusion.run)
    drawn = pictures(conclusion.run) if figures is None else figures
    sections = [Section("How to read the grids' tables", reading)]
    for grid, judgements in grids.items():
        items = [judgement.item for judgement in judgements]
        title, question = _question_of(grid)
        numbers = ", ".join(f"{n} {verdict.value}" for verdict, n in counts(judgements).items())
        common = common_configuration(item.cell for item in items)
        shared = ", ".join(f"{axis}:{value}" for axis, value in common.items())
        blocks = [
            f"{question} {strong(f'{numbers}.')}",
            f"All cells: {code(shared)}." if len(items) > 1 and shared else None,
            *_table(rows, judgements, conclusion.baseline),
            throughput(rows[item.cell] for item in items),
            *_claims(judgements),
            prediction_section(conclusion.run, grid, items, drawn.get(grid)),
        ]
        sections.append(Section(title, blocks))
    return sections


def _question_of(grid: str) -> tuple[str, str]:
    """Title and question of a grid; its name alone for one that this version does not know."""
    from bench.cells.component_grids import UPGRADE_GRIDS  # takes a while to be built

    known = UPGRADE_GRIDS.get(grid)
    return (known.title, known.question) if known is not None else (grid, "")


class _Footnotes:
    """Numbered once each; equal texts share their number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, *texts: str) -> str:
        numbers = {self._numbers.setdefault(text, len(self._numbers) + 1) for text in texts if text}
        return f" ({', '.join(map(str, sorted(numbers)))})" if numbers else ""

    def list(self) -> Bullets:
        return Bullets([brief(text) for text in self._numbers], numbered=True)


def _table(
    measured: Rows, judgements: Sequence[Judgement], baseline: Baseline | None
) -> list[Block]:
    """The cells, and footnotes; folded away where all are identical."""
    notes = _Footnotes()
    before = "baseline" if baseline is None else baseline.short
    headers = (
        "cell",
        "test accuracy (%)",
        "signal ratio, first/last layer",
        "kernel gradient ratio, first/last layer",
        "dead units (%)",
        f"{before} accuracy (%)",
        "change (points)",
        "verdict",
    )
    rows = [_row(measured[j.item.cell], j, baseline, notes) for j in judgements]
    table: Block = Table(headers, rows, "lrrrrrrl")
    if all(judgement.verdict is Verdict.IDENTICAL for judgement in judgements):
        table = Folded(f"{count(len(rows), 'cell')}, all identical", [table])
    return [table, notes.list()]


def _row(
    measured: Row, judgement: Judgement, baseline: Baseline | None, notes: _Footnotes
) -> list[str]:
    before, change = _against_baseline(baseline, judgement, measured)
    verdict, explained = judgement.verdict, judgement.verdict in _EXPLAINED
    if verdict is Verdict.ROUNDING and judgement.envelope is not None:
        explained = False  # its numbers stand in the table of envelopes
    reason = judgement.reason if explained else ""
    marks = notes.mark(reason, *_warnings(judgement.item.cell, measured, judgement.reason))
    return [
        code(judgement.item.id),
        measured.accuracy_text,
        significant(measured.signal_ratio),
        significant(measured.kernel_ratio),
        percent(measured.dead_share),
        points(before),
        change_points(change),
        f"{strong(verdict.value) if verdict.fails else verdict.value}{marks}",
    ]


def _warnings(cell: Cell, measured: Row, reason: str) -> list[str]:
    """What makes a row's numbers rest on less than they seem to, beyond the verdict's reason."""
    warnings = [
        f"crashed: {message}"
        for message in dict.fromkeys(measured.crashes)
        if message not in reason
    ]
    if 0 < measured.trained < measured.planned:
        warnings.append(
            f"accuracy over {measured.trained} of {measured.planned} seeds: only these trained"
        )
    if measured.signal_ratio == 0 and cell.architecture in recurrent.ARCHITECTURES:
        warnings.append(f"signal ratio {why_zero(cell)}")
    return warnings


def _against_baseline(
    baseline: Baseline | None, judgement: Judgement, measured: Row
) -> tuple[float | None, float | None]:
    """The baseline's mean accuracy and the change, over the seeds that trained on both sides.

    Without such a seed: the mean of what the baseline has, and no change.
    """
    stored = baseline.find(judgement.item) if baseline is not None else None
    accuracies = {
        sample.seed: accuracy
        for sample in (stored.samples if stored is not None else ())
        if (accuracy := sample.metrics.get("test_accuracy")) is not None
    }
    shared = accuracies.keys() & measured.accuracies.keys()
    if not shared:
        return (fmean(accuracies.values()) if accuracies else None), None
    before = fmean(accuracies[seed] for seed in shared)
    return before, fmean(measured.accuracies[seed] for seed in shared) - before


def _claims(judgements: Sequence[Judgement]) -> list[Block]:
    """Which claims hold for a grid's cells, and where one does not; none without claims."""
    claims = grouped(
        (result.claim, (judgement.item.id, result))
        for judgement in judgements
        for result in judgement.claims
    )
    items: list[str | tuple[str, Bullets]] = []
    for name, results in claims.items():
        violated = [
            f"{code(id_)}: {clipped(result.evidence)}"
            for id_, result in results
            if not result.holds
        ]
        held = f"{len(results) - len(violated)}/{len(results)}"
        word = f"{strong('violated')}, holds" if violated else "holds"
        text = f"{code(name)} {word} {held}: {clipped(results[0][1].statement, MOST_REASON)}"
        hidden = len(violated) - MOST_NAMED
        rest = [f"and {more(hidden, 'cell')}"] if hidden > 0 else []
        items.append((text, Bullets([*violated[:MOST_NAMED], *rest])))
    return ["Claims that hold for any TensorFlow:", Bullets(items)] if items else []
