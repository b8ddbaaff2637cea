"""Reports as Markdown: what is put in is what Markdown's reader shows, wherever it stands."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.report.document import Block, Bullets, Folded, Quote, Section, Table, Verbatim
from bench.report.markdown import inline, markdown
from bench.report.markup import code, emphasis, link, plain, strong
from bench.report.text import clipped

#: Pieces that Markdown makes something of, in any order, and any other text.
PIECES = st.lists(
    st.sampled_from(
        [
            *("`", "``", "```", "|", "\\", "\\|", "*", "**", "_", "__", "~", "~~", "#", "$", "!"),
            *("[a](b)", "![a](b)", "<b>", "</details>", "<!--", "&lt;", "&", "https://a.b", ">"),
            *("- ", "+ ", "1. ", "2) ", "=", "---", "\n", "\n\n", "    ", "\t", "a", "b_c", " "),
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
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return Shown(parser.render(markdown(blocks)))


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
    found = shown(Folded(clipped(text), [Verbatim(f"{text}\n</details>")]), "end")
    assert found.tags.count("details") == found.tags.count("summary") == 1
    assert found.text.rstrip().endswith("end")


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


def test_table_keeps_texts() -> None:
    """No column is taken for numbers and rewritten; an empty table has its header."""
    text = markdown([Table(("a", "b"), [["2.10e-08", "100,000"], ["1", "007"]], "lr")])
    assert "2.10e-08" in text
    assert "007" in text
    assert len(markdown([Table(("a", "b"), [], "lr")]).splitlines()) == 2
