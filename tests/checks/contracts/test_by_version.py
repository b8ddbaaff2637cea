"""The page of contracts by version, from made-up runs."""

from __future__ import annotations

from bench.checks.contracts.fault import TRIED
from bench.results.check import Check, CheckResult
from bench.results.run import StoredRun
from support.builders import environment, replaced
from support.upgraded import checked, side
from tests.checks.contracts.by_version import page

LOSS = Check(family="loops", subject="train_on_batch-returns:loss")
ORDER = Check(family="loops", subject="predict-order")


def run(tensorflow: str, keras: str, *results: CheckResult) -> StoredRun:
    of = environment(software={"tensorflow": tensorflow, "keras": keras})
    return replaced(side("old", checks={one.check: one for one in results}), environment=of)


def test_steps_name_what_breaks_and_mends() -> None:
    """By cause where it is known, else as it shows; a step without any is no change."""
    sound, wrong = checked(check=LOSS), checked(check=LOSS, out=True)
    order = checked(check=ORDER)
    text = page(
        [
            run("2.15.1", "2.15.0", sound, order),
            run("2.16.2", "3.14.1", wrong, order),
            run("2.16.2", "3.15.0", sound, checked(check=ORDER, out=True)),
            run("2.16.2", "3.15.1", sound, checked(check=ORDER, out=True)),
        ],
        cpu="a CPU",
    )
    assert 'bench matrix 2.15.1 "2.16.2 keras==3.14.1" "2.16.2 keras==3.15.0"' in text
    first, second, third, known = text.split("\n## ")[1:]
    assert first.startswith("2.15.1, Keras 2.15.0 to 2.16.2, Keras 3.14.1: not safe")
    assert "- Breaks: returns the mean of all batches since a reset" in first
    assert f"(keras #22596): `{LOSS.id}`" in first
    assert f"(keras #22596): `{LOSS.id}`" in second
    assert "- Breaks: step 1, cube: got 1|2, expected <3>" in second
    assert third.startswith("2.16.2, Keras 3.15.0 to 2.16.2, Keras 3.15.1: no change")
    [all_] = [line for line in text.splitlines() if line.startswith("| all")]
    assert [cell.strip() for cell in all_.split("|")[2:-1]] == ["0", "1", "1", "1"]
    [row] = [line for line in known.splitlines() if "(keras #22596)" in line]
    broken = [cell.strip() for cell in row.split("|")[2:-1]]
    assert dict(zip(TRIED, broken, strict=True))["2.16.2", "3.14.1"] == "3"
    assert dict(zip(TRIED, broken, strict=True))["2.16.2", "3.15.0"] == ""
