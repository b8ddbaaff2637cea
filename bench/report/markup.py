"""Inline text of reports: a str in which code, emphasis and links stand between noncharacters.

Unicode sets U+FDD0 to U+FDEF aside for use inside a process (Unicode 16, section 23.7). Only the
functions here write them, so what comes from a run is put into a sentence as it is, by an f-string: the
renderers (:mod:`bench.report.markdown`, :mod:`bench.report.html`) escape it. Where it may be long,
or hold noncharacters, :func:`bench.report.text.clipped` comes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STRONG, _EMPHASIS, _CODE, _LINK, _CLOSE = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3", "\ufdd4"
_ISSUE = "\ufdd5"
_TAGS = {_STRONG: "strong", _EMPHASIS: "em", _CODE: "code", _LINK: "a", _ISSUE: "issue"}
#: How known faults name public reports; GitHub leads from an issue to the pull request of its number.
_REPORT = re.compile(r"\b(keras|tensorflow) (?:PR )?#(\d{1,9})\b")
_OWNERS = {"keras": "keras-team/keras", "tensorflow": "tensorflow/tensorflow"}
_MARKS = re.compile("([\ufdd0-\ufdef])")
#: Characters that no format has a place for: control characters and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Span:
    """A piece of inline text in one font."""

    tag: str
    """``strong``, ``em``, ``code``, or, of a link, ``a`` or ``issue``."""
    children: tuple[Span | str, ...]

    @property
    def text(self) -> str:
        """Without any markup."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def address(self) -> str:
        """Where a link leads; empty where there is none."""
        if self.tag == "a":
            return f"#{anchor(self.text)}"
        report = _REPORT.search(self.text) if self.tag == "issue" else None
        return f"https://github.com/{_OWNERS[report[1]]}/issues/{report[2]}" if report else ""


def strong(text: str) -> str:
    """Inline text in bold; nothing if it is empty."""
    return f"{_STRONG}{text}{_CLOSE}" if text else ""


def emphasis(text: str) -> str:
    """Inline text in italics; nothing if it is empty."""
    return f"{_EMPHASIS}{text}{_CLOSE}" if text else ""


def code(text: str) -> str:
    """Text from anywhere in the font of code; nothing if it is empty."""
    line = plain(text)
    return f"{_CODE}{line}{_CLOSE}" if line else ""


def link(title: str) -> str:
    """A link to the section of this title, in the words of the title."""
    return f"{_LINK}{title}{_CLOSE}"


def upstream(text: str) -> str:
    """Inline text in which public reports, such as ``keras PR #23286``, are links."""
    return _REPORT.sub(lambda report: f"{_ISSUE}{report[0]}{_CLOSE}", text)


def one_line(text: str) -> str:
    """Inline text with single spaces for all white space, and U+FFFD for what cannot be shown."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Text from anywhere with U+FFFD for what cannot be shown."""
    return _UNPRINTABLE.sub("\ufffd", text)


def plain(text: str) -> str:
    """Inline text as one line without markup; also what makes text from anywhere harmless."""
    return one_line(_MARKS.sub("", text))


def spans(text: str) -> tuple[Span | str, ...]:
    """Inline text taken apart. What is not closed ends with it; what closes nothing is dropped."""
    open_tags: list[str] = []
    levels: list[list[Span | str]] = [[]]
    pieces = [piece for piece in _MARKS.split(one_line(text)) if piece]
    for piece in [*pieces, *_CLOSE * len(pieces)]:
        if piece in _TAGS:
            open_tags.append(_TAGS[piece])
            levels.append([])
        elif piece == _CLOSE and open_tags:
            children, tag = tuple(levels.pop()), open_tags.pop()
            levels[-1] += [Span(tag, children)] if children else []
        elif not _MARKS.fullmatch(piece):
            levels[-1].append(piece)
    return tuple(levels[0])


def anchor(title: str) -> str:
    """The name under which a section can be linked to, as GitHub makes it: ``the-two-sides``."""
    return re.sub(r"[^\w\- ]", "", plain(title).lower()).replace(" ", "-")
