"""``bench ...`` as a user meets it: what is printed, where, and the exit code."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

import bench
from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.grids import GRIDS
from bench.commands import main as cli
from bench.commands import merge, report
from bench.commands.options import Cells
from bench.results import find
from bench.results.find import UPGRADE
from bench.results.run import PLAN, StoredRun
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
from support.golden import check_golden


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; claims are tested elsewhere and synthetic runs violate them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("bench.verdict.judging.check_claims", lambda *_: [])
    return tmp_path


def results(name: str) -> Path:
    return Path("results") / name


def worse(run: StoredRun, depth: int, by: float = 0.05) -> StoredRun:
    """The run with a planted loss of accuracy, and so other digests."""
    records = {
        key: msgspec.structs.replace(
            record, test_accuracy=(record.test_accuracy or 0) - by, digest=f"worse{key.seed}"
        )
        if key.cell.depth == depth
        else record
        for key, record in run.records.items()
    }
    return replaced(run, records=records)


def accepted(run: StoredRun) -> None:
    assert cli.main(["baseline", "accept", str(run.path), "--yes", "--reason", "first"]) == 0


# Help and usage


def commands() -> list[list[str]]:
    return [
        [],
        ["upgrade"],
        ["matrix"],
        ["reproduce"],
        ["published"],
        ["data"],
        ["data", "fetch"],
        ["data", "verify"],
        ["data", "where"],
        ["report"],
        ["compare"],
        ["merge"],
        ["theory"],
        ["history"],
        ["baseline"],
        ["baseline", "accept"],
        ["baseline", "show"],
        ["baseline", "diff"],
        ["baseline", "check"],
        ["baseline", "migrate"],
        ["grids"],
    ]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself in 80 columns, those that act with an example that parses."""
    assert cli.main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    if command and command not in (["data"], ["baseline"]):
        example = re.search(r"^example:\n  bench (.*)$", text, re.MULTILINE)
        assert example is not None
        words = re.findall(r'"[^"]*"|\S+', example[1].partition(" > ")[0])
        parsed, _ = cli.parse([word.strip('"') for word in words])
        assert words[: len(command)] == command
        assert parsed.__name__ == command[-1]


@pytest.mark.parametrize(
    ("group", "judges"), [([], True), (["speed"], True), (["data"], False), (["cache"], False)]
)
def test_help_of_a_group_says_where_other_exit_codes_are(
    group: list[str], judges: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """``bench speed check`` has 1 and 3, which the help of ``bench speed`` must not deny."""
    assert cli.main([*group, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "exit codes: 0 done; 2 trouble" in text
    words = " ".join(["bench", *group, "COMMAND --help"])
    assert (f"1 and 3 are answers of commands that judge: {words}" in text) is judges


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``bench --version`` names version and program."""
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"bench {bench.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which command?\n  -> bench --help"),
        (["data"], "which command?\n  -> bench data --help"),
        (["upgrad"], 'Unknown command "upgrad". Did you mean "upgrade"?'),
        (["compare", "a"], "B is missing\n  -> bench compare --help"),
        (["merge", "a"], "--run is missing\n  -> bench merge --help"),
        (["report", "a", "b"], "too many arguments: b\n  -> bench report --help"),
        (["report", "--outputs"], "Unknown option: --outputs. Did you mean --output?"),
        (["report", "a", "--output"], "--output requires an argument"),
        (["report", "a", "--output", "--results"], "--output --results: a file is missing"),
        (["compare", "a", "b", "--format", "cvs"], 'Invalid value "cvs" for --format.'),
        (["upgrade", "--skip", "sped"], 'Did you mean "speed"?'),
        (["upgrade", "--workers", "2.5"], "--workers 2.5 is not a whole number"),
        (["upgrade", "--seeds", "none"], "--seeds none is not a whole number"),
        (["published", "--cell-timeout", "nan"], "--cell-timeout must be above 0"),
        (["data", "fetch", "--source"], "--source requires at least 1 element"),
    ],
)
def test_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is exit code 2, and one message that names the option and a way out."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bench: error: ")
    assert message in err
    assert "Traceback" not in err


def test_options_as_argparse_took_them() -> None:
    """With = or attached, the last of several, lists that grow; a word such as none is a text."""
    _, bound = cli.parse(
        ["upgrade", "2.20", "--grid=a", "2.21", "--grid", "b", "-kx", "--run", "a", "--run", "none"]
    )
    assert bound.arguments["side"] == ("2.20", "2.21")
    assert bound.arguments["run"] == "none"
    assert bound.arguments["measuring"].cells == Cells(expression="x", grid=("a", "b"))


# Runs


@pytest.mark.parametrize(
    "command", [["report", "x"], ["compare", "x", "y"], ["baseline", "diff", "x"]]
)
def test_no_such_run(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Said on stderr with the way out, exit code 2, nothing on stdout."""
    assert cli.main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "bench: error: no run 'x': neither a folder nor a name below results/\n"
        "  -> name a folder, one below --results DIR (bench runs lists them), or 'latest'\n"
    )


def test_run_by_path_name_and_latest() -> None:
    """Three ways to mean one run; ``latest`` is the newest."""
    write(healthy(results("20261120-000000-quick")))
    newest = write(healthy(results("20261121-000000-quick")))
    for name in ("latest", newest.name, str(newest), str(newest.absolute())):
        assert find.find_run(name, Path("results")).path.name == newest.name


def upgraded(name: str) -> Path:
    """The folder of an upgrade, as far as it is looked for."""
    write(healthy(results(name) / "new"))
    (results(name) / UPGRADE).write_text("{}")
    return results(name)


def test_latest_of_runs_and_upgrades(capsys: pytest.CaptureFixture[str]) -> None:
    """The newest of what a command takes; what there is in its place if there is none."""
    run = write(healthy(results("a")))
    upgrade = upgraded("b")
    os.utime(run / PLAN, ns=(0, 0))
    assert find.find_folder("latest", Path("results"), "run", "upgrade") == upgrade
    assert find.find_folder("latest", Path("results"), "upgrade") == upgrade
    assert find.find_run("latest", Path("results")).path == run
    os.utime(upgrade / UPGRADE, ns=(0, 0))
    os.utime(run / PLAN)
    assert find.find_folder("latest", Path("results"), "run", "upgrade") == run
    assert cli.main(["compare", "latest", "latest"]) == 0
    (run / PLAN).unlink()
    assert cli.main(["compare", "latest", "latest"]) == 2
    assert (
        "results: holds no run\n  -> upgrades have a run of each side, such as results/b/new"
    ) in capsys.readouterr().err
    assert cli.main(["reproduce", "a", "depth"]) == 2
    assert "no upgrade 'a'" in capsys.readouterr().err


def test_latest_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all is trouble, not success."""
    for command, message in (
        (["report", "latest"], "results: holds no run and no upgrade\n  -> start one: bench run"),
        (["compare", "latest", "a"], "results: holds no run\n  -> start one: bench run"),
        (["reproduce", "latest", "a"], "results: holds no upgrade\n  -> start one: bench upgrade"),
    ):
        assert cli.main(command) == 2
        assert message in capsys.readouterr().err


def test_damaged_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged line is named; the exit code is not that of a regression."""
    path = write(healthy(results("a")))
    lines = (path / "records.jsonl").read_bytes().splitlines(keepends=True)
    (path / "records.jsonl").write_bytes(b"".join([lines[0], lines[1][:40] + b"\n", *lines[2:]]))
    assert cli.main(["report", "a"]) == 2
    assert "records.jsonl, line 2: not a record of schema 3" in capsys.readouterr().err


# Report


@pytest.mark.slow
def test_report_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """``report.md`` in the run's folder; counts and path on stdout; exit code of the verdict."""
    run = healthy(results("a"))
    write(run)
    assert cli.main(["report", "a"]) == 3
    assert cli.main(["report", "a", "--allow-undecided"]) == 0
    out, err = capsys.readouterr()
    assert "report: results/a/report.md" in out
    assert "no folder 'baselines', so no cell is compared" in err and "--baselines" in err
    assert Path("results/a/figures/depth.svg").exists()
    report = Path("results/a/report.md")
    assert report.read_text().startswith("**Undecided**: nothing could be compared.")
    accepted(run)
    write(worse(healthy(results("b")), 10))
    assert cli.main(["report", "b"]) == 1
    text = Path("results/b/report.md").read_text()
    assert text.startswith("**Not safe**: 2 cells regressed.")
    assert cli.main(["report", "a"]) == 0
    assert report.read_text().startswith("**Safe**: 6 cells identical.")
    assert "no folder" not in capsys.readouterr().err


def test_report_names_what_has_no_checksum(capsys: pytest.CaptureFixture[str]) -> None:
    """Files of an older bench are read as they are."""
    path = write(healthy(results("a"))) / "records.jsonl"
    cli.main(["report", "a", "--output", "-"])
    assert "Without checksums" not in capsys.readouterr().out
    lines = path.read_bytes()
    path.write_bytes(re.sub(rb',"sum":"[0-9a-f]{16}"', b"", lines))
    cli.main(["report", "a", "--output", "-"])
    assert "Without checksums, as an older bench wrote them: 18 results." in capsys.readouterr().out
    altered = re.sub(rb'"test_accuracy":0.9', b'"test_accuracy":0.1', lines, count=1)
    path.write_bytes(altered)
    assert cli.main(["report", "a", "--output", "-"]) == 2
    assert "line 1: not a record of schema 3: its checksum is" in capsys.readouterr().err


def test_equal_digests_beside_other_accuracies(capsys: pytest.CaptureFixture[str]) -> None:
    """A digest covers the accuracy: `identical` never stands beside another one, altered unseen in a
    file without checksums."""
    run = write(healthy(results("a")))
    other = write(healthy(results("b"))) / "records.jsonl"
    lines = re.sub(rb',"sum":"[0-9a-f]{16}"', b"", other.read_bytes())
    other.write_bytes(re.sub(rb'"test_accuracy":0.9', b'"test_accuracy":0.1', lines, count=1))
    assert cli.main(["compare", str(run), "b"]) == 2
    assert (
        "and another test accuracy or loss: one of the two was altered" in capsys.readouterr().err
    )


def test_a_loss_of_zero_is_not_taken_for_an_altered_one(capsys: pytest.CaptureFixture[str]) -> None:
    """It has no logarithm, so that the metric is not defined; the runs are equal all the same."""
    run = healthy(results("a"))
    records = {
        key: msgspec.structs.replace(record, test_loss=0.0) for key, record in run.records.items()
    }
    for name in ("a", "b"):
        write(msgspec.structs.replace(replaced(run, records=records), path=results(name)))
    assert cli.main(["compare", "a", "b"]) == 0
    assert "6 cells identical" in capsys.readouterr().out


def test_report_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """``--output FILE``, and ``-`` for stdout; neither report.md nor figures are written."""
    path = write(healthy(results("a")))
    assert cli.main(["report", "a", "--output", "mine.md"]) == 3
    capsys.readouterr()
    assert cli.main(["report", "a", "--output", "-", "--allow-undecided"]) == 0
    assert capsys.readouterr().out == Path("mine.md").read_text()
    assert not (path / "report.md").exists()
    assert not (path / "figures").exists()
    assert "![" not in Path("mine.md").read_text()


def test_report_that_cannot_be_written(
    below_a_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trouble, exit code 2."""
    write(healthy(results("a")))
    assert cli.main(["report", "a", "--output", str(below_a_file)]) == 2
    assert f"{below_a_file}: cannot be written: Not a directory" in capsys.readouterr().err


def test_report_of_crashes() -> None:
    """A crash is exit code 1 even where there is no baseline."""
    cell = Cell()
    the_plan = plan(items("depth", [cell], DEPTH_AXES), seeds=(0, 1))
    write(stored(the_plan, [trained(cell, 0), crashed(cell, 1)], path=results("a")))
    assert cli.main(["report", "a"]) == 1
    assert "crashed 1/2" in Path("results/a/report.md").read_text()


# Compare


def test_compare_with_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Two equal runs: nothing regressed, no row, exit code 0."""
    write(healthy(results("a")))
    write(healthy(results("b")))
    assert cli.main(["compare", "a", "b"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("**Safe: 6 cells identical.** A is OLD, B is NEW.\n")
    check_golden("cli-compare-identical.md", out)


def test_compare_finds_a_planted_loss(capsys: pytest.CaptureFixture[str]) -> None:
    """Five points less at depth 10: exit code 1, the two cells and no others, in every format."""
    write(healthy(results("a")))
    write(worse(healthy(results("b")), 10))
    assert cli.main(["compare", "a", "b"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("**Not safe: 2 cells regressed.**")
    assert "4 identical cells not listed" in out
    assert cli.main(["compare", "a", "b", "--format", "csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["cell"].split("-")[0] for row in rows] == ["depth:10", "depth:10"]
    assert cli.main(["compare", "a", "b", "--format", "json", "--all"]) == 1
    assert len(json.loads(capsys.readouterr().out)["cells"]) == 6


def test_compare_prints_a_pivot_along_axes(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdicts or a metric, by any axes; an axis or a metric that does not exist is named."""
    write(healthy(results("a")))
    write(worse(healthy(results("b")), 10))
    assert cli.main(["compare", "a", "b", "--row", "depth", "--col", "act"]) == 1
    assert "| 10 " in (out := capsys.readouterr().out)
    assert "1 regressed" in out
    assert cli.main(["compare", "a", "b", "--row", "act,depth", "--value", "test_accuracy"]) == 1
    assert " -> " in capsys.readouterr().out.replace("&gt;", ">").replace("\\>", ">")
    assert cli.main(["compare", "a", "b", "--row", "activation"]) == 2
    assert "no axis 'activation'\n  -> one of grid, depth, arch" in capsys.readouterr().err
    assert cli.main(["compare", "a", "b", "--value", "test_loss"]) == 2
    assert "--value is of a pivot" in capsys.readouterr().err


def test_compare_warns_of_other_plans(capsys: pytest.CaptureFixture[str]) -> None:
    """In CSV, where stdout is for a program, warnings are on stderr."""
    write(healthy(results("a")))
    after = healthy(results("b"))
    write(replaced(after, plan=msgspec.structs.replace(after.plan, items=after.plan.items[1:])))
    assert cli.main(["compare", "a", "b"]) == 0
    assert "> **Warning**: 1 cell of A not in B" in capsys.readouterr().out
    assert cli.main(["compare", "a", "b", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert "bench: warning: 1 cell of A not in B" in err
    assert "arning" not in out


def test_compare_of_nothing_in_common(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing compared is never success."""
    write(healthy(results("a")))
    cell = Cell(depth=99)
    the_plan = plan(items("depth", [cell], DEPTH_AXES))
    write(stored(the_plan, [trained(cell, seed) for seed in range(3)], path=results("b")))
    assert cli.main(["compare", "a", "b"]) == 2
    assert "no cell and no check in common" in capsys.readouterr().err


# Theory


def test_theory(capsys: pytest.CaptureFixture[str]) -> None:
    """Axes as options, a cell's id, with its grid or without, and both: one network, one answer."""
    assert cli.main(["theory", "--act", "relu", "--init", "glorot_normal", "--depth", "30"]) == 0
    expected = capsys.readouterr().out
    assert expected.startswith("**Vanishing: ")
    id_ = "depth:30-arch:mlp-act:relu-init:glorot_normal-norm:none"
    for arguments in ([id_], [f"depth/{id_}"], [id_.replace("30", "3"), "--depth", "30"]):
        assert cli.main(["theory", *arguments]) == 0
        assert capsys.readouterr().out == expected
    assert cli.main(["theory", id_, "--lr", "0.5", "--opt", "adam"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == expected.splitlines()[0]


def test_theory_in_other_forms(capsys: pytest.CaptureFixture[str]) -> None:
    """CSV and JSON for programs; every layer of a deep network on request."""
    assert cli.main(["theory", "--depth", "50", "--format", "csv"]) == 0
    assert len(list(csv.DictReader(io.StringIO(capsys.readouterr().out)))) == 50
    assert cli.main(["theory", "--depth", "50", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["layers"]) == 50
    assert cli.main(["theory", "--depth", "50", "--all-layers"]) == 0
    assert capsys.readouterr().out.count("\n| ") == 51  # and the header


def test_theory_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """``--plot`` writes the kind of file that its name says, and prints as ever."""
    for name, start in (("a.svg", b"<?xml"), ("b.png", b"\x89PNG")):
        assert cli.main(["theory", "--plot", name]) == 0
        assert Path(name).read_bytes().startswith(start)
    assert capsys.readouterr().out.count("**Critical") == 2
    wide = "arch:simple_rnn-depth:1-width:400-pixels:112-recurrent:normal_0.05"
    assert cli.main(["theory", wide, "--plot", "c.svg"]) == 0
    assert b"step in time" in Path("c.svg").read_bytes()
    assert "multiplied by 0.0156, from step 7 to step 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--act", "rule"], "act:rule is unknown; act is one of relu, "),
        (["--depth", "many"], "depth:many is not a whole number"),
        (["deep:3"], "'deep' is no axis; an axis is one of depth, "),
        (["--arch", "cnn"], "arch:cnn: no prediction: "),
        (
            ["--plot", "a.pdf"],
            "--plot a.pdf: no picture of this kind\n  -> let its name end in .svg",
        ),
        (["--plot", "a.svg", "--depth", "1"], "--plot: one hidden layer is one point"),
    ],
)
def test_theory_of_nothing(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be predicted is trouble with a reason; nothing is printed or written."""
    assert cli.main(["theory", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert not list(Path().iterdir())


# Baselines


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


# History


def stored_history() -> None:
    """Two acceptances, a run of other bits since, upgrades, and folders that are no runs."""
    for day, tensorflow, name in ((1, "2.20.0", "a"), (2, "2.21.0", "b"), (3, "2.22.0", "c")):
        of = environment(
            software={"tensorflow": tensorflow},
            run={"started": f"2026-11-0{day}T03:15:02+00:00", "commit": "472e8d3b0a"},
        )
        run = healthy(results(name), of=of)
        write(run if name == "a" else worse(run, 10, by=0.03))
        if name != "c":
            accepted(run)
    results("empty").mkdir()
    upgraded("upgrade")
    (results("matrix") / "2.20-to-2.21").mkdir(parents=True)
    (results("matrix") / "2.20-to-2.21" / UPGRADE).write_text("{}")
    write(healthy(results("damaged")))
    (results("damaged") / "records.jsonl").write_text("{}\n")


def test_history(capsys: pytest.CaptureFixture[str]) -> None:
    """Acceptances and runs in order of time, the step marked, what cannot be read named."""
    stored_history()
    capsys.readouterr()
    assert cli.main(["history", "depth:10-act:relu"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    check_golden("cli-history.md", out)


def test_history_in_other_forms(capsys: pytest.CaptureFixture[str]) -> None:
    """Raw numbers as CSV, warnings aside, and the same as JSON."""
    stored_history()
    capsys.readouterr()
    assert cli.main(["history", "depth:10-act:relu", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["run"], row["acceptance"]) for row in rows] == [("a", "1"), ("b", "2"), ("c", "")]
    assert float(rows[1]["step"]) == pytest.approx(-0.03)
    assert [row["same_digests"] for row in rows] == ["", "0", "3"]
    assert len(re.findall("^bench: warning: ", err, re.MULTILINE)) == 2
    assert cli.main(["history", "depth:10-act:relu", "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [point["mean"] for point in content["points"]] == [float(row["mean"]) for row in rows]
    assert len(content["warnings"]) == 2


def test_history_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """As an SVG with the values, the step and the versions in words."""
    stored_history()
    assert cli.main(["history", "depth:10-act:relu", "--plot", "history.svg"]) == 0
    text = Path("history.svg").read_text()
    for word in ("2026-11-03 TF 2.22.0", "-3.00 pp", "acceptance", "stored run", "test accuracy"):
        assert word in text
    assert cli.main(["history", "depth:10-act:relu", "--plot", "history.bmp"]) == 2
    assert "no picture of this kind" in capsys.readouterr().err


def test_history_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown and ambiguous cells, metrics and classes say what there is."""
    stored_history()
    capsys.readouterr()
    for arguments, said in (
        (["depth:4-"], "no cell 'depth:4-' among 6 stored ones"),
        (["depth:10-"], "depth/depth:10-act:tanh"),
        (["depth:10-act:relu", "--metric", "mood"], "no metric 'mood'\n  -> there are: test_acc"),
        (["depth:10-act:relu", "--class", "cpu-z"], f"'cpu-z'\n  -> there are: {CLASS}"),
    ):
        assert cli.main(["history", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert said in err
    numerics = msgspec.structs.replace(environment().numerics, isa="avx2")
    write(healthy(results("other"), of=environment(numerics=numerics)))
    for arguments, shown in (([], "cpu-avx2-onednn-1thread"), (["--class", CLASS], CLASS)):
        assert cli.main(["history", "depth:10-act:relu", *arguments]) == 0
        assert f"Environment class `{shown}`" in capsys.readouterr().out


# Grids and data


def test_grids(capsys: pytest.CaptureFixture[str]) -> None:
    """Every cell of the tier under its grid's question; the full tier has more."""
    assert cli.main(["grids"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("# ") for line in lines) == len(UPGRADE_GRIDS)
    expected = [
        f"{grid.name}/{id_}" for grid in UPGRADE_GRIDS.values() for id_ in grid.cells("quick")
    ]
    assert [line for line in lines if not line.startswith("# ")] == expected
    assert lines[0].startswith(
        "# Depth: 40 cells, 1 seed each and 4 more of cells whose bits differ."
    )
    assert cli.main(["grids", "depth", "--tier", "full"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(GRIDS["depth"].cells("full")) + 1
    assert f"{len(lines) - 1} cells x 10 seeds. " in lines[0]
    assert cli.main(["grids", "deep"]) == 2
    assert "no grid 'deep'\n  -> one of depth, activation" in capsys.readouterr().err
    assert cli.main(["grids", "--tier", "quack"]) == 2
    assert "no tier 'quack'" in capsys.readouterr().err


def test_grids_selected(capsys: pytest.CaptureFixture[str]) -> None:
    """An axis and an expression select as those of a run do; grids without such a cell are left out."""
    assert cli.main(["grids", "--axis", "depth=3,10", "-k", "relu and not leaky"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [line for line in lines if not line.startswith("# ")]
    assert {"depth/depth:10-arch:mlp-act:relu-init:he_normal-norm:none"} <= set(cells)
    assert all("relu" in cell and "leaky" not in cell for cell in cells)
    assert not any("depth:30-" in cell for cell in cells)
    titles = [line for line in lines if line.startswith("# ")]
    assert len(titles) == len({cell.partition("/")[0] for cell in cells})
    numbers = [int(re.findall(r": (\d+) cell", title)[0]) for title in titles]
    assert sum(numbers) == len(cells)
    assert cli.main(["grids", "depth", "-k", "moon"]) == 2
    assert "no cell of tier quick is selected" in capsys.readouterr().err
    assert cli.main(["grids", "--axis", "deep=3"]) == 2
    assert "no axis 'deep'" in capsys.readouterr().err


def test_data_without_network(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing cached is trouble with a remedy; ``where`` always answers; sources are checked."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(place / "cache"))
    monkeypatch.delenv("BENCH_MNIST_DIR", raising=False)
    assert cli.main(["data", "verify"]) == 2
    assert "nothing is cached in" in capsys.readouterr().err
    assert cli.main(["data", "where"]) == 0
    assert str(place / "cache") in capsys.readouterr().out
    assert cli.main(["data", "fetch", "--source", "cache", "moon"]) == 2
    assert "unknown MNIST source 'moon'" in capsys.readouterr().err
    assert cli.main(["data", "fetch", "--source", "cache"]) == 2


# The process


def test_keyboard_interrupt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C is exit code 2 and one line."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(merge, "find_folder", interrupted)
    monkeypatch.setattr(report, "find_folder", interrupted)
    assert cli.main(["report", "latest"]) == 2
    assert capsys.readouterr().err == "bench: interrupted\n"


def test_closed_pipe() -> None:
    """``bench grids | head -1`` leaves no traceback."""
    command = f"{sys.executable} -m bench.commands.main grids --tier full | head -1"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.stderr == ""
    assert result.stdout.startswith("# ")


@pytest.mark.slow
def test_never_imports_tensorflow() -> None:
    """Judging stored runs works, and is quick, where TensorFlow is broken."""
    write(healthy(results("a")))
    code = """
import sys
import tempfile
from bench.commands.main import main
for arguments in (
    ["report", "a"], ["compare", "a", "a"], ["grids"], ["baseline", "diff", "a"], ["theory"]
):
    main(arguments)
heavy = {"tensorflow", "keras", "distributed", "rich"} & set(sys.modules)
assert not heavy, heavy
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", [c for c in commands() if c], ids=" ".join)
def test_unexpected_trouble(
    command: list[str],
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault of bench is exit code 2, never 1, two lines and a file with the traceback."""

    def fault(*_: object, **__: object) -> None:
        raise KeyError("no\nsuch key")

    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setattr(cli, "parse", lambda _: (fault, inspect.signature(fault).bind()))
    assert cli.main(command) == 2
    message, hint = capsys.readouterr().err.splitlines()
    assert message.startswith(r"bench: error: unexpected KeyError: 'no\nsuch key'")
    (path,) = place.glob("bench-trouble-*.txt")
    assert str(path) in hint
    assert "in fault" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_unexpected_trouble_on_a_full_disk(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file can be written, the traceback is in the message."""
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/nowhere")
    monkeypatch.setattr(report, "find_folder", lambda *_: [][0])
    assert cli.main(["report", "latest"]) == 2
    assert "IndexError: list index out of range" in capsys.readouterr().err.splitlines()
