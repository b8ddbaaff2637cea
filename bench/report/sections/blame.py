"""Why, and since when: packages and releases that findings are blamed on, and what avoids them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.errors import count
from bench.report.document import Block, Bullets, Folded, Section, Table
from bench.report.markup import code, strong, upstream
from bench.report.text import MOST_NAMED, MOST_REASON, brief, capital, clipped, duration, more
from bench.results.blame import Blame, Cause, Since

_WORDS = {
    "same": "nothing to blame",
    "not shown": "not found",
    "there before": "not found",
    "untestable": "cannot be tested",
    "flaky": "flaky",
    "time": "the time was up",
}


def blame_section(blames: Sequence[Blame]) -> Section | None:
    """Each finding that was looked into; None if none was."""
    if not blames:
        return None
    return Section(
        "Why, and since when", [Section(one.finding, blame_blocks(one)) for one in blames]
    )


def blame_lines(blames: Sequence[Blame]) -> Section | None:
    """The answer on each of the first findings that were looked into; None if none was."""
    lines = [f"{code(one.finding)}: {brief(answer(one), 40)}." for one in blames]
    if not blames:
        return None
    hidden = len(lines) - MOST_NAMED
    rest = [f"and {more(hidden, 'finding')}"] if hidden > 0 else []
    return Section("Why, and since when", [Bullets([*lines[:MOST_NAMED], *rest])])


def blame_blocks(blame: Blame) -> list[Block | None]:
    """All that is known of one finding, the answer first."""
    facts = [
        f"{side}: {clipped(shown, MOST_REASON)}"
        for side, shown in (("OLD", blame.old), ("NEW", blame.new))
        if shown
    ]
    if blame.rounding:
        facts.append("Bits differ, by rounding alone: there is nothing to report to its developers")
    for pair in blame.pairs:
        facts += [
            f"Between {pair.before} and {pair.after} could not be tested: {version}: {clipped(why)}"
            for version, why in pair.between.items()
        ]
        if pair.drift:
            facts.append(f"These two also differ in {clipped(', '.join(pair.drift), MOST_REASON)}")
    if blame.pairs and blame.changelog:
        facts.append(f"Changelog: {code(blame.changelog)}")
    facts += [f"Known: {upstream(clipped(text))}" for text in blame.known]
    facts += avoided(blame)
    if blame.script:
        facts.append(f"Script: {code(blame.script)}")
    if blame.issue:
        facts.append(f"Text for an issue: {code(blame.issue)}")
    facts.append(f"{count(blame.environments, 'environment')} asked, {duration(blame.total_sec)}")
    rows = [[one.version, one.seen, clipped(one.detail)] for one in blame.releases]
    skipped = [f"{version}: {clipped(why)}" for version, why in blame.skipped.items()]
    return [
        f"{strong(clipped(answer(blame), MOST_REASON))}.",
        Bullets(facts),
        Table((blame.package, "shows", "what"), rows, "lll") if rows else None,
        Folded(f"{count(len(skipped), 'release')} left out", [Bullets(skipped)])
        if skipped
        else None,
    ]


def answer(blame: Blame) -> str:
    """One sentence without its full stop: what is to blame, or why nothing is."""
    alone = len(blame.differences) == 1
    causes = "; or ".join(_cause(cause, alone=alone) for cause in blame.causes)
    found = since(blame)
    if found and blame.others:
        found += "".join(f"; or {_elsewhere(other, blame)}" for other in blame.others)
    if found:
        return f"{capital(found)}. To blame: {causes}" if causes else capital(found)
    reason = ": ".join(filter(None, (_WORDS.get(blame.outcome, ""), blame.reason)))
    return ". ".join(filter(None, (f"To blame: {causes}" if causes else "", capital(reason))))


def since(blame: Blame) -> str:
    """The pairs of releases: ``since keras 3.14.0 (3.13.2 is as before)``; empty without any."""
    comes, goes = ("since", "is as before"), ("gone with", "still has it")
    if blame.mended:
        comes, goes = ("mended in", "is still wrong"), ("wrong again in", "is right")
    return "; ".join(
        f"{words[0]} {blame.package} {pair.after} ({pair.before} {words[1]})"
        for pair in blame.pairs
        for words in [comes if pair.comes else goes]
    )


def _elsewhere(other: Since, blame: Blame) -> str:
    """The pairs of another cause, or why it has none."""
    pairs = msgspec.structs.replace(blame, package=other.package, pairs=other.pairs)
    return since(pairs) or f"{other.package}: {_WORDS.get(other.outcome, other.outcome)}"


def _cause(cause: Cause, *, alone: bool) -> str:
    text = " with ".join(cause.parts)
    if len(cause.parts) > 1:
        text += ", which cannot be told apart"
    if cause.together:
        return f"{text} together with {' and '.join(cause.together)}"
    if cause.inseparable:
        needed = " and ".join(cause.inseparable)
        return f"{text}, which needs {needed}; without it, that changes nothing"
    return f"{text}, {'all that differs' if alone else 'whatever the other packages'}"


def avoided(blame: Blame) -> list[str]:
    """What was tried on NEW, that which avoids it first."""
    lines = []
    for remedy in sorted(blame.remedies, key=lambda one: not one.avoids):
        words = [*remedy.pins, *(f"{name}={value}" for name, value in remedy.variables.items())]
        kept = "keeps what OLD shows" if blame.mended else "avoids it"
        did = kept if remedy.avoids else "does not"
        why = f" ({clipped(remedy.detail)})" if remedy.detail and not remedy.avoids else ""
        lines.append(f"{code(' '.join(words))} {did}{why}")
    return lines
