"""What a report tells to do next."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from bench.commands import main as cli
from bench.report.full import full_report
from bench.report.markdown import inline, markdown
from bench.report.sections.next_steps import bench_command, next_steps
from bench.verdict.judgement import Verdict
from support.builders import healthy
from support.stories import as_baseline, concluded, judged, new
from support.upgraded import BLAMED, checked, side, upgraded, worse


def steps(verdict: Verdict, path: Path = Path("results/r")) -> str:
    run = healthy(path)
    return markdown(
        [next_steps(concluded(run, judged(run, verdict, "", ""), as_baseline(run)), {})]
    )


@pytest.mark.parametrize("verdict", ["identical", "rounding", "equivalent", "improved"])
def test_nothing_to_do(verdict: str) -> None:
    """What passes against a baseline of its own class asks for nothing."""
    assert steps(Verdict(verdict)) == ""


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("changed", "baseline accept r --grid depth --reason TEXT"),
        ("regressed", "baseline accept r --grid depth --reason TEXT"),
        ("new", "baseline accept r --grid depth --reason TEXT"),
        ("not comparable", "baseline accept r --grid depth --reason TEXT"),
    ],
)
def test_commands_for_both(verdict: str, words: str) -> None:
    """With bench installed, and through tox, which knows where it is."""
    text = steps(Verdict(verdict))
    assert f"`bench {words}`" in text
    assert f"`python -m tox run -e bench -- {words}`" in text


def test_undecided_and_unmeasured() -> None:
    """More seeds, or the rest of the replicas."""
    text = steps(Verdict.INCONCLUSIVE)
    assert "`bench run --tier quick --decide`" in text
    assert "`python -m tox run -e quick -- --decide`" in text
    assert "--resume" in steps(Verdict.MISSING)
    assert "--resume" in steps(Verdict.CRASHED)


def test_without_a_baseline() -> None:
    """The whole run is accepted, not chosen cells; said once."""
    text = markdown([next_steps(new(), {})])
    assert "No baseline is stored for `cpu-avx512_bf16-onednn-1thread`" in text
    assert "--differing" not in text
    assert text.count("bench baseline accept") == 1
    assert "-k" not in text
    assert next_steps(concluded(healthy(), []), {}) is None


def test_a_baseline_needs_every_seed() -> None:
    """Accepting a run that trained the first alone would be refused."""
    found = new()
    plan = msgspec.structs.replace(found.run.plan, seeds=[0], further=[1, 2])
    run = msgspec.structs.replace(found.run, plan=plan)
    text = markdown([next_steps(dataclasses.replace(found, run=run), {})])
    assert "`bench run --tier quick --all-seeds`" in text
    assert "`python -m tox run -e quick -- --all-seeds`" in text
    assert "`bench baseline accept latest --reason TEXT`" in text


def test_a_run_elsewhere_is_named_by_its_path() -> None:
    """Only runs below ``results`` are found by their name; a path with a space is quoted."""
    text = steps(Verdict.CHANGED, Path("/some where/r"))
    assert "accept '/some where/r' --grid depth" in text


def test_only_the_cells_that_it_is_about() -> None:
    """Their names where they are few, words of the reader's where they are not; a grid if all of it."""
    run = healthy(Path("results/r"))
    for number, words in (
        (1, "-k depth/depth:"),
        (2, " or depth/depth:"),
        (3, "-k WORDS"),
        (0, "--grid depth"),
    ):
        judgements = judged(run, Verdict.CHANGED, "", "")
        same = judged(run, Verdict.IDENTICAL, "", "")
        mixed = [*judgements[:number], *same[number:]] if number else judgements
        text = markdown([next_steps(concluded(run, mixed, as_baseline(run)), {})])
        assert words in text


def test_commands_parse() -> None:
    """The words are those of the command line."""
    words = (
        inline(bench_command("baseline accept r -k WORDS --reason TEXT")).split("`")[1].split()[1:]
    )
    _, bound = cli.parse(words)
    assert (bound.arguments["run"], bound.arguments["reason"]) == ("r", "TEXT")


def test_where_new_only_mends_the_advice_is_to_look_at_ones_own_code() -> None:
    """There is no cause to be found; where something else fails, there is."""
    wrong, right = checked(out=True, check=BLAMED), checked(check=BLAMED)
    old, new_ = (
        side(name, checks={BLAMED: result}) for name, result in (("old", wrong), ("new", right))
    )
    text = markdown(full_report(upgraded(old, new_)))
    assert "NEW is right where OLD was wrong. Check whether your code relies" in text
    assert "Pin: if it does, keep OLD" in text
    assert "until the cause is known" not in text
    changed = side("new", worse, checks={BLAMED: right})
    assert "until the cause is known" in markdown(full_report(upgraded(old, changed)))
