"""Tests of what an upgrade is asked with, plans, keeps and goes on from."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench.cells.component_grids import UPGRADE_GRIDS
from bench.commands import main as cli
from bench.commands import upgrade
from bench.environments import prepare
from bench.environments.prepare import Built
from bench.environments.requirements import Side as Requested
from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE, EXIT_UNDECIDED, BenchError
from bench.execution import saving
from bench.execution.cluster import Placement
from bench.jobs import reproducers
from bench.jobs.reproduce import Reproduction
from bench.jobs.upgrade import Options, UpgradeRun, left_out, planned
from bench.jobs.workloads import next_round
from bench.results.find import UPGRADE, is_upgrade
from bench.results.timings import SIDES, Side
from bench.results.upgrade import Description, SideFacts, claimed, read_upgrade
from bench.verdict.conclusion import Answer, Conclusion, of_upgrade
from bench.verdict.envelope import describe
from bench.verdict.speed import judge
from support.builders import replaced, write
from support.main_jobs import FAULTY_PATH
from support.upgraded import ITEMS, crash, measured, outside, same, side, timed, upgraded, worse

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, where the key of its seals lies."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def sides_of(*words: str) -> dict[Side, Requested]:
    """The sides that a command line asks for."""
    _, bound = cli.parse(["upgrade", *words])
    given, measuring = bound.arguments, bound.arguments["measuring"]
    return upgrade.requested(given["side"], given["sides"], package=measuring.environments.package)


def options(folder: Path, **changes: object) -> Options:
    given = {"tier": "quick", "folder": folder, "placement": Placement(workers=2)}
    return Options(**{**given, **changes})


# --- Sides


def test_two_requirements_are_old_and_new() -> None:
    sides = sides_of("2.20", "tensorflow-cpu==2.21.0 keras==3.12.*")
    assert sides["old"].requirements == ("tensorflow-cpu==2.20.*",)
    assert sides["new"].requirements == ("tensorflow-cpu==2.21.0", "keras==3.12.*")


def test_an_interpreter_takes_the_place_of_a_requirement() -> None:
    """On either side; the requirement is then the other side's."""
    sides = sides_of("2.21", "--old-python", sys.executable)
    assert sides["old"].python
    assert sides["new"].requirements == ("tensorflow-cpu==2.21.*",)
    sides = sides_of("2.20", "--new-python", sys.executable)
    assert sides["old"].requirements == ("tensorflow-cpu==2.20.*",)
    assert sides["new"].python


@pytest.mark.parametrize("words", [["2.21"], ["--old-python", sys.executable]])
def test_one_side_stands_for_both_where_their_variables_differ(words: list[str]) -> None:
    """The same version under another setting."""
    sides = sides_of(*words, "--new-env", "TF_ENABLE_ONEDNN_OPTS=0")
    assert sides["old"].requirements == sides["new"].requirements
    assert sides["old"].python == sides["new"].python
    assert sides["old"].variables == {}
    assert sides["new"].variables == {"TF_ENABLE_ONEDNN_OPTS": "0"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "two sides are needed"),
        (["2.21"], "two sides are needed"),
        (["2.21", "--old-env", "A=1", "--new-env", "A=1"], "two sides are needed"),
        (["2.19", "2.20", "2.21"], "3 sides are given by requirements"),
        (["2.20", "2.21", "--new-python", "/usr/bin/python3"], "2 sides are given by requirements"),
    ],
)
def test_too_few_and_too_many_sides_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        sides_of(*words)


# --- The plan


def test_every_cell_of_every_grid_is_planned_under_one_seed(tmp_path: Path) -> None:
    """And the tier's seeds for cells whose bits differ, and the checks."""
    plan = planned(options(tmp_path))
    assert len(plan.items) == sum(len(grid.cells("quick")) for grid in UPGRADE_GRIDS.values())
    assert (plan.seeds, plan.further) == ([0], [1, 2, 3, 4])
    assert len(plan.checks) > 400
    assert not plan.selected


def test_selecting_cells_leaves_out_the_checks(tmp_path: Path) -> None:
    plan = planned(options(tmp_path, grids=["optimizer"], expression="opt:adam- or opt:adamw"))
    assert {item.grid for item in plan.items} == {"optimizer"}
    assert {item.cell.optimizer for item in plan.items} == {"adam", "adamw"}
    assert plan.checks == []
    assert plan.selected


def test_an_expression_selects_checks_and_contracts_too(tmp_path: Path) -> None:
    plan = planned(options(tmp_path, expression="early_stopping or loops:fit-twice"))
    assert not plan.items
    names = {check.id for check in plan.checks}
    assert "loops:fit-twice" in names
    assert all("early_stopping" in name or name == "loops:fit-twice" for name in names)
    assert len(names) > 2
    skipped = options(tmp_path, expression="adam", skip={"cells", "arithmetic"})
    assert {check.is_contract for check in planned(skipped).checks} == {True}


def test_what_is_left_out_is_what_was_not_chosen(tmp_path: Path) -> None:
    """A reader is told what was not measured, and not what was."""
    chosen = options(tmp_path, grids=["optimizer", "dropout"], expression="adam", skip={"speed"})
    assert left_out(chosen) == [
        "speed (--skip speed)",
        "grids other than optimizer, dropout (--grid)",
        "cells that -k 'adam' does not match",
        "arithmetic and contracts, as grids were selected",
    ]
    once = options(tmp_path, expression="adam", skip={"checks", "saving"})
    assert left_out(once) == [
        "arithmetic and contracts (--skip checks)",
        "saved models (--skip saving)",
        "cells that -k 'adam' does not match",
    ]
    both = options(tmp_path, expression="adam")
    assert left_out(both) == ["cells, checks and contracts that -k 'adam' does not match"]
    assert left_out(options(tmp_path)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tier": "slow"}, "no tier 'slow'"),
        ({"grids": ["width"]}, "no grid 'width'"),
        ({"expression": "nothing_like_it"}, "no cell, check or contract of tier quick"),
        ({"seeds": 0}, "--seeds must be above 0"),
        ({"seeds": -1}, "--seeds must be above 0"),
    ],
)
def test_a_plan_of_nothing_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        planned(options(tmp_path, **changes))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-k", "nothing_like_it"], "no cell, check or contract of tier quick"),
        (["--seeds", "0"], "--seeds must be above 0"),
        (["--workers", "0"], "--workers must be above 0"),
    ],
)
@pytest.mark.parametrize("command", ["upgrade", "matrix"])
def test_wrong_options_are_told_before_environments_are_built(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    words: list[str],
    message: str,
) -> None:
    """Building takes minutes."""

    def built(*_: object, **__: object) -> None:
        pytest.fail("an environment was built")

    monkeypatch.setattr(prepare, "prepare", built)
    arguments = [command, "2.20", "2.21", "--results", str(tmp_path), *words]
    assert cli.main(arguments) == EXIT_TROUBLE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume"], "--resume: which one?"),
        (["--resume", "--run", "typo"], "typo: no such upgrade"),
        (["--run", "there"], "there: already holds an upgrade"),
        (["--cell", "depth:3"], "Unknown option: --cell"),
    ],
)
def test_the_folder_is_looked_at_before_environments_are_built(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    """A mistyped name never starts a new measurement, and no option is taken for a longer one."""
    monkeypatch.setattr(prepare, "prepare", lambda *_, **__: pytest.fail("built"))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / UPGRADE).write_text("{}")
    arguments = ["upgrade", "2.20", "2.21", "--results", str(tmp_path), *words]
    assert cli.main(arguments) == EXIT_TROUBLE
    assert message in capsys.readouterr().err


def test_the_time_for_speed_grows_where_it_is_undecided() -> None:
    """Beyond the limit only what is undecided at every margin goes on, for half as long again."""
    names = {"fit": 0.05, "xla": 0.15}
    found = {t.workload: t for t in (timed(noise=n, engine=e) for e, n in names.items())}
    fine, open_ = found
    assert [one.name for one in judge({w: t.rounds for w, t in found.items()}).values()] == [
        "same within 5 %",
        "undecided",
    ]
    assert set(next_round(found, 200.0, limit_sec=200.0)) == {fine, open_}
    assert set(next_round(found, 200.1, limit_sec=200.0)) == {open_}
    assert set(next_round(found, 300.0, limit_sec=200.0)) == {open_}
    assert not next_round(found, 300.1, limit_sec=200.0)


def test_an_interruption_tells_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder's name is told at the start, and the options to continue with at the end."""

    def interrupted(*_: object) -> None:
        (tmp_path / "u").mkdir()
        (tmp_path / "u" / UPGRADE).write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(upgrade, "_measured", interrupted)
    arguments = ["upgrade", "2.20", "2.21", "--results", str(tmp_path), "--run", "u"]
    assert cli.main(arguments) == EXIT_TROUBLE
    told = capsys.readouterr().out
    assert f"results: {tmp_path / 'u'}" in told
    assert "--run u --resume" in told


@pytest.mark.parametrize(("device", "hidden"), [("cpu", "-1"), ("gpu", None)])
def test_a_script_runs_where_its_cell_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, hidden: str | None
) -> None:
    """TensorFlow takes a GPU where it sees one, and rounds otherwise there."""
    seen = []

    def check(path: Path, *, old: SideFacts, new: SideFacts, timeout_sec: float) -> Reproduction:
        del path, timeout_sec
        seen.extend([old.variables.get("CUDA_VISIBLE_DEVICES"), new.variables.get("TF_X")])
        return Reproduction(shown=True, reason="", seeds=[0])

    monkeypatch.setattr(reproducers, "check", check)
    runs = {name: side(name) for name in SIDES}
    for name, run in runs.items():
        runs[name] = replaced(run, plan=msgspec.structs.replace(run.plan, device=device))
    sides = {
        name: SideFacts(label="", python="", lock="", variables={"TF_X": "1"}) for name in SIDES
    }
    found = upgraded(runs["old"], runs["new"], sides=sides)
    reproducers.write_reproducer(found, outside(ITEMS[0]), tmp_path / "x.py")
    assert seen == [hidden, "1"]


def test_a_report_is_there_before_scripts_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops the scripts, which take minutes, keeps what was measured for as long."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reproducers, "write_reproducers", stopped)
    found = upgraded()
    found = dataclasses.replace(found, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        upgrade.tell(found)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"report.md", "report.html", "upgrade-report.json"}


def description() -> Description:
    return Description(tier="quick", sides=measured().sides, runs={name: name for name in SIDES})


def test_an_upgrade_is_reported_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name, like a run, with the scripts that were made; commands on one run ask for a side."""
    for name, change in zip(SIDES, (same, crash), strict=True):
        write(replaced(side(name, change), path=tmp_path / "u" / name))
    with claimed(tmp_path / "u", description(), resume=False):
        pass
    script = tmp_path / "u" / "reproducers" / "depth-1-norm-none-opt-sgd-steps-200.py"
    script.parent.mkdir()
    script.touch()
    here = ["--results", str(tmp_path)]
    assert cli.main(["report", "u", *here]) == EXIT_REGRESSED
    report = tmp_path / "u" / "report.md"
    assert str(report) in capsys.readouterr().out
    assert str(script) in report.read_text()
    assert cli.main(["report", "u", *here, "--output", "-"]) == EXIT_REGRESSED
    assert capsys.readouterr().out == report.read_text()
    assert cli.main(["compare", "u", "u", *here]) == EXIT_TROUBLE
    assert f"name one of them: {tmp_path / 'u' / 'old'} or" in capsys.readouterr().err


def interpreter(path: Path) -> Path:
    """A program that leaves a mark when it is started, and prints what a script would."""
    path.write_text(
        f"#!/bin/sh\ntouch '{path}.started'\n"
        """echo '{"tensorflow": "1", "numpy": "1"}'\n"""
        """echo '{"step": 0, "numbers": {"loss": 1.0}, "rounding": {"loss": 0.1}}'\n"""
    )
    path.chmod(0o755)
    return path


def started(*programs: Path) -> list[bool]:
    """Whether they were, since they were last asked about."""
    marks = [path.with_name(f"{path.name}.started") for path in programs]
    found = [mark.exists() for mark in marks]
    for mark in marks:
        mark.unlink(missing_ok=True)
    return found


def test_programs_that_a_foreign_folder_names_are_not_started(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was not measured here by this user needs --trust, which says what it would start; so does
    what was altered since. Interpreters that the user names run without the variables of the folder."""
    for name, change in zip(SIDES, (same, worse), strict=True):
        write(replaced(side(name, change), path=tmp_path / "u" / name))
    theirs = {name: interpreter(tmp_path / f"their {name}") for name in SIDES}
    mine = [interpreter(tmp_path / f"my_{name}") for name in SIDES]
    facts = {
        name: SideFacts(
            label="2.20", python=str(theirs[name]), lock="", variables={"LD_PRELOAD": "a b\x1b.so"}
        )
        for name in SIDES
    }
    described = msgspec.structs.replace(description(), sides=facts)
    command = ["reproduce", "u", ITEMS[0].id, "--results", str(tmp_path)]
    with claimed(tmp_path / "u", described, resume=False):
        pass
    file = tmp_path / "u" / UPGRADE
    sealed = file.read_bytes()
    capsys.readouterr()
    assert cli.main(command) == EXIT_UNDECIDED, capsys.readouterr().err
    assert started(*theirs.values()) == [True, True]
    key = cache / "seal.key"
    assert key.stat().st_mode & 0o077 == 0

    altered = sealed.replace(b"a b", b"a c")
    for content in (altered, re.sub(rb',\s*"seal": "[0-9a-f]+"', b"", sealed)):
        assert content != sealed
        file.write_bytes(content)
        assert cli.main(command) == EXIT_TROUBLE
        said = capsys.readouterr().err
        assert "their old' SCRIPT" in said
        assert r"\x1b.so" in said
        assert "--trust" in said
        assert started(*theirs.values()) == [False, False]
    named = ["--old-python", str(mine[0])]
    assert cli.main([*command, *named]) == EXIT_TROUBLE
    assert "their old" not in capsys.readouterr().err
    assert cli.main([*command, *named, "--new-python", str(mine[1])]) == EXIT_UNDECIDED
    assert started(*theirs.values(), *mine) == [False, False, True, True]
    assert cli.main([*command, "--trust"]) == EXIT_UNDECIDED
    assert started(*theirs.values()) == [True, True]

    file.write_bytes(sealed)
    key.write_bytes(bytes(32))
    assert cli.main(command) == EXIT_TROUBLE, "another user's seal"
    assert started(*theirs.values()) == [False, False]


@pytest.mark.parametrize("run", ["/etc", "../../elsewhere", "..", ".", "old/../../x", "a\0b", ""])
def test_runs_lie_below_or_beside_the_upgrade(tmp_path: Path, run: str) -> None:
    """A folder from elsewhere names no others of this machine."""
    (tmp_path / "u").mkdir()
    content = msgspec.json.encode(description()).replace(b'"new":"new"', b'"new":%b')
    (tmp_path / "u" / UPGRADE).write_bytes(content % msgspec.json.encode(run))
    with pytest.raises(BenchError, match="neither below this folder nor beside it"):
        read_upgrade(tmp_path / "u")


def test_links_do_not_lead_a_side_elsewhere(tmp_path: Path) -> None:
    """A step of a matrix has its sides beside it; one whose name leads away is refused."""
    write(replaced(side("old"), path=tmp_path / "m" / "2.20"))
    far = write(replaced(side("new"), path=tmp_path / "far"))
    runs = {"old": "../2.20", "new": "../2.21"}
    described = msgspec.structs.replace(description(), runs=runs)
    (tmp_path / "m" / "step").mkdir()
    (tmp_path / "m" / "step" / UPGRADE).write_bytes(msgspec.json.encode(described))
    (tmp_path / "m" / "2.21").symlink_to(far)
    with pytest.raises(BenchError, match=re.escape(f"leads to {far}")):
        read_upgrade(tmp_path / "m" / "step")
    (tmp_path / "m" / "2.21").unlink()
    far.rename(tmp_path / "m" / "2.21")
    assert len(read_upgrade(tmp_path / "m" / "step").new.records) > 0


@pytest.mark.parametrize("error", [BenchError("the model cannot be built"), KeyboardInterrupt()])
def test_a_folder_of_an_upgrade_that_never_began_goes(tmp_path: Path, error: BaseException) -> None:
    """One that was there before stays, and so does one with a side's plan."""
    folder = tmp_path / "u"

    def fail(folder: Path, begin: Callable[[], object]) -> None:
        with claimed(folder, description(), resume=False):
            begin()
            raise error

    fresh, begun, mine = (tmp_path / name for name in ("fresh", "begun", "mine"))
    mine.mkdir()
    (mine / "notes").touch()
    run = replaced(side("old"), path=begun / "old")
    for folder, begin in ((fresh, dict), (begun, lambda: write(run)), (mine, dict)):
        with pytest.raises(type(error)):
            fail(folder, begin)
    assert not fresh.exists()
    assert (begun / UPGRADE).exists()
    assert (mine / "notes").exists()


def test_a_folder_in_use_is_told_before_environments_are_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another process goes on with this upgrade."""
    monkeypatch.setattr(prepare, "prepare", lambda *_, **__: pytest.fail("built"))
    with claimed(tmp_path / "u", description(), resume=False):
        words = ["--results", str(tmp_path), "--run", "u", "--resume"]
        assert cli.main(["upgrade", "2.20", "2.21", *words]) == EXIT_TROUBLE
    assert "another process is writing" in capsys.readouterr().err


# --- The whole


def built(python: str, variables: dict[str, str], folder: Path) -> Built:
    own = {"PYTHONPATH": os.environ.get("PYTHONPATH", str(REPOSITORY)), **variables}
    return Built(
        python=Path(python),
        lock="tensorflow==0",
        key=repr(variables),
        variables=own,
        label=f"python in {folder.name}",
    )


@pytest.fixture
def images(
    images_file: Path, image_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Path:
    for name, value in image_variables.items():
        monkeypatch.setenv(name, value)
    return images_file


def run_upgrade(chosen: Options, new: dict[str, str], python: str = sys.executable) -> Conclusion:
    """Runs it between two environments of processes: variables of the new one, else this one's."""
    sides: dict[Side, Built] = {
        side: built(python, new if side == "new" else {}, chosen.folder) for side in SIDES
    }
    return of_upgrade(UpgradeRun(chosen, sides, stream=io.StringIO()).measure())


def test_the_same_environment_on_both_sides_is_safe_and_resumes(
    tmp_path: Path, images: Path, faulty: None
) -> None:
    """Bits are equal under one seed, and no other is trained. A second start with the same sides has
    nothing left to do; without ``resume``, or with other sides, it is refused. Training processes
    are stand-ins."""
    new = {"PYTHONPATH": FAULTY_PATH, "FAULTY_SLEEP_SEC": "0.02"}
    chosen = options(
        tmp_path / "same", expression="depth:1-", skip={"speed", "saving"}, data_dir=images
    )
    found = run_upgrade(chosen, new)
    assert found.answer is Answer.SAFE
    assert found.exit_code == EXIT_OK
    assert {judgement.verdict.value for judgement in found.judgements} == {"identical"}
    assert all("1 seed" in judgement.reason for judgement in found.judgements)
    assert is_upgrade(chosen.folder)
    kept = [side.records for side in found.both]
    with pytest.raises(BenchError, match="already holds"):
        run_upgrade(chosen, new)
    again = Options(**{**vars(chosen), "resume": True})
    with pytest.raises(BenchError, match="of the same sides"):
        run_upgrade(Options(**{**vars(again), "variables": {"new": {"A": "1"}}}), new)
    found = run_upgrade(again, new)
    assert [side.records for side in found.both] == kept


def test_a_part_whose_file_is_lost_is_not_safe(tmp_path: Path, images: Path, faulty: None) -> None:
    """It was not left out, so the answer cannot be that all is well."""
    choices = {"grids": ["depth"], "expression": "depth:1-", "skip": {"speed", "saving"}}
    chosen = options(tmp_path / "u", data_dir=images, **choices)
    assert run_upgrade(chosen, {"PYTHONPATH": FAULTY_PATH}).answer is Answer.SAFE
    content = json.loads((chosen.folder / UPGRADE).read_bytes())
    content["left_out"] = [part for part in content["left_out"] if "saving" not in part]
    (chosen.folder / UPGRADE).write_text(json.dumps(content))
    for _ in ("no file", "an empty one"):
        found = of_upgrade(read_upgrade(chosen.folder))
        assert found.answer is Answer.UNDECIDED
        assert found.exit_code == EXIT_TROUBLE
        assert "saving.json is missing: that part was not measured, or is lost" in found.because
        (chosen.folder / "saving.json").write_text("[]")


#: Trained by SGD, and by an optimizer of its own.
TOUCHED = "optimizer/depth:3-clip:none-opt:sgd-steps:200-decay:0.0"
UNTOUCHED = "optimizer/depth:1-clip:none-opt:ftrl-steps:200-decay:0.0"
#: SGD's rate is a tenth of a percent off.
PLANTED = """
import sys
if "bench.execution.trainer" in sys.orig_argv:
    import tensorflow as tf
    class SGD(tf.keras.optimizers.SGD):
        def apply_gradients(self, pairs, *args, **kwargs):
            pairs = [(gradient * 1.001, variable) for gradient, variable in pairs]
            return super().apply_gradients(pairs, *args, **kwargs)
    tf.keras.optimizers.SGD = SGD
"""


def test_a_planted_rate_is_not_safe_and_the_rest_identical(
    tmp_path: Path, images: Path, preloaded_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real TensorFlow. Where bits are equal under one seed no other is trained; where they
    differ every seed is, copies too, and the change is found with the first update. Models are
    exchanged: one of each kind, as ``nets/test_saving.py`` has them all."""
    monkeypatch.setattr(saving, "MODELS", {"mlp": saving.MODELS["mlp"]})
    monkeypatch.setattr(saving, "COMPOSED", {"own": saving.COMPOSED["own"]})
    (tmp_path / "sitecustomize.py").write_text(PLANTED)
    new = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    chosen = options(
        tmp_path / "run", expression=f"{TOUCHED} or {UNTOUCHED}", skip={"speed"}, data_dir=images
    )
    found = run_upgrade(chosen, new, preloaded_python)
    assert found.answer is Answer.UNSAFE
    assert found.exit_code == EXIT_REGRESSED
    assert "cell changed" in found.because[0]
    verdicts = {f"{each.item.grid}/{each.item.id}": each for each in found.judgements}
    assert {name: each.verdict.value for name, each in verdicts.items()} == {
        TOUCHED: "changed",
        UNTOUCHED: "identical",
    }
    assert "1 seed" in verdicts[UNTOUCHED].reason
    assert found.failing == [verdicts[TOUCHED]]
    envelope = verdicts[TOUCHED].envelope
    assert envelope is not None
    assert envelope.seeds == 5
    told = describe(envelope)
    assert "losses leave the rounding envelope at step 1" in told
    assert re.search(r"it begins in layer 1, (kernel|bias), which departs by [^ ]+ of its", told)
    assert {each.outcome.fails for each in found.savings} == {False}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / UPGRADE).write_text('{"schema": 99, "tier": "quick", "sides": {}, "runs": {}}')
    with pytest.raises(BenchError, match=r"upgrade\.json.*schema 99"):
        read_upgrade(folder)
