"""``bench baseline ...``: what is shown, asked and written."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.cells.grids import GRIDS
from bench.commands import main as cli
from bench.verdict.baselines.folder import read_baseline
from support.builders import (
    CLASS,
    DEPTH_AXES,
    crashed,
    environment,
    healthy,
    items,
    plan,
    replaced,
    stored,
    trained,
    write,
)
from support.cli import accepted, results, worse
from support.golden import check_golden


def test_accept_shows_then_writes(capsys: pytest.CaptureFixture[str]) -> None:
    """First the change, then the files; a second time nothing is left to accept."""
    run = healthy(results("a"))
    write(run)
    assert cli.main(["baseline", "accept", "a", "--yes", "--reason", "first"]) == 0
    check_golden("cli-accept-new.md", capsys.readouterr().out)
    assert sorted(path.name for path in Path("baselines", CLASS).iterdir()) == [
        "class.json",
        "depth.json",
        "depth.traces.jsonl",
    ]
    assert cli.main(["baseline", "accept", "a", "--yes", "--reason", "again"]) == 0
    assert capsys.readouterr().out == (
        f"results/a holds no other result than the baseline {CLASS}.\n"
    )


def test_accept_asks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal it needs --yes; on one, anything but yes leaves all as it was."""
    write(healthy(results("a")))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert cli.main(["baseline", "accept", "a", "--reason", "x"]) == 2
    out, err = capsys.readouterr()
    assert "6 new cells" in out
    assert "add --yes to accept" in err
    assert not Path("baselines").exists()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, code in (("", 2), ("n", 2), ("yes", 0)):
        answers = iter(["because", answer])
        monkeypatch.setattr("builtins.input", lambda _, answers=answers: next(answers))
        assert cli.main(["baseline", "accept", "a"]) == code
        assert Path("baselines", CLASS).exists() == (code == 0)


def test_accept_without_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """A baseline that nobody can explain is refused."""
    write(healthy(results("a")))
    assert cli.main(["baseline", "accept", "a", "--yes"]) == 2
    assert "a baseline needs a reason" in capsys.readouterr().err
    assert not Path("baselines").exists()


def stored_ids(of: str = CLASS) -> list[str]:
    content = json.loads(Path("baselines", of, "depth.json").read_text())
    return [cell["id"].partition("-init")[0] for cell in content["cells"]]


def test_accept_a_selection(capsys: pytest.CaptureFixture[str]) -> None:
    """``-k "depth:3-"`` takes depth 3 and leaves depth 30; other cells stay as they were."""
    run = healthy(results("a"))
    write(run)
    arguments = ["baseline", "accept", "a", "--yes", "--reason", "x", "-k"]
    assert cli.main([*arguments, "depth:3- and not tanh"]) == 0
    assert stored_ids() == ["depth:3-act:relu"]
    assert cli.main([*arguments, "tanh", "--grid", "depth"]) == 0
    assert stored_ids() == ["depth:3-act:relu", *(f"depth:{d}-act:tanh" for d in (3, 10, 30))]
    capsys.readouterr()
    assert cli.main([*arguments, "gelu"]) == 2
    assert "-k 'gelu' matches none of 6 cells" in capsys.readouterr().err
    assert cli.main([*arguments, "a = b"]) == 2
    assert "unexpected '=' at column 3" in capsys.readouterr().err
    assert cli.main([*arguments, "", "--grid", "clip"]) == 2
    assert "--grid clip: not in this run" in capsys.readouterr().err


def test_accept_what_differs_from_another_class(capsys: pytest.CaptureFixture[str]) -> None:
    """A class need only hold the cells whose bits are its own; the others are served by the class that
    was there. Where all bits are the same there is nothing to accept."""
    run = healthy(results("a"))
    write(run)
    accepted(run)
    amx = msgspec.structs.replace(run.environment.numerics, isa="amx")
    same = replaced(healthy(results("b")), environment=environment(numerics=amx))
    write(same)
    arguments = ["--yes", "--reason", "x", "--differing"]
    assert cli.main(["baseline", "accept", "b", *arguments]) == 2
    assert "all 6 cells have the bits of baseline" in capsys.readouterr().err
    tanh = {
        replica: msgspec.structs.replace(record, digest=f"amx {replica.seed}")
        if record.cell.activation == "tanh"
        else record
        for replica, record in same.records.items()
    }
    write(replaced(same, path=Path("results/c"), records=tanh))
    capsys.readouterr()
    assert cli.main(["baseline", "diff", "c", "--differing"]) == 0
    assert "3 new cells" in capsys.readouterr().out
    assert cli.main(["baseline", "accept", "c", *arguments]) == 0
    assert stored_ids(amx.environment_class) == [f"depth:{d}-act:tanh" for d in (3, 10, 30)]


def test_accept_refuses_crashes(capsys: pytest.CaptureFixture[str]) -> None:
    """An unfinished run is no baseline, unless somebody insists."""
    run = healthy(results("a"))
    records = dict(run.records)
    key = next(iter(records))
    records[key] = crashed(key.cell, key.seed)
    write(replaced(run, records=records))
    arguments = ["baseline", "accept", "a", "--yes", "--reason", "x"]
    assert cli.main(arguments) == 2
    assert "crashed under seed 0" in capsys.readouterr().err
    assert not Path("baselines").exists()
    assert cli.main([*arguments, "--force"]) == 0


def test_diff(capsys: pytest.CaptureFixture[str]) -> None:
    """What accepting would change, and nothing is written."""
    run = healthy(results("a"))
    write(run)
    accepted(run)
    before = {path: path.read_bytes() for path in Path("baselines").rglob("*.json")}
    write(worse(healthy(results("b")), 10))
    capsys.readouterr()
    assert cli.main(["baseline", "diff", "b"]) == 0
    check_golden("cli-diff.md", capsys.readouterr().out)
    assert {path: path.read_bytes() for path in Path("baselines").rglob("*.json")} == before


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    """The cells of the only class; some of them; the classes where there are several."""
    assert cli.main(["baseline", "show"]) == 2
    assert "baselines: holds no baseline" in capsys.readouterr().err
    run = healthy(results("a"))
    write(run)
    accepted(run)
    capsys.readouterr()
    assert cli.main(["baseline", "show"]) == 0
    today = time.strftime("%Y-%m-%d")
    check_golden("cli-show.md", capsys.readouterr().out.replace(today, "2026-11-21"))
    assert cli.main(["baseline", "show", "depth:3-"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall("^. `depth/depth:", out, re.MULTILINE)) == 2
    assert cli.main(["baseline", "show", "--class", "cpu-z"]) == 2
    assert f"no baseline of class 'cpu-z'\n  -> there are: {CLASS}" in capsys.readouterr().err
    assert cli.main(["baseline", "show", "nothing-like-it"]) == 2
    numerics = msgspec.structs.replace(environment().numerics, isa="avx2")
    other = healthy(results("c"), of=environment(numerics=numerics))
    write(other)
    accepted(other)
    capsys.readouterr()
    assert cli.main(["baseline", "show"]) == 0
    out = capsys.readouterr().out
    assert "| `cpu-avx2-onednn-1thread`" in out
    assert f"| `{CLASS}`" in out


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    """Sound baselines pass; a cell of no grid, damage, and nothing at all do not."""
    assert cli.main(["baseline", "check"]) == 2
    assert "holds no baseline, so none was checked" in capsys.readouterr().err
    grid = GRIDS["depth"]
    cells = list(grid.cells("quick").values())[:3]
    the_plan = plan(items("depth", cells, grid.axes))
    records = [trained(cell, seed) for cell in cells for seed in the_plan.seeds]
    run = stored(the_plan, records, path=results("a"))
    write(run)
    accepted(run)
    capsys.readouterr()
    assert cli.main(["baseline", "check"]) == 0
    assert capsys.readouterr().out == "1 baseline checked, 0 problems\n"
    path = Path("baselines", CLASS, "depth.json")
    sound = path.read_text()
    path.write_text(sound.replace('"depth:1-', '"depth:99-', 1))
    assert cli.main(["baseline", "check"]) == 2
    assert "depth.traces.jsonl, line 2: is of depth:1-" in capsys.readouterr().out
    accuracy = re.search(r'"test_accuracy":0\.9(\d+)', sound)
    assert accuracy is not None
    path.write_text(sound.replace(accuracy[0], f'"test_accuracy":0.1{accuracy[1]}'))
    assert cli.main(["baseline", "check"]) == 2
    assert "is not what was written" in capsys.readouterr().out
    assert cli.main(["baseline", "diff", "a"]) == 2
    assert f"{path}: depth:" in capsys.readouterr().err
    path.write_text(sound[:100])
    assert cli.main(["baseline", "check"]) == 2
    assert "not a baseline of schema 3" in capsys.readouterr().out


def test_check_of_a_cell_of_no_grid(capsys: pytest.CaptureFixture[str]) -> None:
    """A grid's value may have gone since."""
    cell = Cell(depth=99)
    the_plan = plan(items("depth", [cell], DEPTH_AXES))
    run = stored(the_plan, [trained(cell, seed) for seed in the_plan.seeds], path=results("a"))
    write(run)
    accepted(run)
    assert cli.main(["baseline", "check"]) == 2
    assert "is in no grid any more" in capsys.readouterr().out


def test_accept_notes_mixed_versions_seeds_and_absent_cells(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What will stand side by side is said before accepting, with figures."""
    write(healthy(results("a")))
    accepted(healthy(results("a")))
    run = healthy(results("b"), of=environment(software={"tensorflow": "2.22.0"}))
    cells = [item.cell for item in run.plan.items[:4]]
    the_plan = plan(run.plan.items[:4], seeds=(0, 1))
    records = [trained(cell, seed, salt="b") for cell in cells for seed in (0, 1)]
    write(stored(the_plan, records, path=run.path, of=run.environment))
    capsys.readouterr()
    arguments = ["baseline", "accept", "b", "--yes", "--reason", "x", "-k", "depth:3-"]
    assert cli.main([*arguments, "--force"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "4 cells of the baseline stay as TensorFlow 2.21.0 with Keras 3.15.1 gave them, and this run "
        "is of 2.22.0 with 3.15.1: the class then mixes versions" in out
    )
    assert "2 cells stored under other seeds than this run's: 0, 1, 2, now 0, 1;" in out
    assert "2 cells of the baseline not in this run, such as depth/depth:30-" in out
    assert cli.main(["baseline", "show"]) == 0
    assert "2. " in capsys.readouterr().out


def test_fewer_seeds_are_no_change_and_need_force(capsys: pytest.CaptureFixture[str]) -> None:
    """What both have is compared alone, and that is said; stored seeds do not go by mistake."""
    whole = healthy(results("a"))
    write(whole)
    accepted(whole)
    first = {key: record for key, record in whole.records.items() if key.seed == 0}
    one = replaced(whole, plan=plan(whole.plan.items, seeds=[0]), records=first)
    write(msgspec.structs.replace(one, path=results("b")))
    assert cli.main(["baseline", "diff", "b"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "results/b holds no other result than the baseline" in out
    assert "6 cells stored under other seeds than this run's: 0, 1, 2, now 0;" in out
    assert "changed" not in out
    arguments = ["baseline", "accept", "b", "--yes", "--reason", "x"]
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert "would lose seeds that are stored: 1, 2" in error
    assert "--all-seeds" in error
    assert "--force" in error
    baseline = read_baseline(Path("baselines"), CLASS)
    assert baseline is not None
    assert {len(cell.samples) for cell in baseline.grids["depth"].values()} == {3}
    assert cli.main([*arguments, "--force"]) == 0
    baseline = read_baseline(Path("baselines"), CLASS)
    assert baseline is not None
    assert {len(cell.samples) for cell in baseline.grids["depth"].values()} == {1}


def test_accept_adds_trajectories_to_equal_results(capsys: pytest.CaptureFixture[str]) -> None:
    """Results are the same, but were stored without trajectories: these are added, and said so."""
    run = healthy(results("a"))
    bare = {k: msgspec.structs.replace(r, trajectory=b"") for k, r in run.records.items()}
    write(replaced(run, records=bare))
    accepted(run)
    write(healthy(results("b")))
    arguments = ["baseline", "accept", "b", "--yes", "--reason", "trajectories"]
    assert cli.main(arguments) == 0
    assert "6 cells with the same results get trajectories" in capsys.readouterr().out
    assert cli.main(arguments) == 0
    assert "holds no other result than the baseline" in capsys.readouterr().out
