"""The page of the published experiments: published against ours, what holds, what crashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.published.claims import Finding
from bench.published.experiments import EXPERIMENTS, Experiment
from bench.published.rows import Row
from bench.report.published.panels import PublishedPicture
from bench.report.published.pictures import pictures
from bench.report.published.seeds import FORM_NAMES
from bench.report.text import NOTHING, clipped, code, count, folded, plain, table
from bench.results.trial import TrialResult

#: Trials that ended early which are listed; the others are counted.
MOST_TRIALS = 10
#: Characters of a finding's evidence.
MOST_EVIDENCE = 700

_WITHIN = {True: "yes", False: "**no**", None: "cannot be said"}


def page(results: Sequence[TrialResult], findings: Sequence[Finding], rows: Sequence[Row]) -> str:
    """A section for a report: each experiment's question, numbers, findings and figures.

    Args:
        results: of all trials, whatever became of them.
        findings: what they say of the originals' claims.
        rows: what the originals report, beside ours.

    Returns:
        Markdown from a heading of the second level on, without a newline at its end; empty if there are
        no results. Figures are linked where :func:`bench.report.published.pictures` stores them.
    """
    drawn = pictures(results)
    parts = []
    for name, experiment in EXPERIMENTS.items():
        own = [result for result in results if result.trial.experiment == name]
        if own:
            parts += [
                *_introduction(experiment, own),
                *_endings(own),
                *tables(name, rows, findings),
                *figures(name, drawn),
            ]
    if not parts:
        return ""
    return "\n\n".join(["## Published experiments", answer(findings), *parts])


def answer(findings: Sequence[Finding], *, emphasis: str = "**") -> str:
    """All findings in one paragraph.

    Args:
        findings: of a run.
        emphasis: put around the answer proper.
    """

    def told(text: str) -> str:
        return f"{emphasis}{text}{emphasis}"

    if not findings:
        return told("No statement of an original could be held against these trials.")
    violated = [finding for finding in findings if finding.holds is False]
    silent = sum(finding.holds is None for finding in findings)
    total = count(len(findings), "statement") + " of published experiments"
    end = f"; {silent} cannot be said." if silent else "."
    if not violated:
        held = len(findings) - silent
        return told(f"{held} of {total} {_hold(held)}" if silent else f"All {total} hold") + end
    verb = "does" if len(violated) == 1 else "do"
    listed = ", ".join(
        f"{finding.experiment} {code(finding.name)} ({_form(finding.form)}"
        f"{', fails the run' if finding.fails else ''})"
        for finding in sorted(violated, key=_urgency)
    )
    return f"{told(f'{len(violated)} of {total} {verb} not hold')}: {listed}{end}"


def _hold(number: int) -> str:
    return "holds" if number == 1 else "hold"


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
        f"### {experiment.name}: {plain(experiment.title)}",
        f"*{plain(experiment.question)}* From: {plain(experiment.source)}.",
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


def _endings(results: Sequence[TrialResult]) -> list[str]:
    """Trials that were not trained to their end, and why."""
    crashed = [
        f"{code(result.trial.id)}: {plain(result.crash.message if result.crash else 'unknown')}"
        for result in results
        if result.outcome == "crashed"
    ]
    diverged = [
        f"{code(result.trial.id)}: the loss was no longer finite"
        for result in results
        if result.outcome == "diverged"
    ]
    absent = dict.fromkeys(
        f"{_form(result.trial.form)} form: {plain(result.absent)}"
        for result in results
        if result.outcome == "absent"
    )
    return [
        *_listed(f"**{count(len(crashed), 'trial')} crashed:**", crashed),
        *_listed(f"{count(len(diverged), 'trial')} diverged:", diverged),
        *_listed("Not in this TensorFlow:", list(absent)),
    ]


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    shown = [f"- {line}" for line in lines[:MOST_TRIALS]]
    hidden = len(lines) - len(shown)
    return ["\n".join([title, "", *shown, *([f"- and {hidden} more"] if hidden else [])])]


def tables(name: str, rows: Sequence[Row], findings: Sequence[Finding]) -> list[str]:
    """Paragraphs with the numbers and the statements of one experiment."""
    return [
        *_rows([row for row in rows if row.experiment == name]),
        *_findings([finding for finding in findings if finding.experiment == name]),
    ]


def figures(name: str, drawn: Mapping[str, PublishedPicture]) -> list[str]:
    """Paragraphs with the figures of one experiment and their captions, linked by their keys."""
    return [
        part
        for path, picture in drawn.items()
        if picture.experiment == name
        for part in (f"![{clipped(picture.alternative)}]({path})", picture.caption)
    ]


def _rows(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    headers = ("variant", "form", "quantity", "published", "ours", "within its noise?", "why")
    cells = [
        [
            plain(row.variant),
            _form(row.form),
            plain(row.quantity),
            plain(row.published),
            plain(row.ours) or NOTHING,
            _WITHIN[row.within],
            plain(row.why, MOST_EVIDENCE),
        ]
        for row in rows
    ]
    return [table(headers, cells, "lllrrll")]


def _findings(findings: Sequence[Finding]) -> list[str]:
    """What does not hold first, then what cannot be said; what holds is folded away below."""
    urgent = sorted((f for f in findings if f.holds is not True), key=_urgency)
    held = [finding for finding in findings if finding.holds]
    parts = [_table(urgent)] if urgent else []
    if held:
        title = f"{len(held)} of {count(len(findings), 'statement')} {_hold(len(held))}"
        parts.append(folded(title, _table(held)))
    return parts


def _urgency(finding: Finding) -> tuple[bool, bool]:
    return finding.holds is None, not finding.binding


def _table(findings: Sequence[Finding]) -> str:
    cells = [
        [
            _held(finding),
            code(finding.name),
            _form(finding.form),
            plain(finding.statement, MOST_EVIDENCE),
            plain(finding.evidence, MOST_EVIDENCE),
        ]
        for finding in findings
    ]
    return table(("verdict", "claim", "form", "what must hold", "evidence"), cells, "lllll")


def _held(finding: Finding) -> str:
    if finding.holds is None:
        return "cannot be said"
    if finding.holds:
        return "holds"
    return "**does not hold; fails the run**" if finding.fails else "**does not hold**"
