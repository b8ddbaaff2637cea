"""A report as data: sections of paragraphs, lists, tables, figures and what is folded away.

A section is a function that returns a :class:`Section`, or None where it has nothing to tell:

    def speed_section(upgrade) -> Section | None:
        return Section("Speed", [f"{strong('slower')}: {timings.title}", Table(headers, rows, "lr")])

A str among the blocks is a paragraph of inline text (:mod:`bench.report.markup`); blocks that are empty
or None are left out. :func:`bench.report.markdown.markdown` and :func:`bench.report.html.html` render a
document; neither knows what a report says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from bench.report.figures.picture import Picture
from bench.report.markup import strong
from bench.report.text import MOST_ROWS, clipped, more


@dataclass(frozen=True)
class Bullets:
    """A list."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str | tuple[str, Bullets]]
    """Inline texts, some with a list of their own."""
    numbered: bool = False

    def __bool__(self) -> bool:
        return bool(self.items)


@dataclass(frozen=True)
class Table:
    """Rows of inline texts."""

    kind: ClassVar[str] = "table"
    headers: Sequence[str]
    """With units."""
    rows: Sequence[Sequence[str]]
    align: str
    """One letter a column, ``l`` or ``r``."""


@dataclass(frozen=True)
class Folded:
    """Blocks behind a title that opens them."""

    kind: ClassVar[str] = "folded"
    title: str
    blocks: Sequence[Block | None]


@dataclass(frozen=True)
class Verbatim:
    """Lines as they are."""

    kind: ClassVar[str] = "verbatim"
    text: str

    def __bool__(self) -> bool:
        return bool(self.text.strip())


@dataclass(frozen=True)
class Quote:
    """A paragraph that is set apart, such as a warning."""

    kind: ClassVar[str] = "quote"
    text: str


@dataclass(frozen=True)
class Figure:
    """A picture that is stored beside the report, and its caption."""

    kind: ClassVar[str] = "figure"
    picture: Picture


@dataclass(frozen=True)
class Section:
    """Blocks below a heading; a section within is one level deeper."""

    kind: ClassVar[str] = "section"
    title: str
    blocks: Sequence[Block | None]


Block: TypeAlias = str | Bullets | Table | Folded | Verbatim | Quote | Figure | Section


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    """What it is about, plain text: heading of a page, and title of the window that shows it. Markdown,
    which is shown below a title of somebody else's, begins with the answer."""
    blocks: Sequence[Block | None]
    answer: str = ""
    """Plain text before the title of the window."""

    def figures(self) -> Iterator[Picture]:
        """Pictures to be stored beside the report, in their order."""
        return _figures(self.blocks)


def _figures(blocks: Sequence[Block | None]) -> Iterator[Picture]:
    for block in blocks:
        if isinstance(block, Figure):
            yield block.picture
        elif isinstance(block, (Section, Folded)):
            yield from _figures(block.blocks)


def limited_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    align: str,
    noun: str = "row",
    *,
    brief: bool = False,
) -> list[Block]:
    """A table of at most :data:`MOST_ROWS` rows; the others are folded away, or counted in a brief
    report as so many more of ``noun``."""
    blocks: list[Block] = [Table(headers, rows[:MOST_ROWS], align)]
    rest = rows[MOST_ROWS:]
    if rest and brief:
        blocks.append(f"And {more(len(rest), noun)}.")
    elif rest:
        blocks.append(Folded(more(len(rest), noun), [Table(headers, rest, align)]))
    return blocks


def limited_list(lines: Sequence[str], noun: str, *, brief: bool = True) -> list[Block]:
    """A list of at most :data:`MOST_ROWS` lines; the others are counted as so many more of ``noun``, or
    folded away in a report that is not brief."""
    shown, rest = list(lines[:MOST_ROWS]), lines[MOST_ROWS:]
    if rest and brief:
        shown.append(f"and {more(len(rest), noun)}")
    blocks: list[Block] = [Bullets(shown)]
    return (
        [*blocks, Folded(more(len(rest), noun), [Bullets(rest)])] if rest and not brief else blocks
    )


def warning_quotes(warnings: Sequence[str], word: str = "Warning") -> list[Block]:
    """Warnings, or notes, each set apart."""
    return [Quote(f"{strong(word)}: {clipped(warning)}") for warning in warnings]
