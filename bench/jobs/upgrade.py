"""Both sides of an upgrade on this machine: trained, checked, timed, saved and loaded, then judged.

:mod:`bench.results.upgrade` says what of it is kept, and where.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import msgspec

from bench import mnist
from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.expression import compile_expression
from bench.cells.grid import TIERS, Grid
from bench.checks import catalogue
from bench.environments.prepare import Built
from bench.errors import BenchError
from bench.execution.cluster import Placement
from bench.execution.interleave import measure
from bench.execution.pair import Pair
from bench.execution.saving import exchange
from bench.execution.supervisor import Supervisor
from bench.jobs.own_model import Asked, grid_of, prepared, still_the_same
from bench.jobs.progress import Progress, Tally
from bench.jobs.reproduce import SEEDS
from bench.jobs.sides import supervisor_of
from bench.jobs.workloads import WORKLOADS, next_round, of_model
from bench.results import own_model
from bench.results.bounds import MOST_SEEDS
from bench.results.check import CONTRACTS, FAMILIES, Check
from bench.results.files import write_atomically
from bench.results.plan import Item, Plan
from bench.results.run import PLAN
from bench.results.timings import SIDES, Side, Timings, Workload
from bench.results.upgrade import (
    SAVING,
    SPEED,
    Description,
    Measured,
    SideFacts,
    claimed,
    read_upgrade,
)
from bench.results.writer import RunWriter
from bench.verdict.judging import still_wanted_of_both

#: What is measured and can be left out: by its name in an option, what it is.
PARTS = {
    "cells": "networks",
    "checks": "arithmetic and contracts",
    "arithmetic": "arithmetic",
    "saving": "saved models",
    "speed": "speed",
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user chose."""

    tier: str
    folder: Path
    """Of the upgrade."""
    runs: Mapping[Side, Path] = dataclasses.field(default_factory=dict)
    """Of each side's run, if it is not below ``folder``; one that is there is continued."""
    resume: bool = False
    grids: Sequence[str] = ()
    expression: str = ""
    seeds: int | None = None
    skip: Collection[str] = ()
    """Of :data:`PARTS`."""
    variables: Mapping[Side, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    """Environment variables that were asked for."""
    placement: Placement
    """Of both sides together; its interpreter and variables are not used."""
    data_dir: Path | None = None
    data_sources: Sequence[str] = mnist.SOURCES
    known: Mapping[str, Grid] = dataclasses.field(default_factory=lambda: UPGRADE_GRIDS)
    """Grids that there are."""
    model: Asked | None = None
    """The user's model, which is measured in the place of all grids and checks."""


def planned(options: Options, model: Grid | None = None) -> Plan:
    """What each side's run plans: the first seed, and further ones for cells whose bits differ.

    Args:
        options: the user's choices.
        model: grid of the user's model, in the place of those of the options.

    Raises:
        BenchError: no such tier or grid, no seed, or options select no cell.
    """
    if options.seeds is not None and options.seeds < 1:
        raise BenchError("--seeds must be above 0", hint="leave it out for the tier's")
    if (options.seeds or 0) > MOST_SEEDS:
        raise BenchError(f"--seeds is at most {MOST_SEEDS:,}", hint="leave it out for the tier's")
    matches = compile_expression(options.expression)
    if options.tier not in TIERS:
        raise BenchError(f"no tier {options.tier!r}", hint=f"one of {', '.join(TIERS)}")
    known = options.known if model is None else {model.name: model}
    for name in options.grids:
        if name not in known:
            raise BenchError(f"no grid {name!r}", hint=f"one of {', '.join(known)}")
    every = [
        Item(grid=grid.name, id=id_, cell=cell)
        for grid in known.values()
        for id_, cell in grid.cells(options.tier).items()
    ]
    items = [
        item
        for item in every
        if (not options.grids or item.grid in options.grids) and matches(f"{item.grid}/{item.id}")
    ]
    checks: list[Check] = []
    if not options.grids and model is None and "checks" not in options.skip:
        families = CONTRACTS if "arithmetic" in options.skip else FAMILIES
        checks = [c for c in catalogue.checks(options.tier, families) if matches(c.id)]
    if "cells" in options.skip:
        items = []
    if (options.grids or options.expression) and not (items or checks):
        raise BenchError(
            f"no cell, check or contract of tier {options.tier} is selected",
            hint="-k is compared with '<grid>/<cell id>', which `bench grids GRID` lists, and with "
            "'<family>:<check>', as docs/contracts.md has them",
        )
    seeds = list(range(options.seeds or TIERS[options.tier].seeds))
    return Plan(
        tier=options.tier,
        device=options.placement.device,
        seeds=seeds[:1],
        further=seeds[1:],
        items=items,
        checks=checks,
        selected=len(items) < len(every),
    )


def left_out(options: Options) -> list[str]:
    """Parts that are not measured, as reports name them."""
    parts = [f"{what} (--skip {part})" for part, what in PARTS.items() if part in options.skip]
    if options.grids:
        parts.append(f"grids other than {', '.join(options.grids)} (--grid)")
    if options.expression:
        checked = not options.grids and "checks" not in options.skip
        what = "cells, checks and contracts" if checked else "cells"
        parts.append(f"{what} that -k {options.expression!r} does not match")
    if options.grids and "checks" not in options.skip:
        parts.append("arithmetic and contracts, as grids were selected")
    if options.model is not None:
        parts.append("all grids, arithmetic and contracts, as a model is compared")
    return parts


class UpgradeRun:
    """One upgrade: from two environments to all that was measured.

    Args:
        options: the user's choices.
        built: both environments.
        stream: where progress is shown.
    """

    def __init__(self, options: Options, built: Mapping[Side, Built], *, stream: TextIO) -> None:
        self._options = options
        self._built = built
        self._stream = stream
        self._say = lambda text: print(text, file=stream, flush=True)
        self._told: own_model.Description | None = None
        self._runs = {side: options.runs.get(side, options.folder / side) for side in SIDES}
        self.description = Description(
            tier=options.tier,
            runs={side: os.path.relpath(self._runs[side], options.folder) for side in SIDES},
            sides={side: facts(built[side], options.variables.get(side, {})) for side in SIDES},
            left_out=left_out(options),
        )

    def measure(self) -> Measured:
        """Measures what is missing.

        Raises:
            BenchError: infrastructure trouble; what was measured until then is on disk, and
                ``resume`` goes on from there.
            KeyboardInterrupt: the same.
        """
        options = self._options
        data = mnist.load(directory=options.data_dir, sources=tuple(options.data_sources))
        with claimed(options.folder, self.description, resume=options.resume):
            plan = planned(options, self._model(data.fingerprint))
            own = [item.cell for item in plan.items if item.cell.model]
            train_pair(
                self._runs,
                self._built,
                plan,
                placement=msgspec.structs.replace(options.placement, own=self._own),
                data=data,
                stream=self._stream,
                names={side: self._runs[side].name for side in SIDES},
            )
            if "saving" not in options.skip:
                self._exchange(data.fingerprint, own)
            if "speed" not in options.skip:
                self._time(data.fingerprint, own)
            if self._told is not None:
                still_the_same(self._told)
        return read_upgrade(options.folder)

    @property
    def _own(self) -> str:
        """Folder of the user's model; empty without one."""
        return (
            str((self._options.folder / own_model.FOLDER).absolute()) if self._options.model else ""
        )

    def _model(self, fingerprint: str) -> Grid | None:
        """The user's model as OLD builds it."""
        options = self._options
        if options.model is None:
            return None
        wanted = options.model
        self._told = told = prepared(
            wanted,
            Path(self._own),
            lambda: self._made("old", fingerprint, threads=1),
            # Scripts that show a change need as many as theirs, and bisecting takes what is there.
            seeds=range(max(options.seeds or TIERS[options.tier].seeds, SEEDS)),
            say=self._say,
        )
        return grid_of(told, steps=wanted.steps, batch=wanted.batch)

    def _exchange(self, fingerprint: str, own: Sequence[Cell]) -> None:
        path = self._options.folder / SAVING
        if path.exists():
            return
        self._say("saved models: each side writes some, both sides read them")
        models = self._options.folder / "models"
        shutil.rmtree(models, ignore_errors=True)
        for side in SIDES:
            (models / side).mkdir(parents=True)
        carried = functools.partial(
            exchange,
            timeout_sec=self._options.placement.cell_timeout_sec,
            own=own[0] if own else None,
            say=self._say,
        )
        # Both directions at once, each between processes of its own: of a pair one waits for the other.
        # The stack closes first, so that nobody waits for models that nobody wants any more.
        with concurrent.futures.ThreadPoolExecutor(4) as pool, contextlib.ExitStack() as stack:
            made = [self._made(side, fingerprint, threads=1) for side in SIDES * 2]
            for process in made:
                stack.callback(process.close)
            list(pool.map(Supervisor.start, made))
            parts = [
                pool.submit(
                    carried, *made[2 * at : 2 * at + 2], models.absolute() / side, back=back
                )
                for at, (side, back) in enumerate(zip(SIDES, (False, True), strict=True))
            ]
            found = [each for part in parts for each in part.result()]
        write_atomically(path, msgspec.json.encode(found))
        shutil.rmtree(models, ignore_errors=True)

    def _made(self, side: Side, fingerprint: str, *, threads: int) -> Supervisor:
        return supervisor_of(
            side,
            self._built[side],
            fingerprint,
            device=self._options.placement.device,
            threads=threads,
            own=self._own,
        )

    def _time(self, fingerprint: str, own: Sequence[Cell]) -> None:
        path = self._options.folder / SPEED
        if path.exists():
            return
        workloads, limit_sec = WORKLOADS[self._options.tier]
        if own:
            workloads = of_model(own)
        self._say(f"speed: {len(workloads)} workloads, alternating between the sides")
        rounds = 0

        def go_on(found: Mapping[Workload, Timings], ends_sec: float) -> Collection[Workload]:
            nonlocal rounds
            rounds += 1
            self._say(f"speed: round {rounds} is done")
            return next_round(found, ends_sec, limit_sec=limit_sec)

        found = measure(
            workloads,
            lambda side: self._made(side, fingerprint, threads=0),
            go_on=go_on,
            timeout_sec=self._options.placement.cell_timeout_sec,
        )
        write_atomically(path, msgspec.json.encode(list(found.values())))


def facts(built: Built, variables: Mapping[str, str]) -> SideFacts:
    """What is written down of an environment and the variables that were asked for."""
    return SideFacts(
        label=built.label,
        python=str(built.python),
        lock=built.lock,
        variables=dict(variables),
        resolved=built.resolved,
    )


def train_pair(
    folders: Mapping[Side, Path],
    built: Mapping[Side, Built],
    plan: Plan,
    *,
    placement: Placement,
    data: mnist.Mnist,
    stream: TextIO,
    names: Mapping[Side, str],
) -> None:
    """Trains and checks on both sides what their runs do not have yet: the first seed of every cell,
    then the other ones, and copies for envelopes, of cells whose bits differ.

    Args:
        folders: of each side's run; one that holds a run of the same plan is continued.
        built: both environments.
        plan: of both.
        placement: of both sides together.
        data: the images.
        stream: where progress is shown.
        names: what progress calls the sides.

    Raises:
        BenchError: infrastructure trouble; what was measured until then is on disk.
        KeyboardInterrupt: the same.
    """
    begin = time.monotonic()
    description = {"name": data.name, "fingerprint": data.fingerprint, "source": data.source}
    placements = {
        side: msgspec.structs.replace(
            placement, python=str(built[side].python), variables=built[side].variables
        )
        for side in SIDES
    }
    with contextlib.ExitStack() as stack:

        def writer(side: Side) -> RunWriter:
            again = (folders[side] / PLAN).exists()
            return stack.enter_context(RunWriter(folders[side], plan, resume=again))

        writers = {side: writer(side) for side in SIDES}
        tallies = {names[side]: Tally(plan, writers[side].outcomes) for side in SIDES}
        progress = stack.enter_context(Progress(tallies, stream=stream, live=False))
        pair = Pair(
            writers,
            placements,
            data=description,
            cache_dir=mnist.cache_directory(),
            progress={side: progress.of(names[side]) for side in SIDES},
            follow=still_wanted_of_both,
        )
        try:
            pair.run()
        finally:
            for side, environment in pair.environments.items():
                writers[side].finish(environment, time.monotonic() - begin)
