"""Grids about attention and the depth of convolutional networks."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.cells import architectures
from bench.cells.architectures import CONVOLUTIONAL, CONVOLUTIONS, MASKS, PLACEMENTS
from bench.cells.cell import NORMALIZATIONS, Cell
from bench.cells.grid import Grid, compiled, fitted, product

_ASKED: Mapping[str, Sequence[Any]] = {
    "architecture": ["transformer"],
    "activation": ["gelu"],
    "initializer": ["glorot_normal"],
    "normalization": ["layer"],
}
_transformers = functools.partial(product, **_ASKED, batch=[50])

ATTENTION = Grid(
    name="attention",
    title="Attention",
    question="Do transformers train the same, and what does normalization before or after branches do "
    "to their gradients?",
    axes=("depth", "arch", "placement", "mask"),
    added={
        "quick": [
            *_transformers(depth=[4], width=[16], placement=PLACEMENTS, steps=[60]),
            *fitted(**_ASKED, width=[16], placement=["post"], mask=["causal"], steps=[60]),
        ],
        "standard": [
            *compiled(**_ASKED, width=[16]),
            *_transformers(
                depth=[1, 2, 4, 6], width=[32], heads=[4], placement=PLACEMENTS, steps=[200]
            ),
            *_transformers(
                depth=[2],
                width=[32],
                heads=[4],
                placement=PLACEMENTS,
                mask=["causal"],
                steps=[200],
            ),
        ],
        "full": [
            *_transformers(
                depth=[1, 2, 3, 4, 5, 6],
                width=[64],
                heads=[1, 4],
                placement=PLACEMENTS,
                mask=MASKS,
                optimizer=["adam"],
                learning_rate=[0.001],
                steps=[600],
            ),
        ],
    },
)


def _stacks(
    depths: Sequence[int], filters: int, steps: int, poolings: Sequence[str] = ("strided",)
) -> Iterator[Cell]:
    """Plain and residual stacks, PReLU behind group normalization, else ReLU."""
    for normalization in (*NORMALIZATIONS, *architectures.NORMALIZATIONS):
        yield from product(
            depth=depths,
            architecture=CONVOLUTIONAL,
            activation=["prelu" if normalization == "group" else "relu"],
            normalization=[normalization],
            pooling=poolings,
            convolution=CONVOLUTIONS,
            filters=[filters],
            batch=[50],
            steps=[steps],
        )


_GROUPED: Mapping[str, Sequence[Any]] = {
    "depth": [4],
    "architecture": ["conv"],
    "activation": ["prelu"],
    "normalization": ["group"],
    "pooling": ["strided"],
    "filters": [8],
    "optimizer": ["adam"],
    "learning_rate": [0.01],
}
_quick = functools.partial(
    Cell, depth=4, filters=8, batch=32, steps=60, optimizer="adam", learning_rate=0.01
)

CONVOLUTIONAL_DEPTH = Grid(
    name="convdepth",
    title="Convolutional depth",
    question="Do deep stacks of convolutions train the same, whatever normalizes, halves or skips?",
    axes=("depth", "arch", "act", "norm", "pool", "conv"),
    added={
        "quick": [
            *fitted(**_GROUPED, steps=[30]),
            _quick(
                architecture="conv_residual",
                normalization="batch",
                pooling="average",
                convolution="separable",
            ),
            _quick(architecture="conv_residual", normalization="layer"),
        ],
        "standard": [
            *compiled(**_GROUPED),
            *_stacks([4, 10], filters=8, steps=200),
            *_stacks([4], filters=8, steps=200, poolings=("max", "average")),
        ],
        "full": [
            *_stacks([1, 2, 6, 20], filters=8, steps=300),
            *_stacks([6], filters=8, steps=300, poolings=("max", "average")),
        ],
    },
)
