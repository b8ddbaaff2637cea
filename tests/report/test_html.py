"""Reports as pages: one file, nothing from outside, and text stays text."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.html import page
from bench.report.text import code, folded, plain, table

_VOID = {"meta", "img", "br", "hr"}
#: All that a report's page is made of.
_TAGS = frozenset(
    (
        *("html", "head", "meta", "title", "style", "body", "main", "div", "p", "blockquote"),
        *(
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "strong",
            "em",
            "code",
            "pre",
            "a",
            "img",
            "br",
            "hr",
        ),
        *("ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    )
)
_ATTRIBUTES = frozenset(
    (
        *("lang", "charset", "http-equiv", "content", "name", "id", "style", "class", "tabindex"),
        *("alt", "src", "href", "title", "start"),
    )
)


class Reader(HTMLParser):
    """Checks that every tag is closed, and collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(markdown: str, title: str = "t", folder: Path | None = None) -> Reader:
    reader = Reader()
    reader.feed(page(markdown, title, folder=folder))
    reader.close()
    assert reader.open == []
    return reader


def body(markdown: str) -> str:
    return page(markdown, "t").partition("<main>\n")[2].partition("</main>")[0]


def test_a_report_is_rendered() -> None:
    """Headings, emphasis, lists, tables with alignment, code."""
    text = f"**Safe**: x.\n\n## A b\n\n- {code('c|d')}\n\n{table(('k', 'n'), [['a', '1']], 'lr')}\n"
    found = body(text)
    assert "<strong>Safe</strong>: x." in found
    assert '<h2 id="a-b">A b</h2>' in found
    assert "<li><code>c|d</code></li>" in found
    assert '<div class="scroll" tabindex="0"><table>' in found
    assert '<td style="text-align:right">1</td>' in found


def test_what_is_folded_away() -> None:
    """Details open and close, with Markdown inside, also within each other."""
    inner = folded("two `x`", "    verbatim\n    </details>")
    found = body(folded("one <b>", f"- a\n\n{inner}\n\nend"))
    assert found.count("<details>\n<summary>") == 2
    assert found.count("</details>") == 2
    assert "end" in found.partition("&lt;/details&gt;")[2].partition("</details>")[2]
    assert "<summary>one &lt;b&gt;</summary>" in found
    assert "<summary>two <code>x</code></summary>" in found
    assert "<pre><code>verbatim\n&lt;/details&gt;" in found


@pytest.mark.parametrize(
    "markdown", ["</details>\n\nx", "<details><summary>a</summary>\n\nx", "a\n</details>\nb"]
)
def test_unbalanced_details(markdown: str) -> None:
    """What is not closed is closed, what closes nothing is dropped: the page stays well-formed."""
    reader = read(markdown)
    assert reader.tags.count("details") == markdown.count("<summary>")


def test_headings_can_be_linked_to() -> None:
    """Anchors are as on GitHub, each once."""
    found = body("## The two `sides`, now\n\n[x](#the-two-sides-now)\n\n## a\n\n## a")
    assert re.findall(r'id="(.*?)"', found) == ["the-two-sides-now", "a", "a-1"]
    assert '<a href="#the-two-sides-now">' in found


def test_figures_become_part_of_the_page(tmp_path: Path) -> None:
    """An SVG beside the report is inlined; one that is not there is described."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.svg").write_text("<svg><script>alert(1)</script></svg>")
    reader = read('![a "b"](figures/a.svg)\n\n![gone](figures/b.svg)', folder=tmp_path)
    attributes = dict(reader.attributes)
    source = attributes["src"] or ""
    assert source.startswith("data:image/svg+xml;base64,")
    assert base64.b64decode(source.partition(",")[2]) == (tmp_path / "figures/a.svg").read_bytes()
    assert attributes["alt"] == 'a "b"'
    assert reader.tags.count("img") == 1
    assert "gone" in reader.texts
    assert "script" not in reader.tags


@pytest.mark.parametrize(
    "source", ["https://example.org/a.svg", "../secret.svg", "/etc/secret.svg", "note.txt", "b.svg"]
)
def test_no_other_image(tmp_path: Path, source: str) -> None:
    """Nothing from outside, above the folder, or of another kind; without a folder, nothing."""
    (tmp_path / "secret.svg").write_text("<svg/>")
    inside = tmp_path / "run"
    inside.mkdir()
    (inside / "note.txt").write_text("x")
    (inside / "b.svg").symlink_to(tmp_path / "secret.svg")
    for folder in (inside, None):
        reader = read(f"![what it shows]({source})", folder=folder)
        assert "img" not in reader.tags
        assert "what it shows" in reader.texts


def test_the_page_needs_nothing_else() -> None:
    """Its policy forbids scripts and resources; it is light and dark; its title is text."""
    text = page("x", "a <b> & c")
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert "<title>a &lt;b&gt; &amp; c</title>" in text
    assert "url(" not in text
    assert "@import" not in text


_PIECES = st.sampled_from(
    [
        *("<script>", "</script>", "<img src=x onerror=y>", "</main>", "<!--", "-->", "<details>"),
        *(
            "</details>",
            "<details><summary>",
            "</summary>",
            "<svg onload=x>",
            "`",
            "|",
            "\n",
            "\n\n",
        ),
        *(
            "[a](javascript:x)",
            "[a](data:text/html,x)",
            "![a](http://b/c.svg)",
            "<http://a>",
            "&lt;",
        ),
        *(
            "    ",
            "# ",
            "- ",
            "| a | b |\n|---|---|\n",
            "\\",
            "**",
            "\x00",
            "<style>",
            "&#60;b>",
            "x",
        ),
    ]
)


@given(pieces=st.lists(_PIECES, max_size=12))
def test_any_markdown_makes_a_harmless_page(pieces: list[str]) -> None:
    """Whatever the text: known tags and attributes, all closed, no address that runs or loads."""
    reader = read("".join(pieces), "".join(pieces))
    assert set(reader.tags) <= _TAGS
    assert reader.tags.count("style") == 1
    assert {name for name, _ in reader.attributes} <= _ATTRIBUTES
    for name, value in reader.attributes:
        assert name != "src"
        if name == "href":
            assert not re.match(r"\s*(javascript|vbscript|data|file):", value or "", re.IGNORECASE)


@given(text=st.text(max_size=60))
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    """What reports escape for Markdown is what the page's reader sees."""
    reader = read(f"x{plain(text)}x")
    shown = "".join(reader.texts).rpartition("}\n")[2]
    wanted = " ".join(text.split())
    assert "".join(f"x{wanted}x".split()) == "".join(shown.split()) or "\x00" in text
