"""``bench theory``: what is printed and drawn."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bench.commands import main as cli


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
