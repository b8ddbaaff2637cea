"""Fixtures of the suites: the part of the conclusion that an item stands for."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from bench import mnist
from bench.execution import protocol
from bench.execution.bursts import RemoteBursts
from bench.execution.supervisor import CrashError, Supervisor
from bench.jobs.run import DeviceAbsentError, resolve_device
from bench.plugin.session import SuiteRun, data_sources
from bench.plugin.trouble import trouble_ends_pytest
from bench.published.claims import Finding
from bench.results.check import CheckResult
from bench.theory.claim import ClaimResult
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.pacing import PaceJudgement

RUN: pytest.StashKey[SuiteRun] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """A fixture that fails says nothing about TensorFlow: it is trouble, not a failed item."""
    with trouble_ends_pytest():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """An item fails by an assertion, or because a training process crashed."""
    with trouble_ends_pytest(findings=(AssertionError, CrashError)):
        return (yield)


_NOT_RUN = "not run; continue the run with --resume"


@pytest.fixture
def judgement(request: pytest.FixtureRequest) -> Judgement:
    """The judgement of the cell that the item stands for."""
    judgement = request.config.stash[RUN].judgements[request.param]
    if judgement.verdict is Verdict.MISSING:
        pytest.skip(f"not measured: {judgement.reason}")
    if judgement.rung == "absent":
        pytest.skip(judgement.reason)
    return judgement


@pytest.fixture
def check_result(request: pytest.FixtureRequest) -> CheckResult:
    """The result of the check that the item stands for."""
    concluded = request.config.stash[RUN].concluded
    result = concluded.run.checks.get(request.param) if concluded is not None else None
    if result is None:
        pytest.skip(_NOT_RUN)
    if result.absent:
        pytest.skip(result.absent)
    return result


@pytest.fixture
def pace_judgements(request: pytest.FixtureRequest) -> list[PaceJudgement]:
    """What stored runs of this machine say of the pace that the item stands for."""
    concluded = request.config.stash[RUN].concluded
    result = concluded.run.paces.get(request.param) if concluded is not None else None
    if concluded is None or result is None:
        pytest.skip(_NOT_RUN)
    if result.crash is not None:
        raise CrashError(result.crash)
    return [one for one in concluded.paces if one.pace == request.param]


@pytest.fixture
def finding(request: pytest.FixtureRequest) -> Finding:
    """The finding of a published experiment that the item stands for."""
    finding = request.config.stash[RUN].findings.get(request.param)
    if finding is None:
        pytest.skip(_NOT_RUN)
    return finding


@pytest.fixture
def claim_results(request: pytest.FixtureRequest) -> list[tuple[str, ClaimResult]]:
    """Results of the claim that the item stands for, by id of the cells of the module's grid."""
    results = [
        (item.id, result)
        for item, judgement in request.config.stash[RUN].judgements.items()
        if item.grid == request.module.GRID.name
        for result in judgement.claims
        if result.claim == request.param.name
    ]
    if not results:
        pytest.skip("no cell that was selected and measured is one that the claim speaks of")
    return results


@pytest.fixture(scope="session")
def remote_bursts(pytestconfig: pytest.Config) -> Iterator[RemoteBursts]:
    """A process for throughput, started when the first item asks and ended with the session."""
    option = pytestconfig.option
    with trouble_ends_pytest():
        try:
            device = resolve_device(option.device, required=option.require_device)
        except DeviceAbsentError as absent:
            pytest.skip(absent.message)
        data = mnist.load(directory=option.data_dir, sources=data_sources(option))
        settings = protocol.Settings(
            device=device, data=data.fingerprint, cache_dir=str(mnist.cache_directory()), threads=0
        )
        environment = {} if device == "gpu" else {"CUDA_VISIBLE_DEVICES": "-1"}
        supervisor = Supervisor(settings, environment=environment, name="throughput")
        ready = supervisor.start()
    bursts = RemoteBursts(supervisor, ready, option.cell_timeout)
    pytestconfig.stash[RUN].bursts = bursts
    yield bursts
    supervisor.close()
