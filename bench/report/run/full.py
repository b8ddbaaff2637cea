"""The full report of a run (``report.md``) and the short one (a CI job's summary)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from bench.published.claims import findings
from bench.published.rows import rows
from bench.report.figures.curves import SHOWN, Picture
from bench.report.figures.envelope import EnvelopePicture
from bench.report.published import page
from bench.report.run.checks import checks_section
from bench.report.run.evidence import claims_list, evidence_table
from bench.report.run.headlines import headlines
from bench.report.run.next_steps import next_steps
from bench.report.run.prediction import READING, prediction_section
from bench.report.run.rounding import failing_table, rounding_section
from bench.report.run.rows import Row, Rows, common_configuration, throughput
from bench.report.run.words import (
    MEANING,
    attention,
    by_verdict,
    known_items,
    question_of,
    versions_of,
)
from bench.report.text import (
    NOTHING,
    change_points,
    clipped,
    code,
    count,
    duration,
    folded,
    more,
    percent,
    plain,
    points,
    significant,
    table,
)
from bench.results.run import StoredRun
from bench.verdict.baselines.folder import Baseline
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import stale

#: Rows that need attention which are listed; the others are counted.
MOST_ROWS = 10
#: Characters of a reason: one that tells where a difference begins has about 400.
MOST_REASON = 700

#: Verdicts whose reason is printed below the table. The others' reason is the same for every cell
#: and stands in the legend.
_EXPLAINED = frozenset(Verdict) - {Verdict.IDENTICAL, Verdict.NEW, Verdict.EQUIVALENT}

_TITLES = {"tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy", "python": "Python"}

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
    "shrinks on its way back); *signal* is each example's loss gradient at the pre-activation, "
    "*kernel* the batch gradient of the weights. Dead units: 0 for every test image, trained. "
    "Ratios and dead units are medians over seeds. Baseline and change: over the seeds that both "
    "have. Throughput, below each table, was measured with all workers busy and is not compared: "
    "neither across machines nor with the baseline."
)


def full_report(
    run: StoredRun,
    judgements: Sequence[Judgement],
    *,
    baseline: Baseline | None,
    total_sec: float | None = None,
    pictures: Mapping[str, Picture] | None = None,
    rounding: EnvelopePicture | None = None,
) -> str:
    """``report.md``: the answer, what needs attention, what was compared, TensorFlow's arithmetic,
    the envelopes, and each grid's table.

    Args:
        run: what was measured.
        judgements: one per item, in plan order; those of missing cells may follow.
        baseline: what it was judged against, None if there is none.
        total_sec: how long the run took; None if that is not known.
        pictures: the figures, by grid, that are stored where the report goes; none if not given.
        rounding: the figure of envelopes, if it is stored there, too.

    Returns:
        Markdown that ends in one newline.
    """
    departs = any(j.verdict.fails and j.envelope is not None for j in judgements)
    begins = ["Where each of them departs from rounding: [Rounding](#rounding)."] if departs else []
    parts = [
        *_summary(run, judgements, baseline, total_sec, begins=begins),
        *checks_section(run),
        _published(run),
        *rounding_section(run, judgements, baseline, rounding),
        *(["## How to read the grids' tables", _NOTES] if judgements else []),
    ]
    rows, grids = Rows(run), _by_grid(judgements)
    parts.append(READING if any(grid in SHOWN for grid in grids) else "")
    for grid, found in grids.items():
        items = [judgement.item for judgement in found]
        parts += _grid(rows, grid, found, baseline)
        parts += prediction_section(run, grid, items, (pictures or {}).get(grid))
    return _joined([*parts, evidence_table(judgements)])


def short_report(
    run: StoredRun,
    judgements: Sequence[Judgement],
    *,
    baseline: Baseline | None,
    total_sec: float | None = None,
) -> str:
    """The full report without its tables: a few kilobytes, whatever the number of cells. Where the
    differences of failing cells begin is listed.

    Takes what :func:`full_report` takes, but for the figures.
    """
    where = f"Every cell: {code(str(run.path / 'report.md'))}."
    summary = _summary(run, judgements, baseline, total_sec, begins=failing_table(judgements))
    return _joined([*summary, where])


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _published(run: StoredRun) -> str:
    """The section on trials; empty if there are none."""
    results = [run.trials[trial] for trial in run.plan.trials if trial in run.trials]
    return page(results, findings(results), rows(results)) if results else ""


def _summary(
    run: StoredRun,
    judgements: Sequence[Judgement],
    baseline: Baseline | None,
    total_sec: float | None,
    begins: Sequence[str] = (),
) -> list[str]:
    return [
        *headlines(run, judgements, baseline, emphasis="**"),
        *_attention(judgements),
        *begins,
        *next_steps(run, judgements, baseline),
        *_counts(judgements),
        "### What was compared",
        _compared(run, baseline, total_sec),
    ]


def _attention(judgements: Sequence[Judgement]) -> list[str]:
    groups = attention(judgements)
    if not groups:
        return []
    rows = [
        [f"**{group.verdict.value}**", _cells(group.items), plain(group.reason, MOST_REASON)]
        for group in groups[:MOST_ROWS]
    ]
    parts = ["### What needs attention", table(("verdict", "cell", "reason"), rows, "lll")]
    hidden = sum(len(group.items) for group in groups[MOST_ROWS:])
    if hidden:
        parts.append(f"And {more(hidden, 'cell')}.")
    return parts


def _cells(items: Sequence[str]) -> str:
    others = f" and {len(items) - 1} more" if len(items) > 1 else ""
    return code(items[0]) + others


def _counts(judgements: Sequence[Judgement]) -> list[str]:
    counted = by_verdict(judgements)
    if not counted:
        return []
    rows = [[verdict.value, str(cells), MEANING[verdict]] for verdict, cells in counted.items()]
    return ["### Verdicts", table(("verdict", "cells", "what it means"), rows, "lrl")]


def _compared(run: StoredRun, baseline: Baseline | None, total_sec: float | None) -> str:
    environment = run.environment
    versions = versions_of(baseline)
    here: dict[str, str] = {
        "environment class": environment.environment_class,
        **{_TITLES.get(name, name): version for name, version in environment.software.items()},
        "images": _images(environment.data),
    }
    there: dict[str, str] = {}
    if baseline is not None:
        there = {
            "environment class": baseline.environment_class,
            **{_TITLES.get(name, name): version for name, version in versions.items()},
            "images": _images(baseline.data),
        }
    name = "baseline" if baseline is None or baseline.acceptances else plain(baseline.name)
    rows = []
    for key, value in here.items():
        other = there.get(key, NOTHING)
        differs = other not in (NOTHING, value)
        rows.append([key, *(f"**{plain(v)}**" if differs else plain(v) for v in (value, other))])
    for key, value in _only_here(run, total_sec).items():
        rows.append([key, plain(value), ""])
    parts = [table(("", "this run", name), rows, "lll")]
    gone = stale(run, baseline, known_items()) if baseline is not None else []
    if gone:
        parts.append(
            f"The baseline also holds {count(len(gone), 'cell')} that no grid has any more, such "
            "as "
            f"{code(f'{gone[0].grid}/{gone[0].id}')}."
        )
    return "\n\n".join(parts)


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
    cells = {cell for cell, seed in run.records if seed not in planned}
    return f"; more for {count(len(cells), 'undecided cell')}" if cells else ""


def _images(data: Mapping[str, str]) -> str:
    return f"{data.get('name', 'unnamed')} {data.get('fingerprint', '')[:12]}".strip()


def _ranges(seeds: Sequence[int]) -> str:
    ordered = sorted(seeds)
    if len(ordered) > 1 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}..{ordered[-1]}"
    return clipped(", ".join(map(str, seeds)), 80)


def _by_grid(judgements: Sequence[Judgement]) -> dict[str, list[Judgement]]:
    grids: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        grids.setdefault(judgement.item.grid, []).append(judgement)
    return grids


class _Footnotes:
    """Numbered once each; equal texts share their number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, *texts: str) -> str:
        numbers = {self._numbers.setdefault(text, len(self._numbers) + 1) for text in texts if text}
        return f" ({', '.join(map(str, sorted(numbers)))})" if numbers else ""

    def text(self) -> str:
        return "\n".join(
            f"{number}. {plain(text, MOST_REASON)}" for text, number in self._numbers.items()
        )


def _grid(
    measured: Rows, grid: str, judgements: Sequence[Judgement], baseline: Baseline | None
) -> list[str]:
    notes = _Footnotes()
    rows = [
        _row(measured[judgement.item.cell], judgement, baseline, notes) for judgement in judgements
    ]
    common = common_configuration(judgement.item.cell for judgement in judgements)
    shared = ", ".join(f"{axis}:{value}" for axis, value in common.items())
    counted = ", ".join(f"{n} {v.value}" for v, n in by_verdict(judgements).items())
    title, question = question_of(grid)
    listed = table(_HEADERS, rows, "lrrrrrrl")
    if all(judgement.verdict is Verdict.IDENTICAL for judgement in judgements):
        listed = folded(f"{count(len(rows), 'cell')}, all identical", listed)
    return [
        f"## {plain(title)}",
        f"{plain(question)} **{counted}.**".strip(),
        f"All cells: {code(shared)}." if len(judgements) > 1 and shared else "",
        listed,
        notes.text(),
        throughput(measured[judgement.item.cell] for judgement in judgements),
        *claims_list(judgements),
    ]


def _row(
    measured: Row, judgement: Judgement, baseline: Baseline | None, notes: _Footnotes
) -> list[str]:
    before, change = _against_baseline(baseline, judgement, measured)
    explained = judgement.verdict in _EXPLAINED
    if judgement.verdict is Verdict.ROUNDING and judgement.envelope is not None:
        explained = False  # its numbers stand in the table of envelopes
    reason = judgement.reason if explained else ""
    verdict = (
        f"**{judgement.verdict.value}**" if judgement.verdict.fails else judgement.verdict.value
    )
    return [
        code(judgement.item.id),
        measured.accuracy_text,
        significant(measured.signal_ratio),
        significant(measured.kernel_ratio),
        percent(measured.dead_share),
        points(before),
        change_points(change),
        f"{verdict}{notes.mark(reason, *_warnings(measured, judgement.reason))}",
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
