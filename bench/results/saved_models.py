"""Saved models: formats in which one TensorFlow writes them, and results of loading them in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from bench.cells.cell import Cell
from bench.cells.own_model import is_name
from bench.results.bounds import Name, NotNegative, Text
from bench.results.check import Deviation

#: Networks that are saved after some training. All have batch normalization, whose moving statistics
#: are easily left behind; the MLP has dropout as well, which must be off at inference.
MODELS: Mapping[str, Cell] = {
    "mlp": Cell(depth=2, width=64, normalization="batch", dropout=0.5, steps=20),
    "cnn": Cell(architecture="cnn", filters=4, normalization="batch", batch=50, steps=20),
}


@dataclass(frozen=True)
class Format:
    """A way to save a model, with the way back.

    Args:
        title: name for people.
        file: name of the file or folder in that of the model.
    """

    title: str
    file: str


FORMATS: Mapping[str, Format] = {
    "legacy_weights": Format("weights, .h5", "legacy.h5"),
    "weights": Format("weights, .weights.h5", "model.weights.h5"),
    "h5": Format("model, .h5", "model.h5"),
    "keras": Format("model, .keras", "model.keras"),
    "export": Format("SavedModel by Model.export", "export"),
    "saved_model": Format("SavedModel by tf.saved_model.save", "saved_model"),
    "keras_saved_model": Format("SavedModel by Model.save, read by load_model", "folder"),
    "checkpoint": Format("checkpoint by tf.train.Checkpoint", "checkpoint"),
}

_ALL = ("weights", "h5", "keras", "checkpoint")

#: Models of :mod:`bench.nets.composed` that are saved as they are, and their formats: HDF5 holds whole
#: models of layers alone, not of a class of one's own ("Save, serialize, and export models").
COMPOSED: Mapping[str, tuple[str, ...]] = {
    "sequential": ("h5", "keras"),
    "functional": (*_ALL, "export"),
    "nested": _ALL,
    "own": ("weights", "keras", "checkpoint", "export"),
    "layers": _ALL,
}


def formats(model: str) -> tuple[str, ...]:
    """The names of the formats in which a model is saved."""
    return COMPOSED.get(model, tuple(FORMATS))


def saved_name(model: str, format_: str, *, back: bool = False) -> str:
    """The name of a model in one format, the same in reports and in every command.

    Args:
        model: one of :data:`MODELS` or :data:`COMPOSED`, or the user's.
        format_: one of :data:`FORMATS`.
        back: whether NEW wrote it, not OLD.

    Example:
        >>> saved_name("mlp", "weights"), saved_name("mlp", "weights", back=True)
        ('saved:mlp-weights', 'saved-by-new:mlp-weights')
    """
    return f"saved{'-by-new' * back}:{model}-{format_}"


class Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Result of saving a model in one format."""

    model: Name
    """One of :data:`MODELS` or :data:`COMPOSED`."""
    format: Name
    """One of :data:`FORMATS`."""
    absent: Text = ""
    """Reason why this version has no such format to write; then nothing was tried."""
    error: Text = ""
    """First line of what was raised, or how the process ended; empty if the file was written."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Result of computing with a file that another version, or the same one, wrote."""

    model: Name
    format: Name
    error: Text = ""
    """First line of what was raised, or how the process ended; then nothing was computed."""
    same_bits: bool = False
    """Whether the outputs have the bits of those before saving."""
    digest: Name = ""
    """Digest of the outputs."""
    difference: NotNegative | None = None
    """Largest |output - output before saving|, over the largest |output before saving|; None where that
    is not finite."""
    deviation: Deviation | None = None
    """Deviation of the outputs from a float64 forward pass with the saved weights; of a composed model,
    of its weights and outputs from those before saving, which have to have the same bits."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One model in one format: as one side wrote it, and as both read it. The last two are None where
    nothing was written."""

    written: Written
    back: bool = False
    """Whether NEW wrote it, as for a rollback, not OLD."""
    by_old: Loaded | None = None
    by_new: Loaded | None = None

    def __post_init__(self) -> None:
        written = self.written
        for one in (written, self.by_old, self.by_new):
            if one is None:
                if not (written.absent or written.error):
                    raise ValueError(
                        f"{written.model[:99]}, {written.format[:99]}: was written and not loaded"
                    )
            elif not _is_model(one.model) or one.format not in FORMATS:
                raise ValueError(f"there is no model {one.model[:99]!r}, or no such format")


def _is_model(name: str) -> bool:
    """Whether models of that name are saved: those of this package, and users'."""
    return name in MODELS or name in COMPOSED or is_name(name)
