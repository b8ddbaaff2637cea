"""README and the pages of docs/: commands are ours, and numbers of the quick tier its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.pages import FROM, PAGES, README, REPOSITORY, check_command, commands

COMMANDS = sorted(set(commands()))


def test_pages_name_commands() -> None:
    """Guards the tests below: README alone has six."""
    assert sum(page == "README.md" for page, _ in COMMANDS) >= 6
    assert len(COMMANDS) > 60


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_of_a_page_is_one(page: str, command: str) -> None:
    """Its environment of tox, command and options exist."""
    check_command(command)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_tox_is_started_in_one_way(page: Path) -> None:
    """As a module of the Python that has it, which works where pip's scripts are not on the path."""
    assert not re.findall(r"(?<!python -m )\btox (?:run|list)\b.*", page.read_text("utf-8"))


def test_what_needs_no_clone_is_this_package() -> None:
    """Its name and extra, in an address or in the name of a wheel; it needs what it says."""
    lines = (REPOSITORY / "docs/first-run.md").read_text("utf-8").splitlines()
    named = [found[1] for line in lines if (found := FROM.match(line))]
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
