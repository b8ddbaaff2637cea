"""Collection of the suites: an item per cell, per check, per finding and per claim."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.grid import Grid
from bench.cells.own_grids import own_grids
from bench.cells.selection import Selection
from bench.jobs.workloads import PACES
from bench.published.claims import FindingName
from bench.results.check import Check
from bench.results.pace import Pace
from bench.results.plan import Item
from bench.results.trial import Trial
from bench.theory.claim import Claim


class Collected(NamedTuple):
    """Subjects of the collected items."""

    cells: list[Item]
    checks: list[Check]
    trials: list[Trial]
    paces: list[Pace]


class Collection:
    """Hooks that make items of what a suite names, as far as the user selects it.

    Args:
        config: the options.

    Raises:
        BenchError: the user selected what does not exist.
    """

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        self._option = option
        self._own_grids = own_grids(option.grid_file)
        known = {**UPGRADE_GRIDS, **self._own_grids}
        self._selection = Selection(option.tier, axes=option.axis, ids=option.cell, known=known)
        self._only_cells = bool(option.axis or option.cell or option.model)
        self.whole = sum(len(grid.cells(option.tier)) for grid in known.values())
        """How many cells the tier has."""
        self.model: Callable[[], Grid] | None = None
        """Gives the cells of the user's model; None without one."""
        self._empty: set[Path] = set()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        parametrized: dict[str, Callable[[ModuleType], Mapping[str, Any]]] = {
            "judgement": self._cells,
            "check_result": self._checks,
            "finding": self._findings,
            "claim_results": self._claims,
            "pace_judgements": self._paces,
        }
        for fixture, parameters_of in parametrized.items():
            if fixture in metafunc.fixturenames:
                by_id = parameters_of(metafunc.module)
                metafunc.parametrize(fixture, by_id.values(), ids=list(by_id), indirect=True)
                if not by_id:
                    self._empty.add(metafunc.definition.path)

    def _cells(self, module: ModuleType) -> dict[str, Item]:
        """The cells of a suite's grid; of the user's grids by ``grid/id``."""
        if self.model is not None:
            grids = [self.model()] if getattr(module, "OWN", "") == "model" else []
        elif hasattr(module, "OWN"):
            grids = list(self._own_grids.values()) if module.OWN == "grids" else []
        else:
            grids = [module.GRID]
        items = [
            Item(grid=grid.name, id=id_, cell=cell)
            for grid in grids
            for id_, cell in self._selection.of(grid).items()
        ]
        return {item.name if hasattr(module, "OWN") else item.id: item for item in items}

    def _checks(self, module: ModuleType) -> dict[str, Check]:
        """The checks of a suite; none if the user named cells."""
        from bench.checks import catalogue

        if self._only_cells:
            return {}
        option = self._option
        checks = catalogue.checks(option.tier, module.FAMILIES, seeds=option.check_seeds)
        return {check.id: check for check in checks}

    def _findings(self, module: ModuleType) -> dict[str, FindingName]:
        """The findings that a suite of experiments will have; none if the user named cells."""
        from bench.published.claims import names

        if self._only_cells:
            return {}
        return {"-".join(name): name for name in names(self._trials(module.EXPERIMENTS))}

    def _claims(self, module: ModuleType) -> dict[str, Claim]:
        """The claims that hold on a suite's grid."""
        return {claim.name: claim for claim in module.CLAIMS}

    def _paces(self, module: ModuleType) -> dict[str, Pace]:  # noqa: ARG002 - as the others
        """What is timed; nothing if the user named cells."""
        if self._only_cells:
            return {}
        return {pace.id: pace for pace in PACES[self._option.tier]}

    def _trials(self, experiments: Iterable[str]) -> list[Trial]:
        """All forms of these experiments that the tier has."""
        from bench.published.experiments import EXPERIMENTS

        wanted = set(experiments)
        return [
            trial
            for name, experiment in EXPERIMENTS.items()
            if name in wanted
            for trial in experiment.trials(self._option.tier)
        ]

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Takes out what pytest puts in the place of a grid without a selected cell, the claims of
        such a grid, and of a suite without a selected check."""
        dropped = [item for item in items if item.path in self._empty]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = [item for item in items if item.path not in self._empty]

    def of(self, items: Iterable[pytest.Item]) -> Collected:
        """Subjects of these items, but for those that are skipped."""
        asked: dict[str, list[Any]] = {}
        for item in items:
            if item.get_closest_marker("skip") is None and hasattr(item, "callspec"):
                for fixture, parameter in item.callspec.params.items():
                    asked.setdefault(fixture, []).append(parameter)
        return Collected(
            cells=asked.get("judgement", []),
            checks=asked.get("check_result", []),
            trials=self._trials(experiment for experiment, _, _ in asked.get("finding", ())),
            paces=asked.get("pace_judgements", []),
        )
