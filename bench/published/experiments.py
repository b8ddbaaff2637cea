"""The seven published experiments: questions, recipes, published numbers, what each tier runs.

Recipes follow the originals, whose code is quoted in the sources; ``held_out`` is 5,000 where they
read MNIST with ``tf.examples``, which keeps the first 5,000 training images for validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from bench.cells.numbers import with_number
from bench.cells.recipe import Recipe
from bench.errors import BenchError
from bench.results.trial import FORMS, Form, Trial, Watched


@dataclass(frozen=True)
class Published:
    """A number that an original reports."""

    variant: str
    quantity: str
    """Name of a number, or of a curve, for its last value; see :mod:`bench.results.trial`."""
    values: tuple[float, ...]
    """A value for each run that the original shows."""
    spread: float | None = None
    """Standard deviation over the original's revisions, where ``values`` has their mean alone."""


@dataclass(frozen=True)
class Extent:
    """Part of an experiment that a tier runs."""

    seeds: Mapping[Form, int]
    share: float = 1.0
    """Share of the recipe's steps."""
    session_variants: tuple[str, ...] | None = None
    """Variants that also run as a session; None: all."""
    looks_every: int | None = None
    """Steps between looks; None: the experiment's number."""


@dataclass(frozen=True)
class Experiment:
    """A published experiment."""

    name: str
    title: str
    question: str
    source: str
    variants: Mapping[str, Recipe]
    looks_every: int | Mapping[str, int]
    """Steps between looks; by variant where they differ."""
    watched: tuple[Watched, ...]
    extents: Mapping[str, Extent]
    """Extent by tier; a tier that is not there leaves the experiment out."""
    published: tuple[Published, ...] = ()
    early_looks: tuple[int, ...] = field(default=(0,))

    def whole(self, trial: Trial) -> bool:
        """Whether a trial has all of the published steps."""
        return trial.recipe.steps == self.variants[trial.variant].steps

    def trials(self, tier: str) -> list[Trial]:
        """Trials of a tier, seed by seed."""
        extent = self.extents.get(tier)
        if extent is None:
            return []
        return [
            self._trial(variant, form, seed, extent)
            for form in FORMS
            for seed in range(extent.seeds.get(form, 0))
            for variant in self.variants
            if form == "keras"
            or extent.session_variants is None
            or variant in extent.session_variants
        ]

    def steps_between_looks(self, variant: str) -> int:
        """Steps between two looks at a variant."""
        every = self.looks_every
        return every if isinstance(every, int) else every[variant]

    def _trial(self, variant: str, form: Form, seed: int, extent: Extent) -> Trial:
        whole, every = (
            self.variants[variant],
            extent.looks_every or self.steps_between_looks(variant),
        )
        steps = max(1, round(whole.steps * extent.share))
        looks = {*self.early_looks, *range(0, steps, every), steps}
        return Trial(
            experiment=self.name,
            variant=variant,
            form=form,
            seed=seed,
            recipe=msgspec.structs.replace(whole, steps=steps),
            looks=tuple(sorted(look for look in looks if look <= steps)),
            # Distributions of one seed fill a picture.
            watched=tuple(name for name in self.watched if name != "histograms" or seed == 0),
        )


def _identity(hidden: tuple[int, ...], initializer: str, bias: float | str) -> Recipe:
    return Recipe(
        task="identity",
        hidden=hidden,
        initializer=initializer,
        bias=bias,
        learning_rate=1e-3,
        clipping="value_4.5",
        batch=1,
        steps=10_000,
    )


P1 = Experiment(
    name="P1",
    title="Two against three layers",
    question="Why does a network stop learning when one layer is put in its middle?",
    source="'Intermediate layer makes tensorflow optimizer to stop working', question and answer on "
    "Stack Overflow, 2017",
    variants={
        "two layers": _identity((16,), "normal_0.001", "normal_0.001"),
        "three layers": _identity((16, 16), "normal_0.001", "normal_0.001"),
        "two layers, Xavier": _identity((16,), "glorot_uniform", 0.1),
        "three layers, Xavier": _identity((16, 16), "glorot_uniform", 0.1),
    },
    looks_every=1000,
    early_looks=tuple(range(0, 1000, 50)),
    watched=("norms", "histograms"),
    extents={
        "quick": Extent({"keras": 3, "session": 1}),
        "standard": Extent({"keras": 5, "session": 5}),
        "full": Extent({"keras": 5, "session": 5}),
    },
    published=(
        Published("two layers", "variance w1", (2.4e-6,)),
        Published("three layers", "variance w1", (1.1e-11,)),
        Published("two layers, Xavier", "variance w1", (0.035,)),
        Published("three layers, Xavier", "variance w1", (0.018,)),
    ),
)

#: Standard deviations of P2's truncated normal, and its biases.
SCALES = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)


def _tutorial(scale: float) -> Recipe:
    return Recipe(
        convolutions=(32, 64),
        hidden=(1024,),
        initializer=with_number("truncated_normal", scale),
        bias=scale,
        dropout=0.5,
        held_out=5000,
        optimizer="adam",
        learning_rate=1e-4,
        batch=50,
        steps=10_000,
    )


P2 = Experiment(
    name="P2",
    title="Initial scale of the tutorial's CNN",
    question="Does the scale of the initial weights matter, and how much of it?",
    source="'Tensorflow weight initialization', question 43489697 on Stack Overflow, 2017",
    variants={f"w = {scale:g}": _tutorial(scale) for scale in SCALES},
    looks_every=100,
    watched=("test",),
    extents={
        # On a CPU a look at 10,000 test images takes as long as 70 steps.
        "standard": Extent({"keras": 3, "session": 1}, 0.1, ("w = 0.1",), looks_every=200),
        "full": Extent({"keras": 3, "session": 1}, 1.0, ("w = 0.1",)),
    },
)

_EPOCH = 55_000

P3 = Experiment(
    name="P3",
    title="ELU with batch normalization",
    question="How well does a network of ELUs do with batch normalization before each of them?",
    source="Geron, Hands-On Machine Learning with Scikit-Learn and TensorFlow, 2017, chapter 11, "
    "with the revisions of its notebook",
    variants={
        "batch norm": Recipe(
            hidden=(300, 100),
            activation="elu",
            initializer="he_normal",
            normalization="batch",
            momentum=0.9,
            normalized_logits=True,
            held_out=5000,
            learning_rate=0.01,
            batch=200,
            steps=20 * _EPOCH // 200,
        )
    },
    looks_every=_EPOCH // 200,
    watched=("test",),
    extents={
        "quick": Extent({"keras": 3, "session": 1}, 0.1),
        "standard": Extent({"keras": 5, "session": 2}),
        "full": Extent({"keras": 10, "session": 5}),
    },
    published=(Published("batch norm", "test accuracy", (0.9644, 0.963, 0.9649)),),
)

P4 = Experiment(
    name="P4",
    title="ReLU with value clipping",
    question="Does a network of five hidden layers learn when its gradients are cut at 1?",
    source=P3.source,
    variants={
        "value clipping": Recipe(
            hidden=(300, 50, 50, 50, 50),
            held_out=5000,
            learning_rate=0.01,
            clipping="value_1.0",
            batch=200,
            steps=20 * _EPOCH // 200,
        ),
        "leaky ReLU": Recipe(
            hidden=(300, 100),
            activation="leaky_relu",
            held_out=5000,
            learning_rate=0.01,
            batch=50,
            steps=40 * _EPOCH // 50,
        ),
    },
    looks_every={"value clipping": _EPOCH // 200, "leaky ReLU": _EPOCH // 50},
    watched=("test", "validation"),
    extents={
        "quick": Extent({"keras": 3, "session": 1}, 0.1),
        "standard": Extent({"keras": 5, "session": 2}),
        "full": Extent({"keras": 10, "session": 5}),
    },
    published=(
        Published("value clipping", "test accuracy", (0.9605, 0.9605, 0.9569)),
        Published("leaky ReLU", "validation accuracy", (0.9787,), 0.0004),
    ),
)


def _zeros(hidden: tuple[int, ...], initializer: str) -> Recipe:
    return Recipe(
        hidden=hidden,
        initializer=initializer,
        held_out=5000,
        learning_rate=0.5,
        batch=100,
        steps=1000,
    )


P5 = Experiment(
    name="P5",
    title="Zero initialization",
    question="Why may softmax regression start from zeros, and a network not?",
    source="'Choice of initial value for weights in Tensorflow MNIST Tutorial', question 316898 on "
    "Cross Validated, 2017, and TensorFlow's tutorial 'MNIST For ML Beginners'",
    variants={
        "softmax regression, zeros": _zeros((), "zeros"),
        "hidden layer, zeros": _zeros((100,), "zeros"),
        "hidden layer, uniform": _zeros((100,), "uniform_0.01"),
    },
    looks_every=100,
    watched=("test", "norms"),
    extents={
        "quick": Extent({"keras": 3, "session": 1}),
        "standard": Extent({"keras": 5, "session": 5}),
        "full": Extent({"keras": 5, "session": 5}),
    },
    published=(
        Published("softmax regression, zeros", "test accuracy", (0.92,)),
        Published("hidden layer, zeros", "test accuracy", (0.1135,)),
    ),
)

P6 = Experiment(
    name="P6",
    title="Clipping by the global norm",
    question="What does clipping by the norm of all gradients do to each of them, over a training?",
    source="'TensorFlow 2' course, lesson on gradient clipping: gradient_clip/main.py, 2019",
    variants={
        "global norm 15": Recipe(
            hidden=(256, 128),
            initializer="truncated_normal_0.1",
            pixel_scale=1 / 50,
            shuffled=False,
            loss="squares",
            learning_rate=0.01,
            clipping="global_norm_15.0",
            batch=128,
            steps=30 * 469,
        )
    },
    looks_every=100,
    watched=("norms",),
    extents={
        "quick": Extent({"keras": 3, "session": 1}, 0.1),
        "standard": Extent({"keras": 5, "session": 1}),
        "full": Extent({"keras": 10, "session": 5}),
    },
)

#: Hidden layers of P7's networks.
DEPTHS = (10, 30, 50)
_RELU_HE = {"activation": "relu", "initializer": "he_normal"}
REMEDIES: Mapping[str, Mapping[str, object]] = {
    "sigmoid, Xavier": {"activation": "sigmoid", "initializer": "glorot_uniform"},
    "tanh, Xavier": {"activation": "tanh", "initializer": "glorot_uniform"},
    "ReLU, Xavier": {"activation": "relu", "initializer": "glorot_uniform"},
    "ReLU, He": _RELU_HE,
    "leaky ReLU, He": {"activation": "leaky_relu", "initializer": "he_normal"},
    "ReLU, He, batch norm": {**_RELU_HE, "normalization": "batch"},
    "ReLU, He, batch norm, skips": {**_RELU_HE, "normalization": "batch", "skips": True},
}


#: Variants whose graphs are built in no time.
_SHALLOW = tuple(f"{remedy}, depth {DEPTHS[0]}" for remedy in REMEDIES)


def _remedied(depth: int, remedy: Mapping[str, object]) -> Recipe:
    chosen = {
        "hidden": (100,) * depth,
        "learning_rate": 0.1,
        "batch": 100,
        "steps": 1200,
        **remedy,
    }
    return msgspec.convert(chosen, Recipe)


P7 = Experiment(
    name="P7",
    title="Remedies and their reach",
    question="How deep may a network be with each remedy against vanishing gradients?",
    source="answers to question 43489697 on Stack Overflow, 2017",
    variants={
        f"{remedy}, depth {depth}": _remedied(depth, options)
        for depth in DEPTHS
        for remedy, options in REMEDIES.items()
    },
    looks_every=200,
    watched=("test", "dead"),
    extents={
        "standard": Extent({"keras": 5, "session": 1}, session_variants=_SHALLOW),
        "full": Extent({"keras": 10, "session": 1}),
    },
)

EXPERIMENTS: Mapping[str, Experiment] = {
    experiment.name: experiment for experiment in (P1, P2, P3, P4, P5, P6, P7)
}


def trials(tier: str, names: Sequence[str] = ()) -> list[Trial]:
    """Trials of a tier, of the experiments ``names`` or of all if there are none.

    Raises:
        BenchError: no such experiment, or one that is not in this tier.
    """
    for name in names:
        if name not in EXPERIMENTS:
            raise BenchError(
                f"no published experiment {name!r}", hint=f"one of {', '.join(EXPERIMENTS)}"
            )
    of_tier = {name: experiment.trials(tier) for name, experiment in EXPERIMENTS.items()}
    absent = [name for name in names if not of_tier[name]]
    if absent:
        raise BenchError(
            f"{', '.join(absent)}: not in the {tier} tier", hint="--tier standard, or full for all"
        )
    return [trial for name in of_tier if not names or name in names for trial in of_tier[name]]
