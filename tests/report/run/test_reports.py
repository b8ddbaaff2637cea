"""Reports: golden texts to be read, and what must hold of every one of them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.cells.grids import GRIDS
from bench.report.github import append_step_summary
from bench.report.markdown import markdown
from bench.report.markup import plain
from bench.report.run.full import full_report, short_report
from bench.report.run.terminal import summary_lines
from bench.report.run.words import answer
from bench.results.check import Check
from bench.results.plan import Item
from bench.verdict.baselines.samples import baseline_from_run
from bench.verdict.judgement import Judgement, Verdict
from support.builders import (
    DEPTH_AXES,
    diverged,
    environment,
    healthy,
    items,
    plan,
    replaced,
    stored,
    trained,
)
from support.golden import check_golden
from support.stories import STORIES, Story, as_baseline, identical, judged, mixed


@pytest.mark.parametrize("name", STORIES)
def test_full_report(name: str) -> None:
    """What ``report.md`` says."""
    run, judgements, baseline = STORIES[name]()
    text = markdown(full_report(run, judgements, baseline=baseline, total_sec=187.2))
    check_golden(f"full-{name}.md", text)


@pytest.mark.parametrize("name", STORIES)
def test_short_report(name: str) -> None:
    """What a CI job's summary says."""
    run, judgements, baseline = STORIES[name]()
    text = markdown(short_report(run, judgements, baseline=baseline, total_sec=187.2))
    check_golden(f"short-{name}.md", text)


@pytest.mark.parametrize("name", STORIES)
def test_terminal(name: str) -> None:
    """What the terminal says last."""
    run, judgements, baseline = STORIES[name]()
    lines = summary_lines(
        run, judgements, baseline=baseline, report=run.path / "report.md", total_sec=187.2
    )
    assert not any("\n" in line for line in lines)
    check_golden(f"terminal-{name}.md", "\n".join(lines) + "\n")


def full(story: Story) -> str:
    run, judgements, baseline = story
    return markdown(full_report(run, judgements, baseline=baseline))


@pytest.mark.parametrize("name", STORIES)
def test_every_cell_has_its_row(name: str) -> None:
    """Nothing is left out of the full report, whatever its verdict."""
    run, judgements, _ = STORIES[name]()
    text = full(STORIES[name]())
    assert len(judgements) == len(run.plan.items) > 0
    for judgement in judgements:
        row = re.search(rf"^\| `{re.escape(judgement.item.id)}` .*$", text, re.MULTILINE)
        assert row is not None
        assert judgement.verdict.value in row[0].rsplit("|", 2)[1]


@pytest.mark.parametrize("name", STORIES)
def test_tables_are_rectangular(name: str) -> None:
    """No text of a cell, crash or reason breaks a table: every row has the header's columns."""
    columns = None
    tables = 0
    for line in full(STORIES[name]()).splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        found = len(re.findall(r"(?<!\\)\|", line))
        tables += columns is None
        assert found == (columns or found), line
        columns = found
    assert tables >= 3


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ({"identical": 3}, "Nothing regressed: 3 of 3 cells identical to X."),
        (
            {"identical": 2, "rounding": 1},
            "Nothing regressed: 1 rounding, 2 identical, of 3 cells.",
        ),
        (
            {"regressed": 1, "identical": 2},
            "1 of 3 cells needs attention: 1 regressed, 2 identical",
        ),
        ({"crashed": 2, "new": 1}, "2 of 3 cells need attention: 2 crashed, 1 new"),
        (
            {"inconclusive": 1, "identical": 2},
            "Nothing regressed, but 1 of 3 cells is undecided: 1 inconclusive, 2 identical",
        ),
        (
            {"missing": 2, "identical": 1},
            "Incomplete: 2 of 3 cells were not measured, and nothing regressed among the others: "
            "2 missing, 1 identical",
        ),
        ({"not comparable": 3}, "Nothing regressed, but 3 of 3 cells are undecided"),
        ({"new": 3}, "Nothing to compare 3 cells with: X has none of them."),
        ({"missing": 3}, "Nothing was measured: this run says nothing about TensorFlow."),
        ({}, "Nothing was measured: this run says nothing about TensorFlow."),
    ],
)
def test_answer(verdicts: dict[str, int], expected: str) -> None:
    """The first line never calls a run good that shows nothing."""
    item = Item(grid="depth", id="depth:3", cell=Cell())
    judgements = [
        Judgement(item=item, verdict=Verdict(verdict), reason="", rung="")
        for verdict, cells in verdicts.items()
        for _ in range(cells)
    ]
    assert plain(answer(judgements, "X")).startswith(expected)


@pytest.mark.parametrize("verdict", Verdict)
def test_one_bad_cell_is_never_hidden(verdict: Verdict) -> None:
    """One cell among six that fails or is undecided changes the first line and is listed first."""
    run, judgements, baseline = identical()
    judgements[4] = msgspec.structs.replace(judgements[4], verdict=verdict, reason="because of X")
    text = markdown(short_report(run, judgements, baseline=baseline))
    first = text.splitlines()[0]
    undecided = (Verdict.MISSING, Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE)
    assert ("needs attention" in first) == verdict.fails
    assert ("undecided" in first or "Incomplete" in first) == (verdict in undecided)
    listed = [line for line in text.splitlines() if "because of X" in line]
    assert len(listed) == (verdict.fails or verdict in undecided)
    assert all(judgements[4].item.id in line for line in listed)


def test_worst_comes_first() -> None:
    """Rows that need attention are in the order of verdicts, whatever the plan's order."""
    run, judgements, baseline = mixed()
    text = markdown(short_report(run, judgements[::-1], baseline=baseline))
    section = text.split("## Verdicts")[0]
    found = re.findall(r"^\| \*\*(.*?)\*\*", section, re.MULTILINE)
    assert found == [verdict.value for verdict in list(Verdict)[:7]]


def many(cells: int) -> Story:
    run = healthy()
    the_items = [Item(grid="depth", id=f"depth:{n}", cell=Cell(depth=n)) for n in range(cells)]
    judgements = [
        Judgement(
            item=item, verdict=Verdict.REGRESSED, reason=f"{item.id} " + "x" * 5000, rung="digest"
        )
        for item in the_items
    ]
    return replaced(run, plan=plan(the_items)), judgements, None


def test_short_report_stays_short() -> None:
    """1,200 failing cells with long reasons: fifteen rows, the rest counted, far below 1 MiB."""
    run, judgements, _ = many(1200)
    text = markdown(short_report(run, judgements, baseline=None))
    assert len(text.encode()) < 20_000
    assert text.count("**regressed**") == 15
    assert "And 1185 more cells." in text


def test_diverged_is_said_in_the_row() -> None:
    """Steps as a range, together with what the other seeds reached."""
    cell = Cell(depth=10)
    the_plan = plan(items("depth", [cell], DEPTH_AXES))
    records = [diverged(cell, 0, step=41), diverged(cell, 1, step=57), trained(cell, 2, spread=0)]
    run = stored(the_plan, records)
    text = markdown(full_report(run, judged(run, Verdict.NEW, "", "none"), baseline=None))
    assert "| 94.00; diverged 2/3 at steps 41–57 |" in re.sub(" +", " ", text)
    assert "accuracy over 1 of 3 seeds: only these trained" in text


def test_change_is_over_shared_seeds() -> None:
    """Accuracy .90, .92 under seeds 0, 1; baseline .80, .88 under 1, 2: change .92 - .80."""
    cell = Cell()
    run, before = (
        stored(
            plan(items("depth", [cell], DEPTH_AXES), seeds=accuracies),
            [trained(cell, seed, accuracy=value, spread=0) for seed, value in accuracies.items()],
        )
        for accuracies in ({0: 0.90, 1: 0.92}, {1: 0.80, 2: 0.88})
    )
    judgements = judged(run, Verdict.IMPROVED, "", "distribution")
    text = markdown(full_report(run, judgements, baseline=as_baseline(before)))
    # mean of .90 and .92, their sample standard deviation sqrt(2 * .01^2) = .0141
    assert "| 91.00 ± 1.41 |" in re.sub(" +", " ", text)
    assert "| 80.00 | +12.00 | improved |" in re.sub(" +", " ", text)


def test_other_versions_stand_out() -> None:
    """What differs from the baseline is bold, what does not is not."""
    text = full(identical())
    assert "**2.21.0**" in text
    assert "**2.20.0**" in text
    assert "**2.4.6**" not in text


def test_a_run_in_place_of_a_baseline_has_its_versions() -> None:
    """Judged against another run, the report says which TensorFlow that was."""
    run = healthy()
    before = healthy(Path("results/before"), of=environment(software={"tensorflow": "2.12.1"}))
    judgements = judged(run, Verdict.IDENTICAL, "", "digest")
    text = full((run, judgements, baseline_from_run(before)))
    assert "Compared with" not in text.splitlines()[0]
    assert "identical to the run before (TensorFlow 2.12.1)." in text.splitlines()[0]
    assert "| TensorFlow        | **2.21.0**" in text
    assert "| **2.12.1**" in text


def test_throughput_is_one_line() -> None:
    """Median over cells of the median over seeds, slowest and fastest; no line without any."""
    cells = [Cell(depth=depth) for depth in (1, 2, 3)]
    speeds = dict(zip(cells, (10_000.0, 90_000.0, 20_000.0), strict=True))
    the_plan = plan(items("depth", cells, DEPTH_AXES))

    def text(speeds: dict[Cell, float | None]) -> str:
        records = [trained(c, s, images_per_sec=speeds[c]) for c in cells for s in the_plan.seeds]
        run = stored(the_plan, records)
        return full((run, judged(run, Verdict.NEW, "", "none"), None))

    line = "Throughput: 20,000 images/s in the median over cells, from 10,000 to 90,000."
    assert line in text({**speeds})
    assert "\nThroughput: " not in text(dict.fromkeys(cells))


def test_only_what_is_identical_is_folded() -> None:
    """A grid whose cells are all identical is behind a title; one other cell opens it."""
    run, judgements, baseline = identical()
    assert "<details><summary>6 cells, all identical</summary>" in full((run, judgements, baseline))
    judgements[3] = msgspec.structs.replace(judgements[3], verdict=Verdict.EQUIVALENT)
    assert "<details>" not in full((run, judgements, baseline))


def test_arithmetic_comes_before_the_grids() -> None:
    """What holds for every network is read before the networks."""
    run, judgements, baseline = identical()
    check = Check(family="optimizer", subject="adam-clip:norm")
    planned = msgspec.structs.replace(run.plan, checks=[check])
    text = full((replaced(run, plan=planned), judgements, baseline))
    assert text.index("## TensorFlow's arithmetic") < text.index("## Depth")


def test_seeds_of_undecided_cells() -> None:
    """Further seeds count in the row and are told of; the others keep the plan's number."""
    cells = [Cell(depth=3), Cell(depth=10)]
    the_plan = plan(items("depth", cells, DEPTH_AXES))
    records = [trained(cell, seed) for cell in cells for seed in range(3)]
    records += [trained(cells[0], 3), diverged(cells[0], 4)]
    run = stored(the_plan, records)
    text = full((run, judged(run, Verdict.NEW, "", "none"), None))
    assert "3 (0..2); more for 1 undecided cell" in text
    assert "diverged 1/5 at step 41" in text
    assert "accuracy over 4 of 5 seeds: only these trained" in text


def test_nearest_class_is_named() -> None:
    """Judged against another class, the report says so and how to get a baseline of one's own."""
    numerics = msgspec.structs.replace(environment().numerics, isa="avx2")
    run = healthy(of=environment(numerics=numerics))
    judgements = judged(run, Verdict.EQUIVALENT, "", "distribution")
    text = markdown(short_report(run, judgements, baseline=as_baseline(healthy())))
    assert "**cpu-avx2-onednn-1thread**" in text
    assert "No baseline is stored for `cpu-avx2-onednn-1thread`" in text
    assert "No baseline is stored" not in markdown(
        short_report(*identical()[:2], baseline=identical()[2])
    )


def test_stale_cells_of_the_baseline_are_named() -> None:
    """A cell that no grid has any more is said, one that a larger tier has is not."""
    story = identical()
    assert story[2] is not None
    assert "no grid has any more" not in full(story)
    cells = [Cell(depth=77), next(iter(GRIDS["depth"].cells("full").values()))]
    old = items("depth", cells, GRIDS["depth"].axes)
    before = stored(plan(old), [trained(cell, 0) for cell in cells])
    text = full((*story[:2], as_baseline(before)))
    assert f"also holds 1 cell that no grid has any more, such as `depth/{old[0].id}`" in text


# The job summary


def test_step_summary_is_appended(tmp_path: Path) -> None:
    """Earlier steps' text stays."""
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    assert append_step_summary("report\n", {"GITHUB_STEP_SUMMARY": str(path)}) is None
    assert path.read_text() == "before\nreport\n\n"


@pytest.mark.parametrize("environ", [{}, {"GITHUB_STEP_SUMMARY": ""}])
def test_no_step_summary(environ: dict[str, str]) -> None:
    """Outside GitHub nothing is written and nothing is said."""
    assert append_step_summary("report", environ) is None


def test_step_summary_that_cannot_be_written(below_a_file: Path) -> None:
    """A warning that names the file; no exception."""
    warning = append_step_summary("report", {"GITHUB_STEP_SUMMARY": str(below_a_file)})
    assert warning == f"$GITHUB_STEP_SUMMARY: cannot write {below_a_file}: Not a directory"


def test_step_summary_on_a_full_disk() -> None:
    """The error comes when the file is closed; it is a warning all the same."""
    warning = append_step_summary("report", {"GITHUB_STEP_SUMMARY": "/dev/full"})
    assert warning == "$GITHUB_STEP_SUMMARY: cannot write /dev/full: No space left on device"


def test_step_summary_has_a_limit(tmp_path: Path) -> None:
    """Beyond 1 MiB GitHub would drop what is there already."""
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * (1024 * 1024 - 5))
    warning = append_step_summary("report", {"GITHUB_STEP_SUMMARY": str(path)})
    assert warning is not None
    assert "GitHub shows at most 1,048,576" in warning
    assert path.stat().st_size == 1024 * 1024 - 5
