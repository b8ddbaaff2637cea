"""Probing: what findings show in one environment, each run on its own.

Checks need one process of that environment. Saved models are written once, by OLD. Cells are trained
as an upgrade trains them, OLD in the place of the baseline, and judged by the same ladder; what OLD
trained is kept and not trained again.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bench import mnist
from bench.cells.cell import Cell
from bench.environments.build import hash_of
from bench.environments.prepare import Built
from bench.errors import BenchError
from bench.execution import machine, protocol
from bench.execution.cluster import Placement
from bench.execution.patience import Patience
from bench.execution.supervisor import Supervisor
from bench.jobs.asking import State, one_line
from bench.jobs.findings import Finding
from bench.jobs.upgrade import train_pair
from bench.results.check import CheckResult
from bench.results.files import make_folder
from bench.results.plan import Plan
from bench.results.run import read_run
from bench.results.saved_models import Exchange, Loaded, Written
from bench.verdict.conclusion import Conclusion, between
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import PASSED, Verdict
from bench.verdict.saving import Outcome, judge_saving


class Processes:
    """Asks environments what findings show.

    Args:
        findings: asked about all at once, as importing TensorFlow takes longer than most.
        reference: OLD, which saves models, and whose training others are held against.
        folder: where runs and models are kept.
        data: the images.
        placement: where cells are trained.
        seeds: first and further ones of cells.
        own: folder of the user's model; empty without one.
    """

    def __init__(
        self,
        findings: Collection[Finding],
        reference: Built,
        *,
        folder: Path,
        data: mnist.Mnist,
        placement: Placement,
        seeds: Sequence[int],
        own: str = "",
    ) -> None:
        self._checks = [f for f in findings if f.check is not None]
        self._saved = [f for f in findings if f.saved is not None]
        self._cells = [f for f in findings if f.item is not None]
        self._reference = reference
        self._folder = folder
        self._data = data
        self._placement = msgspec.structs.replace(placement, own=own)
        self._seeds = list(seeds)
        self._written: dict[tuple[str, str], tuple[Written, Loaded | None]] = {}
        self._reference_software: Mapping[str, str] = {}
        self._patience = Patience(placement.cell_timeout_sec)
        #: Of this machine, once a process has told it.
        self.machine: dict[str, str] = {}
        #: What came of checks last, by environment and finding.
        self.results: dict[tuple[str, str], CheckResult] = {}
        #: The last comparison of cells of each environment with OLD.
        self.conclusions: dict[str, Conclusion] = {}

    def states(self, built: Built, turn: int) -> dict[Finding, State]:
        """What each finding shows, run anew.

        Args:
            built: the environment.
            turn: how often it was asked before; cells of each turn are kept apart.
        """
        states: dict[Finding, State] = {}
        try:
            if self._checks or self._saved:
                states |= self._in_process(built)
            if self._cells:
                states |= self._trained(built, turn)
        except BenchError as error:
            every = [*self._checks, *self._saved, *self._cells]
            states |= {f: State("", one_line(error)) for f in every if f not in states}
        return states

    def _in_process(self, built: Built) -> dict[Finding, State]:
        if self._saved and not self._written:
            self._save()
        with self._process(built) as (process, ready):
            self.machine = ready.machine
            states: dict[Finding, State] = {}
            for finding in self._checks:
                assert finding.check is not None
                result: CheckResult = self._patience.do(process, finding.check)  # type: ignore[assignment]
                self.results[built.key, finding.name] = result
                states[finding] = _of_check(result)
            for finding in self._saved:
                states[finding] = self._read_back(process, ready.software, finding)
            return states

    def _save(self) -> None:
        """Lets OLD train and save models, and read them again."""
        models = self._models
        make_folder(models)
        timeout_sec = self._placement.cell_timeout_sec
        with self._process(self._reference) as (process, ready):
            self._reference_software = ready.software
            wanted = {finding.saved: finding.own for finding in self._saved if finding.saved}
            for model, own in {model: own for (model, _), own in wanted.items()}.items():
                ask = protocol.Save(folder=str(models), model=model, cell=own)
                for written in process.do(ask, timeout_sec=timeout_sec):
                    key = (model, written.format)
                    if key in wanted:
                        usable = not (written.absent or written.error)
                        loaded = self._load(process, *key, own) if usable else None
                        self._written[key] = written, loaded

    @property
    def _models(self) -> Path:
        return (self._folder / "models").absolute()

    def _load(self, process: Supervisor, model: str, format_: str, own: Cell | None) -> Loaded:
        folder = str(self._models)
        ask = protocol.Load(folder=folder, model=model, format=format_, own=own is not None)
        return self._patience.do(process, ask)

    def _read_back(
        self, process: Supervisor, software: Mapping[str, str], finding: Finding
    ) -> State:
        assert finding.saved is not None
        written, by_old = self._written[finding.saved]
        if by_old is None:
            return State("", written.absent or written.error)
        exchange = Exchange(
            written=written,
            by_old=by_old,
            by_new=self._load(process, *finding.saved, finding.own),
        )
        judged = judge_saving(exchange, old=self._reference_software, new=software)
        names = {
            Outcome.SAME: "read back",
            Outcome.ROUNDING: "read back",
            Outcome.DIFFERS: "differs",
            Outcome.BROKEN: "cannot be read",
            Outcome.UNPROMISED: "cannot be read",
        }
        return State(names.get(judged.outcome, ""), judged.reason or judged.outcome.value)

    @contextlib.contextmanager
    def _process(self, built: Built) -> Iterator[tuple[Supervisor, protocol.Ready]]:
        gpus = machine.gpus() if self._placement.device == "gpu" else []
        settings = protocol.Settings(
            device=self._placement.device,
            data=self._data.fingerprint,
            cache_dir=str(mnist.cache_directory()),
            own=self._placement.own,
        )
        visible = {"CUDA_VISIBLE_DEVICES": gpus[0].uuid if gpus else "-1"}
        process = Supervisor(
            settings,
            environment={**built.variables, **visible},
            python=str(built.python),
            name=built.label,
        )
        try:
            yield process, process.start()
        finally:
            process.close()

    def _trained(self, built: Built, turn: int) -> dict[Finding, State]:
        plan = Plan(
            tier="quick",
            device=self._placement.device,
            seeds=self._seeds[:1],
            further=self._seeds[1:],
            items=[finding.item for finding in self._cells if finding.item is not None],
            selected=True,
        )
        name = hash_of(built.key, repr(sorted(built.variables.items())), str(turn))
        folders = {"old": self._folder / "reference", "new": self._folder / name}
        train_pair(
            {"old": folders["old"], "new": folders["new"]},
            {"old": self._reference, "new": built},
            plan,
            placement=self._placement,
            data=self._data,
            stream=io.StringIO(),
            names={"old": "reference", "new": name},
        )
        found = between(read_run(folders["old"]), read_run(folders["new"]))
        self.conclusions[built.key] = found
        self.machine = found.run.environment.machine
        return {finding: _of_cell(found, finding) for finding in self._cells}


def _of_check(result: CheckResult) -> State:
    if result.absent:
        return State("", f"nothing to check: {result.absent}")
    if result.crash is not None:
        return State("crashed", result.reason)
    return State("wrong", result.reason) if result.wrong else State("right", "it holds")


def _of_cell(found: Conclusion, finding: Finding) -> State:
    (judgement,) = [j for j in found.judgements if j.item == finding.item]
    violated = [c for c in found.claims if c.item == finding.item and c.wrong is Wrong.NEW]
    detail = f"{judgement.verdict.value}: {judgement.reason}"
    if judgement.verdict is Verdict.CRASHED:
        return State("crashed", detail)
    if judgement.verdict.fails:
        return State("changed", detail)
    if violated and violated[0].new is not None:
        claim = violated[0].new
        return State("claim violated", f"{claim.claim}: {claim.evidence}")
    if judgement.verdict is Verdict.IDENTICAL:
        return State("identical", detail)
    return State("rounding" if judgement.verdict in PASSED else "", detail)
