"""``bench merge``: shards of a tier become the run that one session would have left."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.checks import catalogue
from bench.commands import main as cli
from bench.errors import BenchError
from bench.jobs.merge import merge, summary
from bench.results.check import CHECKS, Check, CheckResult, Deviation
from bench.results.copy_result import COPIES
from bench.results.plan import Item
from bench.results.record import RECORDS, Replica
from bench.results.run import ENVIRONMENT, PLAN, StoredRun, read_run
from support.builders import (
    copied,
    crashed,
    environment,
    healthy,
    plan,
    replaced,
    stored,
    trained,
    write,
)

REPOSITORY = Path(__file__).parents[2]
#: Stands in two grids of the quick tier.
SHARED = Cell(depth=3, initializer="he_normal")


def items_of(*grids: str, tier: str = "quick") -> list[Item]:
    """All items of some grids at a tier."""
    return [
        Item(grid=name, id=id_, cell=cell)
        for name in grids
        for id_, cell in UPGRADE_GRIDS[name].cells(tier).items()
    ]


def shard(
    path: Path,
    items: Sequence[Item],
    *,
    seeds: Sequence[int] = (0, 1),
    checks: Sequence[CheckResult] = (),
    **changes: Any,
) -> StoredRun:
    """A run of some items, every replica trained; written."""
    the_plan = plan(items, seeds=seeds, checks=[result.check for result in checks], selected=True)
    cells = dict.fromkeys(item.cell for item in items)
    records = [trained(cell, seed) for cell in cells for seed in seeds]
    run = stored(the_plan, records, path=path)
    run = replaced(run, checks={result.check: result for result in checks}, **changes)
    write(run)
    return run


def passed(check: Check, digest: str = "same") -> CheckResult:
    return CheckResult(check=check, compared=3, deviations=[], digest=digest)


def rewrite(path: Path, **changes: Any) -> None:
    """Replaces fields of a stored JSON file."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


def refused(*paths: Path) -> str:
    """Why a merge is refused, hint included; nothing may be left behind."""
    into = paths[0].parent / "union"
    before = sorted(path.name for path in into.parent.iterdir())
    with pytest.raises(BenchError) as caught:
        merge(paths, into)
    assert sorted(path.name for path in into.parent.iterdir()) == before
    assert caught.value.hint
    return str(caught.value)


# The union


@pytest.mark.slow
def test_union_of_grids(tmp_path: Path) -> None:
    """Two shards of a grid each: all items, every replica once, in the order of the tier."""
    clipping = shard(tmp_path / "a", items_of("clipping"))
    depth = shard(tmp_path / "b", items_of("depth"))
    merged = merge([depth.path, clipping.path], tmp_path / "union")
    run = read_run(tmp_path / "union")
    assert run.plan.items == [*items_of("clipping"), *items_of("depth")]
    assert run.plan == merged.run.plan
    assert list(run.records) == run.plan.replicas()
    assert run.records == {**depth.records, **clipping.records}
    cells = {item.cell for item in run.plan.items}
    assert SHARED in cells
    assert len(cells) < len(run.plan.items), "the grids share no cell: nothing is tested"
    shared = len(items_of("clipping", "depth")) - len(cells)
    assert merged.notes == [f"{2 * shared} results stand in two shards, with the same bits"]


def collected(*arguments: str) -> list[tuple[str, str]]:
    """What one session over all suites collects: (suite, id)."""
    command = [sys.executable, "-m", "pytest", "suites", "--collect-only", "-q", *arguments]
    command += ["-p", "no:cacheprovider", "--benchmark-skip"]
    listing = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=True
    ).stdout
    return re.findall(r"^suites/test_(\w+)\.py::test_(?:cell|check)\[(.*)\]$", listing, re.M)


@pytest.mark.slow
def test_order_is_that_of_one_session(tmp_path: Path) -> None:
    """The plan of merged shards, one per suite and in any order, is that of a run of all suites: it can
    be continued with ``--resume`` and nothing is a selection any more."""
    everything = catalogue.checks("quick")

    def suite_of(check: Check) -> str:
        if check.is_contract:
            return "contracts"
        return "invariants" if check.family == "invariant" else "numerics"

    paths = [shard(tmp_path / name, items_of(name), seeds=[0]).path for name in UPGRADE_GRIDS]
    for name in ("contracts", "invariants", "numerics"):
        results = [passed(check) for check in everything if suite_of(check) == name]
        paths.append(shard(tmp_path / name, [], seeds=[0], checks=results).path)
    random.Random(0).shuffle(paths)
    union = merge(paths, tmp_path / "union").run.plan
    assert not union.selected
    names = [(item.grid, item.id) for item in union.items]
    names += [(suite_of(check), check.id) for check in union.checks]
    session = collected("--tier", "quick")
    assert len(session) > 500
    # In one session, suites of checks stand among those of cells; a plan keeps two lists.
    assert names == sorted(
        session, key=lambda name: name[0] in ("contracts", "invariants", "numerics")
    )


def test_whole_tier_only_with_every_cell(tmp_path: Path) -> None:
    """A single cell less and the union is a selection, whose absent cells are no finding."""
    items = items_of(*UPGRADE_GRIDS)
    half = len(items) // 2
    first = shard(tmp_path / "a", items[:half], seeds=[0]).path
    second = shard(tmp_path / "b", items[half:], seeds=[0]).path
    lacking = shard(tmp_path / "c", items[half:-1], seeds=[0]).path
    assert not merge([first, second], tmp_path / "whole").run.plan.selected
    assert merge([first, lacking], tmp_path / "selection").run.plan.selected
    # The standard tier has cells more.
    for path in (first, second):
        rewrite(path / PLAN, tier="standard")
    assert merge([first, second], tmp_path / "standard").run.plan.selected


@given(
    st.lists(st.lists(st.sampled_from(items_of("clipping")), max_size=5), min_size=1, max_size=4)
)
@pytest.mark.slow
def test_order_of_shards_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[Item]]
) -> None:
    """Merging is commutative, associative and idempotent, but for the notes on how runs came about."""
    folder = tmp_path_factory.mktemp("merge")
    unique = [list({item.id: item for item in part}.values()) for part in parts]
    if not any(unique):
        return
    of = environment(run={"total_sec": 10.5})
    paths = [
        shard(folder / str(n), part, seeds=[0], environment=of).path
        for n, part in enumerate(unique)
    ]
    forward = merge(paths, folder / "forward").run
    backward = merge(paths[::-1], folder / "backward").run
    again = merge([folder / "forward", *paths, folder / "backward"], folder / "again").run
    for other in (backward, again):
        assert other.plan == forward.plan
        assert list(other.records.items()) == list(forward.records.items())
        assert other.environment.run["total_sec"] == 10.5 * len(unique)


def test_checks_copies_and_further_seeds(tmp_path: Path) -> None:
    """Everything that a run's folder holds is united, seeds beyond the plan's included."""
    checks = catalogue.checks("quick", ["clipping"])[:4]
    items = items_of("clipping")
    first = shard(tmp_path / "a", items[:2], checks=[passed(check) for check in checks[:3]])
    record = first.records[Replica(items[0].cell, 0)]
    copies = {result.copy: result for result in (copied(record, 1), copied(record, 0))}
    second = shard(
        tmp_path / "b", items[:1], checks=[passed(check) for check in checks[2:]], copies=copies
    )
    extra = trained(items[1].cell, 7)
    with (first.path / RECORDS.file).open("ab") as file:
        file.write(RECORDS.encode(extra))
    merged = merge([second.path, first.path], tmp_path / "union")
    run = read_run(tmp_path / "union")
    assert run.plan.checks == checks
    assert run.results == [passed(check) for check in checks]
    assert run.copies_of(items[0].cell, 0) == [copied(record, 0), copied(record, 1)]
    assert [record.seed for record in run.of(items[1].cell)] == [0, 1, 7]
    assert summary(merged)[0] == (
        f"{tmp_path / 'union'}: 2 cells, 4 of 4 replicas, 1 further replicas of undecided cells, "
        "4 of 4 checks, 2 copies; a selection of tier quick"
    )


def test_environment_tells_of_the_shards(tmp_path: Path) -> None:
    """Class, software and images are the shards'; commands, times and machines are all kept."""
    paths = []
    for name, seconds, cpu in (("a", 20.0, "New CPU"), ("b", 30.5, "Old CPU")):
        about = {"command": f"pytest {name}", "total_sec": seconds, "dirty": "false"}
        about |= {"started": f"2026-11-21T03:{seconds:.0f}", "workers": "2"}
        of = environment(machine={"cpu": cpu}, run=about, data={"source": name})
        paths.append(shard(tmp_path / name, items_of("clipping"), environment=of).path)
    merged = merge(paths[::-1], tmp_path / "union").run.environment
    assert merged.numerics == environment().numerics
    assert merged.software == environment().software
    assert merged.machine["cpu"] == "New CPU; Old CPU"
    assert merged.machine["cores"] == "2"
    assert merged.run["total_sec"] == 50.5
    assert merged.run["longest_sec"] == 30.5
    assert merged.run["started"] == "2026-11-21T03:20"
    assert merged.run["workers"] == "4"
    assert merged.run["dirty"] == "false"
    assert merged.run["command"] == f"bench merge {paths[1]} {paths[0]} --run union"
    assert [shard["command"] for shard in merged.run["shards"]] == ["pytest b", "pytest a"]


def test_uncommitted_code_stays_known(tmp_path: Path) -> None:
    """One shard from a dirty checkout makes the union one: no baseline is accepted from it."""
    items = items_of("clipping")
    clean = shard(tmp_path / "a", items, environment=environment(run={"dirty": "false"})).path
    dirty = shard(tmp_path / "b", items, environment=environment(run={"dirty": "true"})).path
    assert merge([clean, dirty], tmp_path / "union").run.environment.run["dirty"] == "true"


# Incomplete shards


def test_incomplete_shard_is_merged_and_said(tmp_path: Path) -> None:
    """What a killed shard lacks stays in the plan and is missing."""
    items = items_of("clipping")
    check = catalogue.checks("quick", ["clipping"])[0]
    whole = shard(tmp_path / "a", items[:5])
    killed = shard(tmp_path / "b", items[5:9], checks=[passed(check)])
    records = (killed.path / RECORDS.file).read_bytes().splitlines(keepends=True)
    (killed.path / RECORDS.file).write_bytes(b"".join(records[:5]) + records[5][:40])
    (killed.path / CHECKS.file).unlink()
    merged = merge([whole.path, killed.path], tmp_path / "union")
    assert merged.notes == [
        f"{killed.path} is incomplete: it lacks 3 of 8 replicas, the first of them "
        f"clipping/{items[7].id}, seed 1; and 1 of 1 checks, the first of them {check.id}"
    ]
    lacking = [key for key in merged.run.plan.replicas() if key not in merged.run.records]
    assert lacking == [Replica(items[n].cell, seed) for n, seed in ((7, 1), (8, 0), (8, 1))]


def test_shard_that_never_began(tmp_path: Path) -> None:
    """A shard whose workers never started has a plan: its cells are missing, not forgotten."""
    items = items_of("clipping")
    whole = shard(tmp_path / "a", items[:1])
    dead = shard(tmp_path / "b", items[1:2])
    (dead.path / ENVIRONMENT).unlink()
    (dead.path / RECORDS.file).unlink()
    merged = merge([dead.path, whole.path], tmp_path / "union")
    assert [item.id for item in merged.run.plan.items] == [item.id for item in items[:2]]
    assert "2 of 2 replicas" in merged.notes[0]


def test_nothing_measured(tmp_path: Path) -> None:
    """Shards without any result are trouble."""
    empty = shard(tmp_path / "a", items_of("clipping"))
    (empty.path / RECORDS.file).write_bytes(b"")
    assert "nothing was measured" in refused(empty.path)


# Refusals


@pytest.mark.parametrize(
    ("field", "value"), [("tier", "standard"), ("device", "gpu"), ("seeds", [0]), ("decide", 12)]
)
def test_other_plan(tmp_path: Path, field: str, value: Any) -> None:
    """Another tier, device or number of seeds: which file, which field, both values, the way out."""
    first = shard(tmp_path / "a", items_of("clipping"))
    second = shard(tmp_path / "b", items_of("depth"))
    rewrite(second.path / PLAN, **{field: value})
    message = refused(first.path, second.path)
    before = getattr(first.plan, field)
    assert message.startswith(
        f"{second.path / PLAN}: {field} is {value!r}, and {before!r} in {first.path / PLAN}\n"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"software": {"tensorflow": "2.20.0"}}, "software.tensorflow is '2.20.0', and '2.21.0'"),
        ({"software": {"cuda": "12"}}, "software.cuda is '12', and None"),
        ({"data": {"fingerprint": "00"}}, "data.fingerprint is '00'"),
        ({"run": {"commit": "abc"}}, "run.commit is 'abc', and None"),
        (
            {"numerics": msgspec.structs.replace(environment().numerics, isa="avx2")},
            "numerics.isa is 'avx2', and 'avx512_bf16'",
        ),
    ],
)
def test_other_environment(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    """Another class, version, data set or commit."""
    first = shard(tmp_path / "a", items_of("clipping"))
    second = shard(tmp_path / "b", items_of("depth"), environment=environment(**change))
    assert f"{second.path / ENVIRONMENT}: {told}" in refused(first.path, second.path)


def test_two_results_of_one_replica(tmp_path: Path) -> None:
    """On a CPU, one replica with two digests shows an environment that was not the same."""
    items = items_of("clipping")[:3]
    first = shard(tmp_path / "a", items)
    key = Replica(items[1].cell, 1)
    other = {**first.records, key: trained(key.cell, key.seed, salt="other")}
    second = shard(tmp_path / "b", items, records=other)
    digests = [run.records[key].digest[:12] for run in (second, first)]
    assert refused(first.path, second.path).startswith(
        f"{second.path / RECORDS.file}: clipping/{items[1].id}, seed 1: digest {digests[0]}, and "
        f"{digests[1]} in {first.path / RECORDS.file}: "
    )


def test_two_results_of_one_check_or_copy(tmp_path: Path) -> None:
    """The same holds of checks and copies."""
    items = items_of("clipping")[:1]
    check = catalogue.checks("quick", ["clipping"])[0]
    record = trained(items[0].cell, 0)
    copy, other = copied(record), copied(record, by=1e-3)
    paths = [
        shard(tmp_path / "a", items, checks=[passed(check)]).path,
        shard(tmp_path / "b", items, checks=[passed(check, "other")]).path,
        shard(tmp_path / "c", items, copies={copy.copy: copy}).path,
        shard(tmp_path / "d", items, copies={copy.copy: other}).path,
    ]
    assert f"{paths[1] / CHECKS.file}: {check.id}: digest other" in refused(*paths[:2])
    assert f"{paths[3] / COPIES.file}: copy 0 of clipping/{items[0].id}, seed 0" in refused(
        *paths[2:]
    )


def test_bits_of_a_gpu_differ(tmp_path: Path) -> None:
    """A GPU adds in an order of its own: the result of the shard named first is kept, and it is said.
    A failing check is never dropped for one that passes."""
    items = items_of("clipping")[:1]
    key = Replica(items[0].cell, 1)
    check = catalogue.checks("quick", ["clipping"])[0]
    failing = CheckResult(
        check=check, compared=1, deviations=[Deviation(tensor="t", excess=2.0)], digest="other"
    )
    first = shard(tmp_path / "a", items, checks=[passed(check)])
    records = {**first.records, key: trained(key.cell, key.seed, salt="other")}
    second = shard(tmp_path / "b", items, records=records, checks=[failing])
    for path in (first.path, second.path):
        rewrite(path / PLAN, device="gpu")
    merged = merge([first.path, second.path], tmp_path / "union")
    assert merged.run.records == first.records
    assert merged.run.results == [failing]
    assert merge([second.path, first.path], tmp_path / "other").run.records == records
    assert "1 results stand in two shards, with different bits" in "\n".join(merged.notes)
    assert f"{check.id}: failed in one shard" in "\n".join(merged.notes)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_crash_is_kept(tmp_path: Path, order: tuple[int, int]) -> None:
    """A replica that crashed in one shard has crashed, whatever the other shard's luck."""
    items = items_of("clipping")[:1]
    first = shard(tmp_path / "a", items)
    crash = crashed(items[0].cell, 1)
    second = shard(tmp_path / "b", items, records={**first.records, crash.key: crash})
    paths = [(first.path, second.path)[number] for number in order]
    merged = merge(paths, tmp_path / "union")
    assert merged.run.records[crash.key] == crash
    assert f"clipping/{items[0].id}, seed 1: failed in one shard" in "\n".join(merged.notes)


def test_other_definition_of_a_cell(tmp_path: Path) -> None:
    """One name for two cells."""
    items = items_of("clipping")[:1]
    changed = [msgspec.structs.replace(items[0], cell=Cell(depth=9))]
    paths = [shard(tmp_path / "a", items).path, shard(tmp_path / "b", changed).path]
    assert f"clipping/{items[0].id}: two shards mean different cells" in refused(*paths)


def test_damaged_shard(tmp_path: Path) -> None:
    """A damaged file is named; a folder without a plan is no run."""
    good = shard(tmp_path / "a", items_of("clipping"))
    bad = shard(tmp_path / "b", items_of("depth"))
    (bad.path / RECORDS.file).write_text("{}\n")
    assert f"{bad.path / RECORDS.file}, line 1" in refused(good.path, bad.path)
    (bad.path / PLAN).unlink()
    assert str(bad.path / PLAN) in refused(good.path, bad.path)


# Writing


def test_never_over_a_run(tmp_path: Path) -> None:
    """A run that exists is left as it is, even one of the shards."""
    run = shard(tmp_path / "a", items_of("clipping"))
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    with pytest.raises(BenchError, match="already exists"):
        merge([run.path], run.path)
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


def test_never_half_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills while the last file is written leaves nothing behind."""
    run = shard(tmp_path / "a", items_of("clipping"))

    def full(path: Path, content: bytes) -> None:
        if path.name == PLAN:
            raise BenchError("disk full", hint="free some")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    monkeypatch.setattr("bench.jobs.merge.write_atomically", full)
    assert refused(run.path) == "disk full\n  -> free some"


def test_place_that_cannot_be_written(tmp_path: Path, below_a_file: Path) -> None:
    """Said, with the way out."""
    run = shard(tmp_path / "a", items_of("clipping"))
    with pytest.raises(BenchError, match="cannot be written"):
        merge([run.path], below_a_file)


# The command


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; claims are tested elsewhere and synthetic runs violate them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.verdict.judging.check_claims", lambda *_: [])
    return tmp_path


def split(run: StoredRun, parts: Iterable[int]) -> list[str]:
    """The run as shards of these numbers of items."""
    names, begin = [], 0
    for count in parts:
        items = run.plan.items[begin : begin + count]
        cells = {item.cell for item in items}
        records = {key: record for key, record in run.records.items() if key.cell in cells}
        of = msgspec.structs.replace(run.plan, items=items, selected=True)
        path = run.path.parent / f"shard-{begin}"
        write(replaced(run, path=path, plan=of, records=records))
        names.append(path.name)
        begin += count
    return names


def test_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The merged run is one that ``report``, ``baseline accept`` and ``compare`` work on; it is
    identical to the run that the shards were taken from."""
    whole = healthy()
    write(whole)
    shards = split(whole, (2, 4))
    assert cli.main(["merge", *shards, "--run", "union"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("results/union: 6 cells, 18 of 18 replicas")
    assert out[-1] == "next: bench report results/union"
    assert cli.main(["report", "union", "--allow-undecided"]) == 0
    assert (place / "results/union/report.md").exists()
    assert cli.main(["baseline", "accept", "union", "--yes", "--reason", "first"]) == 0
    assert cli.main(["compare", whole.path.name, "union"]) == 0
    assert "Safe: 6 cells identical" in capsys.readouterr().out


def test_command_tells_trouble(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, on stderr, with the way out."""
    write(healthy())
    assert cli.main(["merge", "latest", "nowhere", "--run", "union"]) == 2
    assert "bench: error: no run 'nowhere'" in capsys.readouterr().err
    assert cli.main(["merge", "latest", "--run", healthy().path.name]) == 2
    assert "choose another --run NAME" in capsys.readouterr().err


@pytest.mark.slow
def test_report_of_an_incomplete_union(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell without any replica is missing in the report: exit code 2, never success."""
    run = healthy()
    write(run)
    shards = split(run, (2, 4))
    (run.path.parent / shards[1] / RECORDS.file).write_bytes(b"")
    assert cli.main(["merge", *shards, "--run", "union"]) == 0
    assert "is incomplete: it lacks 12 of 12 replicas" in capsys.readouterr().out
    assert cli.main(["report", "union"]) == 2


@pytest.mark.slow
def test_report_goes_to_the_step_summary(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job that merges shards shows the report where one that trained would; a file that cannot be
    written is a warning."""
    write(healthy())
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / "summary.md"))
    assert cli.main(["report", "latest", "--allow-undecided"]) == 0
    assert "## All cells" in (place / "summary.md").read_text()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / "none" / "summary.md"))
    assert cli.main(["report", "latest", "--allow-undecided"]) == 0
    assert "bench: warning: $GITHUB_STEP_SUMMARY: cannot write" in capsys.readouterr().err
