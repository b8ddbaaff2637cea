"""Models between two training processes: who is asked what, and what a dying process costs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.execution import protocol
from bench.execution.saving import exchange
from bench.execution.supervisor import CrashError, Supervisor
from bench.results.kind import Crash
from bench.results.saved_models import COMPOSED, MODELS, Loaded, Written, formats

pytestmark = pytest.mark.filterwarnings("error")

SETTINGS = protocol.Settings(device="cpu", data="0" * 64, cache_dir="")

EVERY = [(model, name) for model in (*MODELS, *COMPOSED) for name in formats(model)]


class Answering(Supervisor):
    """Answers requests itself; ``dies_at`` kills its process."""

    def __init__(self, *, dies_at: tuple[str, str] | None = None, lacks: str = "") -> None:
        super().__init__(SETTINGS)
        self.asked: list[Any] = []
        self._dies_at, self._lacks = dies_at, lacks

    def ask(self, request: Any, *, timeout_sec: float) -> Any:
        line = protocol.line(protocol.Asked.of(request))
        sent: Any = msgspec.json.decode(line, type=protocol.Asked).request
        assert sent == request
        self.asked.append(sent)
        if isinstance(sent, protocol.Save):
            key = (sent.model, "save")
            answer: Any = [self._written(sent.model, format_) for format_ in formats(sent.model)]
        else:
            key = (sent.model, sent.format)
            answer = Loaded(model=sent.model, format=sent.format, digest="a")
        if key == self._dies_at:
            raise CrashError(Crash(reason="signal", message="killed by SIGSEGV"))
        reply = protocol.reply_decoder.decode(protocol.line(protocol.Answer.of(answer)))
        assert isinstance(reply, protocol.Answer)
        return reply.to(request)

    def _written(self, model: str, format_: str) -> Written:
        absent = "none" if format_ == self._lacks else ""
        return Written(model=model, format=format_, absent=absent)


@pytest.fixture
def answering() -> Iterator[Callable[..., Answering]]:
    """Makes such supervisors and closes them."""
    with contextlib.ExitStack() as stack:
        yield lambda **told: stack.enter_context(contextlib.closing(Answering(**told)))


@pytest.mark.parametrize("back", [False, True])
def test_every_model_in_every_format_is_loaded_on_both_sides(
    tmp_path: Path, answering: Any, *, back: bool
) -> None:
    """Saved by the side that is to; what it cannot write nobody loads. A line says how far that is."""
    old, new = answering(lacks="legacy_weights"), answering()
    writer, told = (new, "NEW") if back else (old, "OLD")
    lines: list[str] = []
    found = exchange(old, new, tmp_path, back=back, timeout_sec=1.0, say=lines.append)
    count = len([*MODELS, *COMPOSED])
    assert len(lines) == count
    assert lines[0] == f"saved models of {told}: 1/{count}, mlp"
    assert lines[-1] == f"saved models of {told}: {count}/{count}, layers"
    assert {each.back for each in found} == {back}
    pairs = [(each.written.model, each.written.format) for each in found]
    assert pairs == EVERY
    saves = [m for m in writer.asked if isinstance(m, protocol.Save)]
    assert [m.model for m in saves] == [*MODELS, *COMPOSED]
    assert {m.folder for side in (old, new) for m in side.asked} == {str(tmp_path)}
    written = [pair for pair in pairs if back or pair[1] != "legacy_weights"]
    for side in (old, new):
        loads = [m for m in side.asked if isinstance(m, protocol.Load)]
        assert [(m.model, m.format) for m in loads] == written
    for each in found:
        loaded = back or each.written.format != "legacy_weights"
        assert (each.by_old is not None) == (each.by_new is not None) == loaded


@pytest.mark.parametrize("back", [False, True])
def test_a_process_that_dies_loading_costs_that_format(
    tmp_path: Path, answering: Any, *, back: bool
) -> None:
    """Its end is the format's error; the next ones are loaded."""
    dying = answering(dies_at=("mlp", "h5"))
    found = exchange(answering(), dying, tmp_path, back=back, timeout_sec=1.0)
    errors = {
        (each.written.model, each.written.format): each.by_new.error
        for each in found
        if each.by_new is not None
    }
    assert errors.pop(("mlp", "h5")) == "killed by SIGSEGV"
    assert len(errors) == len(EVERY) - 1
    assert not any(errors.values())


def test_a_process_that_dies_saving_costs_that_model(tmp_path: Path, answering: Any) -> None:
    """None of its formats was written, as far as anyone knows."""
    dying = answering(dies_at=("mlp", "save"))
    found = exchange(dying, answering(), tmp_path, back=False, timeout_sec=1.0)
    assert len(found) == len(EVERY)
    for each in found:
        dead = each.written.model == "mlp"
        assert each.written.error == ("killed by SIGSEGV" if dead else "")
        assert (each.by_new is None) == dead
