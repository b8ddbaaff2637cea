"""Pages that mkdocs makes of the code, and of files that stand at the top of the repository.

mkdocs calls ``on_files`` and ``on_page_markdown`` (mkdocs.yml names this file under ``hooks``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.grid import TIERS
from bench.commands.main import app
from bench.plugin.options import add_options
from bench.results import own_model
from bench.results.blame import Blames
from bench.results.check import CheckResult
from bench.results.copy_result import CopyResult
from bench.results.environment import Environment
from bench.results.live import Live
from bench.results.pace import PaceResult
from bench.results.plan import Plan
from bench.results.record import Record
from bench.results.saved_models import Exchange
from bench.results.timings import Timings
from bench.results.trial import TrialResult
from bench.results.upgrade import Description
from bench.verdict.baselines.files import ClassFile, GridFile, Trace
from bench.verdict.baselines.speeds import StoredPaces
from bench.verdict.metrics import METRICS

REPOSITORY = Path(__file__).parents[1]
#: Pages of the site, by the files at the top of the repository that they are.
TOP = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
#: What is stored in which file.
FORMATS: dict[str, Any] = {
    "plan.json": Plan,
    "environment.json": Environment,
    "records.jsonl, one a line": Record,
    "copies.jsonl, one a line": CopyResult,
    "checks.jsonl, one a line": CheckResult,
    "trials.jsonl, one a line": TrialResult,
    "paces.jsonl, one a line": PaceResult,
    "live.json": Live,
    "upgrade.json": Description,
    "speed.json, of an upgrade": list[Timings],
    "saving.json, of an upgrade": list[Exchange],
    "blame.json, of an upgrade": Blames,
    "model/model.json": own_model.Description,
    "baselines/CLASS/class.json": ClassFile,
    "baselines/CLASS/GRID.json": GridFile,
    "baselines/CLASS/GRID.traces.jsonl, one a line": Trace,
    "baselines/speeds/CLASS/MACHINE.jsonl, one a line": StoredPaces,
}
_FORMULA = re.compile(r"\$`([^`\n]+)`\$|^```math\n(.*?)^```$", re.M | re.S)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages; the index of decisions is that of its folder."""
    pages = {name: (REPOSITORY / source).read_text("utf-8") for source, name in TOP.items()}
    pages |= {
        "reference/commands.md": app.generate_docs(output_format="markdown"),
        "reference/options.md": "".join(_options()),
        "reference/grids.md": "".join(_grids()),
        "reference/metrics.md": "".join(_metrics()),
        "reference/formats.md": "".join(_formats()),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Links to what is a page of the site, as the site has it; to other files, as their paths.

    Formulas, as GitHub takes them, become MathML, which browsers show without a script.
    """
    where = (REPOSITORY / "docs" / page.file.src_uri).parent
    top = {value: name for name, value in TOP.items()}
    if page.file.src_uri in top:
        where = REPOSITORY

    def linked(match: re.Match[str]) -> str:
        text, path, anchor = match[1], match[2], match[3] or ""
        target = (where / path).resolve()
        shown = target.relative_to(REPOSITORY) if target.is_relative_to(REPOSITORY) else Path(path)
        if str(shown) in TOP:
            up = "../" * page.file.src_uri.count("/")
            return f"[{text}]({up}{TOP[str(shown)]}{anchor})"
        if shown.parts[0] != "docs" and target.exists():
            return text if text.strip("`") == str(shown) else f"{text} (`{shown}`)"
        if page.file.src_uri in top and shown.parts[0] == "docs":
            return f"[{text}]({'/'.join(shown.parts[1:])}{anchor})"
        return match[0]

    return _FORMULA.sub(_math, _LINK.sub(linked, markdown))


def _math(match: re.Match[str]) -> str:
    """MathML; within a span, as Markdown takes a formula that begins a line for a block of its own."""
    inline, block = match.groups()
    return f"<span>{convert(inline)}</span>" if inline else convert(block.strip(), display="block")


class _Parser:
    """Takes the options that the plugin adds, in the place of pytest's parser."""

    def __init__(self) -> None:
        self.groups: dict[str, list[tuple[str, str]]] = {}
        self._options: list[tuple[str, str]] = []

    def getgroup(self, title: str) -> _Parser:
        self._options = self.groups.setdefault(title, [])
        group = _Parser()
        group._options = self._options
        return group

    def addoption(self, *names: str, **more: Any) -> None:
        meta = f" {more['metavar']}" if more.get("metavar") else ""
        self._options.append((f"{', '.join(names)}{meta}", more.get("help") or ""))


def _options() -> Iterator[str]:
    parser: Any = _Parser()
    add_options(parser)
    yield "# Options of pytest\n\nOf `pytest suites`, and of `python -m tox run -e quick --`.\n"
    for title, options in parser.groups.items():
        yield f"\n## {title.removeprefix('bench: ').capitalize()}\n\n"
        yield "| option | what it does |\n|:--|:--|\n"
        yield from (f"| `{name}` | {text.replace('|', ' ')} |\n" for name, text in options)


def _grids() -> Iterator[str]:
    yield "# Grids\n\nCells by tier; seeds: "
    yield ", ".join(f"{name} {tier.seeds}" for name, tier in TIERS.items())
    yield f".\n\n| grid | question | {' | '.join(TIERS)} |\n|:--|:--|{'--:|' * len(TIERS)}\n"
    for grid in UPGRADE_GRIDS.values():
        numbers = " | ".join(str(len(grid.cells(tier))) for tier in TIERS)
        yield f"| `{grid.name}` | {grid.question} | {numbers} |\n"


def _metrics() -> Iterator[str]:
    yield "# Metrics\n\nWhat of a cell is compared over its seeds (`bench/verdict/metrics.py`). "
    yield "Changes of a logarithmic metric are ratios.\n\n"
    yield "| metric | name | scale | better is | smallest change that matters | why |\n"
    yield "|:--|:--|:--|:--|:--|:--|\n"
    words = {-1: "less", 0: "neither", 1: "more"}
    for each in METRICS:
        yield f"| {each.title} | `{each.name}` | {each.scale} | {words[each.better]} | "
        yield f"{each.describe_margin()} | {each.why.replace('|', ' ')} |\n"


def _formats() -> Iterator[str]:
    yield "# File formats\n\nThe JSON schema of each file of `results/<run>/`, and of baselines.\n"
    for title, kind in FORMATS.items():
        schema = json.dumps(msgspec.json.schema(kind), indent=1)
        yield f"\n## {title}\n\n```json\n{schema}\n```\n"
