"""Tests of the command ``bench bisect``, and of what ``bench upgrade --automatic`` asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.commands import bisect as command
from bench.commands import main as cli
from bench.commands import upgrade
from bench.commands.options import Measuring
from bench.errors import EXIT_OK, EXIT_TROUBLE, EXIT_UNDECIDED, BenchError
from bench.jobs.findings import found_by
from bench.report.sections.blame import blame_section
from bench.results.blame import Blame, Pair
from bench.results.check import Check
from bench.results.files import pretty, write_atomically
from bench.results.find import UPGRADE
from bench.results.timings import SIDES
from bench.results.upgrade import Description
from support.builders import replaced, write
from support.upgraded import CHECK, checked, exchange, measured, same, side, upgraded, where, worse

FOUND = Blame(finding="x", outcome="found", package="keras", pairs=[Pair(before="1", after="2")])
OPEN = Blame(finding="x", outcome="flaky", reason="keras 2 shows it in one run and not in another")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was investigated; the answer is the second entry."""
    calls: list[Any] = [[FOUND]]

    def investigate(findings: Any, sides: Any, *_: Any, **options: Any) -> list[Blame]:
        calls.append((findings, sides, options))
        return calls[0]

    monkeypatch.setattr(command, "investigate", investigate)
    return calls


def test_sides_are_those_of_upgrade(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "bisect",
        "train_on_batch-returns:loss,saved:mlp-keras",
        "2.16.2",
        "2.16.2 keras==3.14.1",
    ]
    assert cli.main([*words, "--over", "keras", "--every", "--limit", "3"]) == EXIT_OK
    findings, sides, options = asked[1]
    assert [finding.name for finding in findings] == [
        "loops:train_on_batch-returns:loss",
        "saved:mlp-keras",
    ]
    assert sides["new"].requirements == ("tensorflow-cpu==2.16.2", "keras==3.14.1")
    assert options == {"over": "keras", "every": True, "limit": 3.0}
    assert "**Since keras 2 (1 is as before)**" in capsys.readouterr().out


def test_nothing_to_blame_is_undecided(
    asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked[0] = [FOUND, OPEN]
    assert cli.main(["bisect", "saved:mlp-keras", "2.20", "2.21"]) == EXIT_UNDECIDED
    assert "Flaky: keras 2 shows it in one run and not in another" in capsys.readouterr().out


def test_a_stored_upgrade_has_its_sides(
    asked: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was installed, as the interpreters are gone; a folder from elsewhere starts nothing."""
    for name in SIDES:
        write(replaced(side(name, same), path=tmp_path / "u" / name))
    facts = measured().sides
    description = Description(tier="quick", sides=facts, runs={name: name for name in SIDES})
    words = ["bisect", "saved:mlp-keras", "--of", "u", "--results", str(tmp_path)]
    write_atomically(tmp_path / "u" / UPGRADE, pretty(description))
    assert cli.main(words) == EXIT_TROUBLE
    assert "was not measured here by you" in capsys.readouterr().err
    write_atomically(tmp_path / "u" / UPGRADE, pretty(description.sealed))
    assert cli.main(words) == EXIT_OK
    _, sides, _ = asked[1]
    assert sides["old"].requirements == tuple(facts["old"].lock.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuchthing", "2.20", "2.21"], "no finding 'nosuchthing'"),
        (["norm:batch", "2.20", "2.21"], "is a part of"),
        (["saved:mlp-keras", "2.20"], "two sides are needed"),
        (["saved:mlp-keras", "--run", "x"], "--run goes with OLD and NEW"),
        (["saved:mlp-keras", "--of", "nowhere"], "no upgrade 'nowhere'"),
        (["saved:mlp-keras", "2.20", "2.21", "--limit", "0"], "--limit must be above 0"),
    ],
)
def test_wrong_input_is_told(
    asked: list[Any], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bisect", *words]) == EXIT_TROUBLE
    assert message in capsys.readouterr().err
    assert len(asked) == 1


def test_automatic_asks_what_speaks_against_an_upgrade() -> None:
    """One cell for each group, checks that newly fail and contracts newly kept, files not read back."""
    nadam = where(lambda cell: cell.optimizer == "nadam", worse)
    contract = Check(family="loops", subject="x")
    before = {CHECK: checked(), contract: checked(out=True, check=contract)}
    after = {CHECK: checked(out=True), contract: checked(check=contract)}
    found = upgraded(
        side("old", checks=before),
        side("new", nadam, checks=after),
        exchanges=[exchange("export", excess=9.0), exchange("saved_model")],
    )
    findings = found_by(found)
    cells = [finding.item for finding in findings if finding.item is not None]
    assert cells == [group.judgements[0].item for group in found.groups] != []
    assert [finding.name for finding in findings if finding.item is None] == [
        CHECK.id,
        contract.id,
        "saved:mlp-export",
    ]
    assert found_by(upgraded()) == []


def test_automatic_leaves_the_answer_what_it_is(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where nothing can be bisected."""
    found = upgraded(exchanges=[exchange("export", excess=9.0)])
    blamed = upgrade._blamed(found, Measuring(), limit=5.0)
    assert (blamed.blames, blamed.exit_code) == ([FOUND], found.exit_code)
    assert asked[1][2]["limit"] == 5.0
    assert blame_section(blamed.blames) is not None

    def broken(*_: Any, **__: Any) -> None:
        raise BenchError("the index does not answer")

    monkeypatch.setattr(command, "investigate", broken)
    assert upgrade._blamed(found, Measuring(), limit=5.0) == found
    assert "not bisected: the index does not answer" in capsys.readouterr().out
