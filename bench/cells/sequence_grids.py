"""Grid about recurrent networks, which read an image as a sequence of pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.cells.cell import Cell
from bench.cells.grid import Grid, compiled, fitted, product

#: Steps of training: enough that chaos, gates and clipping show.
_FEW_STEPS = 100
#: Keras' default kernel initializer; the recurrent one is ``orthogonal``.
_INIT = "glorot_uniform"


def _plain(**axes: Sequence[Any]) -> Iterator[Cell]:
    """Simple recurrent networks, one layer and tanh unless said."""
    defaults: dict[str, Sequence[Any]] = {
        "architecture": ["simple_rnn"],
        "depth": [1],
        "width": [16],
        "activation": ["tanh"],
        "initializer": [_INIT],
        "batch": [50],
        "steps": [_FEW_STEPS],
    }
    yield from product(**{**defaults, **axes})


def _identity(**axes: Sequence[Any]) -> Iterator[Cell]:
    """ReLU and the identity (Le, Jaitly and Hinton 2015). What training adds to the identity is raised
    to the power of the steps in time: without clipping, 784 of them need their rate of 1e-8."""
    yield from _plain(**{"activation": ["relu"], "recurrent": ["identity"], **axes})


def _gated(**axes: Sequence[Any]) -> Iterator[Cell]:
    """LSTM and GRU, under Adam: with SGD's rate of the others they would hardly move."""
    defaults: dict[str, Sequence[Any]] = {
        "architecture": ["lstm", "gru"],
        "optimizer": ["adam"],
        "learning_rate": [0.01],
    }
    yield from _plain(**{**defaults, **axes})


#: Kernels from state to state for 16 units: variance .16 and 4 of what a state's sum keeps. With the
#: first signals vanish, with the second they explode.
_VANISHING, _EXPLODING = "normal_0.1", "normal_0.5"
_CLIPS = "global_norm_1.0"


def _wide(**axes: Sequence[Any]) -> Iterator[Cell]:
    """Networks with so many units for their few steps that mean-field theory predicts them."""
    yield from _plain(**{"width": [160], "pixels": [112], "steps": [30], **axes})


#: An LSTM as people train it.
_USERS: Mapping[str, Sequence[Any]] = {
    "architecture": ["lstm"],
    "depth": [1],
    "width": [16],
    "activation": ["tanh"],
    "initializer": [_INIT],
    "optimizer": ["adam"],
    "learning_rate": [0.01],
}

SEQUENCE = Grid(
    name="sequence",
    title="Sequences",
    question="Do recurrent networks train the same, and how far do gradients reach back in time?",
    axes=("depth", "arch", "act", "norm", "clip", "recurrent"),
    added={
        "quick": [
            *_plain(recurrent=["orthogonal", _VANISHING, _EXPLODING]),
            *_plain(recurrent=[_EXPLODING], clipping=[_CLIPS]),
            *_plain(activation=["relu"], recurrent=["identity"], learning_rate=[0.01]),
            *_plain(activation=["relu"], recurrent=["identity"], clipping=["norm_1.0"]),
            *_plain(depth=[2], normalization=["layer"], recurrent=["glorot_uniform"]),
            *_gated(),
            *_gated(architecture=["lstm"], direction=["bidirectional"]),
            *_wide(recurrent=["normal_0.05", "normal_0.12"]),
            *fitted(**_USERS, steps=[20]),
        ],
        "standard": [
            *compiled(**{**_USERS, "architecture": ["simple_rnn", "lstm", "gru"]}),
            *_wide(
                width=[400],
                activation=["tanh", "relu"],
                recurrent=["glorot_uniform", "normal_0.03", "normal_0.07", "uniform_0.15"],
            ),
            *_plain(
                width=[100],
                steps=[600],
                recurrent=["orthogonal", "glorot_uniform", "normal_0.1", "normal_0.15"],
                clipping=["none", _CLIPS],
            ),
            *_plain(
                width=[100],
                steps=[600],
                activation=["relu"],
                recurrent=["identity", "identity_0.9"],
                learning_rate=[0.01],
                clipping=["none", "norm_1.0", _CLIPS],
            ),
            *_gated(width=[64], steps=[600], depth=[1, 2], direction=["forward", "bidirectional"]),
            *_gated(width=[64], steps=[600], normalization=["layer"], depth=[2]),
            *_gated(width=[32], pixels=[7], steps=[300]),
            *_plain(width=[32], pixels=[7], steps=[300], recurrent=["orthogonal", "orthogonal_1.2"]),
            *_identity(width=[32], pixels=[7], steps=[300], learning_rate=[1e-4]),
        ],
        "full": [
            # Norms are .26 to .89 before training: a threshold of 1 never clips.
            *_gated(width=[32], pixels=[1], steps=[100], clipping=["none", "global_norm_0.1"]),
            *_identity(width=[100], pixels=[1], steps=[100], learning_rate=[1e-8]),
            *_identity(width=[100], pixels=[1], steps=[100], learning_rate=[1e-4], clipping=[_CLIPS]),
            *_plain(width=[100], pixels=[1, 7], steps=[100], recurrent=["orthogonal"]),
            *_gated(width=[100], steps=[600], optimizer=["rmsprop"], learning_rate=[0.001]),
            *_plain(width=[100], steps=[600], recurrent=["normal_0.05", "normal_0.12", "uniform_0.2"]),
        ],
    },
)  # fmt: skip
