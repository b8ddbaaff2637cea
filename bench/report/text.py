"""Numbers and words as reports write them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tabulate import tabulate

#: Stands where a value does not exist.
NOTHING = "–"


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


def duration(seconds: float) -> str:
    """``48 s``, ``3 min 07 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int, noun: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def more(number: int, noun: str) -> str:
    """``1 more cell``, ``2 more cells``."""
    return f"{number} more {noun}{'' if number == 1 else 's'}"


def clipped(text: str, length: int = 300) -> str:
    """One line of at most ``length`` characters; says so where something was cut."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 2]} …"


def plain(text: str, length: int = 300) -> str:
    """Foreign text for Markdown, in a table or out: what it says, not what Markdown makes of it."""
    escaped = clipped(text, length).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*|\[\]]|(?<![a-zA-Z0-9])_|_(?![a-zA-Z0-9]))", r"\\\1", escaped)


def code(text: str) -> str:
    """In code font."""
    return f"`{text}`"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A Markdown table.

    Args:
        headers: with units.
        rows: texts, already escaped; they appear as given.
        align: one letter a column, ``l`` or ``r``.
    """
    names = {"l": "left", "r": "right"}
    return str(
        tabulate(
            rows,
            headers=headers,
            tablefmt="pipe",
            colalign=[names[letter] for letter in align] if rows else None,
            disable_numparse=True,
        )
    )


def folded(title: str, content: str) -> str:
    """Behind a title that opens it."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def _short(value: float) -> str:
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0.") else text
