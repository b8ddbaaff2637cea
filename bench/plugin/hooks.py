"""The pytest plugin: options, fixtures, terminal summary. Asleep until ``suites/`` wakes it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import EXIT_OK, EXIT_TROUBLE, BenchError, allowed
from bench.plugin.options import add_options
from bench.results.environment import NUMPY_THREADS

if TYPE_CHECKING:
    import filelock

    from bench.execution.bursts import RemoteBursts
    from bench.jobs.run import Session
    from bench.published.claims import Finding, FindingName
    from bench.results.check import Check, CheckResult
    from bench.results.trial import Trial
    from bench.theory.claim import ClaimResult
    from bench.verdict.conclusion import Conclusion
    from bench.verdict.judgement import Judgement


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


_WAKE: pytest.StashKey[Bench] = pytest.StashKey()


def activate(config: pytest.Config) -> None:
    """Wakes the plugin; called by the conftest of ``suites/``."""
    if _WAKE not in config.stash:
        os.environ.setdefault(*NUMPY_THREADS)
        bench = Bench(config)
        config.stash[_WAKE] = bench
        config.pluginmanager.register(bench, "bench-session")


class Bench:
    """The hooks of an active session."""

    def __init__(self, config: pytest.Config) -> None:
        from bench.cells.selection import Selection
        from bench.jobs.run import run_folder
        from bench.results.run import JUNIT
        from bench.results.writer import claim, new_run_name

        self._config = config
        self.session: Session | None = None
        self._lock: filelock.BaseFileLock | None = None
        self._skip = ""
        self._warning: str | None = None
        option = config.option
        with _told():
            self._selection = Selection(option.tier, axes=option.axis, ids=option.cell)
            self._folder = run_folder(
                option.results,
                option.run,
                resume=option.resume,
                new=new_run_name(option.tier),
            )
            if not option.collectonly and not option.help:
                self._lock = claim(self._folder, resume=option.resume)
                option.xmlpath = option.xmlpath or str(self._folder / JUNIT)

    def pytest_unconfigure(self) -> None:
        """Lets go of the run's folder, whatever happened."""
        if self._lock is not None:
            self._lock.release(force=True)

    # --- Collection: one item per cell, one per claim, one per check

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "judgement" in metafunc.fixturenames:
            grid = metafunc.module.GRID
            cells = self._selection.of(grid)
            asked = [(grid.name, id_, cell) for id_, cell in cells.items()]
            metafunc.parametrize("judgement", asked, ids=list(cells), indirect=True)
        if "check_result" in metafunc.fixturenames:
            checks = self._checks(metafunc.module.FAMILIES)
            metafunc.parametrize(
                "check_result", checks, ids=[check.id for check in checks], indirect=True
            )
        if "finding" in metafunc.fixturenames:
            found = self._findings(metafunc.module.EXPERIMENTS)
            metafunc.parametrize(
                "finding", found, ids=["-".join(name) for name in found], indirect=True
            )
        if "claim_results" in metafunc.fixturenames:
            claims = metafunc.module.CLAIMS
            metafunc.parametrize(
                "claim_results", claims, ids=[claim.name for claim in claims], indirect=True
            )

    def _checks(self, families: Sequence[str]) -> list[Check]:
        """The checks of a suite; none if the user named cells."""
        from bench.checks import catalogue

        option = self._config.option
        if option.axis or option.cell:
            return []
        return catalogue.checks(option.tier, families, seeds=option.check_seeds)

    def _findings(self, experiments: Sequence[str]) -> list[FindingName]:
        """What a suite of published experiments will find; nothing if the user named cells."""
        from bench.published.claims import names
        from bench.published.experiments import EXPERIMENTS

        option = self._config.option
        if option.axis or option.cell:
            return []
        return names(
            [trial for name in experiments for trial in EXPERIMENTS[name].trials(option.tier)]
        )

    def _trials(self, found: Sequence[FindingName]) -> list[Trial]:
        """What must be trained for these findings: all forms of their experiments."""
        from bench.published.experiments import EXPERIMENTS

        wanted = {experiment for experiment, _, _ in found}
        return [
            trial
            for name, experiment in EXPERIMENTS.items()
            if name in wanted
            for trial in experiment.trials(self._config.option.tier)
        ]

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Takes out what pytest puts in the place of a grid without a selected cell, the claims of
        such a grid, and of a suite without a selected check."""
        from bench.results.check import Check

        kinds = {"judgement": tuple, "check_result": Check, "finding": tuple}
        empty = {
            item.path
            for item in items
            for name, value in _parameters(item).items()
            if name in kinds and not isinstance(value, kinds[name])
        }
        dropped = [item for item in items if item.path in empty]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = [item for item in items if item.path not in empty]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        from bench.jobs.run import DeviceAbsentError, Session, resolve_device
        from bench.results.plan import Item

        option = self._config.option
        collected = [item for item in session.items if item.get_closest_marker("skip") is None]
        asked = {
            name: [_parameters(item)[name] for item in collected if name in _parameters(item)]
            for name in ("judgement", "check_result", "finding")
        }
        cells, checks = asked["judgement"], asked["check_result"]
        trials = self._trials(asked["finding"])
        if not (cells or checks or trials) or option.collectonly:
            return
        items = [Item(grid=grid, id=id_, cell=cell) for grid, id_, cell in cells]
        with _told():
            try:
                device = resolve_device(
                    option.device,
                    required=option.require_device,
                    elsewhere=bool(option.scheduler),
                )
            except DeviceAbsentError as absent:
                self._skip = absent.message
                return
            self.session = Session(
                self._options(device, len(items)), items, checks, trials, self._lock
            )

    def _options(self, device: str, collected: int) -> Any:
        from bench.cells.component_grids import UPGRADE_GRIDS
        from bench.execution.cluster import Placement
        from bench.jobs.run import Options

        option = self._config.option
        for name in (
            "workers",
            "workers_per_gpu",
            "seeds",
            "decide",
            "check_seeds",
            "cell_timeout",
        ):
            if getattr(option, name) is not None and getattr(option, name) <= 0:
                flag = name.replace("_", "-")
                raise BenchError(f"--{flag} must be above 0", hint="leave it out for the default")
        limit = option.memory_limit
        whole = sum(len(grid.cells(option.tier)) for grid in UPGRADE_GRIDS.values())
        return Options(
            tier=option.tier,
            seeds=option.seeds,
            all_seeds=option.all_seeds,
            decide=option.decide or 0,
            results=option.results,
            run=self._folder,
            resume=option.resume,
            baselines=option.baselines,
            against=option.against,
            data_dir=option.data_dir,
            data_sources=_sources(option),
            placement=Placement(
                device=device,
                workers=option.workers,
                workers_per_gpu=option.workers_per_gpu,
                scheduler=option.scheduler,
                cell_timeout_sec=option.cell_timeout,
                memory_limit_bytes=None if limit is None else int(limit * 2**30),
            ),
            selected=collected < whole,
            tensorboard=option.tensorboard,
        )

    # --- Execution: all cells are trained before the first item looks at its own

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        if self.session is not None and not session.testsfailed:
            reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
            capture: Any = self._config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled(), _told():
                stream = reporter._tw._file if reporter else sys.stdout
                try:
                    self.session.execute(stream, live=stream.isatty())
                finally:
                    if self.session.conclusion is None:
                        self._keep_junit()
        return (yield)

    def _keep_junit(self) -> None:
        """A run that was refused leaves the JUnit file of the run in its folder alone."""
        for plugin in self._config.pluginmanager.get_plugins():
            if type(plugin).__name__ == "LogXML":
                plugin.logfile = os.devnull

    # --- What items ask for

    @property
    def _concluded(self) -> Conclusion:
        """What items look at: their bodies run after all is measured."""
        assert self.session is not None
        assert self.session.conclusion is not None
        return self.session.conclusion

    def result(self, grid: str, id_: str) -> Judgement:
        """The judgement of one cell."""
        if self._skip:
            pytest.skip(self._skip)
        from bench.verdict.judgement import Verdict

        found = next(
            judgement
            for judgement in self._concluded.judgements
            if (judgement.item.grid, judgement.item.id) == (grid, id_)
        )
        if found.verdict is Verdict.MISSING:
            pytest.skip(f"not measured: {found.reason}")
        if found.rung == "absent":
            pytest.skip(found.reason)
        return found

    def check(self, check: Check) -> CheckResult:
        """What one check found."""
        if self._skip:
            pytest.skip(self._skip)
        found = self._concluded.run.checks.get(check)
        if found is None:
            pytest.skip("not run; continue the run with --resume")
        if found.absent:
            pytest.skip(found.absent)
        return found

    def claims(self, grid: str, name: str) -> list[tuple[str, ClaimResult]]:
        """What a claim said of each cell of a grid that it applies to."""
        if self._skip:
            pytest.skip(self._skip)
        return [
            (judgement.item.id, result)
            for judgement in self._concluded.judgements
            if judgement.item.grid == grid
            for result in judgement.claims
            if result.claim == name
        ]

    def finding(self, name: FindingName) -> Finding:
        """What was found of a published experiment."""
        if self._skip:
            pytest.skip(self._skip)
        findings = self._concluded.findings
        found = {(each.experiment, each.form, each.name): each for each in findings}
        if name not in found:
            pytest.skip("not run; continue the run with --resume")
        return found[name]

    # --- The end

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from bench.report.run.files import write_reports

        if self.session is None or self.session.conclusion is None:
            if session.exitstatus in _NOTHING_FAILED and self._nothing_measured:
                session.exitstatus = EXIT_TROUBLE
            return
        found = self.session.conclusion
        with _told():
            self._warning = write_reports(
                found.run,
                found.judgements,
                baseline=found.baseline,
                total_sec=self.session.total_sec,
            )
        if session.exitstatus == EXIT_OK:
            undecided = self._config.option.allow_undecided
            session.exitstatus = allowed(found.exit_code, undecided=undecided)

    @property
    def _nothing_measured(self) -> bool:
        """Whether no item did any work; that is never success."""
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        option = self._config.option
        return not option.collectonly and bool(reporter) and not reporter.stats.get("passed")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        from bench.report.run.terminal import summary_lines
        from bench.results.run import REPORT

        if self.session is None:
            if self._nothing_measured:
                tier = self._config.option.tier
                why = self._skip or (
                    f"no cell of tier {tier} is selected; `bench grids --tier {tier}` lists them, "
                    "and --tier standard and full have more"
                )
                terminalreporter.write_line(f"Nothing was measured: {why}.")
            return
        found = self.session.conclusion
        if found is None:
            return
        terminalreporter.section("bench")
        lines = summary_lines(
            found.run,
            found.judgements,
            baseline=found.baseline,
            report=found.run.path / REPORT,
            total_sec=self.session.total_sec,
        )
        for line in [*lines, self._warning or ""]:
            terminalreporter.write_line(line)


@pytest.fixture
def judgement(request: pytest.FixtureRequest) -> Judgement:
    """The judgement of the cell that the item stands for."""
    grid, id_, _ = request.param
    return request.config.stash[_WAKE].result(grid, id_)


@pytest.fixture
def check_result(request: pytest.FixtureRequest) -> CheckResult:
    """What the check that the item stands for found."""
    return request.config.stash[_WAKE].check(request.param)


@pytest.fixture
def finding(request: pytest.FixtureRequest) -> Finding:
    """What was found of the published experiment that the item stands for."""
    return request.config.stash[_WAKE].finding(request.param)


@pytest.fixture
def claim_results(request: pytest.FixtureRequest) -> list[tuple[str, ClaimResult]]:
    """What the claim that the item stands for said of each cell of the module's grid."""
    bench = request.config.stash[_WAKE]
    results = bench.claims(request.module.GRID.name, request.param.name)
    if not results:
        pytest.skip("no cell that was selected and measured is one that the claim speaks of")
    return results


@pytest.fixture(scope="session")
def remote_bursts(pytestconfig: pytest.Config) -> Iterator[RemoteBursts]:
    """A process for throughput, started when the first item asks and ended with the session."""
    from bench import mnist
    from bench.execution import protocol
    from bench.execution.bursts import RemoteBursts
    from bench.execution.supervisor import Supervisor
    from bench.jobs.run import DeviceAbsentError, resolve_device

    option = pytestconfig.option
    with _told():
        try:
            device = resolve_device(option.device, required=option.require_device)
        except DeviceAbsentError as absent:
            pytest.skip(absent.message)
        data = mnist.load(directory=option.data_dir, sources=_sources(option))
        settings = protocol.Settings(
            device=device, data=data.fingerprint, cache_dir=str(mnist.cache_directory()), threads=0
        )
        environment = {} if device == "gpu" else {"CUDA_VISIBLE_DEVICES": "-1"}
        supervisor = Supervisor(settings, environment=environment, name="throughput")
        supervisor.start()
    yield RemoteBursts(supervisor, option.cell_timeout)
    supervisor.close()


def _sources(option: Any) -> tuple[str, ...]:
    from bench import mnist

    return mnist.resolve_sources(option.data_sources) if option.data_sources else mnist.SOURCES


_NOTHING_FAILED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def _parameters(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turns trouble into one clear message and exit code 2."""
    try:
        yield
    except BenchError as error:
        pytest.exit(f"bench: error: {error}", returncode=EXIT_TROUBLE)
