"""The full report of a run (``report.md``, ``report.html``) and the short one (a CI job's summary)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from bench.published.claims import findings
from bench.published.rows import rows as published_rows
from bench.report.document import Block, Bullets, Document, Folded, Section, Table
from bench.report.figures.curves import SHOWN, pictures
from bench.report.figures.envelope import envelope_picture
from bench.report.figures.picture import Picture
from bench.report.groups import attention, reasons_table
from bench.report.markup import code, emphasis, link, strong
from bench.report.published import published_section
from bench.report.run.checks import checks_section
from bench.report.run.evidence import claims_list, evidence_table
from bench.report.run.headlines import headlines
from bench.report.run.next_steps import next_steps
from bench.report.run.prediction import READING, prediction_section
from bench.report.run.rounding import failing_section, rounding_section
from bench.report.run.rows import Row, Rows, common_configuration, throughput
from bench.report.run.words import counted, known_items, question_of, versions_of
from bench.report.text import (
    MOST_REASON,
    NOTHING,
    change_points,
    clipped,
    count,
    duration,
    grouped,
    percent,
    points,
    significant,
)
from bench.results.run import REPORT, StoredRun
from bench.verdict.baselines.folder import Baseline
from bench.verdict.judgement import MEANING, Judgement, Verdict
from bench.verdict.ladder import counts, stale

#: Verdicts whose reason is printed below the table. The others' reason is the same for every cell
#: and stands in the legend.
_EXPLAINED = frozenset(Verdict) - {Verdict.IDENTICAL, Verdict.NEW, Verdict.EQUIVALENT}

#: Distributions by the names under which reports show their versions.
TITLES = {"tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy", "python": "Python"}

_HEADERS = (
    "cell",
    "test accuracy (%)",
    "signal ratio, first/last layer",
    "kernel gradient ratio, first/last layer",
    "dead units (%)",
    "baseline accuracy (%)",
    "change (points)",
    "verdict",
)
_NOTES = (
    "Accuracy: mean ± standard deviation over seeds, after the last step. Ratios: variance of the "
    "gradient in the first over that in the last hidden layer, at initialization (below 1 it "
    f"shrinks on its way back); {emphasis('signal')} is each example's loss gradient at the "
    f"pre-activation, {emphasis('kernel')} the batch gradient of the weights. Dead units: 0 for "
    "every test image, trained. Ratios and dead units are medians over seeds. Baseline and "
    "change: over the seeds that both have. Throughput, below each table, was measured with all "
    "workers busy and is not compared: neither across machines nor with the baseline."
)


def full_report(
    run: StoredRun,
    judgements: Sequence[Judgement],
    *,
    baseline: Baseline | None,
    total_sec: float | None = None,
) -> Document:
    """The answer, what needs attention, what was compared, TensorFlow's arithmetic, the published
    experiments, the envelopes, and each grid's table.

    Args:
        run: what was measured.
        judgements: one per item, in plan order; those of missing cells may follow.
        baseline: what it was judged against, None if there is none.
        total_sec: how long the run took; None if that is not known.
    """
    departs = any(j.verdict.fails and j.envelope is not None for j in judgements)
    begins = f"Where each of them departs from rounding: {link('Rounding')}." if departs else None
    grids = grouped((judgement.item.grid, judgement) for judgement in judgements)
    reading = [_NOTES, READING if any(grid in SHOWN for grid in grids) else None]
    rows, drawn = Rows(run), pictures(run)
    trials = [run.trials[trial] for trial in run.plan.trials if trial in run.trials]
    blocks = [
        *_summary(run, judgements, baseline, total_sec, begins=begins),
        checks_section(run),
        published_section(trials, findings(trials), published_rows(trials)),
        rounding_section(run, judgements, baseline, envelope_picture(run, judgements, baseline)),
        Section("How to read the grids' tables", reading) if judgements else None,
        *(
            _grid(run, rows, grid, cells, baseline, drawn.get(grid))
            for grid, cells in grids.items()
        ),
        evidence_table(judgements),
    ]
    return Document(f"Run {run.path.name}", blocks)


def short_report(
    run: StoredRun,
    judgements: Sequence[Judgement],
    *,
    baseline: Baseline | None,
    total_sec: float | None = None,
) -> Document:
    """The full report without its tables: a few kilobytes, whatever the number of cells. Where the
    differences of failing cells begin is listed. Arguments are :func:`full_report`'s."""
    begins = failing_section(judgements)
    summary = _summary(run, judgements, baseline, total_sec, begins=begins)
    where = f"Every cell: {code(str(run.path / REPORT))}."
    return Document(f"Run {run.path.name}", [*summary, where])


def _summary(
    run: StoredRun,
    judgements: Sequence[Judgement],
    baseline: Baseline | None,
    total_sec: float | None,
    *,
    begins: Block | None,
) -> list[Block | None]:
    groups = attention(judgements)
    return [
        *headlines(run, judgements, baseline),
        Section("What needs attention", reasons_table(groups)) if groups else None,
        begins,
        next_steps(run, judgements, baseline),
        verdicts_section(judgements),
        _compared(run, baseline, total_sec),
    ]


def verdicts_section(judgements: Sequence[Judgement]) -> Section | None:
    """How many cells have each verdict, and what it means; None without cells."""
    rows = [
        [verdict.value, str(cells), MEANING[verdict]]
        for verdict, cells in counts(judgements).items()
    ]
    table = Table(("verdict", "cells", "what it means"), rows, "lrl")
    return Section("Verdicts", [table]) if rows else None


def _compared(run: StoredRun, baseline: Baseline | None, total_sec: float | None) -> Section:
    here = _terms(run.environment.environment_class, run.environment.software, run.environment.data)
    there: dict[str, str] = {}
    if baseline is not None:
        there = _terms(baseline.environment_class, versions_of(baseline), baseline.data)
    rows = []
    for key, value in here.items():
        other = there.get(key, NOTHING)
        texts = [clipped(value), clipped(other)]
        rows.append([key, *(texts if other in (NOTHING, value) else map(strong, texts))])
    rows += [[key, clipped(value), ""] for key, value in _only_here(run, total_sec).items()]
    name = "baseline" if baseline is None or baseline.acceptances else clipped(baseline.name)
    gone = stale(run, baseline, known_items()) if baseline is not None else []
    more = (
        f"The baseline also holds {count(len(gone), 'cell')} that no grid has any more, such as "
        f"{code(gone[0].name)}."
        if gone
        else None
    )
    return Section("What was compared", [Table(("", "this run", name), rows, "lll"), more])


def _terms(class_: str, software: Mapping[str, str], data: Mapping[str, str]) -> dict[str, str]:
    """What two measurements should have in common."""
    return {
        "environment class": class_,
        **{TITLES.get(name, name): version for name, version in software.items()},
        "images": f"{data.get('name', 'unnamed')} {data.get('fingerprint', '')[:12]}".strip(),
    }


def _only_here(run: StoredRun, total_sec: float | None) -> dict[str, str]:
    plan = run.plan
    replicas = plan.replicas()
    measured = sum(key in run.records for key in replicas)
    tier = f"{plan.tier}, a selection of its cells" if plan.selected else plan.tier
    facts = {
        "tier": tier,
        "seeds": f"{len(plan.seeds)} ({_ranges(plan.seeds)}){_further(run)}",
        "replicas": f"{measured} of {len(replicas)} measured",
        "machine": ", ".join(f"{key}: {value}" for key, value in run.environment.machine.items()),
        "command": str(run.environment.run.get("command", "")),
        "total time": duration(total_sec) if total_sec is not None else "",
    }
    return {key: value for key, value in facts.items() if value}


def _further(run: StoredRun) -> str:
    """How many cells were given more seeds than planned, since they were undecided."""
    planned = set(run.plan.seeds)
    cells = {replica.cell for replica in run.records if replica.seed not in planned}
    return f"; more for {count(len(cells), 'undecided cell')}" if cells else ""


def _ranges(seeds: Sequence[int]) -> str:
    ordered = sorted(seeds)
    if len(ordered) > 1 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}..{ordered[-1]}"
    return clipped(", ".join(map(str, seeds)), 80)


class _Footnotes:
    """Numbered once each; equal texts share their number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, *texts: str) -> str:
        numbers = {self._numbers.setdefault(text, len(self._numbers) + 1) for text in texts if text}
        return f" ({', '.join(map(str, sorted(numbers)))})" if numbers else ""

    def list(self) -> Bullets:
        return Bullets([clipped(text, MOST_REASON) for text in self._numbers], numbered=True)


def _grid(
    run: StoredRun,
    measured: Rows,
    grid: str,
    judgements: Sequence[Judgement],
    baseline: Baseline | None,
    picture: Picture | None,
) -> Section:
    notes = _Footnotes()
    items = [judgement.item for judgement in judgements]
    rows = [
        _row(measured[judgement.item.cell], judgement, baseline, notes) for judgement in judgements
    ]
    common = common_configuration(item.cell for item in items)
    shared = ", ".join(f"{axis}:{value}" for axis, value in common.items())
    title, question = question_of(grid)
    table: Block = Table(_HEADERS, rows, "lrrrrrrl")
    if all(judgement.verdict is Verdict.IDENTICAL for judgement in judgements):
        table = Folded(f"{count(len(rows), 'cell')}, all identical", [table])
    return Section(
        title,
        [
            f"{question} {strong(f'{counted(judgements)}.')}",
            f"All cells: {code(shared)}." if len(judgements) > 1 and shared else None,
            table,
            notes.list(),
            throughput(measured[item.cell] for item in items),
            *claims_list(judgements),
            prediction_section(run, grid, items, picture),
        ],
    )


def _row(
    measured: Row, judgement: Judgement, baseline: Baseline | None, notes: _Footnotes
) -> list[str]:
    before, change = _against_baseline(baseline, judgement, measured)
    verdict, explained = judgement.verdict, judgement.verdict in _EXPLAINED
    if verdict is Verdict.ROUNDING and judgement.envelope is not None:
        explained = False  # its numbers stand in the table of envelopes
    reason = judgement.reason if explained else ""
    marks = notes.mark(reason, *_warnings(measured, judgement.reason))
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


def _warnings(measured: Row, reason: str) -> list[str]:
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
