"""Scripts of contracts are kept only if they show, on both sides, what they are made for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.jobs.reproducers import contracts, kept_scripts, write_broken, write_reproducers
from bench.report.full import full_report
from bench.report.markdown import markdown
from bench.results.check import Check, CheckResult, Deviation
from bench.results.timings import SIDES, Side
from bench.results.upgrade import SideFacts
from bench.verdict.conclusion import Conclusion
from support.upgraded import side, upgraded

LOSS = Check(family="loops", subject="train_on_batch-returns:loss")
SAVED = Check(family="saving", subject="nested-format:weights")
EVIDENCE = "got 7.95, expected 5.43 within 1.8e-05"
SAID = "call 1, loss: got 7.95, expected 5.43 within 1.8e-05"
KEPT = "echo 'call 1, loss: got 5.43, expected 5.43'; exit 0"
BROKEN = f"echo '{SAID}'; exit 1"


def python(path: Path, script: str) -> str:
    """A program that does this whatever file it is to run."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def found(tmp_path: Path, programs: Mapping[Side, str], broken: Side = "new") -> Conclusion:
    """An upgrade in which a side breaks a contract that has a script, and one that has none."""
    out = [Deviation(tensor="call 1, loss", excess=9e4, evidence=EVIDENCE)]
    runs = {
        name: side(
            name,
            checks={
                each: CheckResult(check=each, compared=2, deviations=out if name == broken else ())
                for each in (LOSS, SAVED)
            },
        )
        for name in SIDES
    }
    sides = {
        name: SideFacts(
            label=name,
            python=python(tmp_path / f"python-{name}", programs[name]),
            lock=f"keras=={version}\n",
        )
        for name, version in zip(SIDES, ("3.14.1", "3.15.0"), strict=True)
    }
    return upgraded(runs["old"], runs["new"], sides=sides, path=tmp_path / "u")


def test_newly_broken_contracts_get_scripts_that_the_report_names(tmp_path: Path) -> None:
    upgrade = found(tmp_path, {"old": KEPT, "new": BROKEN})
    said: list[str] = []
    scripts = write_reproducers(upgrade, said.append)
    path = tmp_path / "u" / "reproducers" / "loops-train-on-batch-returns-loss.py"
    assert scripts == {LOSS: str(path)} == kept_scripts(upgrade)
    assert "Kept by keras 3.14.1, broken by keras 3.15.0" in path.read_text()
    assert "EXPECTED, BOUND = (), 5.43" in path.read_text()
    assert f"broken: {SAID}" in " ".join(said)
    assert "no script for saving:nested-format:weights" in " ".join(said)
    text = markdown(full_report(upgrade, reproducers=scripts))
    assert f"`{path}` for `{LOSS.id}`" in text


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (KEPT, KEPT, "broken, it ended with status 0"),
        (BROKEN, BROKEN, "kept, it ended with status 1"),
        (KEPT, "exit 1", "broken, it ended with status 1"),
        (KEPT, f"echo '{SAID}'; exit 2", "broken, it ended with status 2"),
        (
            KEPT,
            f"echo '{SAID}'; echo 'Traceback (most recent call last):\nNameError: no' >&2; exit 1",
            "NameError: no",
        ),
        (KEPT, f"echo '{SAID}'; kill -9 $$", "broken, it was killed by SIGKILL"),
    ],
)
def test_a_script_that_does_not_show_it_is_not_kept(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    upgrade = found(tmp_path, {"old": old, "new": new})
    said: list[str] = []
    assert write_reproducers(upgrade, said.append) == {} == kept_scripts(upgrade)
    assert why in " ".join(said)


def test_a_mended_contract_has_a_script_that_is_run_the_other_way_round(tmp_path: Path) -> None:
    upgrade = found(tmp_path, {"old": BROKEN, "new": KEPT}, broken="old")
    contrast = next(each for each in contracts(upgrade) if each.check == LOSS)
    path = tmp_path / "elsewhere.py"
    assert write_broken(upgrade, contrast, path).shown
    assert "Kept by keras 3.15.0, broken by keras 3.14.1" in path.read_text()
    assert write_reproducers(upgrade, lambda _: None) == {}


def test_an_interpreter_that_is_gone_says_so(tmp_path: Path) -> None:
    upgrade = found(tmp_path, {"old": KEPT, "new": BROKEN})
    (tmp_path / "python-old").unlink()
    (contrast,) = [each for each in contracts(upgrade) if each.check == LOSS]
    with pytest.raises(BenchError, match="does not start"):
        write_broken(upgrade, contrast, tmp_path / "x.py")
