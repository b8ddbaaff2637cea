"""A report as one HTML page that needs nothing else: no scripts, no resources from outside.

Markdown's own HTML is not passed on, so that text from outside stays text; what our reports fold away
(:func:`bench.report.text.folded`) is. Figures become part of the page, as images, in which a browser
runs no scripts and loads nothing (SVG 2, section 2.2, "secure static mode").
"""

from __future__ import annotations

import base64
import html
import re
from collections import Counter
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

_OPENS = re.compile(r"<details><summary>(.*)</summary>\s*")
_CLOSES = "</details>"

#: Colours keep a contrast of at least 4.5 to 1 (WCAG 2.2, criterion 1.4.3).
_STYLE = """\
:root { color-scheme: light dark; --line: #c4c4c4; --band: #f3f3f3; --link: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --line: #555; --band: #2a2a2a; --link: #8ab8ff; }
}
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem;
  background: Canvas; color: CanvasText; overflow-wrap: break-word; }
a { color: var(--link); }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: normal; max-width: 45rem; }
th { background: var(--band); text-align: left; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; background: var(--band); }
pre { padding: .7rem; overflow-x: auto; }
details { margin: 1rem 0; }
summary { cursor: pointer; }
blockquote { margin-left: 0; padding-left: 1rem; border-left: .25rem solid var(--line); }
img { max-width: 100%; height: auto; background: #fff; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(markdown: str, title: str, *, folder: Path | None = None) -> str:
    """The page.

    Args:
        markdown: a report.
        title: of the window; text, not Markdown.
        folder: where the figures lie that the report names, ``.svg`` files; a figure that is not
            there, or not below the folder, is replaced by its description.

    Returns:
        HTML that ends in one newline.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.block.ruler.before("paragraph", "details", _details, {"alt": ["paragraph"]})
    parser.core.ruler.push("balanced", _balanced)
    parser.core.ruler.push("anchors", _anchors)
    parser.add_render_rule("table_open", _table_open)
    parser.add_render_rule("table_close", _table_close)

    def image(
        renderer: RendererHTML,
        tokens: Sequence[Token],
        index: int,
        options: OptionsDict,
        env: MutableMapping[str, Any],
    ) -> str:
        del renderer, options, env
        return _image(tokens[index], folder)

    parser.add_render_rule("image", lambda *a: image(*a))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"{parser.render(markdown)}</main>\n</body>\n</html>\n"
    )


def _details(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    """A line that opens or closes what is folded away."""
    del end
    line = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    opens = _OPENS.fullmatch(line)
    if opens is None and line.strip() != _CLOSES:
        return False
    if silent:
        return True
    state.line = start + 1
    if opens is None:
        state.push("details_close", "details", -1).block = True
        return True
    state.push("details_open", "details", 1).block = True
    state.push("summary_open", "summary", 1)
    inline = state.push("inline", "", 0)
    inline.content, inline.children, inline.map = opens[1], [], [start, start + 1]
    state.push("summary_close", "summary", -1)
    return True


def _balanced(state: StateCore) -> None:
    """Drops what closes nothing, and closes what is open at the end."""
    kept: list[Token] = []
    depth = 0
    for token in state.tokens:
        if token.type == "details_close" and not depth:
            continue
        depth += token.nesting if token.type in ("details_open", "details_close") else 0
        kept.append(token)
    kept += [Token("details_close", "details", -1, block=True) for _ in range(depth)]
    state.tokens = kept


def _anchors(state: StateCore) -> None:
    """Headings can be linked to as on GitHub: ``## The two sides`` is ``#the-two-sides``."""
    seen: Counter[str] = Counter()
    for token, inline in zip(state.tokens, state.tokens[1:], strict=False):
        if token.type == "heading_open":
            words = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            seen[slug] += 1
            number = seen[slug] - 1
            token.attrSet("id", f"{slug}-{number}" if number else slug)


def _table_open(*_: Any) -> str:
    # The tabindex lets a keyboard scroll it.
    return '<div class="scroll" tabindex="0"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"


def _image(token: Token, folder: Path | None) -> str:
    """A figure as part of the page, or its description."""
    described = html.escape(token.content)
    drawn = _figure(str(token.attrs.get("src", "")), folder)
    if drawn is None:
        return f"<em>{described}</em>"
    data = base64.b64encode(drawn).decode("ascii")
    return f'<img alt="{described}" src="data:image/svg+xml;base64,{data}">'


def _figure(source: str, folder: Path | None) -> bytes | None:
    if folder is None or not source.endswith(".svg"):
        return None
    path = (folder / source).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    return path.read_bytes()
