"""The command ``bench bisect``; ``bench upgrade --automatic`` asks the same of all findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.options import Environments, Places, RunName
from bench.commands.upgrade import Sides
from bench.errors import EXIT_OK, EXIT_UNDECIDED, BenchError
from bench.results.timings import SIDES

if TYPE_CHECKING:
    from bench.environments.requirements import Side as Requested
    from bench.jobs.findings import Finding
    from bench.results.blame import Blame
    from bench.results.timings import Side


def bisect(
    finding: str,
    /,
    *side: str,
    of: str = "latest",
    over: str = "",
    every: bool = False,
    limit: float | None = None,
    run: RunName = "",
    sides: Sides = Sides(),
    environments: Environments = Environments(),
    places: Places = Places(),
) -> int:
    """Says which package and which release brought a finding, and what avoids it.

    Args:
        finding: a cell, a check, a contract or a saved model, by its name or a part of it; several
            with commas between them share environments
        side: OLD, then NEW, as of upgrade (default: the sides of --of)
        of: an upgrade whose finding it is: a folder, a name below --results, or 'latest'
        over: search the releases of this package (default: the one that is to blame)
        every: probe every release, which finds changes that come and go
        limit: minutes after which nothing more is begun
    """
    from bench.commands.upgrade import requested, say
    from bench.jobs.bisecting import side_again
    from bench.jobs.findings import everything, found_by, named, of_model
    from bench.report.markdown import printed
    from bench.report.sections.blame import blame_section
    from bench.results.find import find_folder
    from bench.results.upgrade import read_upgrade
    from bench.results.writer import new_run_name
    from bench.verdict.conclusion import of_upgrade

    if side or sides != Sides():
        asked = requested(side, sides, package=environments.package)
        known = everything()
        folder = places.results / (run or new_run_name("bisect"))
    else:
        if run:
            raise BenchError("--run goes with OLD and NEW", hint="an upgrade is named by --of")
        folder = find_folder(of, places.results, "upgrade")
        measured = read_upgrade(folder)
        if not measured.ours:
            raise BenchError(
                f"{folder}: was not measured here by you, and names programs and packages",
                hint="name both sides yourself: bench bisect FINDING OLD NEW",
            )
        found = of_upgrade(measured)
        known = [*found_by(found), *of_model(found), *everything()]
        asked = {name: side_again(measured.sides[name]) for name in SIDES}
    chosen = list(dict.fromkeys(named(one, known) for one in finding.split(",")))
    blames = investigate(
        chosen, asked, folder, environments, places, over=over, every=every, limit=limit
    )
    print(f"\n{printed([blame_section(blames)])}")
    say(f"results: {folder}")
    return EXIT_OK if all(one.found or one.causes for one in blames) else EXIT_UNDECIDED


def investigate(
    findings: Sequence[Finding],
    asked: Mapping[Side, Requested],
    folder: Path,
    environments: Environments,
    places: Places,
    *,
    over: str = "",
    every: bool = False,
    limit: float | None = None,
) -> list[Blame]:
    """What findings of two sides are blamed on, within a number of minutes if there is a limit."""
    from bench import mnist
    from bench.commands.upgrade import say
    from bench.environments.prepare import prepare
    from bench.execution.cluster import Placement
    from bench.jobs.bisecting import Options, bisect_findings

    cache = environments.cache or mnist.cache_directory()
    pair = prepare(
        [asked[name] for name in SIDES],
        cache=cache,
        python="" if any(side.python for side in asked.values()) else environments.python,
        refresh=environments.refresh,
        say=say,
    )
    options = Options(
        folder=folder,
        cache=cache,
        placement=Placement(
            device=places.device, workers=places.workers, cell_timeout_sec=places.cell_timeout
        ),
        python=environments.python,
        over=over,
        every=every,
        limit_sec=None if limit is None else 60 * limit,
        data_dir=places.data_dir,
    )
    variables = {name: asked[name].variables for name in SIDES}
    built = dict(zip(SIDES, pair, strict=True))
    return bisect_findings(findings, built, variables, options, say=say)
