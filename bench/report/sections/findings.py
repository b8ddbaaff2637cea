"""Findings: what a reader should know first, by cause. Each says what, where, how much, what to do."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.errors import count
from bench.report.causes import Cause, causes, numbers
from bench.report.document import Block, Bullets, Folded, Section
from bench.report.groups import by_reason
from bench.report.markup import code, strong, upstream
from bench.report.reproducer import Scripts
from bench.report.sections.blame import since
from bench.report.sections.cells import open_cells
from bench.report.sections.changes import metric_title, pattern_text
from bench.report.sections.rounding import origin, parting
from bench.report.sections.speed import format_title
from bench.report.text import brief, capital, clipped, grouped, more, some_of, verb
from bench.results.check import CheckResult
from bench.verdict.conclusion import Conclusion
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import CHANGED, Judgement, Verdict
from bench.verdict.metrics import BY_NAME
from bench.verdict.patterns import Group
from bench.verdict.saving import Outcome, SavingJudgement

#: Findings that are shown at once; the others are folded away or counted.
MOST_FINDINGS = 10
#: Names in a finding; the others are counted.
_NAMES = 2
#: Metrics whose change a finding tells.
_METRICS = 3


@dataclass(frozen=True)
class Finding:
    """One cause. All texts are inline."""

    what: str
    """What happened to how many."""
    where: str
    """Names of the first of them, or the tensor and step."""
    size: str
    """How much, or why; at most 25 words."""
    advice: str
    """What to do."""

    @property
    def first_line(self) -> str:
        """What and where."""
        return f"{strong(self.what)}{f': {self.where}' if self.where else ''}"

    @property
    def second_line(self) -> str:
        """How much, and what to do."""
        texts = [capital(text) for text in (self.size, self.advice) if text]
        return " ".join(text if text.endswith("…") else f"{text}." for text in texts)


def findings(conclusion: Conclusion, reproducers: Scripts | None = None) -> list[Finding]:
    """What speaks against what is judged, then what is open; since when, where that was looked into."""
    found = _found(conclusion, reproducers or {})
    pairs = {blame.finding: since(blame) for blame in conclusion.blames}
    return [_dated(finding, pairs) for finding in found]


def _dated(finding: Finding, pairs: Mapping[str, str]) -> Finding:
    """The finding with the release in which it begins, if one of its names was bisected."""
    known = (text for name, text in pairs.items() if text and code(name) in finding.where)
    begins = next(known, "")
    if not begins:
        return finding
    return dataclasses.replace(finding, advice=f"{capital(begins)}. {finding.advice}".rstrip(". "))


def _found(conclusion: Conclusion, reproducers: Scripts) -> list[Finding]:
    return [
        *_crashes(conclusion),
        *_claims(conclusion),
        *(_group(group, reproducers) for group in conclusion.groups),
        *_lost(conclusion),
        *_checks(conclusion),
        *_savings(conclusion),
        *_slower(conclusion),
        *_worse_paces(conclusion),
        *_published(conclusion),
        *_open(conclusion),
        *_open_speed(conclusion),
        *_open_paces(conclusion),
    ]


def findings_section(
    conclusion: Conclusion, reproducers: Scripts, *, most: int | None = None
) -> Section | None:
    """The findings, two lines each; None if there is none. Beyond the first ten they are folded away,
    as are faults that do not count; with ``most``, counted beyond that many."""
    found = findings(conclusion, reproducers)
    shown, rest = found[: most or MOST_FINDINGS], found[most or MOST_FINDINGS :]
    blocks: list[Block] = [_list(shown)] if shown else []
    if rest and most is not None:
        blocks.append(f"And {more(len(rest), 'finding')} in the report.")
    elif rest:
        blocks.append(Folded(more(len(rest), "finding"), [_list(rest)]))
    old = list(old_faults(conclusion)) if most is None else []
    if old:
        title = f"{count(len(old), 'known fault')} of these versions, for which no run fails"
        if conclusion.old is not None:
            title = (
                f"{count(len(old), 'fault')} of both sides: no change, so none counts against NEW"
            )
        blocks.append(Folded(title, [_list(old)]))
    return Section("Findings", blocks) if blocks else None


def _list(found: Sequence[Finding]) -> Bullets:
    items = [(each.first_line, Bullets([each.second_line])) for each in found]
    return Bullets(items, numbered=True)


def _crashes(conclusion: Conclusion) -> Iterator[Finding]:
    crashed = [j for j in conclusion.failing if j.verdict is Verdict.CRASHED]
    for (_, reason), names in by_reason(crashed).items():
        yield Finding(
            f"{count(len(names), 'cell')} {verb(len(names), 'crashes', 'crash')}",
            some_of(names, "cell", _NAMES),
            brief(reason),
            "Report it with the last lines of the process",
        )


def _claims(conclusion: Conclusion) -> Iterator[Finding]:
    """Claims that do not hold: those that fail a run, or that only NEW violates."""
    failing = [j for j in conclusion.failing if j.verdict is Verdict.CLAIM_VIOLATED]
    reasons = [(j.item.name, *j.reason.partition(": ")[::2]) for j in failing]
    violated = [(claim, (name, evidence)) for name, claim, evidence in reasons] + [
        (contrast.new.claim, (contrast.item.name, contrast.new.evidence))
        for contrast in conclusion.claims
        if contrast.wrong is Wrong.NEW and contrast.new is not None
    ]
    for claim, cells in grouped(violated).items():
        names = [name for name, _ in cells]
        yield Finding(
            f"Claim {clipped(claim)} does not hold in {count(len(names), 'cell')}",
            some_of(names, "cell", _NAMES),
            brief(cells[0][1]),
            "It holds for any TensorFlow: something computes another formula here",
        )


def _group(group: Group, reproducers: Scripts) -> Finding:
    judgements = group.judgements
    worse = sum(j.verdict is Verdict.REGRESSED for j in judgements)
    how = "trained worse" if worse == len(judgements) else "trained differently"
    script = next((reproducers[j.item] for j in judgements if j.item in reproducers), None)
    names = [j.item.name for j in judgements]
    shows = f"{code(script)} shows it" if script else f"All of it: {code(f'bench show {names[0]}')}"
    return Finding(
        f"{pattern_text(group.pattern)}, {how}", _begins(judgements, names), _size(group), shows
    )


def _begins(judgements: Sequence[Judgement], names: Sequence[str]) -> str:
    """The tensor and step in which most differences begin, and the first cells."""
    tests = [j.envelope for j in judgements if j.envelope is not None and not j.envelope.inside]
    places = grouped((place, test) for test in tests if (place := origin(test)))
    first = max(places, key=lambda place: len(places[place]), default="")
    cells = some_of(names, "cell", 1)
    return f"begins in {first}; {cells}" if first else cells


def _size(group: Group) -> str:
    """How far losses part, and which metrics changed."""
    judgements = group.judgements
    tests = [j.envelope for j in judgements if j.envelope is not None and not j.envelope.inside]
    parts = list(filter(None, [parting(tests)]))
    changed = [c for j in judgements for c in j.comparisons if c.verdict in CHANGED]
    by_metric = grouped((c.metric, c.change) for c in changed)
    parts += [_change(*metric) for metric in list(by_metric.items())[:_METRICS]]
    return brief("; ".join(parts) or judgements[0].reason)


def _change(name: str, changes: Sequence[float | None]) -> str:
    """The largest change of a metric: ``test accuracy -3.73 pp``."""
    known, metric = [change for change in changes if change is not None], BY_NAME.get(name)
    if metric is None or not known:
        return f"{metric_title(name)} changed"
    return f"{metric.title} {metric.describe_change(max(known, key=abs))}"


def _lost(conclusion: Conclusion) -> Iterator[Finding]:
    reasons = {j.item: j.reason for j in conclusion.judgements}
    for reason, names in grouped((reasons[item], item.name) for item in conclusion.lost).items():
        yield Finding(
            f"{count(len(names), 'cell')} cannot be trained any more",
            some_of(names, "cell", _NAMES),
            brief(reason),
            "NEW lacks a part that OLD has: look for it in the release notes",
        )


def _checks(conclusion: Conclusion) -> Iterator[Finding]:
    """Checks that newly fail, then contracts that are kept now and were broken."""
    state = "{wrong}" if conclusion.old is None else "newly {wrong}"
    new = [c.new for c in conclusion.checks if c.wrong is Wrong.NEW and c.new is not None]
    for cause in causes(new):
        yield _check(cause, state, "Each is seen without training")
    kept = [c.old for c in conclusion.checks if c.mended and c.counts_against and c.old is not None]
    for contrast in conclusion.documents:
        gone = contrast.new is None
        yield Finding(
            "Not there any more" if gone else "Documented otherwise",
            code(contrast.old.thing),
            brief(contrast.old.truth if contrast.new is None else contrast.new.truth),
            f"The contract: {code(contrast.check.id)}",
        )
    for cause in causes(kept):
        yield _check(
            cause,
            "broken in OLD and kept in NEW",
            "Code that relies on the fault gets other results",
            before="OLD: ",
        )


def _check(cause: Cause, state: str, advice: str, *, before: str = "") -> Finding:
    """``state`` may say ``{wrong}``, which of contracts is broken."""
    names = [result.check.id for result in cause.results]
    contracts = all(result.check.is_contract for result in cause.results)
    told = state.format(wrong="broken" if contracts else "wrong")
    what = upstream(f"{cause.number} {told}{cause.why}")
    return Finding(what, some_of(names, "", _NAMES), f"{before}{_evidence(cause)}", advice)


def _evidence(cause: Cause) -> str:
    """The first deviation, in few digits: what was got and what was expected."""
    first: CheckResult = cause.results[0]
    if not first.deviations:
        return brief(first.reason)
    worst = first.deviations[0]
    pair = numbers(worst.evidence)
    if pair is None:
        return brief(f"{worst.tensor}: {worst.evidence}")
    return brief(f"{worst.tensor}: got {pair[0]}, expected {pair[1]}")


def _savings(conclusion: Conclusion) -> Iterator[Finding]:
    failing = [saving for saving in conclusion.savings if saving.outcome.fails]
    advice = {
        False: "Convert your files with OLD before you upgrade",
        True: "Let no OLD read files of NEW",
    }
    for back, what in advice.items():
        yield from _files([saving for saving in failing if saving.back == back], what)


def _files(savings: Sequence[SavingJudgement], advice: str) -> Iterator[Finding]:
    """Saved models by format and by what became of them."""
    for (title, outcome), found in grouped(
        ((f"{format_title(s)}{', of NEW in OLD' * s.back}", s.outcome.value), s) for s in savings
    ).items():
        yield Finding(
            f"Saved models in {title}: {outcome}",
            ", ".join(code(saving.name) for saving in found),
            brief(found[0].reason),
            advice,
        )


def _slower(conclusion: Conclusion) -> Iterator[Finding]:
    for workload, speed in conclusion.speeds.items():
        if speed.verdict == "slower":
            yield Finding(
                "Slower",
                workload.title,
                f"time {speed.ratio}; one side against itself {speed.floor}",
                "",
            )
    for workload, sides in conclusion.stopped.items():
        if "new" in sides and "old" not in sides:
            yield Finding("Crashed while timed", workload.title, brief(sides["new"].message), "")


def _worse_paces(conclusion: Conclusion) -> Iterator[Finding]:
    for one in conclusion.paces:
        if one.worse and one.live is not None:
            yield Finding(
                "More time or memory than the stored version takes",
                one.title,
                f"side by side {one.live.ratio}",
                "If it is meant to be so, accept the speeds of this version",
            )


def _open_paces(conclusion: Conclusion) -> Iterator[Finding]:
    for one in conclusion.paces:
        if one.open:
            yield Finding(
                "Beyond this machine's limits",
                one.title,
                brief(one.changed if one.live is None else one.live.reason),
                "No verdict: only a comparison side by side decides",
            )


def _published(conclusion: Conclusion) -> Iterator[Finding]:
    for finding in conclusion.findings:
        if finding.fails:
            yield Finding(
                "Published finding contradicted",
                f"{finding.experiment}, {clipped(finding.name)}",
                brief(finding.evidence),
                "",
            )
    crashed = [t for t in conclusion.run.trials.values() if t.outcome == "crashed"]
    if crashed:
        names = [trial.key.id for trial in crashed]
        yield Finding(
            f"{count(len(names), 'trial')} of published experiments crashed",
            some_of(names, "trial", _NAMES),
            "",
            "Report it with the last lines of the process",
        )


def _open(conclusion: Conclusion) -> Iterator[Finding]:
    """Cells of which nothing was concluded, by verdict and kind of reason."""
    kinds = grouped(
        ((j.verdict, re.sub(r"[\d.]+", "#", _decider(j.reason) or brief(j.reason))), j)
        for j in sorted(open_cells(conclusion), key=lambda j: list(Verdict).index(j.verdict))
    )
    for (verdict, _), cells in kinds.items():
        told, decider = brief(cells[0].reason), _decider(cells[0].reason)
        yield Finding(
            f"{count(len(cells), 'cell')} {verdict.value}",
            some_of([j.item.name for j in cells], "cell", _NAMES),
            told,
            "" if "would decide" in told and "seeds" in decider else decider,
        )


def _decider(reason: str) -> str:
    """The clause of a reason that names a command or the seeds that would decide."""
    clauses = [clause for clause in reason.split("; ") if "decide" in clause]
    return brief(clauses[-1].split(": ")[-1]) if clauses else ""


def _open_speed(conclusion: Conclusion) -> Iterator[Finding]:
    open_ = {w: s for w, s in conclusion.speeds.items() if s.verdict == "undecided"}
    if open_:
        number, titles = len(open_), [workload.title for workload in open_]
        yield Finding(
            f"Speed of {count(number, 'workload')} undecided",
            "; ".join(
                [*titles[:_NAMES], *([f"{number - _NAMES} more"] if number > _NAMES else [])]
            ),
            brief(next(iter(open_.values())).reason),
            f"The machine was busy: time again on an idle one, or add {code('--skip speed')}",
        )


def old_faults(conclusion: Conclusion) -> Iterator[Finding]:
    """Faults that count against nothing: those of both sides, saved models among them, or, of a run,
    those that are known of its version."""
    state = "{wrong} on both sides"
    faults = [c.new for c in conclusion.checks if c.wrong is Wrong.BOTH and c.new is not None]
    if conclusion.old is None:
        state, faults = "{wrong}", [r for r in conclusion.run.results if r.known and r.wrong]
    for cause in causes(faults):
        yield _check(cause, state, "")
    yield from _files([s for s in conclusion.savings if s.outcome is Outcome.BOTH], "")
