"""Trial: one training of a published program in one form, and its result."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Literal

import msgspec

from bench.cells.recipe import Recipe
from bench.results.bounds import Finite, Name, Seconds, Seed, Step, Text, Word
from bench.results.histogram import Histogram
from bench.results.kind import Crash, Kind, Outcome, Task

#: ``keras``: today's API. ``session``: the original's graph and session, in ``tf.compat.v1``.
Form = Literal["keras", "session"]
FORMS: tuple[Form, ...] = ("keras", "session")

#: Things that may be watched of a training; each costs time.
Watched = Literal["test", "validation", "norms", "histograms", "dead"]


#: Cost of launching the operations of one layer in one step, in millions of multiplications.
_LAYER_COST = 0.5

#: Millions of multiplications a second: a twentieth of what one core of a server of 2024 does.
_SLOW_CORE = 1e3


class Trial(Task, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training of one variant under one seed."""

    turns: ClassVar[tuple[int, int]] = (1, 2)

    experiment: Word
    """``P1`` to ``P7``."""
    variant: Name
    """Name, such as ``three layers``; unique in its experiment."""
    form: Form
    seed: Seed
    recipe: Recipe
    looks: tuple[Step, ...]
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

    @property
    def cost(self) -> float:
        recipe = self.recipe
        features = 1 if recipe.task == "identity" else 784
        per_image, size, channels = 0, 28, 1
        for filters in recipe.convolutions:
            per_image += size * size * 25 * channels * filters
            size, channels = size // 2, filters
            features = size * size * filters
        for units in (*recipe.hidden, 1 if recipe.task == "identity" else 10):
            per_image += features * units
            features = units
        layers = len(recipe.convolutions) + len(recipe.hidden) + 1
        looked = 10_000 / 3 * len(self.looks) if "test" in self.watched else 0  # no way back there
        images = recipe.batch * recipe.steps + looked
        return per_image * images / 1e6 + _LAYER_COST * layers * recipe.steps

    @property
    def shares(self) -> Hashable:
        """The program, which is traced once for all seeds."""
        return self.recipe, self.form

    def patience_sec(self, limit: float) -> float:
        """A trial may be thousands of times a replica's work: it has as long as a slow core needs."""
        return max(limit, self.cost / _SLOW_CORE)

    def crashed(self, crash: Crash) -> TrialResult:
        return TrialResult(trial=self, outcome="crashed", crash=crash)


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values over steps."""

    steps: list[Step]
    values: list[Finite | None]
    """None: not finite."""

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.values) or sorted(set(self.steps)) != self.steps:
            raise ValueError("a curve has a value at each of its steps, which rise")


class TrialResult(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Outcome of a trial."""

    trial: Trial
    outcome: Literal["trained", "diverged", "absent", "crashed"]
    curves: Mapping[Name, Curve] = {}
    """``loss``: the mean since the last look, at each look but a look at step 0. ``test accuracy``,
    ``test loss``, ``validation accuracy``, ``dead share``: at each look. ``norm w1``, ``clipped norm
    w1`` and so on: of the gradient of the step that follows a look."""
    numbers: Mapping[Name, Finite | None] = {}
    """Numbers by name. Where norms are watched, over all steps and added up in float64: ``largest norm
    w1`` and so on, of its gradient before clipping; ``largest clipped norm``, of all gradients
    together; ``clipped steps``, their share; ``smallest cosine`` between all gradients together before
    and after clipping; and ``variance w1``: of the entries of its gradient before clipping over the
    first 1,000 steps. For every trial: ``largest w1`` and so on, the largest absolute value at the
    end."""
    histograms: Sequence[Histogram] = ()
    digest: Name = ""
    """Digest of all losses and of all variables at the end."""
    absent: Text = ""
    """Reason why this TensorFlow has no such form."""
    environment: Name = ""
    data: Name = ""
    total_sec: Seconds = 0.0
    crash: Crash | None = None

    @property
    def key(self) -> Trial:
        return self.trial

    def final(self, curve: str) -> float | None:
        """The last value of a curve; None if there is none."""
        values = self.curves[curve].values if curve in self.curves else []
        return values[-1] if values else None


TRIALS = Kind(Trial, TrialResult, file="trials.jsonl", plural="trials", what="trial's result")
