"""The run behind a session: all is measured and judged before the first item looks at its own part."""

from __future__ import annotations

import sys
from collections.abc import Generator
from functools import cached_property
from pathlib import Path
from typing import Any

import filelock
import pytest

from bench import mnist
from bench.cells.grid import Grid
from bench.errors import EXIT_OK, EXIT_TROUBLE, EXIT_UNDECIDED, BenchError, allowed
from bench.execution.bursts import RemoteBursts
from bench.execution.cluster import Placement
from bench.execution.termination import terminated_as_interrupted
from bench.jobs.benchmark_file import OURS, ours
from bench.jobs.run import DeviceAbsentError, Options, Session, resolve_device, run_folder
from bench.plugin.collection import Collection
from bench.plugin.own_model import ModelOption
from bench.plugin.trouble import trouble_ends_pytest
from bench.published.claims import Finding, FindingName
from bench.report.files import write_reports
from bench.report.github import append_step_summary
from bench.report.markdown import markdown
from bench.report.sections.paces import pace_line, table
from bench.report.short import short_report
from bench.report.terminal import summary_lines
from bench.results.bounds import MOST_SEEDS
from bench.results.files import write_atomically
from bench.results.plan import Item
from bench.results.run import JUNIT, REPORT
from bench.results.writer import claim, new_run_name
from bench.verdict.baselines.speeds import read_speeds
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement
from bench.verdict.pacing import PaceJudgement, judge

_NOTHING_FAILED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
_SAME = (
    "tier",
    "seeds",
    "all_seeds",
    "resume",
    "retry_crashed",
    "baselines",
    "against",
    "data_dir",
    "tensorboard",
    "decide_speed",
)
_ABOVE_0 = ("workers", "workers_per_gpu", "seeds", "decide", "check_seeds", "cell_timeout")


def data_sources(option: Any) -> tuple[str, ...]:
    """Sources of the images, in the order in which they are tried."""
    return mnist.resolve_sources(option.data_sources) if option.data_sources else mnist.SOURCES


class SuiteRun:
    """Hooks that measure what was collected, report it and set the exit code; and what items ask for.

    Args:
        config: the options.
        collection: tells what was collected.

    Raises:
        BenchError: the run's folder is in use, or cannot be written to, or holds no run to resume.
    """

    def __init__(self, config: pytest.Config, collection: Collection) -> None:
        option = config.option
        self._option = option
        self._plugins = config.pluginmanager
        self._collection = collection
        self._session: Session | None = None
        self._lock: filelock.BaseFileLock | None = None
        self._absent = ""
        self._warning: str | None = None
        self.bursts: RemoteBursts | None = None
        """Of the process that throughput is measured in, once it has started."""
        self._junit: bytes | None = None
        new = new_run_name(option.tier)
        self._folder = run_folder(
            option.results,
            option.run,
            resume=option.resume,
            new=new,
            retry_crashed=option.retry_crashed,
        )
        self._model = ModelOption(option, self._folder)
        if self._model:
            collection.model = self._model_grid
        if not option.collectonly and not option.help:
            self._lock = claim(self._folder, resume=option.resume)
            option.xmlpath = option.xmlpath or str(self._folder / JUNIT)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Whatever a hook raised, of ours or of another plugin."""
        if isinstance(excinfo.value, Exception):
            with trouble_ends_pytest():
                raise excinfo.value

    def _model_grid(self) -> Grid:
        with trouble_ends_pytest():
            return self._model.grid

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        option = self._option
        with trouble_ends_pytest():
            collected = self._collection.of(session.items)
            if option.collectonly or not any(collected):
                return
            try:
                device = resolve_device(
                    option.device,
                    required=option.require_device,
                    elsewhere=bool(option.scheduler),
                )
            except DeviceAbsentError as absent:
                self._absent = absent.message
                return
            options = self._options(device, len(collected.cells))
            self._session = Session(options, *collected, self._lock)

    def _options(self, device: str, collected: int) -> Options:
        """The options of the job.

        Args:
            device: ``cpu`` or ``gpu``.
            collected: how many cells were.

        Raises:
            BenchError: a number is not above 0.
        """
        option = self._option
        for name in _ABOVE_0:
            if getattr(option, name) is not None and getattr(option, name) <= 0:
                flag = name.replace("_", "-")
                raise BenchError(f"--{flag} must be above 0", hint="leave it out for the default")
        for name in ("seeds", "decide", "check_seeds"):
            if (getattr(option, name) or 0) > MOST_SEEDS:
                flag = name.replace("_", "-")
                raise BenchError(f"--{flag} is at most {MOST_SEEDS:,}", hint="24 decide most cells")
        limit = option.memory_limit
        return Options(
            **{name: getattr(option, name) for name in _SAME},
            decide=option.decide or 0,
            run=self._folder,
            data_sources=data_sources(option),
            placement=Placement(
                device=device,
                workers=option.workers,
                workers_per_gpu=option.workers_per_gpu,
                scheduler=option.scheduler,
                cell_timeout_sec=option.cell_timeout,
                memory_limit_bytes=None if limit is None else int(limit * 2**30),
                own=self._model.folder,
            ),
            selected=bool(self._model) or collected < self._collection.whole,
        )

    # --- Execution

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        if self._session is not None and not session.testsfailed:
            capture: Any = self._plugins.getplugin("capturemanager")
            with (
                terminated_as_interrupted(),
                capture.global_and_fixture_disabled(),
                trouble_ends_pytest(),
            ):
                try:
                    self._session.execute(sys.stdout, live=sys.stdout.isatty())
                finally:
                    if self._session.conclusion is None:
                        # The run was refused, and the JUnit file is that of the run in its folder.
                        path = Path(self._option.xmlpath)
                        self._junit = path.read_bytes() if path.exists() else b""
        return (yield)

    def pytest_unconfigure(self) -> None:
        """Lets go of the run's folder."""
        if self._lock is not None:
            self._lock.release(force=True)

    # --- Throughput, which pytest-benchmark measures

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Says in a saved file where it was measured."""
        if self.bursts is not None:
            ready = self.bursts.ready
            output_json[OURS] = ours(ready.numerics, ready.machine, ready.software)

    @cached_property
    def _throughput(self) -> list[PaceJudgement]:
        """What pytest-benchmark measured, against what is stored of this machine."""
        if self.bursts is None or not self._option.baselines:
            return []
        ready = self.bursts.ready
        class_ = ready.numerics.environment_class
        with trouble_ends_pytest():
            stored = read_speeds(self._option.baselines, class_, ready.machine)
        return judge(self.bursts.results, stored, ready.software)

    # --- What items ask for

    @property
    def concluded(self) -> Conclusion | None:
        """The conclusion; None if nothing was to be measured. Skips the item that asks where the device
        is absent."""
        if self._absent:
            pytest.skip(self._absent)
        return self._session.conclusion if self._session is not None else None

    @cached_property
    def judgements(self) -> dict[Item, Judgement]:
        """The judgements of all cells."""
        return {one.item: one for one in self.concluded.judgements} if self.concluded else {}

    @cached_property
    def findings(self) -> dict[FindingName, Finding]:
        """The findings of all published experiments that were run."""
        findings = self.concluded.findings if self.concluded else ()
        return {(finding.experiment, finding.form, finding.name): finding for finding in findings}

    # --- The end

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Reports before pytest's own summary, and puts JUnit's file back, which pytest has written
        then, if the run was refused."""
        with trouble_ends_pytest():
            try:
                self._report(session)
            finally:
                result = yield
                if self._junit:
                    write_atomically(Path(self._option.xmlpath), self._junit)
                elif self._junit is not None:
                    Path(self._option.xmlpath).unlink(missing_ok=True)
            return result

    def _report(self, session: pytest.Session) -> None:
        found = self._session.conclusion if self._session is not None else None
        if self._session is None or found is None:
            if session.exitstatus in _NOTHING_FAILED and self._nothing_measured:
                session.exitstatus = EXIT_TROUBLE
            elif session.exitstatus == EXIT_OK and any(one.open for one in self._throughput):
                undecided = self._option.allow_undecided
                session.exitstatus = allowed(EXIT_UNDECIDED, undecided=undecided)
        else:
            total_sec = self._session.total_sec
            write_reports(found, total_sec=total_sec)
            self._warning = append_step_summary(short_report(found, total_sec=total_sec))
            if session.exitstatus == EXIT_OK:
                undecided = self._option.allow_undecided
                session.exitstatus = allowed(found.exit_code, undecided=undecided)

    @property
    def _nothing_measured(self) -> bool:
        """Tells whether no item did any work, which is never success."""
        reporter: Any = self._plugins.getplugin("terminalreporter")
        return not self._option.collectonly and bool(reporter) and not reporter.stats.get("passed")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        with trouble_ends_pytest():
            self._summarize(terminalreporter)

    def _summarize(self, terminalreporter: Any) -> None:
        if self._throughput:
            terminalreporter.section("bench: against stored runs of this machine")
            terminalreporter.write_line(
                markdown([pace_line(self._throughput), table(self._throughput)])
            )
        if self._session is None:
            if self._nothing_measured:
                tier = self._option.tier
                why = self._absent or (
                    f"no cell of tier {tier} is selected; `bench grids --tier {tier}` lists them, "
                    "and --tier standard and full have more"
                )
                terminalreporter.write_line(f"Nothing was measured: {why}.")
            return
        found = self._session.conclusion
        if found is None:
            return
        terminalreporter.section("bench")
        report = found.folder / REPORT
        lines = summary_lines(
            found,
            total_sec=self._session.total_sec,
            report=report,
            verbose=self._option.verbose > 0,
        )
        for line in [*lines, self._warning or ""]:
            terminalreporter.write_line(line)
