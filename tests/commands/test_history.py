"""``bench history``: what is printed and drawn."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest

from bench.commands import main as cli
from bench.results.find import UPGRADE
from support.builders import CLASS, environment, healthy, write
from support.cli import accepted, results, upgraded, worse
from support.golden import check_golden


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
