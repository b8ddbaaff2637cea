"""Grids about gradients; :mod:`bench.cells.component_grids` has those about parts."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.cells.cell import ACTIVATIONS, FIXED_INITIALIZERS, SCALED_INITIALIZERS, Cell
from bench.cells.grid import Grid, as_users_train, product
from bench.cells.numbers import with_number

#: Initializations for each activation, one that keeps the signal and one that was made for another.
#: ReLU: He et al. 2015; Glorot halves the signal's variance per layer. Tanh and sigmoid: Glorot and
#: Bengio 2010; He's larger weights saturate them.
FITTING = {"relu": "he_normal", "tanh": "glorot_normal", "sigmoid": "glorot_normal"}
UNFITTING = {"relu": "glorot_normal", "tanh": "he_normal", "sigmoid": "he_normal"}

DEPTHS = (1, 2, 3, 5, 10, 20, 30, 50)
SCALES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def _depth(
    depths: Sequence[int],
    architectures: Sequence[str] = ("mlp", "residual"),
    activations: Iterable[str] = FITTING,
    normalizations: Sequence[str] = ("none",),
    branches: Sequence[str] = ("plain",),
    initializers: Sequence[Mapping[str, str]] = (FITTING, UNFITTING),
) -> Iterator[Cell]:
    """Plain and residual networks; a residual network of depth 1 has no skip and is left out."""
    for depth, architecture, activation in itertools.product(depths, architectures, activations):
        if architecture == "residual" and depth < 2:
            continue
        yield from product(
            depth=[depth],
            architecture=[architecture],
            branch=branches if architecture == "residual" else ["plain"],
            activation=[activation],
            initializer=[rule[activation] for rule in initializers],
            normalization=normalizations,
        )


DEPTH = Grid(
    name="depth",
    title="Depth",
    question="How deep can a network be, plain or with skip connections, before gradients vanish "
    "or explode?",
    axes=("depth", "arch", "act", "init", "norm"),
    added={
        "quick": [
            *_depth((1, 3, 10), ("mlp",)),
            *_depth((3, 10), ("residual",)),
            *_depth((10,), ("residual",), ["relu"], branches=["scaled"]),
            *_depth((30,), ("mlp",), ["relu"]),
            *_depth((30,), ("mlp",), ["tanh", "sigmoid"], initializers=[FITTING]),
            *_depth((50,), ("mlp",), ["relu"], initializers=[FITTING]),
            *_depth((10,), ("residual",), ["relu"], ["batch"], initializers=[FITTING]),
            *as_users_train(),
        ],
        "standard": [
            *_depth(DEPTHS, ("mlp",)),
            *_depth(DEPTHS, ("residual",), branches=["plain", "scaled"]),
            *_depth((3, 10, 30, 50), normalizations=["batch"]),
        ],
        "full": [*_depth(DEPTHS, normalizations=["none", "batch"], branches=["plain", "scaled"])],
    },
)

#: Rate .03: there also the activations with slopes above 1 are stable at depth 10.
_activations = functools.partial(
    product,
    depth=[3, 10],
    activation=ACTIVATIONS,
    initializer=["he_normal", "glorot_normal", "lecun_normal", "orthogonal"],
    learning_rate=[0.03],
)

ACTIVATION = Grid(
    name="activation",
    title="Activation",
    question="Which activations let gradients flow, and does each one still compute what it did?",
    axes=("depth", "act", "init"),
    added={
        "quick": [
            *_activations(initializer=["he_normal", "glorot_normal"]),
            *as_users_train(activation=["gelu"], learning_rate=[0.03]),
        ],
        "standard": [*_activations(initializer=["lecun_normal", "orthogonal"])],
        "full": [
            *_activations(learning_rate=[0.01, 0.1]),
            *_activations(optimizer=["momentum"], learning_rate=[0.003]),
        ],
    },
)


def _initializers(scales: Sequence[float]) -> list[str]:
    zeros, *others = FIXED_INITIALIZERS
    scaled = [with_number(rule, scale) for rule in SCALED_INITIALIZERS for scale in scales]
    return [zeros, *scaled, *others]


INITIALIZATION = Grid(
    name="initialization",
    title="Initialization",
    question="From which initial weights does training start at all, and how fast?",
    axes=("depth", "act", "init", "bias"),
    added={
        "quick": [
            Cell(depth=0, initializer="zeros"),
            *product(
                depth=[3],
                initializer=_initializers((0.0001, 0.01, 0.1, 1.0)),
                bias=[0.0, 0.1],
            ),
            *product(depth=[1, 3], activation=["relu", "tanh"], initializer=["zeros"]),
            *as_users_train(initializer=["glorot_uniform"], bias=[0.1]),
        ],
        "standard": [
            *product(
                depth=[3, 10],
                activation=["relu", "tanh"],
                initializer=_initializers(SCALES),
                bias=[0.0, 0.1],
            ),
            *product(
                architecture=["cnn"],
                initializer=["zeros", "truncated_normal_0.01", "truncated_normal_0.1"],
                bias=[0.1],
                optimizer=["adam"],
                learning_rate=[0.0001],
                batch=[50],
                steps=[100],
            ),
        ],
        "full": [
            *product(depth=[0], initializer=_initializers(SCALES)),
            *product(
                depth=[3, 10],
                activation=["relu", "tanh", "sigmoid"],
                initializer=_initializers(SCALES),
                bias=[0.0, 0.1],
            ),
        ],
    },
)

NORMALIZATION = Grid(
    name="normalization",
    title="Normalization",
    question="What do batch and layer normalization rescue, from how bad a start?",
    axes=("depth", "act", "init", "norm"),
    added={
        "quick": [
            *product(
                depth=[3, 10],
                activation=["relu", "sigmoid"],
                initializer=["glorot_normal", "normal_0.01"],
                normalization=["none", "batch", "layer"],
            ),
            *product(depth=[30], initializer=["he_normal"], normalization=["none", "batch"]),
            *as_users_train(depth=[1], normalization=["batch"]),
        ],
        "standard": [
            *product(
                depth=[3, 10, 30],
                activation=["relu", "tanh", "sigmoid"],
                initializer=["glorot_normal", "he_normal", "normal_0.01"],
                normalization=["none", "batch", "layer"],
            ),
        ],
        "full": [
            *product(
                depth=[3, 10, 30],
                architecture=["mlp", "residual"],
                activation=["relu", "tanh", "sigmoid"],
                initializer=["glorot_normal", "he_normal", "normal_0.01"],
                normalization=["none", "batch", "layer"],
            ),
        ],
    },
)

_CLIPPING = (
    "none",
    *(with_number("value", threshold) for threshold in (0.0001, 0.01, 1.0, 100.0)),
    *(with_number("norm", threshold) for threshold in (0.01, 0.1, 1.0, 100.0)),
    *(with_number("global_norm", threshold) for threshold in (0.01, 0.1, 1.0, 100.0)),
)
_FEW_CLIPPING = (
    "none",
    "value_0.0001",
    "value_100.0",
    "norm_0.1",
    "norm_100.0",
    "global_norm_0.1",
    "global_norm_100.0",
)
#: A sound network, and one whose weights are 3.3 times He's: its signal grows 11-fold per layer.
_SOUND, _EXPLODING = "he_normal", "normal_0.47"

CLIPPING = Grid(
    name="clipping",
    title="Clipping",
    question="Does clipping bound what it should, and leave alone what it should?",
    axes=("depth", "act", "init", "clip"),
    added={
        "quick": [
            *product(depth=[3], initializer=[_SOUND, _EXPLODING], clipping=_FEW_CLIPPING),
            *as_users_train(depth=[1], initializer=[_EXPLODING], clipping=["norm_0.1"]),
        ],
        "standard": [
            *product(depth=[3, 10], initializer=[_SOUND, _EXPLODING], clipping=_CLIPPING),
            *product(
                depth=[3],
                initializer=[_SOUND, _EXPLODING],
                clipping=_FEW_CLIPPING,
                optimizer=["momentum", "adam"],
                learning_rate=[0.001],
            ),
        ],
        "full": [
            *product(
                depth=[3, 10],
                initializer=[_SOUND, _EXPLODING],
                clipping=_CLIPPING,
                optimizer=["sgd", "momentum", "adam"],
                learning_rate=[0.001],
            ),
        ],
    },
)

GRIDS: Mapping[str, Grid] = {
    grid.name: grid for grid in (DEPTH, ACTIVATION, INITIALIZATION, NORMALIZATION, CLIPPING)
}
