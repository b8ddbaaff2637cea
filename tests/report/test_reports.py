"""Reports: golden texts to be read, and what must hold of every one of them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.cells.grids import GRIDS
from bench.report.full import full_report
from bench.report.github import append_step_summary
from bench.report.markdown import markdown
from bench.report.markup import plain
from bench.report.sections.answer import answer_blocks
from bench.report.sections.findings import findings
from bench.report.short import short_report
from bench.report.terminal import summary_lines
from bench.report.text import brief
from bench.results.check import Check
from bench.results.plan import Item
from bench.verdict.baselines.samples import baseline_from_run
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import judge
from support.builders import (
    DEPTH_AXES,
    diverged,
    environment,
    flow,
    healthy,
    items,
    plan,
    replaced,
    stored,
    trained,
)
from support.golden import check_golden
from support.stories import (
    STORIES,
    as_baseline,
    concluded,
    identical,
    judged,
    mixed,
    new,
    rejudged,
    unmeasured,
)


@pytest.mark.parametrize("name", STORIES)
def test_full_report(name: str) -> None:
    """What ``report.md`` says."""
    text = markdown(full_report(STORIES[name](), total_sec=187.2))
    check_golden(f"full-{name}.md", text)


@pytest.mark.parametrize("name", STORIES)
def test_short_report(name: str) -> None:
    """What a CI job's summary says."""
    check_golden(f"short-{name}.md", short_report(STORIES[name](), total_sec=187.2))


@pytest.mark.parametrize("name", STORIES)
def test_terminal(name: str) -> None:
    """What the terminal says last."""
    story = STORIES[name]()
    lines = summary_lines(story, total_sec=187.2, report=story.folder / "report.md")
    assert not any("\n" in line for line in lines)
    check_golden(f"terminal-{name}.md", "\n".join(lines) + "\n")


def full(story: Conclusion) -> str:
    return markdown(full_report(story))


@pytest.mark.parametrize("name", STORIES)
def test_every_cell_has_its_row(name: str) -> None:
    """Nothing is left out of the full report, whatever its verdict."""
    story = STORIES[name]()
    text = full(story)
    assert len(story.judgements) == len(story.run.plan.items) > 0
    for judgement in story.judgements:
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
    ("verdicts", "first", "second"),
    [
        ({"identical": 6}, "Safe: 6 cells identical.", "Compared with the baseline cpu-"),
        ({"identical": 5, "rounding": 1}, "Safe: 5 cells identical; 1 cell rounding.", "Compared"),
        (
            {"regressed": 1, "crashed": 2, "identical": 3},
            "Not safe: 2 cells crashed; 1 cell regressed.",
            "Compared",
        ),
        ({"inconclusive": 1, "identical": 5}, "Undecided: 1 cell inconclusive.", "Compared"),
        ({"missing": 2, "identical": 4}, "Undecided: 2 cells missing.", "Compared"),
        ({"not comparable": 6}, "Undecided: 6 cells not comparable.", "Compared"),
    ],
)
def test_answer(verdicts: dict[str, int], first: str, second: str) -> None:
    """The first line never calls a run good that shows nothing; the second says against what."""
    found = identical()
    given = [Verdict(verdict) for verdict, cells in verdicts.items() for _ in range(cells)]
    for number, verdict in enumerate(given):
        found = rejudged(found, number, verdict=verdict)
    lines = [plain(line) for line in answer_blocks(found)]
    assert lines[0] == first
    assert lines[1].startswith(second)
    assert lines[1].endswith(f"Exit code {found.exit_code}.")


def test_a_class_with_some_cells_and_the_one_behind_it_are_both_named() -> None:
    """With how many cells were held against the second."""
    run, whole = healthy(), as_baseline(healthy())
    first_only = dict(list(whole.grids["depth"].items())[:2])
    amx = msgspec.structs.replace(run.environment.numerics, isa="amx")
    own = msgspec.structs.replace(
        whole,
        name="baseline cpu-amx",
        numerics=amx,
        environment_class=amx.environment_class,
        grids={"depth": first_only},
        fallback=whole,
    )
    run = replaced(run, environment=environment(numerics=amx))
    found = concluded(run, judge(run, own), own)
    second = plain(answer_blocks(found)[1])
    assert second.startswith(
        "Compared with the baseline cpu-amx (TensorFlow 2.20.0). 4 cells are not in it, and are "
        f"compared with the {whole.name} (TensorFlow 2.20.0). "
    )
    none = msgspec.structs.replace(own, grids={})
    second = plain(answer_blocks(concluded(run, judge(run, none), none))[1])
    assert second.startswith(
        f"Compared with the {whole.name} (TensorFlow 2.20.0), as the baseline cpu-amx has none of "
        "these cells. "
    )


def test_nothing_to_compare_with() -> None:
    """No baseline, one without any of the cells, nothing measured: each is undecided, and said."""
    run, baseline = healthy(), as_baseline(healthy())
    judgements = judged(run, Verdict.NEW, "", "none")
    first, second, _ = map(plain, answer_blocks(new()))
    assert first == "Undecided: nothing could be compared."
    assert second == "No baseline is stored to compare with. Exit code 3."
    first, second, _ = map(plain, answer_blocks(concluded(run, judgements, baseline)))
    assert first == "Undecided: nothing could be compared."
    assert "(TensorFlow 2.20.0), which has none of these cells. Exit code 3." in second
    for found in (unmeasured(), concluded(stored(plan([]), []), [])):
        first, second = [plain(line) for line in answer_blocks(found)][:2]
        assert first.startswith("Undecided: ")
        text = "Nothing was measured: this run says nothing about TensorFlow. Exit code 2."
        assert second == text


@pytest.mark.parametrize("verdict", Verdict)
def test_one_bad_cell_is_never_hidden(verdict: Verdict) -> None:
    """One cell among six that fails or is undecided changes the answer, and its reason is listed."""
    found = rejudged(identical(), 4, verdict=verdict, reason="because of X")
    text = short_report(found)
    undecided = (Verdict.MISSING, Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE)
    assert text.startswith("**Not safe**") == verdict.fails
    assert text.startswith("**Undecided**") == (verdict in undecided)
    told = verdict.fails or verdict in undecided or verdict is Verdict.NEW
    for listed in (text, full(found), " ".join(" ".join(summary_lines(found)).split())):
        assert ("ecause of X" in listed) >= told
        assert found.judgements[4].item.id in listed or not told


def test_what_fails_comes_before_what_is_open() -> None:
    """Findings in the order of importance, whatever the plan's order; then what to do."""
    found = mixed()
    found = dataclasses.replace(found, judgements=found.judgements[::-1])
    text = short_report(found)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Findings",
        "What to do next",
        "All cells",
    ]
    first = [plain(finding.what) for finding in findings(found)]
    words = ("crashes", "Claim", "trained", "missing", "inconclusive", "not comparable", "new")
    assert all(word in what for word, what in zip(words, first, strict=True))


def many(cells: int) -> Conclusion:
    the_items = [Item(grid="depth", id=f"depth:{n}", cell=Cell(depth=n)) for n in range(cells)]
    judgements = [
        Judgement(
            item=item, verdict=Verdict.REGRESSED, reason=f"{item.id} " + "x" * 5000, rung="digest"
        )
        for item in the_items
    ]
    return concluded(replaced(healthy(), plan=plan(the_items)), judgements)


def test_short_report_stays_short() -> None:
    """1,200 failing cells with long reasons: one finding, with how many it has."""
    text = short_report(many(1200))
    assert len(text.encode()) < 5_000
    assert (
        "**1200 cells, every one that could be compared, trained worse**: `depth/depth:0`" in text
    )
    assert "and 1199 more cells" in text


def test_reasons_are_short_where_they_are_read_first() -> None:
    """At most 25 words; numbers in parentheses, and clauses that do not fit, are told in full below."""
    first = "losses differ (at most 0.1 of 3 copies; sharp for 9 steps), which is a lot"
    told = brief(f"{first}; {'word ' * 30}")
    assert told == f"losses differ, which is a lot; {'word ' * 18}…"
    assert brief("a b; c d; e f", 5) == "a b; c d"
    assert brief("one two (three four) five six", 4) == "one two five six"
    assert brief("one two three four five", 4) == "one two three …"
    assert brief("one; two three four five six seven", 4) == "one; two three …"
    found = rejudged(identical(), 2, verdict=Verdict.CHANGED, reason=f"{first}; {'word ' * 30}")
    text = full(found)
    assert "<details><summary>Reasons in full: 1</summary>" in text
    assert f"{first}; word word" in text.split("Reasons in full")[1]


@pytest.mark.parametrize("name", STORIES)
def test_a_report_is_short_before_what_is_folded(name: str) -> None:
    """A reviewer reads it in half a minute: below 20 kB, whatever was measured."""
    text = full(STORIES[name]())
    while "<details>" in text:
        text = re.sub(r"<details>(?:(?!<details>)[\s\S])*?</details>", "", text)
    assert text.startswith("**") and len(text.encode()) < 20_000
    assert "|" not in text.replace("| verdict", "").split("## All cells")[0].replace("\\|", "")


@pytest.mark.parametrize("name", STORIES)
def test_a_terminal_shows_at_most_twenty_lines(name: str) -> None:
    """Findings that do not fit are counted; the answer never gives way."""
    story = STORIES[name]()
    lines = summary_lines(story, total_sec=1.0, report=Path("report.md"))
    assert len(lines) <= 20 < len(summary_lines(mixed(), verbose=True))
    assert any(story.answer.value in line for line in lines)


def test_diverged_is_said_in_the_row() -> None:
    """Steps as a range, together with what the other seeds reached."""
    cell = Cell(depth=10)
    the_plan = plan(items("depth", [cell], DEPTH_AXES))
    records = [diverged(cell, 0, step=41), diverged(cell, 1, step=57), trained(cell, 2, spread=0)]
    run = stored(the_plan, records)
    text = markdown(full_report(concluded(run, judged(run, Verdict.NEW, "", "none"))))
    assert "| 94.00; diverged 2/3 at steps 41–57 |" in re.sub(" +", " ", text)
    assert "accuracy over 1 of 3 seeds: only these trained" in text


@pytest.mark.parametrize(
    ("activation", "why"),
    [
        ("tanh", "signal ratio 0: rounded to it, since slopes of tanh and of gates are above 0"),
        ("relu", "signal ratio 0: no ReLU passes a gradient back, or it was rounded to 0"),
    ],
)
def test_a_gradient_over_time_of_zero_is_explained(activation: str, why: str) -> None:
    """A recurrent network's; a plain one's is not."""
    for architecture, explained in (("simple_rnn", True), ("mlp", False)):
        cell = Cell(architecture=architecture, depth=2, activation=activation)
        start = msgspec.structs.replace(flow(cell), signal=[0.0, 1.0])
        if explained:
            start = msgspec.structs.replace(start, over_time=[[0.0, *[1.0] * 27]] * 2)
        record = msgspec.structs.replace(trained(cell, 0), start=start)
        run = stored(plan(items("sequence", [cell], DEPTH_AXES), seeds=[0]), [record])
        text = markdown(full_report(concluded(run, judged(run, Verdict.NEW, "", "none"))))
        assert (why in text) is explained


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
    text = markdown(full_report(concluded(run, judgements, as_baseline(before))))
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
    text = full(concluded(run, judgements, baseline_from_run(before)))
    assert "Compared with the run before (TensorFlow 2.12.1). Exit code 0." in text
    assert "| TensorFlow        | **2.12.1**" in text
    assert "| **2.21.0**" in text


@pytest.mark.parametrize(
    ("retried", "expected"),
    [
        (
            ["depth:3, seed 0: killed by SIGKILL"],
            "A task whose process somebody else ended was tried once more: depth:3, seed 0: killed by "
            "SIGKILL.",
        ),
        (
            ["depth:3, seed 0: killed by SIGKILL", "depth:9, seed 1: killed by SIGTERM"],
            "2 tasks whose process somebody else ended were tried once more: such as depth:3, seed 0: "
            "killed by SIGKILL.",
        ),
    ],
)
def test_what_was_tried_twice_is_told(retried: list[str], expected: str) -> None:
    """A machine that kills processes is trouble that its owner should know of; each is listed."""
    run = healthy(of=environment(run={"retried": retried}))
    story = concluded(run, judged(run, Verdict.IDENTICAL, "", "digest"))
    for text in (full(story), short_report(story)):
        assert expected in text.replace("\\", "")
    assert f"| {'; '.join(retried)}" in full(story)
    assert "once more" not in full(identical())


def test_throughput_is_one_line() -> None:
    """Median over cells of the median over seeds, slowest and fastest; no line without any."""
    cells = [Cell(depth=depth) for depth in (1, 2, 3)]
    speeds = dict(zip(cells, (10_000.0, 90_000.0, 20_000.0), strict=True))
    the_plan = plan(items("depth", cells, DEPTH_AXES))

    def text(speeds: dict[Cell, float | None]) -> str:
        records = [trained(c, s, images_per_sec=speeds[c]) for c in cells for s in the_plan.seeds]
        run = stored(the_plan, records)
        return full(concluded(run, judged(run, Verdict.NEW, "", "none")))

    line = "Throughput: 20,000 images/s in the median over cells, from 10,000 to 90,000."
    assert line in text({**speeds})
    assert "\nThroughput: " not in text(dict.fromkeys(cells))


def test_only_what_is_identical_is_folded() -> None:
    """Within a grid's details, cells that are all identical are behind a title of their own."""
    assert "<details><summary>6 cells, all identical</summary>" in full(identical())
    other = full(rejudged(identical(), 3, verdict=Verdict.EQUIVALENT))
    assert "all identical" not in other


def test_arithmetic_comes_before_the_grids() -> None:
    """What holds for every network is read before the networks."""
    story = identical()
    check = Check(family="optimizer", subject="adam-clip:norm")
    planned = msgspec.structs.replace(story.run.plan, checks=[check])
    text = full(dataclasses.replace(story, run=replaced(story.run, plan=planned)))
    assert text.index("## Checks against independent truth") < text.index("## Depth")


def test_seeds_of_undecided_cells() -> None:
    """Further seeds count in the row and are told of; the others keep the plan's number."""
    cells = [Cell(depth=3), Cell(depth=10)]
    the_plan = plan(items("depth", cells, DEPTH_AXES))
    records = [trained(cell, seed) for cell in cells for seed in range(3)]
    records += [trained(cells[0], 3), diverged(cells[0], 4)]
    run = stored(the_plan, records)
    text = full(concluded(run, judged(run, Verdict.NEW, "", "none")))
    assert "3 (0..2); more for 1 undecided cell" in text
    assert "diverged 1/5 at step 41" in text
    assert "accuracy over 4 of 5 seeds: only these trained" in text


def test_nearest_class_is_named() -> None:
    """Judged against another class, the report says so and how to get a baseline of one's own."""
    numerics = msgspec.structs.replace(environment().numerics, isa="avx2")
    run = healthy(of=environment(numerics=numerics))
    judgements = judged(run, Verdict.EQUIVALENT, "", "distribution")
    text = short_report(concluded(run, judgements, as_baseline(healthy())))
    assert "**cpu-avx2-onednn-1thread**" in full(concluded(run, judgements, as_baseline(healthy())))
    assert "No baseline is stored for `cpu-avx2-onednn-1thread`" in text
    assert " --differing --reason TEXT`" in text, "the class that is there serves the others"
    assert "This machine is of another class, cpu-avx2-onednn-1thread." in text
    assert "No baseline is stored" not in short_report(identical())


def test_a_selection_is_safe_as_far_as_measured() -> None:
    """One cell of a tier that is as it was says nothing of the others."""
    found = identical()
    assert short_report(found).startswith("**Safe**: ")
    plan = msgspec.structs.replace(found.run.plan, selected=True)
    run = msgspec.structs.replace(found.run, plan=plan)
    part = dataclasses.replace(found, run=run)
    assert short_report(part).startswith("**Safe, as far as measured**: ")
    assert f"run {run.path.name}: safe, as far as measured: " in " ".join(summary_lines(part))


def test_stale_cells_of_the_baseline_are_named() -> None:
    """A cell that no grid has any more is said, one that a larger tier has is not."""
    story = identical()
    assert "no grid has any more" not in full(story)
    cells = [Cell(depth=77), next(iter(GRIDS["depth"].cells("full").values()))]
    old = items("depth", cells, GRIDS["depth"].axes)
    before = stored(plan(old), [trained(cell, 0) for cell in cells])
    text = full(dataclasses.replace(story, baseline=as_baseline(before)))
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
