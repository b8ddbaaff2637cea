"""Reports as pages: one file, nothing from outside, and text stays text."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from bench.report.figures.picture import Panel, Picture
from bench.report.html import html
from bench.report.markup import code, emphasis, link, plain, strong, upstream

_VOID = {"meta", "img"}
#: All that a report's page is made of.
_TAGS = frozenset(
    (
        *("html", "head", "meta", "title", "style", "body", "main", "div", "p", "blockquote"),
        *("h1", "h2"),
        *(
            "h3",
            "strong",
            "em",
            "code",
            "pre",
            "a",
            "img",
            "figure",
            "figcaption",
            "ul",
            "ol",
            "li",
        ),
        *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "script"),
    )
)
_ATTRIBUTES = frozenset(
    (
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "id",
        "class",
        "tabindex",
        "alt",
        "src",
        "href",
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
        if self.open and self.open[-1] not in ("script", "style", "title"):
            self.texts.append(data)


def read(*blocks: Block, title: str = "t", folder: Path | None = None) -> Reader:
    reader = Reader()
    reader.feed(html(Document(title, blocks), folder=folder))
    reader.close()
    assert reader.open == []
    return reader


def body(*blocks: Block) -> str:
    return html(Document("t", blocks)).partition("</h1>\n")[2].partition("</main>")[0]


def picture(path: str, alternative: str = "what it shows", caption: str = "") -> Picture:
    return Picture(path, "heading", alternative, caption, (Panel("", "x", "y"),), columns=1)


def test_a_report_is_rendered() -> None:
    """Headings, emphasis, lists, tables with alignment, code, quotations."""
    found = body(
        f"{strong('Safe')}: {emphasis('x')}.",
        Section(
            "A b",
            [
                Bullets([code("c|d"), ("e", Bullets(["f"], numbered=True))]),
                Table(("k", "n"), [["a", "1"]], "lr"),
                Quote("careful"),
                Section("deeper", []),
            ],
        ),
    )
    assert "<p><strong>Safe</strong>: <em>x</em>.</p>" in found
    assert '<h2 id="a-b">A b</h2>' in found
    assert "<li><code>c|d</code></li>" in found
    assert "<li>e<ol>\n<li>f</li>\n</ol></li>" in found
    assert '<div class="scroll" tabindex="0"><table>' in found
    assert '<td class="right">1</td>' in found
    assert "<blockquote>careful</blockquote>" in found
    assert '<h3 id="deeper">deeper</h3>' in found


def test_what_is_folded_away() -> None:
    """Details within each other, with lines as they are."""
    inner = Folded(f"two {code('x')}", [Verbatim("verbatim\n</details>")])
    found = body(Folded("one <b>", ["a", inner]), "end")
    assert found.count("<details>") == found.count("</details>") == 2
    assert "<summary>one &lt;b&gt;</summary>" in found
    assert "<summary>two <code>x</code></summary>" in found
    assert "<pre>verbatim\n&lt;/details&gt;</pre>" in found


def test_headings_can_be_linked_to() -> None:
    """Anchors are as on GitHub, each once."""
    title = f"The two {code('sides')}, now"
    found = body(Section(title, [link(title)]), Section("a", []), Section("a", []))
    assert re.findall(r'id="(.*?)"', found) == ["the-two-sides-now", "a", "a-1"]
    assert '<a href="#the-two-sides-now">' in found


def test_public_reports_can_be_linked_to() -> None:
    """Those of Keras and TensorFlow, in words that name them, and nothing else."""
    found = body(upstream("as keras PR #23286, tensorflow #80753 and numpy #1 say"))
    assert re.findall(r'<a href="(.*?)">(.*?)</a>', found) == [
        ("https://github.com/keras-team/keras/issues/23286", "keras PR #23286"),
        ("https://github.com/tensorflow/tensorflow/issues/80753", "tensorflow #80753"),
    ]
    assert body("\ufdd5keras\ufdd4") == body("keras")


def test_figures_become_part_of_the_page(tmp_path: Path) -> None:
    """An SVG beside the report is in the page; one that is not there is described."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.svg").write_text("<svg><script>alert(1)</script></svg>")
    there = Figure(picture("figures/a.svg", 'a "b"', f"see {code('c')}"))
    gone = Figure(picture("figures/b.svg", "gone"))
    reader = read(there, gone, folder=tmp_path)
    attributes = dict(reader.attributes)
    source = attributes["src"] or ""
    assert source.startswith("data:image/svg+xml;base64,")
    assert base64.b64decode(source.partition(",")[2]) == (tmp_path / "figures/a.svg").read_bytes()
    assert attributes["alt"] == 'a "b"'
    assert reader.tags.count("img") == reader.tags.count("figcaption") == 1
    assert "gone" in reader.texts
    assert reader.tags.count("script") == 1  # the page's own
    assert "img" not in read(there, gone).tags


def test_the_page_needs_nothing_else() -> None:
    """Its policy forbids scripts and resources; it is light, dark and narrow; its title is text."""
    text = html(Document("a <b> & c", ["x"], answer="Safe"))
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    assert "<title>Safe: a &lt;b&gt; &amp; c</title>" in text
    assert text.count("<h1>") == text.count("<h1>a &lt;b&gt; &amp; c</h1>") == 1
    assert "url(" not in text
    assert "@import" not in text


_PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "<script>",
                "</script>",
                "<img src=x onerror=y>",
                "</main>",
                "<!--",
                "-->",
                "<style>",
            ),
            *("</details>", "<summary>", "<svg onload=x>", "&lt;", "&#60;b>", '"', "'", "\n", "x"),
            *(
                "[a](javascript:x)",
                "{{ 1 }}",
                "{% raw %}",
                "\x00",
                "\ufdd0",
                "\ufdd2",
                "\ufdd3",
                "\ufdd5",
            ),
        ]
    )
    | st.text(max_size=4),
    max_size=8,
).map("".join)


@given(text=_PIECES)
def test_any_text_makes_a_harmless_page(text: str) -> None:
    """Whatever the text and wherever it stands: known tags and attributes, all closed, shown as it is,
    no address but those of sections."""
    blocks: list[Block] = [
        f"x{text}x",
        Section(text, [Bullets([text]), Table((text,), [[code(text)]], "l")]),
        Folded(text, [Verbatim(text), Quote(strong(text)), Figure(picture("a.svg", text, text))]),
    ]
    reader = read(*blocks, title=text)
    assert set(reader.tags) <= _TAGS
    assert reader.tags.count("style") == 1
    assert {name for name, _ in reader.attributes} <= _ATTRIBUTES
    assert all(name != "src" for name, _ in reader.attributes)
    assert all((value or "").startswith("#") for name, value in reader.attributes if name == "href")
    shown = "".join(read(f"x{text}x", title="").texts)
    assert "".join(shown.split()) == "".join(plain(f"x{text}x").split())


def test_only_our_script_may_run() -> None:
    """The policy names it by its hash, and there is no other."""
    page = html(Document("t", ["<script>alert(1)</script>", Table(("a",), [["<script>"]], "l")]))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.replace("&#39;", "'")


CHROMIUM = shutil.which("chromium")


def dom(tmp_path: Path, page: str, *words: str, script: str = "") -> str:
    """The page as a browser makes it; a script is run by lifting the page's policy."""
    policy = re.search(r'<meta http-equiv="Content-Security-Policy".*?>', page)
    assert policy is not None
    driven = page.replace(policy[0], "").replace("</html>", f"<script>{script}</script></html>")
    path = tmp_path / "page.html"
    path.write_text(driven if script else page)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    always = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", profile]
    command = [str(CHROMIUM), *always, *words, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize(("scheme", "dark"), [(0, True), (1, False)])
def test_a_phone_shows_figures_in_their_size_on_a_light_card(
    scheme: int, dark: bool, tmp_path: Path
) -> None:
    """The page does not scroll sideways, its wide figures do; they are readable in either scheme."""
    wide = picture("a.svg")
    size = 'xmlns="http://www.w3.org/2000/svg" width="900" height="90"'
    (tmp_path / "a.svg").write_text(f'<svg {size}><text y="50">black</text></svg>')
    page = html(Document("t" * 80, [Figure(wide), "x" * 200]), folder=tmp_path)
    script = """onload = () => {
      const [image, root] = [document.querySelector("img"), document.documentElement];
      document.title = [image.clientWidth >= 900, root.scrollWidth <= root.clientWidth,
        getComputedStyle(image).backgroundColor, getComputedStyle(image).borderRadius,
        matchMedia("(prefers-color-scheme: dark)").matches].join(" ");
    }"""
    words = ["--window-size=500,900", f"--blink-settings=preferredColorScheme={scheme}"]
    found = dom(tmp_path, page, *words, script=script)
    seen = re.findall("<title>(.*?)</title>", found)
    assert seen == [f"true true rgb(255, 255, 255) 8px {str(dark).lower()}"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_tables_are_sorted_and_filtered_in_a_browser(tmp_path: Path) -> None:
    """Numbers as numbers, up and down; rows without the filter's words go; the policy lets it run."""
    rows = [[f"depth:{n}", f"{(7 * n) % 10}.5 ± 1"] for n in range(10)]
    page = html(Document("t", [Table(("cell", "size"), rows, "lr")]))
    steps = """
      const heads = document.querySelectorAll("th");
      heads[1].click(); heads[1].click();
      const filter = document.querySelector("input");
      filter.value = "depth:"; filter.dispatchEvent(new Event("input"));
      const shown = [...document.querySelectorAll("tbody tr")].filter((row) => !row.hidden);
      document.title = shown.map((row) => row.cells[1].textContent[0]).join("");
      filter.value = "depth:3"; filter.dispatchEvent(new Event("input"));
      document.title += document.querySelectorAll("tbody tr:not([hidden])").length;
    """
    assert "<title>98765432101</title>" in dom(tmp_path, page, script=steps)
    assert 'placeholder="filter 10 rows"' in dom(tmp_path, page)
