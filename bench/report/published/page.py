"""The section on the published experiments: published against ours, what holds, what crashed."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import count
from bench.published.claims import Finding
from bench.published.experiments import EXPERIMENTS, Experiment
from bench.published.rows import Row
from bench.report.document import Block, Figure, Folded, Section, Table, limited_list
from bench.report.markup import code, emphasis, strong
from bench.report.published.pictures import pictures
from bench.report.published.seeds import FORM_NAMES
from bench.report.text import MOST_REASON, NOTHING, clipped, verb
from bench.results.trial import TrialResult

_WITHIN = {True: "yes", False: strong("no"), None: "cannot be said"}


def published_section(
    results: Sequence[TrialResult], findings: Sequence[Finding], rows: Sequence[Row]
) -> Section | None:
    """Each experiment's question, numbers, findings and figures; None without results.

    Args:
        results: of all trials, whatever became of them.
        findings: what they say of the originals' claims.
        rows: what the originals report, beside ours.
    """
    drawn = list(pictures(results).values())
    sections = []
    for name, experiment in EXPERIMENTS.items():
        trials = [result for result in results if result.trial.experiment == name]
        if trials:
            blocks = [
                *_introduction(experiment, trials),
                *_endings(trials),
                *tables(name, rows, findings),
                *(Figure(picture) for picture in drawn if picture.group == name),
            ]
            sections.append(Section(f"{name}: {experiment.title}", blocks))
    return Section("Published experiments", [answer(findings), *sections]) if sections else None


def answer(findings: Sequence[Finding]) -> str:
    """All findings of a run in one paragraph."""
    if not findings:
        return strong("No statement of an original could be held against these trials.")
    violated = [finding for finding in findings if finding.holds is False]
    silent = sum(finding.holds is None for finding in findings)
    total = count(len(findings), "statement") + " of published experiments"
    end = f"; {silent} cannot be said." if silent else "."
    if not violated:
        held = len(findings) - silent
        text = f"{held} of {total} {verb(held, 'holds', 'hold')}" if silent else f"All {total} hold"
        return strong(text) + end
    does = verb(len(violated), "does", "do")
    listed = ", ".join(
        f"{finding.experiment} {code(finding.name)} ({_form(finding.form)}"
        f"{', fails the run' if finding.fails else ''})"
        for finding in sorted(violated, key=_urgency)
    )
    return f"{strong(f'{len(violated)} of {total} {does} not hold')}: {listed}{end}"


def _form(form: str) -> str:
    """``Keras``, ``session`` or ``both``."""
    return next((name for known, name in FORM_NAMES.items() if known == form), form)


def _introduction(experiment: Experiment, results: Sequence[TrialResult]) -> list[str]:
    forms = ", ".join(
        f"{count(len(seeds), 'seed')} in the {_form(form)} form"
        for form in FORM_NAMES
        if (seeds := {r.trial.seed for r in results if r.trial.form == form})
    )
    cut = [result for result in results if not experiment.whole(result.trial)]
    shortened = ""
    if cut:
        trial = cut[0].trial
        steps = experiment.variants[trial.variant].steps
        shortened = (
            f" {'All' if len(cut) == len(results) else f'{len(cut)} of them'} were cut short: "
            f"{trial.recipe.steps:,} of {steps:,} steps."
        )
    return [
        f"{emphasis(experiment.question)} From: {experiment.source}.",
        f"{count(len(results), 'trial')}: {forms}.{shortened} "
        f"Once more: {code(_command(experiment, results))}",
    ]


def _command(experiment: Experiment, results: Sequence[TrialResult]) -> str:
    """Runs the smallest tier that has all of these trials; else the smallest that has any."""
    trained = {result.trial for result in results}
    tiers = list(experiment.extents)
    tier = next((tier for tier in tiers if trained <= set(experiment.trials(tier))), tiers[0])
    # quick is the command's own choice.
    return f"bench published {experiment.name}" + (f" --tier {tier}" if tier != "quick" else "")


def _endings(results: Sequence[TrialResult]) -> list[Block]:
    """Trials that were not trained to their end, and why."""
    crashed = [
        f"{code(result.trial.id)}: {clipped(result.crash.message if result.crash else 'unknown')}"
        for result in results
        if result.outcome == "crashed"
    ]
    diverged = [
        f"{code(result.trial.id)}: the loss was no longer finite"
        for result in results
        if result.outcome == "diverged"
    ]
    absent = dict.fromkeys(
        f"{_form(result.trial.form)} form: {clipped(result.absent)}"
        for result in results
        if result.outcome == "absent"
    )
    return [
        *_listed(strong(f"{count(len(crashed), 'trial')} crashed:"), crashed),
        *_listed(f"{count(len(diverged), 'trial')} diverged:", diverged),
        *_listed("Not in this TensorFlow:", list(absent)),
    ]


def _listed(title: str, lines: Sequence[str]) -> list[Block]:
    return [title, *limited_list(lines, "trial")] if lines else []


def tables(name: str, rows: Sequence[Row], findings: Sequence[Finding]) -> list[Block]:
    """The numbers and the statements of one experiment."""
    return [
        *_rows([row for row in rows if row.experiment == name]),
        *_findings([finding for finding in findings if finding.experiment == name]),
    ]


def _rows(rows: Sequence[Row]) -> list[Block]:
    if not rows:
        return []
    headers = ("variant", "form", "quantity", "published", "ours", "within its noise?", "why")
    cells = [
        [
            row.variant,
            _form(row.form),
            row.quantity,
            row.published,
            row.ours or NOTHING,
            _WITHIN[row.within],
            clipped(row.why, MOST_REASON),
        ]
        for row in rows
    ]
    return [Table(headers, cells, "lllrrll")]


def _findings(findings: Sequence[Finding]) -> list[Block]:
    """What does not hold first, then what cannot be said; what holds is folded away below."""
    urgent = sorted((f for f in findings if f.holds is not True), key=_urgency)
    held = [finding for finding in findings if finding.holds]
    blocks: list[Block] = [_table(urgent)] if urgent else []
    if held:
        of_all = f"{len(held)} of {count(len(findings), 'statement')}"
        blocks.append(Folded(f"{of_all} {verb(len(held), 'holds', 'hold')}", [_table(held)]))
    return blocks


def _urgency(finding: Finding) -> tuple[bool, bool]:
    return finding.holds is None, not finding.binding


def _table(findings: Sequence[Finding]) -> Table:
    cells = [
        [
            _held(finding),
            code(finding.name),
            _form(finding.form),
            clipped(finding.statement, MOST_REASON),
            clipped(finding.evidence, MOST_REASON),
        ]
        for finding in findings
    ]
    return Table(("verdict", "claim", "form", "what must hold", "evidence"), cells, "lllll")


def _held(finding: Finding) -> str:
    if finding.holds is None:
        return "cannot be said"
    if finding.holds:
        return "holds"
    return strong("does not hold; fails the run" if finding.fails else "does not hold")
