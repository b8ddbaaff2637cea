"""Saved models across an upgrade, both ways: what a file of one version gives in the other, judged.

What formats promise, as far as it is decided on here:

- A SavedModel can be loaded and evaluated by a later release of the same major version of TensorFlow
  ("TensorFlow version compatibility", section on SavedModels, graphs and checkpoints). Nothing is
  promised to an earlier release.
- Data of a previous minor release work on with a later one (the same document, section on semantic
  versioning); so do Keras' files with a later release of the same Keras, 2 or 3.
- Keras 3 names, when it refuses a file, what it does read: ``load_model`` v3 ``.keras`` files and
  legacy ``.h5`` files, ``load_weights`` ``.weights.h5`` and legacy ``.h5`` files. What it names is
  taken for promised, from Keras 2 as well, as no document restricts it. Keras 2 writes v3 files by
  the name ``.keras`` from 2.13 on; before, HDF5.
- Keras 3's ``load_model`` reads no SavedModels ("Migrating Keras 2 code to multi-backend Keras 3",
  section on loading a SavedModel).
- A checkpoint names its variables by the attributes of Keras' objects, so it is taken for promised to
  a later release of the same Keras, 2 or 3, on the same major version of TensorFlow.
- No document promises that an older Keras reads what a newer one wrote. That it refuses is a fact of a
  rollback, told in the answer and no failure; that it reads and computes something else is one, as
  servers that stay behind would, too.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence

import msgspec
from packaging.version import InvalidVersion, Version

from bench.results.saved_models import FORMATS, Exchange, Loaded, saved_name


class Outcome(str, enum.Enum):
    """What became of a model that one side saved and the other loads; what to look at first comes
    first."""

    DIFFERS = "differs"
    """The reader computes something else; the writer does not."""
    BROKEN = "broken"
    """The reader cannot read what its documents say that it reads; the writer can."""
    BOTH = "wrong in both"
    """The writer itself cannot write or read the format, or computes something else with the file."""
    UNPROMISED = "not promised"
    """The reader cannot read it, and nobody said that it could."""
    ABSENT = "not written"
    """The writer has no such format."""
    ROUNDING = "rounding"
    """The same but for rounding."""
    SAME = "same bits"

    @property
    def fails(self) -> bool:
        """Whether the upgrade has broken something."""
        return self in (Outcome.DIFFERS, Outcome.BROKEN)

    @property
    def lost(self) -> bool:
        """Whether NEW has nothing of what OLD saved, promised or not."""
        return self.fails or self is Outcome.UNPROMISED


class SavingJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """What is concluded from one exchange."""

    model: str
    format: str
    outcome: Outcome
    reason: str
    """One line."""
    back: bool = False
    """Whether NEW wrote it and OLD reads it."""

    @property
    def name(self) -> str:
        """As reports and commands have it."""
        return saved_name(self.model, self.format, back=self.back)


def judge_savings(
    exchanges: Sequence[Exchange], *, old: Mapping[str, str], new: Mapping[str, str]
) -> list[SavingJudgement]:
    """What became of every model that was saved; see :func:`judge_saving`."""
    own = {
        (each.written.model, each.written.format): each.by_old
        for each in exchanges
        if not each.back
    }
    return [
        judge_saving(each, old=old, new=new, own=own.get((each.written.model, each.written.format)))
        for each in exchanges
    ]


def judge_saving(
    exchange: Exchange,
    *,
    old: Mapping[str, str],
    new: Mapping[str, str],
    own: Loaded | None = None,
) -> SavingJudgement:
    """What became of a saved model.

    Outputs of networks are the same if they lie within the bound of rounding of a float64 forward pass
    with the saved variables; composed models have none (:func:`bench.nets.saving.load`).

    Args:
        exchange: what both sides did.
        old: versions by name, ``tensorflow`` and ``keras`` among them.
        new: those of the other side.
        own: what OLD makes of the file that it wrote itself; where that is something else, too, then
            whoever goes back to OLD finds it as it was.
    """
    outcome, reason = _concluded(exchange, old, new)
    if exchange.back and outcome is Outcome.DIFFERS and own is not None and _wrong(own):
        outcome, reason = Outcome.BOTH, f"OLD misreads its own files as well: {reason}"
    written = exchange.written
    return SavingJudgement(
        model=written.model,
        format=written.format,
        outcome=outcome,
        reason=reason,
        back=exchange.back,
    )


def promised(format_: str, *, writer: Mapping[str, str], reader: Mapping[str, str]) -> str:
    """Which document says that one side reads what the other wrote in a format; empty if none does.

    Args:
        format_: one of :data:`bench.results.saved_models.FORMATS`.
        writer: versions by name, as in :func:`judge_saving`.
        reader: the same.
    """
    major, minor = _version(writer["tensorflow"])
    other, later = _version(reader["tensorflow"])
    kept = major == other and minor <= later
    if format_ in ("export", "saved_model"):
        return "TensorFlow version compatibility: SavedModels" if kept else ""
    before, after = _version(writer["keras"]), _version(reader["keras"])
    if format_ == "checkpoint":
        kept = kept and before[0] == after[0] and before <= after
        return "TensorFlow version compatibility: checkpoints" if kept else ""
    if after < before:
        return ""
    if before == after:
        return "the same version of Keras wrote it"
    if before[0] == after[0]:
        return "TensorFlow version compatibility: data of a previous minor release"
    if format_ == "h5" or (format_ == "keras" and before >= (2, 13)):
        return "Keras 3's load_model: v3 .keras files and legacy .h5 files"
    if format_ in ("legacy_weights", "weights"):
        return "Keras 3's load_weights: .weights.h5 files and legacy .h5 files"
    return ""


def _concluded(
    exchange: Exchange, old: Mapping[str, str], new: Mapping[str, str]
) -> tuple[Outcome, str]:
    written, by_writer, by_reader = exchange.written, exchange.by_old, exchange.by_new
    sides, versions = ("OLD", "NEW"), (old, new)
    if exchange.back:
        by_writer, by_reader, sides, versions = by_reader, by_writer, ("NEW", "OLD"), (new, old)
    if written.absent:
        return Outcome.ABSENT, written.absent
    if written.error:
        return Outcome.BOTH, f"{sides[0]} cannot write it: {written.error}"
    assert by_writer is not None  # what was written is loaded, as Exchange says
    assert by_reader is not None
    wrong = _wrong(by_reader)
    if not wrong:
        if by_reader.same_bits:
            return Outcome.SAME, ""
        size = by_reader.difference
        told = "" if size is None else f"outputs differ by {size:.2g} of the largest"
        return Outcome.ROUNDING, told
    if before := _wrong(by_writer):
        return Outcome.BOTH, f"{sides[0]}, which wrote it: {before}; {sides[1]}: {wrong}"
    if not by_reader.error:
        return Outcome.DIFFERS, wrong
    promise = promised(written.format, writer=versions[0], reader=versions[1])
    if promise:
        return Outcome.BROKEN, f"{wrong}; promised by {promise!r}"
    return Outcome.UNPROMISED, wrong


def _wrong(loaded: Loaded) -> str:
    """What is wrong with what a side made of a file; empty if nothing is."""
    if loaded.error:
        return f"cannot load {FORMATS[loaded.format].title}: {loaded.error}"
    deviation = loaded.deviation
    if deviation is None:
        return "nothing was compared"
    if deviation.out:
        far = "" if deviation.excess is None else f", by {deviation.excess:.3g} times their bound"
        return f"{deviation.tensor} are not the saved model's{far}: {deviation.evidence}"
    return ""


def is_rollback(old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    """Whether NEW has an older TensorFlow than OLD or, if that is the same, an older Keras.

    Args:
        old: versions by name.
        new: those of the other side.
    """
    pairs = [
        (Version(old[name]), Version(new[name]))
        for name in ("tensorflow", "keras")
        if is_version(old.get(name, "")) and is_version(new.get(name, ""))
    ]
    return next((after < before for before, after in pairs if before != after), False)


def is_version(text: str) -> bool:
    """Whether PEP 440 knows it: a probe that failed leaves its reason in the place of a version."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _version(text: str) -> tuple[int, int]:
    """Major and minor version; (0, 0) of what is none."""
    found = re.match(r"(\d{1,6})\.(\d{1,6})", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
