"""Numbers and words as reports write them, and how much of each they show."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from bench.errors import count
from bench.report.markup import code, plain

#: Stands where a value does not exist.
NOTHING = "–"

#: Rows of a table and lines of a list that are shown at once; the others are folded away or counted.
MOST_ROWS = 15
#: Things that one sentence names, and groups that a terminal shows; the others are counted.
MOST_NAMED = 5
#: Characters of a reason: one that tells where a difference begins has about 400.
MOST_REASON = 700
#: Characters of other text that comes from a run.
MOST_TEXT = 300
#: Words of a reason where a reader looks first; its numbers stand where reasons are told in full.
MOST_WORDS = 25
#: Characters of a line in the terminal.
WIDTH = 100

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def points(mean: float | None, std: float | None = None) -> str:
    """A share in percent, ``94.27 ± .12``; the unit stands in the header.

    A standard deviation of None, as one seed has, is left out: it is not 0.
    """
    if mean is None:
        return NOTHING
    centre = f"{100 * mean:.2f}"
    return centre if std is None else f"{centre} ± {_short(100 * std)}"


def change_points(change: float | None) -> str:
    """A difference of shares in percentage points, always with its sign unless it is exactly 0."""
    if change is None:
        return NOTHING
    if change == 0:
        return "0"
    text = f"{100 * change:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def percent(share: float | None) -> str:
    """A share in percent with one decimal, ``12.5``."""
    return NOTHING if share is None else f"{100 * share:.1f}"


def significant(value: float | None, digits: int = 3) -> str:
    """``2.1e-08``, ``1.02``, ``0``."""
    return NOTHING if value is None else f"{value:.{digits}g}"


def rate(per_sec: float | None) -> str:
    """Three significant digits and thousands separators: ``102,000``."""
    if per_sec is None:
        return NOTHING
    if per_sec <= 0 or not math.isfinite(per_sec):
        return significant(per_sec)
    decimals = 2 - math.floor(math.log10(per_sec))
    return f"{round(per_sec, decimals):,.{max(decimals, 0)}f}"


def span(values: Sequence[int]) -> str:
    """``3``, or ``3 to 5``, of at least one number."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def duration(seconds: float) -> str:
    """``48 s``, ``3 min 07 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def more(number: int, noun: str) -> str:
    """``1 more cell``, ``2 more cells``."""
    return count(number, f"more {noun}")


def verb(number: int, singular: str, plural: str) -> str:
    """The form of a verb that goes with so many."""
    return singular if number == 1 else plural


def first_of(names: Sequence[str]) -> str:
    """Code of the first name, and how many others there are: ``a and 2 more``."""
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return code(names[0]) + others


def some_of(names: Sequence[str], noun: str = "", most: int = MOST_NAMED) -> str:
    """Code of the first names, and how many others there are: ``a, b and 2 more cells``."""
    listed, hidden = ", ".join(map(code, names[:most])), len(names) - most
    if hidden <= 0:
        return listed
    return f"{listed} and {more(hidden, noun) if noun else f'{hidden} more'}"


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def clipped(text: str, length: int = MOST_TEXT) -> str:
    """One line, without markup, of at most ``length`` characters; ends in ``…`` where something was
    cut. What comes from a run goes through here."""
    line = plain(text)
    return line if len(line) <= length else f"{line[: length - 2]} …"


def brief(reason: str, words: int = MOST_WORDS) -> str:
    """The beginning of a reason, of at most ``words`` words, without markup; ends in ``…`` where more
    than what stands in parentheses was left out within a clause."""
    text = clipped(reason, MOST_REASON)
    if len(text.split()) > words:
        text = re.sub(r" \([^()]*\)", "", text)
    said, *clauses = text.split("; ")
    for clause in clauses:
        longer = f"{said}; {clause}"
        if len(longer.split()) > words:
            break
        said = longer
    told = len(said.split())
    if told > words or (said != text and 2 * told < words):
        said = f"{' '.join(text.split()[: words - 1]).rstrip(',:;')} …"
    return said


def wrapped(text: str, indent: str = "    ", first: str = "") -> list[str]:
    """Lines for a terminal, without markup.

    Args:
        text: inline text.
        indent: before every line but the first.
        first: before the first one.
    """
    return textwrap.wrap(
        plain(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """Values by key, both in the order in which they come."""
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def as_json(content: Any) -> str:
    """Indented JSON that ends in one newline; null stands for what is not finite."""
    return msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n"


def _short(value: float) -> str:
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0.") else text
