"""The report of an upgrade: the answer first, nothing that is not in the data, nothing too long."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cells.cell import OPTIMIZERS, Cell
from bench.cells.own_model import OwnModel
from bench.report.data import upgrade_json
from bench.report.full import full_report
from bench.report.html import html
from bench.report.markdown import inline, markdown
from bench.report.sections.answer import title as heading_of
from bench.report.sections.findings import findings, findings_section, old_faults
from bench.report.short import MOST_CHARACTERS, short_report
from bench.report.terminal import summary_lines
from bench.results.check import Check, CheckResult, Deviation
from bench.results.kind import Crash
from bench.results.plan import Item
from bench.results.record import Record
from bench.results.saved_models import Exchange, Written
from bench.results.upgrade import SideFacts
from bench.verdict.conclusion import Answer, Conclusion, against_baseline
from bench.verdict.judgement import Comparison, Judgement, Verdict
from support.upgraded import (
    CELLS,
    CHECK,
    ITEMS,
    LOCKS,
    absent,
    checked,
    crash,
    exchange,
    other_bits,
    outside,
    side,
    timed,
    upgraded,
    where,
    worse,
)


def nadam(cell: Cell) -> bool:
    return cell.optimizer == "nadam"


def departed(*items: Item, tensor: str = "layer 1, kernel") -> Conclusion:
    """These cells leave the envelope; the others are identical."""
    found = upgraded()
    judgements = [outside(j.item, tensor) if j.item in items else j for j in found.judgements]
    return dataclasses.replace(found, judgements=judgements)


def everything() -> Conclusion:
    """At least one finding of every kind."""

    def change(record: Record) -> Record:
        changes = {(1, "sgd"): crash, (1, "adam"): absent, (3, "nadam"): worse}
        made = changes.get((record.cell.depth, record.cell.optimizer))
        return made(record) if made else record

    other = Check(family="activation", subject="gelu")
    old = side("old", checks={CHECK: checked(), other: checked(check=other, out=True)})
    new = side("new", change, checks={CHECK: checked(out=True), other: checked(check=other)})
    return upgraded(
        old,
        new,
        timings=[
            timed(0.08),
            timed(noise=0.3, engine="xla"),
            timed(
                rounds=0, engine="eager", crashes={"new": Crash(reason="signal", message="SIGSEGV")}
            ),
        ],
        exchanges=[exchange(), exchange("h5", excess=None), exchange("export", error="E: <b>|")],
        left_out=["grids but optimizer"],
    )


def sections(text: str) -> list[str]:
    return re.findall(r"^## (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (upgraded, "**Safe**: 12 cells identical."),
        (lambda: upgraded(new=side("new", crash)), "**Not safe**: 12 cells crashed."),
        (
            lambda: upgraded(side("old", seeds=[0]), side("new", other_bits, seeds=[0])),
            "**Undecided**: 12 cells inconclusive.",
        ),
        (
            lambda: upgraded(timings=[timed(), timed(noise=0.05, engine="xla")]),
            "**Safe**: 12 cells identical; speed of 2 workloads: 1 same, 1 same within 5 %.",
        ),
    ],
)
def test_the_answer_comes_first(make: Any, expected: str) -> None:
    """The first line is the answer in words, with its reason, in every form."""
    found = make()
    assert markdown(full_report(found)).splitlines()[0] == expected
    assert short_report(found).splitlines()[0] == expected
    plain = expected.replace("*", "").rstrip(".")
    told = " ".join(summary_lines(found))
    assert plain[0].lower() + plain[1:] in told
    assert json.loads(upgrade_json(found))["answer"] == found.answer.value


def test_a_page_says_what_it_is_about() -> None:
    """Upgrade or run, versions, variables and the day; in the window's title behind the answer."""
    chosen = {"TF_ENABLE_ONEDNN_OPTS": "0"}
    sides = {
        name: SideFacts(label="tensorflow==2.21.0", python="p", lock="", variables=variables)
        for name, variables in (("old", {}), ("new", chosen))
    }
    found = upgraded(sides=sides)
    found.run.environment.run["started"] = "2026-11-29T08:57:32+00:00"
    page = html(full_report(found)).replace("&gt;", ">")
    new = "tensorflow==2.21.0 TF_ENABLE_ONEDNN_OPTS=0"
    title = f"Upgrade tensorflow==2.21.0 -> {new}, measured 2026-11-29"
    assert f"<h1>{title}</h1>" in page
    assert f"<title>Safe: {title}</title>" in page
    run = against_baseline(found.run, None)
    version = found.run.environment.software["tensorflow"]
    about = f"Run {found.run.path.name} of TensorFlow {version}, measured 2026-11-29"
    assert f"<h1>{about}</h1>" in html(full_report(run))


def test_sections_that_have_nothing_to_tell_are_absent() -> None:
    """A safe upgrade of which little was measured has no empty sections."""
    assert sections(markdown(full_report(upgraded()))) == [
        "What to do next",
        "All cells",
        "How to read the grids' tables",
        "Optimizers",
        "What was compared",
    ]
    empty = upgraded(side("old", chosen=[]), side("new", chosen=[]))
    assert markdown(full_report(empty)).startswith("**Undecided**: nothing could be compared.")
    assert sections(markdown(full_report(empty))) == ["What to do next", "What was compared"]


def test_sections_in_their_order() -> None:
    """The most important first, and every kind of finding has its section."""
    assert sections(markdown(full_report(everything()))) == [
        "Findings",
        "What to do next",
        "All cells",
        "Both sides in pictures",
        "What trains differently",
        "Accuracy and learning",
        "Checks against independent truth",
        "Crashes",
        "What NEW cannot train any more",
        "Speed",
        "Saved models",
        "How to read the grids' tables",
        "Optimizers",
        "What was compared",
        "Left out",
    ]


def test_files_are_told_apart_by_who_wrote_them() -> None:
    """A table for each way; one alone if nothing was carried the other."""
    refused = exchange("export", error="ValueError: no", back=True)
    both = markdown(full_report(upgraded(exchanges=[exchange(), refused])))
    forward, back = both.split("Files of OLD in NEW:")[1].split("Files of NEW in OLD:")
    assert "model, .keras" in forward
    assert "not promised" not in forward
    assert "not promised" in back
    assert "Files of NEW" not in markdown(full_report(upgraded(exchanges=[exchange()])))


def test_a_group_is_described_by_what_its_cells_share() -> None:
    """Cells that changed are told as one group where one axis value singles them out."""
    items = [item for item in ITEMS if nadam(item.cell)]
    text = markdown(full_report(departed(*items)))
    assert "**4 cells, every one with `opt:nadam`**. 4 changed." in text
    assert (
        "Losses leave the rounding envelope at step 1, up to 300 × what rounding explains." in text
    )
    assert "Begins in layer 1, kernel, before step 1 (4 cells)." in text
    two = [item for item in items if item.cell.normalization == "batch"]
    assert "**2 cells, every one with `opt:nadam` and `norm:batch`**." in markdown(
        full_report(departed(*two))
    )


def test_cells_without_a_description_are_told_by_where_they_begin() -> None:
    """What no axis value tells apart is grouped by the first tensor."""
    one, other = ITEMS[0], ITEMS[7]
    found = departed(one, other)
    judgements = [
        outside(j.item, "layer 2, bias") if j.item == other else j for j in found.judgements
    ]
    text = markdown(full_report(dataclasses.replace(found, judgements=judgements)))
    assert text.count("**1 cell by itself**.") == 2
    assert "Begins in layer 2, bias, before step 1 (1 cell)." in text


def test_one_seed_is_called_one_seed() -> None:
    """Counts say on how many seeds they rest."""
    text = markdown(full_report(upgraded(side("old", seeds=[0]), side("new", seeds=[0]))))
    row = next(line for line in text.splitlines() if line.startswith("| identical"))
    assert "| 1 seed each" in row
    assert "3 seeds each" in markdown(full_report(upgraded()))


def test_crashes() -> None:
    """New crashes come before known ones, with what the process printed; mended ones are told."""
    text = markdown(full_report(everything()))
    assert "**2 cells newly**: OLD does not crash, or under fewer seeds." in text
    assert "\n<b>last</b> line\n```\n" in text
    known = markdown(
        full_report(upgraded(side("old", where(nadam, crash)), side("new", where(nadam, crash))))
    )
    assert "4 cells on both sides: known, and no change." in known
    assert "newly" not in known
    mended = markdown(full_report(upgraded(side("old", where(nadam, crash)))))
    assert "Crashed on the old side alone: " in mended


def test_what_only_one_side_can_train() -> None:
    """Lost and gained cells, with the reason; neither counts as open."""
    lost = markdown(full_report(upgraded(new=side("new", where(nadam, absent)))))
    gained = markdown(full_report(upgraded(old=side("old", where(nadam, absent)))))
    for text, title in (
        (lost, "What NEW cannot train any more"),
        (gained, "What only NEW can train"),
    ):
        assert title in sections(text)
        assert "- Keras has no nadam: `optimizer/" in text
        assert "nothing was concluded" not in text


def test_checks_and_claims_by_side() -> None:
    """What is wrong on both sides is told as known, what is newly wrong first."""
    text = markdown(full_report(everything()))
    assert "**Wrong in NEW alone** (1 check):" in text
    assert "**Wrong in OLD, right in NEW** (1 check):" in text
    assert text.index("Wrong in NEW alone") < text.index("Wrong in OLD, right")
    assert "OLD: holds; NEW: step 1, cube: got 1\\|2, expected &lt;3>" in text
    both = upgraded(
        side("old", checks={CHECK: checked(out=True)}),
        side("new", checks={CHECK: checked(out=True, digest="b")}),
    )
    told = markdown(full_report(both))
    assert "**Wrong on both sides** (1 check):" in told
    assert "`: both: step 1, cube" in told
    assert "1 ran on both sides: 0 hold on both, 0 gave the same bits" in told
    assert "2 ran on both sides: 0 hold on both, 2 gave the same bits" in text


def test_claims_are_stated() -> None:
    """A claim that is newly violated is told with what it says and what was measured."""
    dead = Cell(depth=1, optimizer="sgd", initializer="zeros", steps=200)
    item = Item(grid="initialization", id=dead.id(), cell=dead)
    found = upgraded(side("old", chosen=[item]), side("new", chosen=[item]))
    text = markdown(full_report(found))
    assert "**Wrong on both sides** (1 cell):" in text
    assert "- `zero-initialization-is-dead`: All-zero weights" in text


def test_speed() -> None:
    """Ratio, interval, noise floor and restarts of each workload; what remains possible if open."""
    text = markdown(full_report(everything()))
    rows = [
        line for line in text.splitlines() if line.startswith(("| training, MLP", "| inference"))
    ]
    assert len(rows) == 3
    assert re.search(r"\| +\+8\.\d % \(\+.* \|\s+8 \| \*\*slower\*\*", rows[0])
    assert re.search(
        r"undecided: (anything from -.* % to \+.* % remains possible|machine too)", rows[1]
    )
    assert "a process crashed" in rows[2]
    assert "the process of NEW ended: SIGSEGV" in text
    assert "probability 95 %" in text
    assert re.search(r"fit +\| +2 \| +2\.17 \|", rows[0])  # bursts of 0.2 s and 100 steps


def test_a_noisy_machine_leaves_nothing_possible_or_impossible() -> None:
    """Where a side differs from itself, no interval is claimed for the other."""
    seconds = timed()
    for each in seconds.rounds:
        for block in each:
            block[2][:] = [1.2 * sec for sec in block[2]]
            block[3][:] = [1.2 * sec for sec in block[3]]
    found = upgraded(timings=[seconds])
    text = markdown(full_report(found))
    assert text.startswith(
        "**Undecided**: speed of training, MLP of depth 3, fit: machine too noisy"
    )
    assert "undecided: machine too noisy" in text
    assert "remains possible" not in text


def test_a_wider_margin_is_named_in_every_form() -> None:
    """Table, terminal and JSON say by which margin."""
    found = upgraded(timings=[timed(noise=0.05)])
    assert re.search(r"\| +8 \| same within 5 % +\|", markdown(full_report(found)))
    assert any("fit: same within 5 %: time" in line for line in summary_lines(found, verbose=True))
    timing = json.loads(upgrade_json(found))["speed"]
    assert timing["margins"] == [0.02, 0.05]
    told = timing["workloads"][0]["speed"]
    assert (told["verdict"], told["margin"]) == ("same within 5 %", 0.05)


def test_undecided_speed_tells_what_to_do() -> None:
    """Only what is open is measured again: speed on an idle machine, or not at all; or seeds."""
    text = markdown(full_report(upgraded(timings=[timed(noise=0.5)])))
    assert "on an idle machine" in text
    assert "`--skip cells --skip checks --skip saving`" in text
    assert "`--skip speed`" in text
    assert "more seeds" not in text
    seeds = markdown(
        full_report(upgraded(side("old", seeds=[0]), side("new", other_bits, seeds=[0])))
    )
    assert "more seeds" in seeds
    assert "idle machine" not in seeds


def test_saved_models() -> None:
    """Each format and model with its outcome, failures first."""
    text = markdown(full_report(everything()))
    rows = [line for line in text.splitlines() if line.startswith("| `saved:mlp")]
    assert ["**differs**" in row for row in rows] == [True, False, False]
    assert "**broken**" in rows[1]
    assert "E: &lt;b>\\|" in rows[1]


def test_what_to_do() -> None:
    """Pin with the exact requirements, report with the script, accept."""
    items = [item for item in ITEMS if nadam(item.cell)]
    found = departed(*items)
    text = markdown(full_report(found, reproducers={items[0]: "out/one.py"}))
    assert "keep OLD: `keras==3.12.0 tensorflow-cpu==2.20.0`." in text
    assert f"`out/one.py` for `optimizer/{items[0].id}`" in text
    assert "bench reproduce" not in text
    assert "`bench reproduce results/u CELL` writes a script" in markdown(full_report(found))
    assert "- Accept" in text
    assert "Pin" not in markdown(full_report(upgraded()))
    assert "out/one.py" in "\n".join(summary_lines(found, reproducers={items[0]: "out/one.py"}))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("numpy==1.26\n", "numpy==2.0\n", "keep OLD: `numpy==1.26`"),
        ("keras==3\nnumpy==1\n", "keras==4\nnumpy==2\n", "keep OLD: `keras==3`."),
        ("tf-x==1\nTF_Y==2\n", "tf-x==1\ntf-y==3\n", "keep OLD: `tf-y==2`"),
    ],
)
def test_the_pin_is_what_differs(old: str, new: str, expected: str) -> None:
    """Where TensorFlow is the same, whatever differs is pinned."""
    sides = {
        name: SideFacts(label="x", python="p", lock=lock)
        for name, lock in (("old", old), ("new", new))
    }
    assert expected in markdown(full_report(upgraded(new=side("new", crash), sides=sides)))


def test_variables_are_what_to_keep() -> None:
    """Sides that differ by variables alone have no requirement to pin."""
    sides = {
        name: SideFacts(label="2.21", python="p", lock="a==1\n", variables={"TF_X": value})
        for name, value in (("old", "1"), ("new", "0"))
    }
    text = markdown(full_report(upgraded(new=side("new", crash), sides=sides)))
    assert "keep OLD's variables: `TF_X=1`." in text
    assert re.search(r"\| variable TF\\?_X +\| \*\*1\*\* +\| \*\*0\*\* ", text)
    assert "All 1 package are the same" in text


def test_only_differences_of_the_sides_are_listed() -> None:
    """Packages that are the same are counted."""
    found = upgraded()
    text = markdown(full_report(found))
    assert re.search(r"\| `keras` +\| 3\.12\.0 +\| 3\.15\.1 ", text)
    assert re.search(r"\| `added` +\| – +\| 1 ", text)
    assert "2 packages the same on both sides." in text
    for told in (text, short_report(found)):
        assert "Other packages differ, too: added 1 (new)." in told.split("\n## ")[0]
    assert "| `numpy`" not in text
    assert "\nwrapt==1.0\n" in text  # the lock, folded away


def test_metrics_that_changed() -> None:
    """Accuracy and gradient flow have tables of their own, with both sides' means."""

    def compared(metric: str, change: float) -> Comparison:
        return Comparison(
            metric=metric,
            baseline_mean=0.9,
            mean=0.6,
            change=change,
            p_value=0.001,
            adjusted_p=0.002,
            verdict=Verdict.CHANGED,
            reason="r",
        )

    found = upgraded()
    chosen = [j.item for j in found.judgements if nadam(j.item.cell)]
    comparisons = (compared("test_accuracy", -0.3), compared("signal_ratio_end", 1.0))
    judgements = [
        Judgement(
            item=j.item,
            verdict=Verdict.CHANGED,
            reason="r",
            rung="distribution",
            comparisons=comparisons,
        )
        if j.item in chosen
        else j
        for j in found.judgements
    ]
    text = markdown(full_report(dataclasses.replace(found, judgements=judgements)))
    assert "- test accuracy changed: 4 cells, every one with `opt:nadam`." in text
    assert "- signal ratio, trained changed: 4 cells, every one with `opt:nadam`." in text
    assert "## Gradient flow" in text
    assert re.search(
        r"\| test accuracy +\| +0\.9 \| +0\.6 \| -30\.00 pp \| +0\.001 \| +0\.002 \| changed", text
    )


def test_json_holds_everything() -> None:
    """Every cell, both sides' means, speeds with intervals, both environments."""
    found = everything()
    content = json.loads(upgrade_json(found, total_sec=3.0))
    assert content["schema"] == 1
    assert (content["answer"], content["exit_code"]) == ("not safe", 1)
    assert content["because"] == list(found.because)
    assert len(content["cells"]) == len(CELLS)
    worst = next(c for c in content["cells"] if c["verdict"] == "regressed")
    means = [worst[name]["means"]["test_accuracy"] for name in ("old", "new")]
    assert means[0] - means[1] == pytest.approx(0.3)
    assert worst["old"]["outcomes"] == {"0": "trained", "1": "trained", "2": "trained"}
    assert sum(cell["fails"] for cell in content["cells"]) == len(found.failing)
    slow, noisy, stopped = content["speed"]["workloads"]
    assert slow["speed"]["ratio"]["low"] > 1
    assert set(noisy["speed"]["noise_floor"]) == {"estimate", "low", "high"}
    assert (stopped["speed"], list(stopped["crashes"])) == (None, ["new"])
    assert content["sides"]["old"]["packages"]["keras"] == "3.12.0"
    assert content["pin"] == ["keras==3.12.0", "tensorflow-cpu==2.20.0"]
    assert content["differences"]["added"] == [None, "1"]
    runs = [side(name, where(nadam, crash)) for name in ("old", "new")]
    known = [
        cell
        for cell in json.loads(upgrade_json(upgraded(*runs)))["cells"]
        if cell["crashed_before"]
    ]
    assert [cell["fails"] for cell in known] == [False] * 4
    changed = json.loads(upgrade_json(departed(ITEMS[0])))["cells"][0]
    assert (changed["tensor"], changed["first_step"], changed["distance"]) == (
        "layer 1, kernel",
        1,
        0.02,
    )


def test_tables_are_rectangular() -> None:
    """No text of a crash, reason or label breaks a table."""
    columns, tables = None, 0
    for line in markdown(full_report(everything())).splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        found = len(re.findall(r"(?<!\\)\|", line))
        tables += columns is None
        assert found == (columns or found), line
        columns = found
    assert tables >= 6


def test_terminal_lines() -> None:
    """Plain text in lines of bounded length, with the report's path."""
    lines = summary_lines(everything(), total_sec=61.0, report=Path("out/report.md"), verbose=True)
    assert not any("\n" in line or "**" in line for line in lines)
    assert max(map(len, lines)) <= 130  # ids are not broken
    assert "report: out/report.md" in lines
    assert lines[-1] == "time: 1 min 01 s"
    for word in ("REGRESSED", "CRASHED", "NEWLY WRONG", "SAVED MODEL", "SPEED"):
        assert any(line.startswith(word) for line in lines), word


def test_an_outside_text_stays_text() -> None:
    """What a process, a label or a package prints is not Markdown or HTML of the report."""
    evil = "x <script>alert(1)</script> | **b** [a](javascript:1) `c`\n\n# h"
    change = where(nadam, lambda record: crash(record, message=evil))
    sides = {
        name: SideFacts(
            label=evil, python=evil, lock=f"{evil}\n{LOCKS['old']}", variables={"A": evil}
        )
        for name in ("old", "new")
    }
    found = upgraded(new=side("new", change), sides=sides, left_out=[evil])
    vars(found)["because"] = [evil]
    rendered = html(full_report(found))
    assert rendered.count("<script") == 1  # the page's own
    assert rendered.count("<h1") == 1
    assert 'href="javascript' not in rendered
    assert "<strong>b</strong>" not in rendered


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    cells=st.integers(1, 300),
    reason=st.text(min_size=1, max_size=900),
    workloads=st.integers(0, 8),
    checks=st.integers(0, 200),
    left_out=st.integers(0, 400),
)
@pytest.mark.slow
def test_a_summary_fits_into_a_comment(
    cells: int, reason: str, workloads: int, checks: int, left_out: int
) -> None:
    """Whatever was found, the summary has at most 60 lines, is shorter than a comment may be and begins
    with the answer; the terminal has at most 20 lines."""
    items = [
        Item(grid="g" * 40, id=cell.id(("depth", "opt")), cell=cell)
        for cell in (
            Cell(depth=1 + n // 16, optimizer=OPTIMIZERS[n % 16], steps=200) for n in range(cells)
        )
    ]
    many = {
        c: checked(check=c, out=True)
        for c in (Check(family="optimizer", subject=f"s{n}") for n in range(checks))
    }
    found = upgraded(
        side("old", chosen=items, seeds=[0], checks={c: checked(check=c) for c in many}),
        side("new", chosen=items, seeds=[0], checks=many),
        timings=[timed(0.08, engine=e) for e in ("fit", "xla", "eager", "function")[:workloads]],
        left_out=[reason] * left_out,
    )
    verdicts = list(Verdict)
    judgements = [
        msgspec.structs.replace(
            outside(item, f"{reason}{n}") if n % 2 else found.judgements[n],
            verdict=verdicts[n % len(verdicts)],
            reason=f"{n} {reason}",
        )
        for n, item in enumerate(items)
    ]
    found = dataclasses.replace(found, judgements=judgements)
    vars(found)["because"] = [reason] * 20
    scripts = dict.fromkeys(items, f"{reason[:50]}.py")
    text = short_report(found, total_sec=1.0, reproducers=scripts)
    assert len(text) < MOST_CHARACTERS
    assert text.startswith(f"**{found.answer.value[:1].upper()}{found.answer.value[1:]}**: ")
    assert text.count("\n") <= 60
    report = Path("results/u/report.md")
    lines = summary_lines(found, reproducers=scripts, total_sec=1.0, report=report)
    assert len(lines) <= 20
    assert sections(markdown(full_report(found, reproducers=scripts)))
    assert json.loads(upgrade_json(found, reproducers=scripts))["schema"] == 1


def test_safe_is_said_of_what_was_measured() -> None:
    """A narrowed check is not called safe without a word, nor is its new version to be accepted."""
    whole, part = upgraded(), upgraded(left_out=["speed (--skip speed)", "grids but clipping"])
    assert whole.answer is part.answer is Answer.SAFE
    assert markdown(full_report(whole)).startswith("**Safe**:")
    assert "Left out" not in markdown(full_report(whole))
    assert "Accept: take" in markdown(full_report(whole))
    text = markdown(full_report(part))
    assert text.startswith("**Safe, as far as measured**: ")
    assert "\n\nLeft out: speed (--skip speed); grids but clipping.\n" in text
    assert "Accept: take" not in text
    assert "`bench upgrade tensorflow-cpu==2.20.0 tensorflow-cpu==2.21.0`" in text
    told = "\n".join(summary_lines(part, reproducers={}, report=None))
    assert "safe, as far as measured: " in told
    assert "Left out: speed (--skip speed); grids but clipping." in told


def test_findings_are_causes() -> None:
    """Fifty checks that are as exact as float32 are one finding; others are told by what is checked."""

    def wrong(subject: str, got: float) -> CheckResult:
        check = Check(family="losses", subject=subject)
        evidence = f"got {got:.9g}, expected 2.5 within 1e-15"
        worst = Deviation(tensor="loss", excess=1e6, evidence=evidence)
        return CheckResult(check=check, compared=1, deviations=[worst])

    results = [wrong(f"loss-{n}", 2.5 * (1 + 9e-7 * (n % 2 * 2 - 1))) for n in range(49)]
    results += [wrong("hinge-a", 2.51), wrong("hinge-b", 2.6)]
    runs = [side(name, checks={each.check: each for each in results}) for name in ("old", "new")]
    both = upgraded(*runs)
    assert findings(both) == []  # no change: told, and folded away
    assert [finding.what for finding in old_faults(both)] == [
        "49 contracts broken on both sides, off by less than 1e-6 of the value, as if computed in "
        "float32",
        "2 contracts of hinge broken on both sides",
    ]
    section = findings_section(both, {})
    assert section is not None
    assert "<summary>2 faults of both sides: no change, so none counts against NEW" in markdown(
        [section]
    )
    assert findings_section(both, {}, most=3) is None
    holding = side("old", checks={r.check: checked(check=r.check) for r in results})
    assert findings(upgraded(holding, runs[1]))[1].what == "2 contracts of hinge newly broken"


def test_what_is_publicly_reported_is_linked() -> None:
    """Whether both sides have the fault, or OLD alone."""
    check = Check(family="losses", subject="hinge")
    fault = msgspec.structs.replace(checked(check=check, out=True), known="wrong (keras #22596)")
    address = "https://github.com/keras-team/keras/issues/22596"
    for after in (fault, checked(check=check)):
        found = upgraded(side("old", checks={check: fault}), side("new", checks={check: after}))
        text = short_report(found) if after is not fault else markdown(full_report(found))
        assert f"]({address})" in text.split("What to do next")[0]


def test_files_that_were_wrong_before_are_explained() -> None:
    """The answer counts them; the finding that counts against nothing says which, and why."""
    refused = Written(model="mlp", format="h5", error="TypeError: no float16")
    unwritten = Exchange(written=refused)
    found = upgraded(exchanges=[exchange(), unwritten])
    text = markdown(full_report(found))
    assert text.startswith(
        "**Safe**: 12 cells identical; 1 saved model read back the same; 1 saved"
    )
    told = text.split("<summary>1 fault of both sides")[1].split("What to do next")[0]
    assert "**Saved models in model, .h5: wrong in both**" in told
    assert "OLD cannot write it: TypeError: no float16" in told
    back = upgraded(exchanges=[msgspec.structs.replace(unwritten, back=True)])
    told = markdown(full_report(back)).split("<summary>1 fault of both sides")[1]
    assert "**Saved models in model, .h5, of NEW in OLD: wrong in both**" in told


def test_every_kind_of_finding() -> None:
    """What fails, each kind once; two lines of which the second has at most 25 words and what to do."""
    found = findings(everything())
    assert [inline(finding.what) for finding in found] == [
        "2 cells crash",
        "2 cells, every one with `opt:nadam` and `depth:3`, trained worse",
        "2 cells cannot be trained any more",
        "1 check of nadam newly wrong",
        "Saved models in model, .h5: differs",
        "Saved models in SavedModel by Model.export: broken",
        "Slower",
        "Crashed while timed",
        "Speed of 1 workload undecided",
    ]
    assert all(len(finding.size.split()) <= 25 for finding in found)


def test_a_setting_that_the_side_names_already_stands_once() -> None:
    facts = {
        name: SideFacts(label=label, python=name, lock="", variables={"A": "1"})
        for name, label in (("old", "tensorflow==2.21.0 A=1"), ("new", "tensorflow==2.21.0"))
    }
    assert heading_of(upgraded(sides=facts)) == "tensorflow==2.21.0 A=1 -> tensorflow==2.21.0 A=1"


def test_an_answer_about_a_model_covers_that_model() -> None:
    cell = Cell(engine="fit", own=OwnModel(name="net.build", source="a", longest=9))
    chosen = [Item(grid="model", id="engine:fit-model:net.build", cell=cell)]
    old, new = (side(name, chosen=chosen) for name in ("old", "new"))
    text = markdown(full_report(upgraded(old, new)))
    assert "Covers 1 cell of 1 grid: your model `net.build`." in text
    assert "not your own model" not in text
