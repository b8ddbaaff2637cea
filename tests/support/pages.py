"""Pages for people, README, CONTRIBUTING and docs/: what is set apart there, and what is a command."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.commands import main as cli
from bench.plugin.options import add_options

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
PAGES = [README, REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

_BEGINS = {
    "fence": re.compile(r" *```"),
    "quote": re.compile(r">"),
    "table": re.compile(r"\|"),
    "indented": re.compile(r"    (?! *(?:[-*\d]|$))"),
}


@dataclass(frozen=True)
class Excerpt:
    """Lines of a page that are set apart from its prose."""

    page: str
    line: int
    kind: str
    """``fence``, ``quote``, ``table`` or ``indented``."""
    language: str
    """What a fence says of itself."""
    lines: tuple[str, ...]
    """Without what sets them apart."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def cells(self) -> list[list[str]]:
        """Rows of the first table in it, the headers first."""
        table = [line for line in self.lines if line.startswith("|")]
        rows = [[part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]
        return [rows[0], *rows[2:]]

    @property
    def headers(self) -> list[str]:
        return self.cells[0]

    def column(self, number: int) -> list[str]:
        """The entries of a column, without its header."""
        return [row[number] for row in self.cells[1:]]


def excerpts() -> Iterator[Excerpt]:
    """Everything on the pages that is set apart, in its order."""
    for page in PAGES:
        yield from of_text(page.name, page.read_text("utf-8"))


def of_text(page: str, text: str) -> Iterator[Excerpt]:
    """The same of one text."""
    lines, at = text.splitlines(), 0
    while at < len(lines):
        kind = next((kind for kind, begin in _BEGINS.items() if begin.match(lines[at])), None)
        if kind is None or (kind == "indented" and at and lines[at - 1].strip()):
            at += 1
            continue
        end = at + 1
        if kind == "fence":
            while not lines[end].lstrip().startswith("```"):
                end += 1
            end += 1
        else:
            while end < len(lines) and _BEGINS[kind].match(lines[end]):
                end += 1
        yield _excerpt(page, at + 1, kind, lines[at:end])
        at = end


def _excerpt(page: str, line: int, kind: str, lines: list[str]) -> Excerpt:
    language = ""
    if kind == "fence":
        language = lines[0].strip().removeprefix("```")
        lines = lines[1:-1]
    elif kind == "quote":
        lines = [line.removeprefix(">").removeprefix(" ") for line in lines]
    elif kind == "indented":
        lines = [line[4:] for line in lines]
    return Excerpt(page, line, kind, language, tuple(lines))


# --- Commands

#: Options of pytest itself, and of pytest-benchmark, that pages name.
_OF_PYTEST = {"-k", "-m", "--help", "--collect-only", "-q", "-n", "--dist"} | {
    f"--benchmark-{word}" for word in ("skip", "autosave", "compare")
}
#: What starts a command without a clone, and the requirement that it names.
FROM = re.compile(r'^(?:uvx --from|pipx run --spec) "([^"]+)" ')
#: What stands for words of a user's.
_PLACES = {"...", "[the same options]"}


def commands() -> Iterator[tuple[str, str]]:
    """Page and text of every command that begins with ``bench``, ``tox`` or ``pytest suites``."""
    start = re.compile(r"(?:python -m tox run|bench|pytest suites) ")
    for page in PAGES:
        text = page.read_text("utf-8")
        lines = [line.strip() for line in re.findall(r"^(?:    |```\n)?.*$", text, re.M)]
        spans = re.findall(r"`([^`\n]+)`", text)
        for line in [*lines, *spans]:
            for part in line.split(" && "):
                command = FROM.sub("", part)
                if start.match(command):
                    yield page.name, command.split("  #")[0].strip()


def check_line(line: str) -> None:
    """Each command of a line is one: ours, the installation of a package, or a script that is there."""
    for part in line.split("  #")[0].strip().split(" && "):
        words = shlex.split(FROM.sub("", part.strip()))
        if words[:2] == ["python", "-m"]:
            words = words[2:]
        if words[:2] == ["pip", "install"] or words[0] == "pre-commit":
            continue
        if words[0] == "python":
            assert (REPOSITORY / words[1]).exists(), words[1]
        else:
            assert words[0] in ("tox", "bench", "pytest"), part
            check_command(" ".join(map(shlex.quote, words)))


def check_command(text: str) -> None:
    """Its environment of tox, command and options exist."""
    words = shlex.split(text.replace("[the same options]", "..."))
    if words[:2] == ["python", "-m"]:
        words = words[2:]
    if words[0] == "pytest":
        return check_pytest(words[2:])
    if words[0] == "bench":
        return check_bench(words[1:])
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(REPOSITORY / "tox.ini")
    known = set(re.findall(r"^([\w-]+): ", tox["testenv"]["commands"], re.M))
    known |= {part for name in tox.sections() for part in re.findall(r"[\w-]+", name)}
    words = [word for word in words[2:] if word != "-r"]
    assert words[0] == "-e"
    for environment in words[1].split(","):
        assert re.sub(r"-tf(\d+|XYZ)$", "", environment) in known
    rest = words[3:] if len(words) > 2 else []
    if words[1] == "bench":
        check_bench(rest)
    elif words[1] == "published":
        check_bench(["published", *rest])
    elif not words[1].startswith(("mutation", "lint", "types", "docs", "coverage", "report")):
        check_pytest(rest)
    return None


class _Options:
    """The names of the options that the plugin adds."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def getgroup(self, *_: str) -> _Options:
        return self

    def addoption(self, *names: str, **_: Any) -> None:
        self.names |= set(names)


def check_pytest(words: list[str]) -> None:
    """Every option is pytest's or ours."""
    options: Any = _Options()
    add_options(options)
    for word in words:
        if word.startswith("-"):
            assert word.partition("=")[0] in options.names | _OF_PYTEST, word


def check_bench(words: list[str]) -> None:
    """The command line takes it; the name of a command alone is prose, if there is such a command."""
    names = {name for group in cli._COMMANDS.values() for name in group}
    given = [word for word in words if word not in _PLACES]
    if given and " ".join(given) not in names and "COMMAND" not in given:
        cli.parse(given)
