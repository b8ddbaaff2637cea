"""Trial: one training of a published program in one form, what it is watched for, what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from bench.cells.recipe import Recipe
from bench.results.histogram import Histogram
from bench.results.jsonl import Lines
from bench.results.record import Crash

#: ``keras``: today's API. ``session``: the original's graph and session, in ``tf.compat.v1``.
Form = Literal["keras", "session"]
FORMS: tuple[Form, ...] = ("keras", "session")

#: What may be seen of a training; each costs time.
Watched = Literal["test", "validation", "norms", "histograms", "dead"]


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training of one variant under one seed."""

    experiment: str
    """``P1`` to ``P7``."""
    variant: str
    """Such as ``three layers``; unique in its experiment."""
    form: Form
    seed: int
    recipe: Recipe
    looks: tuple[int, ...]
    """Steps before which the training is looked at, rising; the recipe's number of steps stands for
    a look behind the last one."""
    watched: tuple[Watched, ...]
    """``test``, ``validation``: accuracy (and the test loss) at each look. ``norms``: of every
    variable's gradient, before and after clipping, at every step. ``histograms``: of every variable
    and its gradient at each look. ``dead``: at each look, the share of hidden units that give at most
    0 for each of the first 1,000 test images."""

    @property
    def id(self) -> str:
        """``P1/three layers/session/seed 0``."""
        return f"{self.experiment}/{self.variant}/{self.form}/seed {self.seed}"


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values over steps."""

    steps: list[int]
    values: list[float | None]
    """None: not finite."""


class TrialResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a trial showed."""

    trial: Trial
    outcome: Literal["trained", "diverged", "absent", "crashed"]
    curves: Mapping[str, Curve] = {}
    """``loss``: the mean since the last look, at each look but a look at step 0. ``test accuracy``,
    ``test loss``, ``validation accuracy``, ``dead share``: at each look. ``norm w1``, ``clipped norm
    w1`` and so on: of the gradient of the step that follows a look."""
    numbers: Mapping[str, float | None] = {}
    """Where norms are watched, and over all steps, added up in float64: ``largest norm w1`` and so on,
    of its gradient before clipping; ``largest clipped norm``, of all gradients together; ``clipped
    steps``, their share; ``smallest cosine`` between all gradients together before and after clipping;
    and ``variance w1``: of the entries of its gradient before clipping over the first 1,000 steps. For
    every trial: ``largest w1`` and so on, the largest absolute value at the end."""
    histograms: Sequence[Histogram] = ()
    digest: str = ""
    """Of all losses and of all variables at the end."""
    absent: str = ""
    """Why this TensorFlow has no such form."""
    environment: str = ""
    data: str = ""
    total_sec: float = 0.0
    crash: Crash | None = None

    @property
    def key(self) -> Trial:
        """What makes a result: no run has two with one key."""
        return self.trial

    def final(self, curve: str) -> float | None:
        """The last value of a curve; None if there is none."""
        found = self.curves.get(curve)
        return found.values[-1] if found and found.values else None


TRIAL_LINES = Lines(TrialResult, "trial's result")
