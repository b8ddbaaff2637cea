"""README and the pages of docs/: commands are of the command line, excerpts are what commands print."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.commands import main as cli
from bench.plugin.options import add_options

REPOSITORY = Path(__file__).parent.parent
README = REPOSITORY / "README.md"
PAGES = [README, REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
#: Options of pytest itself, and of pytest-benchmark, that pages name.
_OF_PYTEST = {"-k", "-m", "--help", "--collect-only", "-q", "-n", "--dist"} | {
    f"--benchmark-{word}" for word in ("skip", "autosave", "compare")
}
#: What starts a command without a clone, and the requirement that it names.
_FROM = re.compile(r'^(?:uvx --from|pipx run --spec) "([^"]+)" ')
#: What stands for words of a user's.
_PLACES = {"...", "[the same options]"}


def commands() -> Iterator[tuple[str, str]]:
    """Page and text of every command that begins with ``bench``, ``tox`` or ``pytest suites``."""
    start = re.compile(r"(?:python -m )?(?:tox run|bench|pytest suites) ")
    for page in PAGES:
        text = page.read_text("utf-8")
        lines = [line.strip() for line in re.findall(r"^(?:    |```\n)?.*$", text, re.M)]
        spans = re.findall(r"`([^`\n]+)`", text)
        for line in [*lines, *spans]:
            for part in line.split(" && "):
                command = _FROM.sub("", part)
                if start.match(command):
                    yield page.name, command.split("  #")[0].strip()


COMMANDS = sorted(set(commands()))


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


def test_pages_name_commands() -> None:
    """Guards the tests below: README alone has six."""
    assert sum(page == "README.md" for page, _ in COMMANDS) >= 6
    assert len(COMMANDS) > 60


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_of_a_page_is_one(page: str, command: str) -> None:
    """Its environment of tox, command and options exist."""
    text = command.replace("[the same options]", "...")
    words = shlex.split(text)
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


def test_what_needs_no_clone_is_this_package() -> None:
    """Its name and extra, in an address or in the name of a wheel; it needs what it says."""
    lines = (REPOSITORY / "docs/first-run.md").read_text("utf-8").splitlines()
    named = [found[1] for line in lines if (found := _FROM.match(line))]
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    extras = project.partition("[project.optional-dependencies]\n")[2].partition("\n\n")[0]
    assert len(named) >= 2
    for text in named:
        found = re.match(
            r"(?:\./)?([\w-]+?)(?:-\d.*\.whl)?(?:\[(\w+)\])?(?: @ git\+https://|$)", text
        )
        assert found is not None, text
        assert f'name = "{found[1].replace("_", "-")}"\n' in project
        assert found[2] is None or f"{found[2]} = [" in extras


def test_readme_is_two_screens() -> None:
    """And says what the first command says it does."""
    lines = README.read_text("utf-8").splitlines()
    assert len(lines) <= 120


def test_theory_is_what_readme_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The answer to its question on depth 30 with Xavier's initialization."""
    text = README.read_text("utf-8") + (REPOSITORY / "docs/gradients.md").read_text("utf-8")
    words = ["theory", "--act", "relu", "--init", "glorot_normal", "--depth", "30"]
    assert text.count(f"bench -- {' '.join(words)}") == 2
    assert cli.main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    assert text.count(f"> {printed[0]}") == 2
    rows = [line[2:] for line in text.splitlines() if re.match(r"> \| +\d+ \|", line)]
    assert len(rows) == 4
    assert set(rows) <= set(printed)


def test_readme_has_the_numbers_of_the_quick_tier() -> None:
    """Cells, grids, checks of arithmetic and contracts, as a run counts them."""
    from bench.cells.component_grids import UPGRADE_GRIDS
    from bench.checks.catalogue import checks

    cells = sum(len(grid.cells("quick")) for grid in UPGRADE_GRIDS.values())
    text = " ".join(README.read_text("utf-8").split())
    assert f"{cells} cells of twelve grids" in text
    assert len(UPGRADE_GRIDS) == 12
    planned = checks("quick")
    contracts = sum(check.is_contract for check in planned)
    assert f"{len(planned) - contracts} checks of arithmetic" in text
    assert contracts >= int(re.search(r"(\d+) contracts", text)[1])  # some are of one Keras alone
