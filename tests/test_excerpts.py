"""README, CONTRIBUTING and docs/: every block that is set apart from prose is tied to the code.

:data:`HELD` says of each what it is held by. A block that nobody holds fails, so that none can slip in
that goes stale unseen. What a command printed is rendered anew from constructed results, by the code
that renders real ones, and compared with numbers masked; what is cheap is computed and compared whole.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import os
import re
import stat
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import yaml

import bench
from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.grid import TIERS
from bench.commands import main as cli
from bench.report.text import points, significant
from bench.results.check import ARITHMETIC
from bench.statistics.levels import ALPHA, ENVELOPES, LUCK, TESTS
from bench.verdict.judgement import Verdict
from support import shown
from support.pages import (
    PAGES,
    REPOSITORY,
    Excerpt,
    check_bench,
    check_line,
    check_pytest,
    excerpts,
    of_text,
)

Holder = Callable[[Excerpt], None]

EXCERPTS = list(excerpts())
_NUMBER = re.compile(r"[-+±]?(?:\.\d+|\d+(?:[.,]\d+)*)(?:e[-+]?\d+)?")


def masked(text: str) -> str:
    """What is displayed of Markdown, # for every number, and one blank for all white space."""
    shown_ = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", re.sub(r"\*\*|`|<!-- -->", "", text))
    return _NUMBER.sub("#", " ".join(shown_.replace("\\", "").split()))


def blocks(text: str) -> list[str]:
    """Paragraphs, list items, headings and rows of a Markdown text, :func:`masked`."""
    found: list[str] = []
    begun = False
    for line in text.splitlines():
        alone = re.match(r" *(?:\d+\. |- |\||#)", line)
        if not line.strip() or re.fullmatch(r"\|[-:| ]+\|", line):
            begun = False
        elif begun and not alone:
            found[-1] += f" {line.strip()}"
        else:
            found.append(line.strip())
            begun = True
    return [masked(block) for block in found]


# --- Holders


def commands(excerpt: Excerpt) -> None:
    """Each line is a command that there is, with options that it has."""
    for line in excerpt.lines:
        check_line(line)


def commands_in(column: int) -> Holder:
    """A column of a table has commands: each that is named in it is one."""

    def hold(excerpt: Excerpt) -> None:
        spans = [span for text in excerpt.column(column) for span in re.findall(r"`([^`]+)`", text)]
        found = [span for span in spans if re.match(r"(?:python -m tox run|bench|pytest) ", span)]
        assert found
        for span in found:
            check_line(span)

    return hold


def rendered(render: Callable[[], str]) -> Holder:
    """What a command prints of constructed results has each of its blocks, in their order, but for
    numbers."""

    def hold(excerpt: Excerpt) -> None:
        printed = iter(blocks(render()))
        for block in blocks(excerpt.text):
            assert block in printed, f"{block!r} does not follow in:\n\n{render()[:3_000]}"

    return hold


def rows_of(render: Callable[[Excerpt], str]) -> Holder:
    """Rows of a table that a command prints, of constructed results, without some of its columns; what
    stands before the table is a part of what is printed, too."""

    def hold(excerpt: Excerpt) -> None:
        text = render(excerpt)
        before = {block for block in blocks(excerpt.text) if not block.startswith("|")}
        assert before <= set(blocks(text)), text
        tables = [table for table in _tables(text) if set(excerpt.headers) <= set(table.headers)]
        assert tables, f"no table has all of {excerpt.headers}:\n\n{text}"
        at = [tables[0].headers.index(header) for header in excerpt.headers]
        printed = {tuple(masked(row[place]) for place in at) for row in tables[0].cells[1:]}
        told = {tuple(map(masked, row)) for row in excerpt.cells[1:]}
        assert told <= printed, text

    return hold


def _tables(text: str) -> list[Excerpt]:
    return [one for one in of_text("", text) if one.kind == "table"]


def printed_by(script: str, *, names: bool = True, command: str = "") -> Holder:
    """A script prints the table: its text has each header, and what each row begins with; versions are
    those of the runs that it is given. How it is started stands beside the table."""

    def hold(excerpt: Excerpt) -> None:
        assert (command or f"python {script}") in " ".join(section_of(excerpt).split())
        text = (REPOSITORY / script).read_text()
        literals = [
            node.value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        firsts = excerpt.column(0) if names else []
        words = [*excerpt.headers, *(w for first in firsts for w in first.split(", "))]
        words = [
            word for word in words if not re.fullmatch(r"\d+ seeds|all|2\.\S+ [23]\.\S+", word)
        ]
        missing = [w for w in words if w and not any(w in literal for literal in literals)]
        assert not missing, f"{script} does not print {missing}"

    return hold


def elsewhere(path: str, test: str) -> Holder:
    """A test of another room holds it."""

    def hold(excerpt: Excerpt) -> None:
        tree = ast.parse((REPOSITORY / path).read_text())
        tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert test in tests

    return hold


def words(excerpt: Excerpt) -> None:
    """It says what something means, and nothing in it was measured or printed: files that it names are
    there, and commands are ones (``test_docs.py``)."""
    for target in re.findall(r"\]\((?!http)([^)#]+)", excerpt.text):
        assert (page_of(excerpt).parent / target).exists(), target


def page_of(excerpt: Excerpt) -> Path:
    """The file that an excerpt stands in."""
    return next(path for path in PAGES if path.name == excerpt.page)


def by_hand(command: str, *holders: Holder) -> Holder:
    """Somebody measured it and wrote it down: what it names is held, and the command that repeats it
    stands beside it."""

    def hold(excerpt: Excerpt) -> None:
        check_line(command)
        assert f" {command}" in " ".join(section_of(excerpt).split()).replace("`", " "), command
        for holder in holders:
            holder(excerpt)

    return hold


def section_of(excerpt: Excerpt) -> str:
    """The text under the heading that is nearest to a block, that block included."""
    lines = page_of(excerpt).read_text("utf-8").splitlines()
    heads = [n for n, line in enumerate(lines, start=1) if re.match(r"#+ [A-Z]", line)]
    start = max(head for head in heads if head < excerpt.line)
    end = min((head for head in heads if head > excerpt.line), default=len(lines) + 1)
    return "\n".join(lines[start : end - 1])


def verdicts(excerpt: Excerpt) -> None:
    """Every verdict, and no other."""
    told = [name for text in excerpt.column(0) for name in re.findall(r"`([^`]+)`", text)]
    assert sorted(told) == sorted(verdict.value for verdict in Verdict)


def cells(excerpt: Excerpt) -> None:
    """What it calls a cell, a check or a contract is one."""
    names = [
        name
        for row in excerpt.cells[1:]
        for name in re.findall(r"`([^` ]+:[^` ]+)`", row[0])
        if "..." not in name
    ]
    assert names
    known = _known()
    for name in names:
        if name.startswith("saved:"):
            continue
        parts = set(name.rpartition("/")[2].split("-"))
        assert name in known or any(parts <= set(one.split("-")) for one in _cells()), name


@functools.cache
def _cells() -> frozenset[str]:
    ids = {id_ for grid in UPGRADE_GRIDS.values() for id_ in grid.cells("full")}
    return frozenset(ids)


@functools.cache
def _known() -> frozenset[str]:
    from bench.checks.catalogue import checks

    return frozenset(
        [check.id for check in checks("full")]
        + [f"{grid.name}/{id_}" for grid in UPGRADE_GRIDS.values() for id_ in grid.cells("full")]
    )


def theory(excerpt: Excerpt) -> None:
    """``bench theory`` prints each of its lines, but for those that are left out."""
    arguments = ["theory", "--act", "relu", "--init", "glorot_normal", "--depth", "30"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main(arguments) == 0
    printed = out.getvalue().splitlines()
    page = (REPOSITORY / "README.md", REPOSITORY / "docs/gradients.md")
    assert all(f"bench -- {' '.join(arguments)}" in path.read_text() for path in page)
    assert excerpt.lines[0] == printed[0]
    rows = [line for line in excerpt.lines if line.startswith("|") and "…" not in line]
    assert set(excerpt.lines) - {line for line in excerpt.lines if "…" in line} <= set(printed)
    assert len(rows) in (0, 6)


# --- What holds some blocks alone


def compared(excerpt: Excerpt) -> str:
    """Of ``bench compare``."""
    return shown.rounded([code.strip("`") for code in excerpt.column(0)])


def stored_rows(excerpt: Excerpt) -> None:
    """Cells as the shipped baseline has them, under the headers of a report."""
    from bench.verdict.baselines.folder import read_baseline

    stored = read_baseline(REPOSITORY / "baselines", "cpu-avx512_bf16-onednn-1thread")
    report = next(t for t in _tables(shown.safe()) if "test accuracy (%)" in t.headers)
    assert set(excerpt.headers) <= set(report.headers)
    for id_, *values in excerpt.cells[1:]:
        samples = stored.grids["depth"][id_.strip("`")].samples
        accuracy, signal, kernel = (
            [sample.metrics[name] for sample in samples]
            for name in ("test_accuracy", "signal_ratio_start", "kernel_ratio_start")
        )
        spread = float(np.std(accuracy, ddof=1))
        ratios = [significant(float(np.median(of))) for of in (signal, kernel)]
        assert values == [points(float(np.mean(accuracy)), spread), *ratios]


def tiers(excerpt: Excerpt) -> None:
    """Cells and seeds of each tier."""
    for name, cells_, seeds, _ in excerpt.cells[1:]:
        tier = name.strip("`")
        number = sum(len(grid.cells(tier)) for grid in UPGRADE_GRIDS.values())
        assert cells_ == f"{number:,}"
        most = TIERS[tier].seeds
        first = f"1, and {most - 1} more of cells whose bits differ"
        assert seeds == (first if TIERS[tier].one_first else str(most))
    assert len(excerpt.cells) == len(TIERS) + 1


def pythons(excerpt: Excerpt) -> None:
    """Of each TensorFlow the last Python that has wheels."""
    from bench.environments.requirements import TENSORFLOW

    told = {}
    for versions, python in excerpt.cells[1:]:
        first, last = (int(minor) for minor in re.findall(r"2\.(\d+)", versions))
        for minor in range(first, last + 1):
            told[minor] = int(python.removeprefix("up to 3."))
    assert told == {minor: release.pythons[1] for minor, release in TENSORFLOW.items()}


def columns_of_frames(excerpt: Excerpt) -> None:
    """Every column of a frame."""
    from bench.cells.cell import AXES
    from bench.frames.frame import REPLICAS

    told = [name for text in excerpt.column(0) for name in re.findall(r"`(\w+)`", text)]
    assert set(told) - {"verdict"} <= set(REPLICAS)
    assert set(REPLICAS) - set(told) <= set(AXES)


def levels(excerpt: Excerpt) -> None:
    """Parts of the level of a run."""
    parts = (LUCK, ALPHA * TESTS, ALPHA * ENVELOPES)
    assert excerpt.column(0) == [f"{100 * part:.2f} %".removeprefix("0") for part in parts]


def folders(excerpt: Excerpt) -> None:
    """All of bench/, and nothing else."""
    told = {name for text in excerpt.column(0) for name in re.findall(r"`(\w+)`", text)}
    assert told == {path.parent.name for path in (REPOSITORY / "bench").glob("*/__init__.py")}


def tree(excerpt: Excerpt) -> None:
    """Files and folders that are there."""
    paths = [line.split()[0] for line in excerpt.lines if not line.startswith(" ")]
    assert all((REPOSITORY / path).exists() for path in paths)


def drawing(excerpt: Excerpt) -> None:
    """Modules that it names are there."""
    named = re.findall(r"\b([a-z]+)\.([a-z_]+)\b", excerpt.text)
    inside = [(folder, name) for folder, name in named if (REPOSITORY / "bench" / folder).is_dir()]
    assert len(inside) >= 4
    assert all((REPOSITORY / "bench" / folder / f"{name}.py").exists() for folder, name in inside)


def python(excerpt: Excerpt) -> None:
    """It is Python, and the names that it takes from bench are there."""
    names = {
        node.attr
        for node in ast.walk(ast.parse(excerpt.text))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "bench"
    }
    assert all(hasattr(bench, name) for name in names)


def own_grid(excerpt: Excerpt) -> None:
    """It makes a grid, which has cells."""
    names: dict[str, object] = {}
    exec(compile(excerpt.text, excerpt.page, "exec"), names)
    assert len(names["NARROW"].cells("quick")) == 2  # type: ignore[attr-defined]


def workflow(excerpt: Excerpt) -> None:
    """What it gives the action are inputs that this has."""
    known = yaml.safe_load((REPOSITORY / "action.yml").read_text())["inputs"]
    for job in yaml.safe_load(excerpt.text)["jobs"].values():
        given = [step["with"] for step in job["steps"] if "REPOSITORY" in step["uses"]]
        assert given and all(set(each) <= set(known) for each in given)


def script_of_commands(excerpt: Excerpt) -> None:
    """It runs, with a stand-in for each program, and what it starts are commands."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        for name in ("bench", "pytest", "nvidia-smi"):
            stand_in = Path(folder, name)
            stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name}" "$@" "" >> "{log}"\n')
            stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(["bash", "-c", excerpt.text], env={"PATH": path}, check=True)
        started = [part.split("\n") for part in log.read_text().strip().split("\n\n")]
    assert len(started) > 10
    for name, *rest in started:
        {"bench": check_bench, "pytest": check_pytest, "nvidia-smi": len}[name](rest)


def dask(excerpt: Excerpt) -> None:
    """Variables are settings that Dask's configuration has; the last line is a command of ours."""
    import dask.config
    import distributed

    assert distributed
    for name in re.findall(r"(DASK_\w+)=", excerpt.text):
        key = name.removeprefix("DASK_").lower().replace("__", ".").replace("_", "-")
        dask.config.get(key)
    check_line(excerpt.lines[-1])


def formula(excerpt: Excerpt) -> None:
    """MathML can be made of it, as mkdocs does; here, its braces are in pairs."""
    assert excerpt.text.count("{") == excerpt.text.count("}")


def limits(excerpt: Excerpt) -> None:
    """The chart's rule, as it is computed."""
    from scipy import stats

    from bench.statistics.chart import limits as of

    values = np.array([1.0, 1.3, 0.9, 1.1, 1.4])
    m, k = len(values), 4
    found = of([values.tolist()], ALPHA / k)
    s, t = float(np.std(values, ddof=1)), float(stats.t.ppf(1 - ALPHA / (2 * k), m - 1))
    half = t * s * np.sqrt(1 + 1 / m)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([values.mean() - half, values.mean() + half])


def chi(excerpt: Excerpt) -> None:
    """At the fixed point, as mean-field theory has it."""
    from fractions import Fraction

    from bench.theory.signal.meanfield import predict

    told = [Fraction(text.removeprefix("at most ")) for text in excerpt.column(3)]
    made = [("relu", "he_normal"), ("relu", "glorot_normal"), ("sigmoid", "glorot_normal")]
    found = [predict(Cell(depth=30, activation=a, initializer=i)).chi_fixed for a, i in made]
    assert found[:2] == pytest.approx([float(one) for one in told[:2]])
    assert found[2] <= float(told[2]) + 1e-9


def over_time(excerpt: Excerpt) -> None:
    """What theory predicts of each, and its tolerance for three seeds; measured ratios keep it."""
    from bench.theory.signal.over_time import predict
    from bench.theory.signal.predicted import SIGMAS, exp, log_tolerance

    known = {
        (str(cell.width), f"{cell.activation}, `{cell.recurrent}`"): predict(cell)
        for cell in UPGRADE_GRIDS["sequence"].cells("full").values()
        if cell.pixels == 4 * 28
    }
    for units, layer, predicted, measured, tolerance in excerpt.cells[1:]:
        of = known[units, layer]
        assert of is not None
        allowed = log_tolerance(SIGMAS, of.log_std[0], of.log_error[0], of.worst, 3)
        ratio = exp(float(of.log_ratio[0]))
        assert predicted == f"{ratio:.3g}".removeprefix("0")
        assert tolerance == f"×÷ {exp(allowed):.2g}"
        assert abs(np.log(float(measured) / ratio)) <= allowed


def back_through_time(excerpt: Excerpt) -> None:
    """Largest singular values of recurrent kernels, as NumPy draws them; the gradient at the first row
    over that at the last, as the shipped baseline has it for seed 0, to half a unit in the second digit
    of both."""
    from bench.theory.oracle.network import Oracle
    from bench.verdict.baselines.folder import read_baseline

    stored = read_baseline(REPOSITORY / "baselines", "cpu-avx512_bf16-onednn-1thread")
    ids = {
        (f"`{cell.architecture}`", cell.activation, f"`recurrent:{cell.recurrent}`"): (id_, cell)
        for id_, cell in UPGRADE_GRIDS["sequence"].cells("quick").items()
        if (cell.depth, cell.width, cell.direction, cell.clipping, cell.steps)
        == (1, 16, "forward", "none", 100)
    }
    for name, largest, last, _, _, first in excerpt.cells[1:]:
        id_, cell = ids[tuple(name.split(", "))]
        if largest:
            kernel = Oracle(cell).initial(0)[1]
            assert largest == f"{np.linalg.norm(kernel, 2):.2f}".removeprefix("0")
        ratio = stored.grids["sequence"][id_].samples[0].metrics["signal_ratio_start"] or 0.0
        half = sum(0.05 / float(text.split("e")[0]) for text in (first, last) if text != "0")
        assert float(first) / float(last) == pytest.approx(ratio, rel=half, abs=0.0)


def grids_of_a_chain(excerpt: Excerpt) -> None:
    """Rows are grids, and entries counts of verdicts, as ``bench matrix`` prints them."""
    from bench.report.matrix import matrix_table
    from support.upgraded import upgraded

    first = next(iter(_tables(matrix_table([upgraded()]))))
    assert excerpt.headers[0] == first.headers[0]
    assert all(re.fullmatch(r"2\.\d+\.\d -> 2\.\d+\.\d", step) for step in excerpt.headers[1:])
    counted = "|".join([*(verdict.value for verdict in Verdict), "gained", "on neither side"])
    for row, *entries in excerpt.cells[1:]:
        assert row.split(",")[0] in UPGRADE_GRIDS
        for entry in entries:
            for part in re.sub(r"\*\*| \(.*\)", "", entry).split(", "):
                assert re.fullmatch(rf"\d+ (?:{counted})", part), part


def phrases(excerpt: Excerpt) -> None:
    """Answers of a bisection: their words are those of the code."""
    files = [
        *(REPOSITORY / "bench/jobs").glob("*.py"),
        REPOSITORY / "bench/report/sections/blame.py",
    ]
    text = " ".join(re.sub(r'"\s*f?"', "", path.read_text()) for path in files).lower()
    for told in excerpt.column(0):
        parts = re.split(r": |\bkeras\b|[\d.]+|\band\b", told.lower())
        for part in parts:
            assert part.strip() in text, part


def reports(excerpt: Excerpt) -> None:
    """Public reports that it names are those of the known faults of the contracts beside them."""
    from bench.checks.contracts.known_faults import KNOWN_FAULTS

    for name, report, *_ in excerpt.cells[1:]:
        found = re.search(r"`([\w.]+:[^`]+)`", name)
        if found and (number := re.search(r"#\d+", report)):
            told = [fault.what for fault in KNOWN_FAULTS if fault.breaks(found[1])]
            assert not told or any(number[0] in what for what in told), name


def families(excerpt: Excerpt) -> None:
    """Of arithmetic, all of them."""
    assert excerpt.column(0) == list(ARITHMETIC)


def alarms(excerpt: Excerpt) -> None:
    """Shares of simulated runs and their upper limits, of as many runs as the text says; the rest is
    what the script prints."""
    from verdict.simulated import Rate

    printed_by(_SIMULATED)(excerpt)
    runs = 50 if "still open" in excerpt.headers else 100
    lead = page_of(excerpt).read_text("utf-8").splitlines()[: excerpt.line]
    assert f"{runs} runs" in " ".join(lead[-10:])
    for share, limit in (text.split() for text in excerpt.column(1)):
        found = Rate(round(runs * float(share)), runs)
        assert (share, limit) == (
            f"{found.value:.3f}".removeprefix("0"),
            f"({found.upper:.3f})".replace("(0", "("),
        )


def since_then(excerpt: Excerpt) -> None:
    """How many checks the quick tier has now of the families that are not as in the table."""
    from bench.checks.catalogue import checks

    now = Counter(check.family for check in checks("quick"))
    other = {row[0] for row in excerpt.cells[1:] if now[row[0]] != int(row[1])}
    assert other == {"network", "invariant"}
    text = f"{now['network']} checks of networks and {now['invariant']} invariants now"
    assert text in " ".join(section_of(excerpt).split())


def planted(excerpt: Excerpt) -> None:
    """Every fault that is planted in a real Keras, by its name, and how many cells it touches."""
    from support.planted_faults import FAULTS

    names = [re.match(r"`([\w-]+)`: ", text) for text in excerpt.column(0)]
    told = {
        name[1]: int(cells) for name, cells in zip(names, excerpt.column(1), strict=True) if name
    }
    assert told == {fault.name: fault.cells for fault in FAULTS}


def quantities(excerpt: Excerpt) -> None:
    """Of speed and memory."""
    from bench.results.pace import QUANTITIES

    told = {re.sub(r", raw$", "", header) for header in excerpt.headers[1:]} - {"by calibration"}
    titles = [quantity.title for quantity in QUANTITIES.values()]
    assert all(any(title.startswith(one) for title in titles) for one in told)


def known_faults(excerpt: Excerpt) -> None:
    """Made of the code."""
    from tests.checks.contracts.by_version import known_table

    assert excerpt.text == known_table()


def files(excerpt: Excerpt) -> None:
    """Of a run's folder: results of every kind, and what a run writes beside them."""
    from bench.results.tasks import KINDS

    told = {name for text in excerpt.column(0) for name in re.findall(r"`([\w.]+/?)`", text)}
    kinds = {kind.file for kind in KINDS}
    assert kinds <= told
    source = " ".join(path.read_text() for path in (REPOSITORY / "bench").rglob("*.py"))
    assert all(f'"{name.strip("/")}' in source for name in told - kinds), told - kinds


# --- What is held by what

_CATALOGUE = "tests/checks/contracts/test_catalogue.py"
_BY_VERSION = "tests/checks/contracts/by_version.py"
_RATES, _NIGHTS = "tests/verdict/speed_rates.py", "tests/verdict/speed_nights.py"
_SIMULATED = "tests/verdict/simulated.py"
_PUBLISHED = "tests/report/test_published.py"

#: Page, how the block begins, and its holder. The first that fits counts.
HELD: list[tuple[str, str, Holder]] = [
    ("README.md", "**Safe**", rendered(shown.safe)),
    ("README.md", "**Not safe**", rendered(shown.not_safe)),
    ("README.md", "**Vanishing", theory),
    ("README.md", "| verdict", verdicts),
    ("README.md", "| question", commands_in(1)),
    ("README.md", "| you want to", words),
    ("CONTRIBUTING.md", "| command", commands_in(0)),
    ("CONTRIBUTING.md", "| what | figure", commands_in(2)),
    ("CONTRIBUTING.md", "bench/commands/", tree),
    ("architecture.md", "suites/test_X.py", drawing),
    ("architecture.md", "| folder", folders),
    ("architecture.md", "| by hand", words),
    ("baselines.md", "| command", commands_in(0)),
    ("bisect.md", "**Mended", rendered(shown.blamed)),
    ("bisect.md", "| what you may read", phrases),
    (
        "bisect.md",
        "| finding",
        by_hand(
            "bench bisect loops:train_on_batch-returns:loss "
            '"2.16.2 keras==3.0.5" "2.16.2 keras==3.15.1"',
            cells,
            reports,
        ),
    ),
    ("ci.md", "name: TensorFlow upgrade", workflow),
    ("ci.md", "| the shards", words),
    ("commands.md", "| command", commands_in(0)),
    ("contracts.md", "| contract", elsewhere(_CATALOGUE, "test_the_page_is_made_from_the_code")),
    ("contracts-by-version.md", "| known fault", known_faults),
    ("contracts-by-version.md", "| broken contracts", printed_by(_BY_VERSION, names=False)),
    ("error-rates.md", "| truth", alarms),
    (
        "error-rates.md",
        "| correlation",
        elsewhere("tests/verdict/test_error_rates.py", "test_the_page_has_the_table_of_pairs"),
    ),
    (
        "error-rates.md",
        "| fault",
        by_hand("python tests/verdict/planted_upgrades.py FOLDER", planted),
    ),
    ("error-rates.md", "| TensorFlow", by_hand("python -m tox run -e planted")),
    ("error-rates.md", "| run |", printed_by("tests/verdict/real_classes.py", names=False)),
    (
        "error-rates.md",
        "| runs that differ",
        printed_by("tests/verdict/real_comparisons.py", names=False),
    ),
    ("error-rates.md", "| rule", printed_by(_RATES)),
    ("first-run.md", "| TensorFlow", pythons),
    ("first-run.md", "| tier", tiers),
    ("frames.md", "| columns", columns_of_frames),
    ("frames.md", "import bench", python),
    ("frames.md", "frame.pivot", python),
    ("gpu.md", "#!/usr/bin/env bash", script_of_commands),
    ("gradients.md", "**Vanishing", theory),
    ("gradients.md", "| cell | test accuracy", stored_rows),
    (
        "gradients.md",
        "| cell | largest",
        by_hand("python -m tox run -e quick -- -k test_sequence", back_through_time),
    ),
    ("gradients.md", "| units", over_time),
    (
        "gradients.md",
        "| cell | ratio",
        by_hand("python -m tox run -e full -- --axis pixels=1,7 -k test_sequence"),
    ),
    ("gradients.md", "| step", by_hand("python tests/support/zeros.py")),
    (
        "mutation.md",
        "| module",
        printed_by("tests/verdict/mutants.py", command="python -m tox run -e mutation"),
    ),
    ("mutation.md", "| fault", words),
    ("mutation.md", "| mutant", words),
    ("numerics.md", "CHECK FAILS", rendered(shown.failing_check)),
    ("numerics.md", "| family | what", families),
    (
        "numerics.md",
        "| family | checks",
        by_hand("python -m tox run -e numerics-tfXYZ", families, since_then),
    ),
    (
        "numerics.md",
        "| fault",
        elsewhere("tests/checks/test_planted.py", "test_the_page_has_every_fault"),
    ),
    ("own-model.md", "from bench.cells.grid", own_grid),
    (
        "own-model.md",
        "| model",
        by_hand(
            "bench upgrade tensorflow-cpu==2.15.1 tensorflow-cpu==2.16.2 --model "
            "examples/models/cnn_bilstm.py:build --steps 60 --seeds 3 --skip speed"
        ),
    ),
    ("published.md", "| variant", elsewhere(_PUBLISHED, "test_documentation")),
    ("published.md", "| verdict", elsewhere(_PUBLISHED, "test_documentation")),
    ("published.md", "| | question", words),
    ("published.md", "| remedy", words),
    ("reports.md", "| file", files),
    ("reports.md", "| word", words),
    ("security.md", "| what", words),
    ("security.md", "export", dask),
    ("speed.md", "**Undecided**", rendered(shown.slower)),
    ("speed.md", "| workload | quantity", rendered(shown.slower)),
    ("speed.md", "| conclusion", words),
    ("speed.md", "| question", commands_in(1)),
    ("speed.md", "| a year", printed_by(_NIGHTS)),
    (
        "speed.md",
        "| workload | time",
        by_hand("python tests/verdict/speed_nights.py real FOLDER", quantities),
    ),
    ("speed.md", "(x - c)", limits),
    ("speed.md", "limits =", limits),
    ("statistics.md", "t =", formula),
    ("statistics.md", "| part", levels),
    ("tensorflow-2.12-2.21.md", "| cells", grids_of_a_chain),
    ("theory.md", "| network", chi),
    ("theory.md", "", formula),
    ("upgrades.md", "**Safe", rows_of(compared)),
    ("verdicts.md", "| verdict", verdicts),
    (
        "verdicts.md",
        "| bias",
        elsewhere("tests/verdict/test_speed.py", "test_the_page_has_the_table_of_biases"),
    ),
    ("verdicts.md", "| a file", words),
]

_COMMAND = re.compile(r"(?:python |bench |pytest |uvx |pipx )")


def holder_of(excerpt: Excerpt) -> Holder:
    """What holds it; a fence that begins with a command has commands alone."""
    if excerpt.kind in ("fence", "indented") and _COMMAND.match(excerpt.text):
        return commands
    found = [
        hold
        for page, begin, hold in HELD
        if page == excerpt.page and excerpt.text.startswith(begin)
    ]
    assert found, f"nothing holds it: say in {Path(__file__).name} what ties it to the code"
    return found[0]


def _ids(found: Iterable[Excerpt]) -> list[str]:
    return [f"{one.page}:{one.line}" for one in found]


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=_ids(EXCERPTS))
def test_an_excerpt_is_what_the_code_has(excerpt: Excerpt) -> None:
    """Its holder says so."""
    holder_of(excerpt)(excerpt)


def test_every_holder_has_something_to_hold() -> None:
    """No line of the list is left from a block that is gone."""
    unused = [
        (page, begin)
        for page, begin, _ in HELD
        if not any(one.page == page and one.text.startswith(begin) for one in EXCERPTS)
    ]
    assert not unused
    assert len(EXCERPTS) > 140
