"""Grids about the parts that users upgrade for: optimizers, convolution, precision, dropout."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.cells.cell import Cell
from bench.cells.grid import Grid, as_users_train, compiled, fitted, product
from bench.cells.grids import GRIDS
from bench.cells.sequence_grids import SEQUENCE
from bench.cells.vision_grids import ATTENTION, CONVOLUTIONAL_DEPTH

#: Learning rates: Keras' defaults where a network of three layers learns with them in 200 steps, else
#: larger ones. What counts is that training moves, so that another formula shows.
RATES = {
    "sgd": 0.1,
    "momentum": 0.03,
    "nesterov": 0.03,
    "adam": 0.001,
    "amsgrad": 0.001,
    "adamw": 0.001,
    "adamax": 0.002,
    "nadam": 0.001,
    "rmsprop": 0.001,
    "rmsprop_centered": 0.001,
    "adagrad": 0.03,
    "adadelta": 1.0,
    "ftrl": 0.1,
    "lion": 0.0003,
    "lamb": 0.01,
    "adafactor": 0.1,
}
#: Steps whose losses a trajectory keeps.
_FEW_STEPS = 200


def _optimizers(
    clippings: Sequence[str], decays: Sequence[float], **axes: Sequence[Any]
) -> Iterator[Cell]:
    """Cells of every optimizer, two of them with networks of their own.

    Adafactor divides by the product of a row's and a column's mean square. Where a pixel that is 0
    in the whole batch meets a unit that is dead in it, that product underflows, and 0 / 0 is a NaN: so
    it is given units that cannot die. FTRL's first steps all but forget the initial weights, from which
    deep networks do not recover: it is given one hidden layer.
    """
    special: dict[str, dict[str, Sequence[Any]]] = {
        "adafactor": {"activation": ["tanh"], "initializer": ["glorot_normal"]},
        "ftrl": {"depth": [1]},
    }
    for name, rate in RATES.items():
        yield from product(
            optimizer=[name],
            learning_rate=[rate],
            clipping=clippings,
            weight_decay=decays,
            **{"depth": [3], "steps": [_FEW_STEPS], **axes, **special.get(name, {})},
        )


#: Threshold below the global norm of typical gradients, so that it clips.
_CLIPS = "global_norm_0.1"
#: Decay that shrinks weights by 1 - rate * decay a step.
_DECAYS = 0.01

OPTIMIZER = Grid(
    name="optimizer",
    title="Optimizers",
    question="Does every optimizer still take the same steps, with clipping and weight decay too?",
    axes=("depth", "clip", "opt", "decay"),
    added={
        "quick": [
            *_optimizers(["none"], [0.0]),
            *_optimizers([_CLIPS], [_DECAYS]),
            *as_users_train(depth=[1], optimizer=["adamw"], learning_rate=[RATES["adamw"]]),
        ],
        "standard": [*_optimizers(["none", _CLIPS], [0.0, _DECAYS])],
        "full": [
            *_optimizers(["none", _CLIPS], [0.0, _DECAYS], depth=[1, 10]),
            *_optimizers(["value_0.01", "norm_0.1"], [0.0]),
            *_optimizers(["none"], [0.0], normalization=["batch"], steps=[600]),
        ],
    },
)


_convolutions = functools.partial(
    product,
    architecture=["cnn"],
    normalization=["none", "batch"],
    pooling=["max", "average"],
    batch=[50],
)

CONVOLUTION = Grid(
    name="convolution",
    title="Convolution",
    question="Do convolutional networks train the same, with batch normalization and either pooling?",
    axes=("arch", "norm", "pool"),
    added={
        "quick": [
            *_convolutions(filters=[4], steps=[60]),
            *fitted(depth=[3], architecture=["cnn"], filters=[2], batch=[52], steps=[20]),
        ],
        "standard": [
            *_convolutions(
                filters=[8], steps=[_FEW_STEPS], normalization=["none", "batch", "layer"]
            ),
            *_convolutions(
                filters=[8], steps=[_FEW_STEPS], optimizer=["adam"], learning_rate=[0.001]
            ),
            *compiled(depth=[3], architecture=["cnn"], filters=[2], batch=[52], steps=[20]),
        ],
        "full": [
            # The tutorial's network and rate.
            *_convolutions(
                initializer=["truncated_normal_0.1"],
                bias=[0.1],
                optimizer=["adam"],
                learning_rate=[0.0001],
                steps=[600],
            ),
        ],
    },
)


def _precisions(**axes: Sequence[Any]) -> Iterator[Cell]:
    """Cells of every precision; float16's are narrow and short, as many versions have no fast float16
    on CPUs (a quarter of a second a step)."""
    defaults: dict[str, Sequence[Any]] = {
        "depth": [3],
        "normalization": ["none", "batch"],
        "steps": [_FEW_STEPS],
        "precision": ["float64", "mixed_bfloat16"],
    }
    yield from product(**{**defaults, **axes})
    short: dict[str, Sequence[Any]] = {"precision": ["mixed_float16"], "width": [32], "steps": [50]}
    if "architecture" not in axes:
        yield from product(**{**defaults, **axes, **short})


PRECISION = Grid(
    name="precision",
    title="Precision",
    question="Does training in double and in mixed precision round where it did?",
    axes=("depth", "act", "norm", "precision"),
    added={
        "quick": [
            *_precisions(),
            *fitted(depth=[1], precision=["mixed_bfloat16"]),
        ],
        "standard": [
            *_precisions(depth=[3, 10], normalization=["none", "batch", "layer"], steps=[600]),
            *_precisions(optimizer=["adam"], learning_rate=[0.001]),
            *compiled(depth=[1], precision=["mixed_bfloat16"]),
        ],
        "full": [
            *_precisions(
                depth=[3, 10, 30],
                activation=["relu", "gelu", "sigmoid"],
                initializer=["glorot_normal"],
                normalization=["none", "batch", "layer"],
                steps=[600],
            ),
            *_precisions(architecture=["cnn"], filters=[8], batch=[50]),
        ],
    },
)


_dropouts = functools.partial(product, depth=[3], dropout=[0.5], steps=[_FEW_STEPS])

DROPOUT = Grid(
    name="dropout",
    title="Dropout",
    question="Does dropout regularize training as it did, and leave inference alone?",
    axes=("depth", "act", "norm", "dropout"),
    added={
        # Other random numbers demand five seeds of each: a second cell would cost as much as ten.
        "quick": [*fitted(depth=[1], dropout=[0.5])],
        "standard": [
            *_dropouts(),
            *compiled(depth=[1], dropout=[0.5]),
            *_dropouts(dropout=[0.2, 0.5], normalization=["none", "batch"], steps=[600]),
        ],
        "full": [
            *_dropouts(
                depth=[3, 10],
                activation=["relu", "gelu"],
                dropout=[0.2, 0.5, 0.8],
                normalization=["none", "batch", "layer"],
                steps=[600],
            ),
        ],
    },
)

#: All grids by name: what the suites and a comparison of two versions train.
UPGRADE_GRIDS: Mapping[str, Grid] = {
    **GRIDS,
    **{grid.name: grid for grid in (OPTIMIZER, CONVOLUTION, PRECISION, DROPOUT, SEQUENCE)},
    **{grid.name: grid for grid in (ATTENTION, CONVOLUTIONAL_DEPTH)},
}
