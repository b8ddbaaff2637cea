"""Tests of what the job of bisecting leaves on disk, with environments that exist on paper only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import mnist
from bench.cells.cell import Cell
from bench.environments.interpreters import Interpreter
from bench.environments.prepare import Built
from bench.environments.releases import Chain
from bench.environments.requirements import Side, lock_of, lock_versions
from bench.errors import BenchError
from bench.execution.cluster import Placement
from bench.jobs import bisecting
from bench.jobs.asking import State
from bench.jobs.bisecting import Options, bisect_findings, side_again
from bench.jobs.findings import Finding, of_check, of_item, of_saved
from bench.jobs.reproduce import Reproduction
from bench.report.markdown import markdown
from bench.report.sections.blame import blame_section
from bench.results.blame import read_blames
from bench.results.check import Check, CheckResult, Deviation
from bench.results.plan import Item
from bench.results.upgrade import SideFacts

CHECK = of_check(Check(family="loops", subject="train_on_batch-returns:loss"))
SAVED = of_saved("mlp", "keras")
CELL = of_item(Item(grid="depth", id=Cell().id(), cell=Cell()))
KERAS = ["3.13.2", "3.14.0", "3.14.1", "3.15.0"]


def built(keras: str) -> Built:
    lock = lock_of({"keras": keras, "tensorflow-cpu": "2.16.2"})
    return Built(python=Path("python"), lock=lock, key=lock, variables={}, label=keras)


class Paper:
    """A prober and an index at once: the check is mended in 3.15.0, the file broken since 3.14.0,
    and the cell rounds otherwise since then."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.machine = {"cpu": "one"}
        self.conclusions: dict[str, Any] = {}
        self.results: dict[tuple[str, str], CheckResult] = {}

    def states(self, environment: Built, turn: int) -> dict[Finding, State]:
        keras = KERAS.index(lock_versions(environment.lock)["keras"])
        assert CHECK.check is not None
        out = Deviation(tensor="call 1, loss", excess=9.0, evidence="what it shows")
        self.results[environment.key, CHECK.name] = CheckResult(
            check=CHECK.check, compared=1, deviations=[out] if keras <= 2 else ()
        )
        return {
            CHECK: State("right" if keras > 2 else "wrong", "what it shows"),
            CELL: State("rounding" if keras > 0 else "identical", "how it is trained"),
            SAVED: State("cannot be read" if keras > 0 else "read back", "what is read"),
        }

    def build(self, side: Side) -> Built:
        if side.legacy_keras:
            raise BenchError("uv finds no tf-keras")
        wanted = dict(one.split("==") for one in side.requirements)
        return built(wanted.get("keras", KERAS[0]))

    def chain(self, package: str, old: str, new: str) -> Chain:
        back = KERAS.index(old) > KERAS.index(new)
        return Chain(package=package, releases=KERAS[::-1] if back else KERAS)

    def changelog(self, environment: Built, package: str) -> str:
        return ""


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bisecting, "Processes", Paper)
    monkeypatch.setattr(bisecting, "Index", Paper)
    monkeypatch.setattr(bisecting, "probe", lambda path: Interpreter(path, "3.11.7"))
    monkeypatch.setattr(mnist, "load", lambda **_: None)


def test_blames_and_issues_are_written(tmp_path: Path, paper: None) -> None:
    """No issue of what was mended; what is known of a contract is linked."""
    options = Options(folder=tmp_path / "u", cache=tmp_path, placement=Placement())
    pair: Any = {"old": built(KERAS[0]), "new": built(KERAS[-1])}
    said: list[str] = []
    found = bisect_findings([CHECK, SAVED], pair, {}, options, say=said.append)
    assert read_blames(tmp_path / "u") == found
    mended, broken = found
    assert [(one.pairs[0].before, one.pairs[0].after) for one in found] == [
        ("3.14.1", "3.15.0"),
        ("3.13.2", "3.14.0"),
    ]
    assert (mended.mended, broken.mended) == (True, False)
    assert "keras #22596" in " ".join(mended.known)
    assert broken.known == []
    assert [path.name for path in (tmp_path / "u" / "issues").iterdir()] == ["saved-mlp-keras.md"]
    assert "keras: 3.13.2 against 3.14.0" in Path(broken.issue).read_text()
    assert any("keras 3.14.0: changed" in line for line in said)


def test_the_script_of_a_broken_contract_is_run_on_both_releases(
    tmp_path: Path, paper: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 3.15.0 back to 3.13.2 the contract breaks; what does not show it is not kept."""
    shown, told = [True], []

    def write(result: CheckResult, path: Path, **sides: Any) -> Reproduction:
        told.append((result, [lock_versions(sides[s].lock)["keras"] for s in ("kept", "broken")]))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("script")
        return Reproduction(shown=shown[0], reason="as asked", seeds=[])

    monkeypatch.setattr(bisecting, "write_contract", write)
    options = Options(folder=tmp_path / "u", cache=tmp_path, placement=Placement())
    pair: Any = {"old": built(KERAS[-1]), "new": built(KERAS[0])}
    (found,) = bisect_findings([CHECK], pair, {}, options, say=lambda _: None)
    ((result, keras),) = told
    assert result.deviations[0].tensor == "call 1, loss"
    assert keras == ["3.15.0", "3.14.1"]
    assert Path(found.script).read_text() == "script"
    assert found.script in Path(found.issue).read_text()
    shown[0] = False
    (found,) = bisect_findings([CHECK], pair, {}, options, say=lambda _: None)
    assert found.script == ""
    assert "pytest" in Path(found.issue).read_text()
    assert not list((tmp_path / "u" / "reproducers").iterdir())


def test_rounding_is_bisected_and_reported_to_nobody(tmp_path: Path, paper: None) -> None:
    options = Options(folder=tmp_path / "u", cache=tmp_path, placement=Placement())
    pair: Any = {"old": built(KERAS[0]), "new": built(KERAS[-1])}
    (found,) = bisect_findings([CELL], pair, {}, options, say=lambda _: None)
    assert [(one.before, one.after) for one in found.pairs] == [("3.13.2", "3.14.0")]
    assert (found.rounding, found.issue, found.script) == (True, "", "")
    assert not (tmp_path / "u" / "issues").exists()
    assert "by rounding alone: there is nothing to report" in markdown([blame_section([found])])


def test_a_stored_side_is_its_interpreter_or_what_was_installed(tmp_path: Path) -> None:
    python = tmp_path / "python"
    facts = SideFacts(
        label="x", python=str(python), lock="keras==3.1.0\nnumpy==2.0.0\n", variables={"A": "1"}
    )
    assert side_again(facts).requirements == ("keras==3.1.0", "numpy==2.0.0")
    python.touch()
    assert side_again(facts) == Side(python=str(python), variables={"A": "1"})
