"""The commands ``bench speed accept|check|history|export``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.options import AllowUndecided, DataDir, EnvironmentClass, Folders, Plot
from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_UNDECIDED, BenchError, allowed
from bench.jobs.shipped import refuse_shipped

if TYPE_CHECKING:
    from bench.verdict.baselines.speeds import StoredPaces
    from bench.verdict.scaling import Scaling


def accept(
    run: str,
    /,
    *,
    reason: str,
    new_level: bool = False,
    folders: Folders = Folders(),
) -> int:
    """Adds its speed and memory to what is stored of its machine.

    Args:
        run: a folder, a name below --results, 'latest', or a file that pytest-benchmark saved
        reason: why these are right
        new_level: the machine has changed, as a comparison side by side has shown
    """
    import msgspec

    from bench.verdict.baselines.speeds import accept as store

    refuse_shipped(folders.baselines)
    offered = msgspec.structs.replace(_offered(run, folders), reason=reason, new_level=new_level)
    path = store(folders.baselines, offered)
    print(f"Stored {len(offered.paces)} paces in {path}: review the diff and commit it.")
    return EXIT_OK


def check(
    run: str,
    /,
    *,
    decide: bool = False,
    new_python: str = "",
    cache: Path | None = None,
    data_dir: DataDir = None,
    allow_undecided: AllowUndecided = False,
    folders: Folders = Folders(),
) -> int:
    """Holds its speed and memory against what is stored of its machine.

    Args:
        run: a folder, a name below --results, 'latest', or a file that pytest-benchmark saved
        decide: compare what is beyond its limits side by side, on this machine
        new_python: the run's version is this interpreter or virtual environment
        cache: where environments are kept (default: the cache)
    """
    from bench import mnist
    from bench.jobs.live import compare, here
    from bench.report.markdown import printed
    from bench.report.sections.paces import pace_line, table
    from bench.results.live import read_live
    from bench.verdict.baselines.speeds import read_speeds
    from bench.verdict.pacing import judge

    offered = _offered(run, folders)
    stored = read_speeds(folders.baselines, offered.environment_class, offered.machine)
    path = _live_path(run, folders)
    judged = judge(offered.paces, stored, offered.software, live=read_live(path))
    tripped = [one for one in judged if one.open]
    if decide and tripped:
        here(offered)
        live = compare(
            offered,
            stored[-1],
            tripped,
            path,
            new_python=new_python,
            cache=cache or mnist.cache_directory(),
            data_dir=data_dir,
            timeout_sec=300.0,
            say=lambda text: print(text, flush=True),
        )
        judged = judge(offered.paces, stored, offered.software, live=live)
    print(printed([pace_line(judged), table(judged)]), end="")
    if any(one.worse for one in judged):
        return EXIT_REGRESSED
    nothing = all(one.conclusion == "new" for one in judged)
    open_ = nothing or any(one.open for one in judged)
    return allowed(EXIT_UNDECIDED if open_ else EXIT_OK, undecided=allow_undecided)


def scale(
    run: str, /, *, against: str = "", plot: Plot = None, folders: Folders = Folders()
) -> int:
    """Says what a step, a layer, a flop and a byte cost in a run of tier full.

    Args:
        run: a folder, a name below --results, or 'latest'
        against: another run on this machine: tells a change of overhead from one of kernels
    """
    from bench.commands.history import picture_form
    from bench.report.figures.draw import draw
    from bench.report.figures.scaling import scaling_picture
    from bench.report.markdown import printed
    from bench.report.sections.scaling import changes_blocks, scaling_blocks
    from bench.results.files import write_atomically

    form = picture_form(plot) if plot is not None else ""
    found = _scaling(run, folders)
    blocks = scaling_blocks(found)
    if against:
        blocks = [*changes_blocks(_scaling(against, folders), found), *blocks]
    if plot is not None:
        write_atomically(plot, draw(scaling_picture(found), form))
    print(printed(blocks), end="")
    return EXIT_OK


def _scaling(run: str, folders: Folders) -> Scaling:
    """The fit of a run's points.

    Raises:
        BenchError: it has none.
    """
    from bench.results.find import find_run
    from bench.verdict.scaling import fit

    stored = find_run(run, folders.results)
    found = fit(stored.paces.values())
    if found is None:
        raise BenchError(
            f"{stored.path}: has no points of a scaling",
            hint="the tier full measures them: pytest suites/test_speed.py --tier full",
        )
    return found


def export(run: str, /, *, output: Path, folders: Folders = Folders()) -> int:
    """Writes its speed as a file of pytest-benchmark, for --benchmark-compare.

    Args:
        run: the name of a stored one, a folder, a name below --results, or 'latest'
        output: FILE.json
    """
    from bench.jobs.benchmark_file import write_benchmarks
    from bench.verdict.baselines.speeds import find_stored

    stored = find_stored(folders.baselines, run)
    write_benchmarks(output, stored if stored is not None else _offered(run, folders))
    print(f"Written: {output}. pytest suites/test_throughput.py --benchmark-compare={output}")
    return EXIT_OK


def history(
    workload: str = "",
    /,
    *,
    quantity: str = "step",
    environment_class: EnvironmentClass = "",
    plot: Plot = None,
    folders: Folders = Folders(),
) -> int:
    """Prints a quantity of each workload over what is stored and over runs, with its steps.

    Args:
        workload: part of its title, as the report has it
        quantity: step, first, peak or growth
    """
    from bench.commands.history import picture_form
    from bench.report.figures.draw import draw
    from bench.report.figures.series import series_picture
    from bench.report.markdown import printed
    from bench.report.paces import history_blocks, history_series
    from bench.results.files import write_atomically
    from bench.results.pace import QUANTITIES
    from bench.verdict.baselines.speed_history import find_histories

    if quantity not in QUANTITIES:
        raise BenchError(f"no quantity {quantity!r}", hint=f"there are: {', '.join(QUANTITIES)}")
    form = picture_form(plot) if plot is not None else ""
    found, warnings = find_histories(
        workload,
        quantity,  # type: ignore[arg-type]
        baselines=folders.baselines,
        results=folders.results,
        environment_class=environment_class,
    )
    if plot is not None:
        if len(found) > 1:
            raise BenchError(
                f"--plot draws one workload, and {len(found)} are meant",
                hint=f"name one: {', '.join(repr(one.pace.workload.title) for one in found[:5])}",
            )
        write_atomically(plot, draw(series_picture(history_series(found[0])), form))
    print(printed(history_blocks(found)), end="")
    for warning in warnings:
        print(f"bench: warning: {warning}", file=sys.stderr)
    return EXIT_OK


def _offered(run: str, folders: Folders) -> StoredPaces:
    """The paces that a user means."""
    from bench.jobs.benchmark_file import read_benchmarks
    from bench.results.find import find_run
    from bench.verdict.baselines.speeds import of_run

    if run.endswith(".json"):
        return read_benchmarks(Path(run))
    return of_run(find_run(run, folders.results))


def _live_path(run: str, folders: Folders) -> Path:
    """Where the comparison side by side is kept: in the run's folder, or beside the file."""
    from bench.results.find import find_folder
    from bench.results.live import LIVE

    if run.endswith(".json"):
        return Path(run).with_suffix(f".{LIVE}")
    return find_folder(run, folders.results, "run") / LIVE
