"""Saved models across an upgrade: what a file of the old version gives in the new one, judged.

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
- No document promises that an older Keras reads what a newer one wrote.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

import msgspec
from packaging.version import InvalidVersion, Version

from bench.results.saved_models import FORMATS, Exchange, Loaded


class Outcome(str, enum.Enum):
    """What became of a model that OLD saved and NEW loads; what to look at first comes first."""

    DIFFERS = "differs"
    """NEW computes something else; OLD does not."""
    BROKEN = "broken"
    """NEW cannot read what its documents say that it reads; OLD can."""
    BOTH = "wrong in both"
    """OLD itself cannot write or read the format, or computes something else with the file."""
    UNPROMISED = "not promised"
    """NEW cannot read it, and nobody said that it could."""
    ABSENT = "not written"
    """OLD has no such format."""
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


def judge_saving(
    exchange: Exchange, *, old: Mapping[str, str], new: Mapping[str, str]
) -> SavingJudgement:
    """What became of a saved model.

    Outputs are the same if they lie within the bound of rounding of a float64 forward pass with the
    saved variables (:func:`bench.nets.saving.load`).

    Args:
        exchange: what both sides did.
        old: versions by name, ``tensorflow`` and ``keras`` among them.
        new: those of the other side.
    """
    outcome, reason = _concluded(exchange, old, new)
    written = exchange.written
    return SavingJudgement(
        model=written.model, format=written.format, outcome=outcome, reason=reason
    )


def promised(format_: str, *, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Which document says that NEW reads what OLD wrote in a format; empty if none does.

    Args:
        format_: one of :data:`bench.results.saved_models.FORMATS`.
        old: as in :func:`judge_saving`.
        new: the same.
    """
    if format_ in ("export", "saved_model"):
        major, minor = _version(old["tensorflow"])
        other, later = _version(new["tensorflow"])
        kept = major == other and minor <= later
        return "TensorFlow version compatibility: SavedModels" if kept else ""
    before, after = _version(old["keras"]), _version(new["keras"])
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
    written, by_old, by_new = exchange.written, exchange.by_old, exchange.by_new
    if written.absent:
        return Outcome.ABSENT, written.absent
    if written.error:
        return Outcome.BOTH, f"OLD cannot write it: {written.error}"
    assert by_old is not None  # what was written is loaded, as Exchange says
    assert by_new is not None
    wrong = _wrong(by_new)
    if not wrong:
        size = "" if by_new.difference is None else f"outputs differ by {by_new.difference:.2g}"
        return (
            (Outcome.SAME, "") if by_new.same_bits else (Outcome.ROUNDING, f"{size} of the largest")
        )
    if before := _wrong(by_old):
        return Outcome.BOTH, f"OLD, which wrote it: {before}; NEW: {wrong}"
    if not by_new.error:
        return Outcome.DIFFERS, wrong
    promise = promised(written.format, old=old, new=new)
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
        times = "infinitely" if deviation.excess is None else f"{deviation.excess:.3g} times"
        return f"outputs are {times} their bound away from the saved model's: {deviation.evidence}"
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
