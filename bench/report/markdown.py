"""A report as Markdown, as GitHub shows it."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from tabulate import tabulate

from bench.report.document import (
    Block,
    Bullets,
    Document,
    Figure,
    Folded,
    Quote,
    Section,
    Table,
    Verbatim,
)
from bench.report.markup import Span, plain, printable, spans

#: Punctuation that Markdown, its tables, mathematics or strikethrough make something of, and what makes
#: addresses of the web links on GitHub; an underscore between letters is none of it.
_SPECIAL = re.compile(
    r"([\\`*|\[\]#~$]|(?<![a-zA-Z0-9])_|_(?![a-zA-Z0-9])|:(?=//)|(?<=www)\.)", re.IGNORECASE
)
#: Where GitHub looks in what is shown for people, issues and addresses of mail; a comment parts it.
_MENTIONS = re.compile(r"(?<=[@#])(?=[a-zA-Z0-9])")
_NOTHING = "<!-- -->"
#: What makes text a list item, a quotation or a rule: escaped behind a number, before a sign.
_LEADING = re.compile(r"^(\d{1,9}(?=[.)](?: |$))|(?=[-+=>]))")
_ALIGNED = {"l": "left", "r": "right"}


def markdown(report: Document | Sequence[Block | None], *, figures: bool = True) -> str:
    """Markdown that ends in one newline; empty if there is nothing to show.

    Args:
        report: a document, or blocks of one.
        figures: whether figures are linked; leave them out where they are not stored beside the report,
            with sections that have nothing else.
    """
    blocks = report.blocks if isinstance(report, Document) else report
    parts = _blocks(blocks, level=2, figures=figures)
    return "\n\n".join(parts) + "\n" if parts else ""


def printed(blocks: Sequence[Block | None]) -> str:
    """Markdown to read in a terminal: without figures, and what keeps GitHub from making links."""
    return markdown(blocks, figures=False).replace(_NOTHING, "").replace("\\#", "#")


def escape(text: str) -> str:
    """Text that Markdown shows as it is and makes no link of; not for the beginning of a block."""
    escaped = _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
    return _MENTIONS.sub(_NOTHING, escaped)


def inline(text: str, *, in_table: bool = False) -> str:
    """Inline text at the beginning of a block, or in a cell of a table."""
    rendered = "".join(_span(span, in_table=in_table) for span in spans(text))
    return rendered if in_table else _LEADING.sub(r"\1\\", rendered)


def _span(span: Span | str, *, in_table: bool) -> str:
    if isinstance(span, str):
        return escape(span)
    if span.tag == "code":
        return _code(span.text.replace("|", r"\|") if in_table else span.text)
    content = "".join(_span(child, in_table=in_table) for child in span.children)
    if span.tag in ("a", "issue"):
        return f"[{content}]({span.address})" if span.address else content
    mark = "**" if span.tag == "strong" else "*"
    return f"{mark}{content}{mark}"


def _code(text: str) -> str:
    """Fenced by more backticks than stand in it (CommonMark 0.31, section 6.1)."""
    fence = "`" * (1 + _longest_fence(text))
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def _blocks(blocks: Sequence[Block | None], *, level: int, figures: bool) -> list[str]:
    parts: list[str] = []
    for block in blocks:
        if not block:
            continue
        if isinstance(block, Section):
            content = _blocks(block.blocks, level=level + 1, figures=figures)
            if content or not block.blocks:
                parts += [f"{'#' * level} {inline(block.title)}", *content]
        elif isinstance(block, Folded):
            content = _blocks(block.blocks, level=level, figures=figures)
            title = _MENTIONS.sub(_NOTHING, html.escape(plain(block.title), quote=False))
            parts += (
                [f"<details><summary>{title}</summary>", *content, "</details>"] if content else []
            )
        elif isinstance(block, Figure):
            picture = block.picture
            if figures:
                parts.append(f"![{escape(plain(picture.alternative))}]({picture.path})")
                parts += [inline(picture.caption)] if picture.caption else []
        else:
            parts.append(_block(block))
    return parts


def _block(block: str | Bullets | Table | Verbatim | Quote) -> str:
    if isinstance(block, str):
        return inline(block)
    if isinstance(block, Bullets):
        return "\n".join(_items(block))
    if isinstance(block, Quote):
        return f"> {inline(block.text)}"
    if isinstance(block, Verbatim):
        return _fenced(block.text)
    return _table(block)


def _fenced(text: str) -> str:
    """Lines of code. The fence is longer than any in them; indented, they would belong to a list before
    them (CommonMark 0.31, sections 4.5 and 5.2)."""
    fence = "`" * max(3, 1 + _longest_fence(text))
    return "\n".join([fence, *printable(text).strip("\n").splitlines(), fence])


def _longest_fence(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _items(bullets: Bullets) -> list[str]:
    lines: list[str] = []
    for number, item in enumerate(bullets.items, start=1):
        text, below = (item, None) if isinstance(item, str) else item
        mark = f"{number}." if bullets.numbered else "-"
        lines.append(f"{mark} {inline(text)}")
        lines += [f"{' ' * len(mark)} {line}" for line in _items(below)] if below else []
    return lines


def _table(table: Table) -> str:
    rows = [[inline(text, in_table=True) for text in row] for row in table.rows]
    return str(
        tabulate(
            rows,
            headers=[inline(text, in_table=True) for text in table.headers],
            tablefmt="pipe",
            colalign=[_ALIGNED[letter] for letter in table.align] if rows else None,
            disable_numparse=True,
        )
    )
