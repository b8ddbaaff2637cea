"""Models carried from one version to the other, both ways: saved by one side, loaded by both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.cells.cell import Cell
from bench.execution.patience import Patience
from bench.execution.protocol import Load, Save
from bench.execution.supervisor import Supervisor
from bench.results.saved_models import COMPOSED, MODELS, Exchange, Written


def exchange(
    old: Supervisor,
    new: Supervisor,
    folder: Path,
    *,
    back: bool,
    timeout_sec: float,
    own: Cell | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Exchange]:
    """Every model in every format that it has, saved by one side and loaded by both.

    Args:
        old: one side's process.
        new: the other's.
        folder: absolute, empty, seen by both; files stay there.
        back: whether NEW saves; otherwise OLD does.
        timeout_sec: of each request; one that the other side answered sooner hangs sooner.
        own: the user's model; None: all of :data:`bench.results.saved_models.MODELS` and
            :data:`bench.results.saved_models.COMPOSED`.
        say: shows a line for each model that is about to be saved.

    Raises:
        BenchError: a process could not be started.
    """
    patience, writer = Patience(timeout_sec), new if back else old
    models = (*MODELS, *COMPOSED) if own is None else (own.model,)
    found: list[Exchange] = []
    for number, model in enumerate(models, start=1):
        say(f"saved models of {'NEW' if back else 'OLD'}: {number}/{len(models)}, {model}")
        save = Save(folder=str(folder), model=model, cell=own)
        written = writer.do(save, timeout_sec=timeout_sec)
        found += [
            _carried(old, new, folder, each, patience, back=back, own=own is not None)
            for each in written
        ]
    return found


def _carried(
    old: Supervisor,
    new: Supervisor,
    folder: Path,
    written: Written,
    patience: Patience,
    *,
    back: bool,
    own: bool,
) -> Exchange:
    if written.absent or written.error:
        return Exchange(written=written, back=back)
    model, name = written.model, written.format
    load = Load(folder=str(folder), model=model, format=name, own=own)
    writer, reader = (new, old) if back else (old, new)
    by_writer, by_reader = patience.do(writer, load), patience.do(reader, load)
    by_old, by_new = (by_reader, by_writer) if back else (by_writer, by_reader)
    return Exchange(written=written, back=back, by_old=by_old, by_new=by_new)
