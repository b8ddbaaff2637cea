"""``bench ...`` as a process: help, usage, interruption, trouble."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import bench
from bench.commands import main as cli
from bench.commands import merge, report
from bench.commands.options import Cells
from support.builders import healthy, write
from support.cli import results


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
