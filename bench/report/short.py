"""The short report of a conclusion: a CI job's summary, a comment on a pull request."""

from __future__ import annotations

from collections.abc import Mapping

from bench.report.full import NO_SCRIPTS, sections
from bench.report.markdown import markdown
from bench.report.markup import code
from bench.report.sections.answer import answer_blocks
from bench.report.text import clipped
from bench.results.plan import Item
from bench.results.run import REPORT
from bench.verdict.conclusion import Conclusion

#: A comment on GitHub holds 65,536 characters; the rest is for what a workflow puts around a summary,
#: such as the mark by which it finds its comment again.
MOST_CHARACTERS = 65_000
#: Kept free for the list of sections that did not fit: their titles have at most 100 characters, and
#: there are fewer than 20.
_FOR_LEFT_OUT = 2_100


def short_report(
    conclusion: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Mapping[Item, str] = NO_SCRIPTS,
) -> str:
    """Markdown of fewer than :data:`MOST_CHARACTERS` characters: fewer rows, and sections that do not
    fit are named. Arguments are :func:`bench.report.full.full_report`'s."""
    report = clipped(str(conclusion.folder / REPORT), 500)
    ending = [f"Everything: {code(report)}."]
    text = markdown(answer_blocks(conclusion))
    room = MOST_CHARACTERS - _FOR_LEFT_OUT - len(markdown(ending)) - 2
    left_out = []
    for section in sections(conclusion, total_sec, reproducers, brief=True):
        added = markdown([section])
        if len(text) + len(added) + 1 < room:
            text += f"\n{added}"
        else:
            left_out.append(clipped(section.title, 100))
    if left_out:
        ending.insert(0, f"Left out here, because it would be too long: {', '.join(left_out)}.")
    return f"{text}\n{markdown(ending)}"
