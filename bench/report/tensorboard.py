"""Event files for TensorBoard: what replicas and trials showed, each in a folder of its own.

The format is that of TensorBoard and TensorFlow: ``Event`` protocol buffers, one record each, framed as
TFRecords with CRC-32C. tensorboardX has both and needs neither TensorFlow nor TensorBoard. Its
``SummaryWriter`` is not used: it writes in a thread, and when that fails on a full disk, whoever adds
the next events waits forever.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.errors import BenchError
from bench.measure.trajectory import from_bytes
from bench.results.flow import Flow
from bench.results.histogram import Histogram
from bench.results.jsonl import cannot_write
from bench.results.kind import Outcome
from bench.results.plan import Item
from bench.results.record import Record
from bench.results.trial import TrialResult

#: TensorBoard reads every file whose name contains "tfevents".
FILE = "events.out.tfevents.bench"
_EXTRA = "tensorflow-regression-bench[tensorboard]"

#: Parts of a :class:`Flow`: what TensorBoard shows layer by layer, and its title.
_BY_LAYER = {
    "signal": "signal, mean square",
    "kernel_gradient": "kernel gradient, variance",
    "bias_gradient": "bias gradient, variance",
    "activation_mean": "activation, mean",
    "activation_variance": "activation, variance",
    "dead_units": "dead units, share",
}
_NORMS = {"gradient_norm": "norm/all gradients", "clipped_norm": "clipped norm/all gradients"}

Points = Sequence[tuple[int, float | None]]


class Shown(NamedTuple):
    """What TensorBoard shows of one training."""

    scalars: Mapping[str, Points]
    """By tag: steps and values; None stands for NaN and infinity and becomes NaN."""
    histograms: Sequence[Histogram]


class EventFiles:
    """Writes an event file for each replica and trial that is added, whole or not at all.

    A replica is in ``<grid>/<cell's id>/seed_<n>``, below the first grid that has its cell; a trial in
    ``<experiment>/<variant>/<form>/seed_<n>``. All characters but ASCII letters, digits, ``.``, ``+``
    and ``-`` are ``_``.

    Args:
        folder: of the run; made if absent.
        items: of its plan.

    Raises:
        BenchError: tensorboardX is absent, or the folder cannot be written to.
    """

    def __init__(self, folder: Path, items: Iterable[Item]) -> None:
        self.folder = folder.absolute()
        _library()
        with _cannot_write(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        self._cells: dict[Any, tuple[str, str]] = {}
        for item in items:
            self._cells.setdefault(item.cell, (item.grid, item.id))

    def path(self, outcome: Outcome) -> Path:
        """Where the event file of a record, or a trial's result, is or would be."""
        task = outcome.key
        if task.cell is None:
            parts = task.id.split("/")
        else:
            parts = [*self._cells[task.cell], f"seed {task.seed}"]
        return self.folder.joinpath(*map(_safe, parts), FILE)

    def add(self, outcome: Outcome) -> None:
        """Writes the file of a replica or a trial, in place of any that is there. Other outcomes, and
        those that have nothing to show, have none.

        Raises:
            BenchError: the disk is full or the folder cannot be written to; names the folder.
        """
        if type(outcome) not in _SHOWN:
            return
        shown = _SHOWN[type(outcome)](outcome)
        if shown.scalars or shown.histograms:
            _write(self.path(outcome), shown)

    def add_stored(self, outcomes: Iterable[Outcome]) -> None:
        """Adds those of a resumed run that have no file yet. A stored record has no histograms.

        Raises:
            BenchError: as :meth:`add` does.
        """
        for outcome in outcomes:
            if type(outcome) in _SHOWN and not self.path(outcome).exists():
                self.add(outcome)


def of_record(record: Record) -> Shown:
    """A replica: its losses, its test accuracy and loss, the gradient flow at the start and at the end,
    histograms.

    Flow by layer is a curve over layers: its "step" is the number of the hidden layer, from 1.
    """
    scalars: dict[str, Points] = {}
    end = record.cell.steps
    if record.trajectory:
        losses = from_bytes(record.trajectory)
        scalars["loss"] = [(step, float(loss)) for step, loss in enumerate(losses)]
    for tag, value in (("accuracy", record.test_accuracy), ("loss", record.test_loss)):
        if value is not None:
            scalars[f"test {tag}"] = [(end, value)]
    for when, flow in (("start", record.start), ("end", record.end)):
        if flow is not None:
            scalars |= _by_layer(flow, when)
    moments = [(0, record.start), (end, record.end)]
    for name, tag in _NORMS.items():
        if points := [(step, getattr(flow, name)) for step, flow in moments if flow is not None]:
            scalars[tag] = points
    if record.images_per_sec is not None:
        scalars["images per second"] = [(end, record.images_per_sec)]
    return Shown(scalars, record.histograms or ())


def _by_layer(flow: Flow, when: str) -> dict[str, Points]:
    """Without the lists of a network that has no hidden layer."""
    curves = {
        f"{title}, by layer/{when}": list(enumerate(getattr(flow, name), start=1))
        for name, title in _BY_LAYER.items()
    }
    return {tag: points for tag, points in curves.items() if points}


def of_trial(result: TrialResult) -> Shown:
    """A trial: its curves, its numbers at the last step, its histograms. Whatever is said of single
    variables (``norm w1``, ``norm b1``) stands together: ``norm/w1``, ``norm/b1``."""
    recipe = result.trial.recipe
    scalars: dict[str, Points] = {}
    for name, curve in result.curves.items():
        if curve.steps:
            tag = _grouped(name, recipe.names)
            scalars[tag] = list(zip(curve.steps, curve.values, strict=True))
    for name, value in result.numbers.items():
        scalars[_grouped(name, recipe.names)] = [(recipe.steps, value)]
    return Shown(scalars, result.histograms)


#: Outcomes that TensorBoard shows, and how.
_SHOWN: Mapping[type[Outcome], Callable[[Any], Shown]] = {Record: of_record, TrialResult: of_trial}


def _grouped(name: str, variables: Sequence[str]) -> str:
    kind, _, last = name.rpartition(" ")
    return f"{kind}/{last}" if kind and last in variables else name


def _safe(name: str) -> str:
    """A part of a path on every system."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", name)


def _write(path: Path, shown: Shown) -> None:
    """Replaces the file as soon as the new one is whole: a run that is killed leaves no half ones."""
    library = _library()
    temporary = path.with_name(f".unfinished-{os.getpid()}")
    with _cannot_write(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(library.RecordWriter(str(temporary))) as writer:
                for event in _events(shown, library):
                    writer.write(event.SerializeToString())
                writer.flush()
            os.replace(temporary, path)
        except BaseException:  # Ctrl-C, too
            temporary.unlink(missing_ok=True)
            raise


def _events(shown: Shown, library: Any) -> Iterator[Any]:
    """The version of the format, then one event for each step."""
    now = time.time()
    yield library.Event(wall_time=now, file_version="brain.Event:2")
    steps: dict[int, Any] = {}

    def values(step: int) -> Any:
        if step not in steps:
            steps[step] = library.Event(wall_time=now, step=step)
        return steps[step].summary.value

    for tag, points in shown.scalars.items():
        for step, value in points:
            values(step).add(tag=tag, simple_value=_single(value))
    for histogram in shown.histograms:
        if any(histogram.counts):
            kind = "gradients" if histogram.gradient else "values"
            added = values(histogram.step).add(tag=f"{kind}/{histogram.name}")
            added.histo.CopyFrom(_histogram(histogram, library))
    yield from (steps[step] for step in sorted(steps))


def _histogram(histogram: Histogram, library: Any) -> Any:
    """A histogram in TensorFlow's form.

    A bin reaches from the limit of the one before it, the first one from the smallest entry, up to its
    own limit.
    """
    return library.HistogramProto(
        min=histogram.edges[0],
        max=histogram.edges[-1],
        num=sum(histogram.counts),
        sum=histogram.total,
        sum_squares=histogram.squares,
        bucket_limit=histogram.edges[1:],
        bucket=histogram.counts,
    )


def _single(value: float | None) -> float:
    """The value as TensorBoard holds it, in four bytes: beyond 3.4e38 infinity, below 7e-46 zero."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float32(math.nan if value is None else value))


class _Library(NamedTuple):
    """What is used of tensorboardX."""

    RecordWriter: Any
    Event: Any
    HistogramProto: Any


def _library() -> _Library:
    """Raises:
    BenchError: tensorboardX cannot be imported.
    """
    try:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import HistogramProto
    except Exception as error:  # protobuf raises what it likes about versions that do not fit
        raise BenchError(
            f"--tensorboard needs tensorboardX: {type(error).__name__}: {error}",
            hint=f"pip install '{_EXTRA}'",
        ) from error
    return _Library(RecordWriter, Event, HistogramProto)


@contextlib.contextmanager
def _cannot_write(folder: Path) -> Iterator[None]:
    """Raises:
    BenchError: in place of an OSError, naming the folder.
    """
    try:
        yield
    except OSError as error:
        raise BenchError(
            cannot_write(folder, error).message,
            hint="free disk space or choose another place with --tensorboard DIR; records already "
            "written are kept: continue with --resume",
        ) from error
