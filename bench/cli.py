"""``bench ...``: parses, delegates, prints. Never imports TensorFlow."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import bench
from bench.environment import NUMPY_THREADS
from bench.errors import EXIT_OK, EXIT_TROUBLE, BenchError, allowed
from bench.find import find_folder, find_run, is_upgrade
from bench.run import REPORT, read_run, write_atomically

#: The prediction's spread takes memory that grows with the square of the depth.
DEEPEST = 5000

# Each command imports what it needs: `bench --help` answers at once, and `bench data` works where
# SciPy does not.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        the exit code: 0 nothing regressed, 1 regressed, 2 trouble, no word on TensorFlow, 3 undecided.
    """
    # Records are trees without cycles: collecting finds nothing in them and takes half of the time.
    collecting = gc.isenabled()
    gc.disable()
    os.environ.setdefault(*NUMPY_THREADS)
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.command(arguments)
        sys.stdout.flush()
    except BenchError as error:
        sys.stdout.flush()
        print(f"bench: error: {error}", file=sys.stderr)
        return EXIT_TROUBLE
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return EXIT_TROUBLE
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_TROUBLE
    finally:
        if collecting:
            gc.enable()
    return code


# Upgrades


def upgrade(arguments: argparse.Namespace) -> int:
    """Says whether an upgrade is safe."""
    from bench.upgrade_commands import upgrade as command

    return command(arguments)


def reproduce(arguments: argparse.Namespace) -> int:
    """Writes a script that shows what an upgrade changed."""
    from bench.upgrade_commands import reproduce as command

    return command(arguments)


def matrix(arguments: argparse.Namespace) -> int:
    """Measures a chain of versions."""
    from bench.upgrade_commands import matrix as command

    return command(arguments)


# Published experiments


def published(arguments: argparse.Namespace) -> int:
    """Reruns published experiments."""
    from bench.published_command import published as command

    return command(arguments)


# Runs


def report(arguments: argparse.Namespace) -> int:
    """Judges a stored run or upgrade again and writes its report."""
    folder = find_folder(arguments.run, arguments.results)
    if is_upgrade(folder):
        from bench.upgrade_commands import report as report_upgrade

        code = report_upgrade(folder, arguments.output)
        return allowed(code, undecided=arguments.allow_undecided)
    from bench.report.files import write_reports
    from bench.report.markdown import full_report
    from bench.report.terminal import summary_lines
    from bench.verdict.judging import baseline_for, judge_with_claims
    from bench.verdict.ladder import exit_code

    run = read_run(folder)
    baseline = baseline_for(arguments.baselines, run)
    judgements = judge_with_claims(run, baseline)
    code = exit_code(judgements, run, allow_undecided=arguments.allow_undecided)
    seconds = run.environment.run.get("total_sec")
    total_sec = float(seconds) if isinstance(seconds, (int, float)) else None
    if arguments.output:  # away from the run's folder, and so without its figures
        text = full_report(run, judgements, baseline=baseline, total_sec=total_sec)
        if arguments.output == "-":
            print(text, end="")
            return code
        path = Path(arguments.output)
        write_atomically(path, text.encode())
    else:
        warning = write_reports(run, judgements, baseline=baseline, total_sec=total_sec)
        if warning is not None:
            print(f"bench: warning: {warning}", file=sys.stderr)
        path = run.path / REPORT
    lines = summary_lines(run, judgements, baseline=baseline, report=path, total_sec=total_sec)
    print("\n".join(lines))
    return code


def compare(arguments: argparse.Namespace) -> int:
    """Judges run B with run A in the place of the baseline."""
    from bench.report.comparison import compare_runs
    from bench.report.upgrade_sides import said
    from bench.verdict.judgement import Verdict
    from bench.verdict.upgrade import Measured, conclude

    before = find_run(arguments.a, arguments.results)
    after = find_run(arguments.b, arguments.results)
    found = conclude(Measured(path=after.path, sides={}, old=before, new=after))
    judgements = found.judgements
    shared = before.checks.keys() & after.checks.keys()
    if not shared and all(judgement.verdict is Verdict.NEW for judgement in judgements):
        raise BenchError(
            f"{before.path} and {after.path} have no cell and no check in common: nothing can be "
            "compared",
            hint="compare runs of the same suites",
        )
    text, warnings = compare_runs(
        before,
        after,
        judgements,
        conclusion=f"{found.answer.value.capitalize()}: {said(found.because)}",
        everything=arguments.all,
        form=arguments.format,
    )
    print(text, end="")
    if arguments.format == "csv":
        for warning in warnings:
            print(f"bench: warning: {warning}", file=sys.stderr)
    return allowed(found.exit_code, undecided=arguments.allow_undecided)


def merge(arguments: argparse.Namespace) -> int:
    """Writes the union of several runs as a run of its own."""
    from bench.merge import merge, summary

    paths = [find_folder(name, arguments.results) for name in arguments.runs]
    merged = merge(paths, arguments.results / arguments.run)
    print("\n".join(summary(merged)))
    return EXIT_OK


# Theory


def theory(arguments: argparse.Namespace) -> int:
    """Prints what theory predicts for a network; draws it if asked to."""
    from bench.cell import AXES, from_texts, pairs
    from bench.report.figures import draw
    from bench.report.theory import theory_picture, theory_text

    given = {axis: getattr(arguments, f"axis_{axis}") for axis in AXES}
    chosen = {axis: text for axis, text in given.items() if text is not None}
    try:
        named = pairs(arguments.cell.rpartition("/")[2]) if arguments.cell else {}
        cell = from_texts({**named, **chosen})
    except ValueError as error:
        raise BenchError(str(error), hint="bench theory --help") from error
    if cell.depth > DEEPEST:
        raise BenchError(
            f"depth:{cell.depth} is above {DEEPEST}",
            hint="the rate per layer has settled long before",
        )
    text = theory_text(cell, form=arguments.format, all_layers=arguments.all_layers)
    if arguments.plot is not None:
        form = _picture_form(arguments.plot)
        write_atomically(arguments.plot, draw(theory_picture(cell), form))
    print(text, end="")
    return EXIT_OK


def _picture_form(path: Path) -> str:
    from bench.report.figures import FORMATS

    form = path.suffix[1:]
    if form not in FORMATS:
        raise BenchError(
            f"--plot {path}: no picture of this kind",
            hint=f"let its name end in {' or '.join(f'.{known}' for known in FORMATS)}",
        )
    return form


# History


def history(arguments: argparse.Namespace) -> int:
    """Prints a metric of a cell over acceptances and stored runs; draws it if asked to."""
    from bench.report.figures import draw
    from bench.report.history import history_series, history_text
    from bench.verdict.history import find_history
    from bench.verdict.metrics import BY_NAME

    metric = BY_NAME.get(arguments.metric)
    if metric is None:
        raise BenchError(f"no metric {arguments.metric!r}", hint=f"there are: {', '.join(BY_NAME)}")
    form = _picture_form(arguments.plot) if arguments.plot is not None else ""
    found, warnings = find_history(
        arguments.cell,
        metric,
        baselines=arguments.baselines,
        results=arguments.results,
        environment_class=arguments.environment_class,
    )
    if form:
        write_atomically(arguments.plot, draw(history_series(found, metric), form))
    print(history_text(found, metric, form=arguments.format, warnings=warnings), end="")
    if arguments.format == "csv":
        for warning in (*warnings, *filter(None, [found.untested])):
            print(f"bench: warning: {warning}", file=sys.stderr)
    return EXIT_OK


# Baselines


def baseline_accept(arguments: argparse.Namespace) -> int:
    """Shows what would change, asks, and writes."""
    from bench.baseline_commands import accept

    return accept(arguments)


def baseline_diff(arguments: argparse.Namespace) -> int:
    """Shows what accepting would change, and writes nothing."""
    from bench.baseline_commands import diff

    return diff(arguments)


def baseline_show(arguments: argparse.Namespace) -> int:
    """Lists the classes, or the cells of one."""
    from bench.baseline_commands import show

    return show(arguments)


def baseline_check(arguments: argparse.Namespace) -> int:
    """Reads every stored baseline and says what is wrong with it."""
    from bench.baseline_commands import check

    return check(arguments)


# Grids and data


def grids(arguments: argparse.Namespace) -> int:
    """Lists the cells of a tier."""
    from bench.grid import TIERS
    from bench.upgrade_grids import UPGRADE_GRIDS

    if arguments.grid and arguments.grid not in UPGRADE_GRIDS:
        raise BenchError(f"no grid {arguments.grid!r}", hint=f"one of {', '.join(UPGRADE_GRIDS)}")
    wanted = [UPGRADE_GRIDS[arguments.grid]] if arguments.grid else list(UPGRADE_GRIDS.values())
    for grid in wanted:
        cells = grid.cells(arguments.tier)
        seeds = TIERS[arguments.tier].seeds
        print(f"# {grid.title}: {len(cells)} cells x {seeds} seeds. {grid.question}")
        for id_ in cells:
            print(f"{grid.name}/{id_}")
    return EXIT_OK


def data_fetch(arguments: argparse.Namespace) -> int:
    """Gets and verifies the images."""
    from bench import mnist

    named = ",".join(arguments.source)
    sources = mnist.resolve_sources(named) if named else mnist.SOURCES
    found = mnist.load(directory=arguments.data_dir, sources=sources)
    print(f"{found.name}  {found.fingerprint}\nsource  {found.source}")
    print(f"cache   {mnist.cache_directory()}")
    return EXIT_OK


def data_verify(_: argparse.Namespace) -> int:
    """Hashes what is cached."""
    from bench import mnist

    checks = mnist.verify()
    for check in checks:
        outcome = "ok " if check.ok else "BAD"
        note = f"  {check.note}" if check.note else ""
        print(f"{outcome}  {check.dataset}  {check.array:<12}  {check.actual[:16] or '-'}{note}")
        if not check.ok and check.expected:
            print(f"     expected {check.expected}\n     found    {check.actual or 'nothing'}")
    bad = sum(not check.ok for check in checks)
    if bad:
        raise BenchError(f"{bad} of {len(checks)} arrays are damaged", hint="bench data fetch")
    return EXIT_OK


def data_where(arguments: argparse.Namespace) -> int:
    """Says where images are looked for."""
    from bench import mnist

    print(mnist.describe(directory=arguments.data_dir))
    return EXIT_OK


# The parser


def _parser() -> argparse.ArgumentParser:
    from bench.commandline import build_parser

    return build_parser(sys.modules[__name__], version=bench.__version__)


if __name__ == "__main__":
    sys.exit(main())
