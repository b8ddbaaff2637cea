"""Reports as Markdown: what is put in is what Markdown's reader shows, wherever it stands."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.report.document import Block, Bullets, Figure, Folded, Quote, Section, Table, Verbatim
from bench.report.figures.picture import Panel, Picture
from bench.report.markdown import inline, markdown
from bench.report.markup import code, emphasis, link, plain, printable, strong
from bench.report.text import clipped

#: Pieces that Markdown makes something of, in any order, and any other text.
PIECES = st.lists(
    st.sampled_from(
        [
            *("`", "``", "```", "|", "\\", "\\|", "*", "**", "_", "__", "~", "~~", "#", "$", "!"),
            *("[a](b)", "![a](b)", "<b>", "</details>", "<!--", "&lt;", "&", "https://a.b", ">"),
            *("- ", "+ ", "1. ", "2) ", "=", "---", "\n", "\n\n", "    ", "\t", "a", "b_c", " "),
            *("http://", "HTTPS://", "www.", "WWW.", "ftp://", "a@b.c", "@", "#12", ".", ":", "//"),
            *("mailto:", "xmpp:", "<https://a.b>", "[a]: b", "x/y#1"),
            *(":--", "@x", "\x1b[31m", "\x00", "\ufdd0", "\ufdd2", "\ufdd3", "\ufdd4"),
        ]
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)


class Shown(HTMLParser):
    """What a reader sees of HTML: its text, and that of some elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(*blocks: Block) -> Shown:
    """As GitHub shows it: addresses of the web and of mail become links where a parser sees them."""
    parser = MarkdownIt("gfm-like", {"html": True})
    parser.linkify.set({"fuzzy_link": False, "fuzzy_ip": False, "fuzzy_email": True})
    text = markdown(blocks)
    for token in parser.disable("text_join").parse(text):
        pieces = [child.content for child in token.children or () if child.type == "text"]
        for (
            piece
        ) in pieces:  # GitHub's own rules: www. is one, and mentions are looked for in the end
            assert not re.search(r"www\.|://|[@#][a-zA-Z0-9]", piece, re.IGNORECASE), piece
    return Shown(parser.enable("text_join").render(text))


def same(found: str, wanted: str) -> bool:
    """Equal but for white space, which HTML does not keep."""
    return "".join(found.split()) == "".join(wanted.split())


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("a|b <c> *d* `e` he_normal [f](g)", r"a\|b &lt;c> \*d\* \`e\` he_normal \[f\](g)"),
        ("_x_\ny", r"\_x\_ y"),
        (f"{strong('4 of 5')}: {code('a|b')}", "**4 of 5**: `a|b`"),
        (code("a`b"), "``a`b``"),
        (code("`a"), "`` `a ``"),
        (code(""), ""),
        (strong(f"every one with {code('opt:sgd')}"), "**every one with `opt:sgd`**"),
        (emphasis("signal"), "*signal*"),
        (link("The two sides"), "[The two sides](#the-two-sides)"),
        ("- no item", r"\- no item"),
        ("1. no item", r"1\. no item"),
        ("0.5 is a number", "0.5 is a number"),
        ("\x1b[31m", "\ufffd\\[31m"),
    ],
)
def test_inline(text: str, rendered: str) -> None:
    """Escaped where Markdown would make something of it, and only there."""
    assert inline(text) == rendered


@given(text=PIECES)
@example(text="\\|")
@example(text="\\")
@example(text="`|`")
@example(text="see @x, x/y#1 and a@b.c")
@example(text="WWW.a.b or www.a.b")
@example(text="[a](https://a.b) ftp://a.b mailto:a@b.c")
def test_text_from_a_run_is_shown_as_it_is(text: str) -> None:
    """In a paragraph, a list, a quotation, a heading, a table."""
    text = clipped(text)
    table = shown(Table(("h", "i"), [[text, "z"], ["y", text]], "lr"))
    assert same(table.text, f"hi{text}zy{text}")
    assert set(table.tags) == {"table", "thead", "tbody", "tr", "th", "td"}
    for block, tags in (
        (f"{text} x", ["p"]),
        (Quote(f"{text} x"), ["blockquote", "p"]),
        (Bullets([f"{text} x"]), ["ul", "li"]),
        (Section(f"{text} x", []), ["h2"]),
    ):
        found = shown(block)
        assert same(found.text, f"{text}x")
        assert found.tags == tags


@given(text=PIECES)
def test_code_is_shown_as_it_is(text: str) -> None:
    """An id, a path or a layer's name in the font of code, in a line and in a table."""
    wanted = plain(text)
    line = shown(f"x {code(text)} y")
    assert same(line.text, f"x{wanted}y")
    assert line.tags == ["p", *(["code"] if wanted else [])]
    cell = shown(Table(("h", "i"), [[code(text), "z"]], "ll"))
    assert same(cell.text, f"hi{wanted}z")
    assert cell.tags.count("td") == 2


@given(text=PIECES)
def test_nothing_gets_out_of_what_is_folded(text: str) -> None:
    """Neither from the title nor from the lines."""
    title = clipped(text)
    found = shown(Folded(title, [Verbatim(f"{text}\n</details>")]), "end")
    assert found.tags == ["details", "summary", "pre", "code", "p"]
    assert same(found.text, f"{title}{printable(text)}</details>end")


@given(text=PIECES)
def test_lines_stay_lines_behind_a_list(text: str) -> None:
    """A list takes no lines of code for its own, whatever they begin with."""
    found = shown(Bullets(["x"]), Verbatim(f"a\n{text}\nb"), "end")
    assert found.tags == ["ul", "li", "pre", "code", "p"]
    assert same(found.text, f"xa{printable(text)}bend")


def test_blocks() -> None:
    """Sections are nested, lists too; what is empty is left out."""
    text = markdown(
        [
            "",
            None,
            Bullets([]),
            Section("A", [Bullets(["a", ("b", Bullets(["c"]))]), Section("B", [])]),
            Bullets(["x", "y"], numbered=True),
        ]
    )
    assert text == "## A\n\n- a\n- b\n  - c\n\n### B\n\n1. x\n2. y\n"


def test_figures_that_are_not_stored_leave_no_trace() -> None:
    """Nor does a section, or what is folded, that has nothing else."""
    figure = Figure(Picture("a.svg", "heading", "what", "", (Panel("", "x", "y"),), columns=1))
    blocks = [Section("A", [figure, Folded("f", [figure])]), Section("B", ["b", figure])]
    assert markdown(blocks, figures=False) == "## B\n\nb\n"
    assert markdown(blocks).startswith("## A\n\n![what](a.svg)")


def test_table_keeps_texts() -> None:
    """No column is taken for numbers and rewritten; an empty table has its header."""
    text = markdown([Table(("a", "b"), [["2.10e-08", "100,000"], ["1", "007"]], "lr")])
    assert "2.10e-08" in text
    assert "007" in text
    assert len(markdown([Table(("a", "b"), [], "lr")]).splitlines()) == 2
