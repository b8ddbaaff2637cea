"""Hypothesis strategies of what is trained and of what that shows."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st

from bench.cells import architectures
from bench.cells import recurrent as recurrence
from bench.cells.architectures import CONVOLUTIONAL, CONVOLUTIONS, MASKS, PLACEMENTS
from bench.cells.cell import (
    ACTIVATIONS,
    ARCHITECTURES,
    CLIPPING_RULES,
    ENGINES,
    FIXED_INITIALIZERS,
    LOSSES,
    NORMALIZATIONS,
    OPTIMIZERS,
    POOLINGS,
    PRECISIONS,
    SCALED_INITIALIZERS,
    Cell,
)
from bench.cells.numbers import with_number
from bench.measure.tensors import VALUES, Tensors

scales = st.floats(min_value=1e-9, max_value=1e9, allow_nan=False)


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    """Any cell that can be made."""
    architecture = draw(st.sampled_from(ARCHITECTURES))
    recurrent = architecture in recurrence.ARCHITECTURES
    transformer, stacked = architecture == "transformer", architecture in CONVOLUTIONAL
    activations, normalizations = list(ACTIVATIONS), list(NORMALIZATIONS)
    if recurrent:
        activations, normalizations = ["tanh", "relu"], ["none", "layer"]
    elif transformer:
        normalizations = ["layer"]
    elif stacked:
        activations += architectures.ACTIVATIONS
        normalizations += architectures.NORMALIZATIONS
    scaled = st.builds(with_number, st.sampled_from(SCALED_INITIALIZERS), scales)
    clips = st.builds(with_number, st.sampled_from(CLIPPING_RULES), scales)
    engine = draw(st.sampled_from(ENGINES))
    steps = draw(st.integers(1, 100000))
    return Cell(
        depth=3
        if architecture == "cnn"
        else draw(st.integers(int(recurrent or transformer or stacked), 1000)),
        architecture=architecture,
        branch=draw(st.sampled_from(("plain", "scaled")))
        if architecture == "residual"
        else "plain",
        width=840 if transformer else draw(st.integers(1, 4096)),
        activation=draw(st.sampled_from(activations)),
        initializer=draw(st.one_of(st.sampled_from(FIXED_INITIALIZERS), scaled)),
        bias=draw(st.floats(-1e9, 1e9)),
        normalization=draw(st.sampled_from(normalizations)),
        clipping=draw(st.one_of(st.just("none"), clips)),
        optimizer=draw(st.sampled_from(OPTIMIZERS)),
        learning_rate=draw(scales),
        loss=draw(st.sampled_from(LOSSES)),
        input_scale=draw(scales),
        dropout=draw(st.floats(0, 1, exclude_max=True)),
        batch=draw(st.integers(1, 60000)),
        steps=-(-steps // 2) * 2 if engine == "fit_epochs" else steps,
        precision=draw(st.sampled_from(PRECISIONS)),
        engine=engine,
        pooling=draw(st.sampled_from((*POOLINGS, *architectures.POOLINGS) if stacked else POOLINGS))
        if stacked or architecture == "cnn"
        else "max",
        filters=2 * draw(st.integers(1, 256)) if stacked or architecture == "cnn" else 32,
        weight_decay=draw(st.floats(0, 10)),
        **(draw(_recurrent(architecture)) if recurrent else {}),
        **({"convolution": draw(st.sampled_from(CONVOLUTIONS))} if stacked else {}),
        **(draw(_transformer()) if transformer else {}),
    )


@st.composite
def _recurrent(draw: st.DrawFn, architecture: str) -> dict[str, Any]:
    """Axes of recurrent networks alone."""
    fixed, multiples = [*FIXED_INITIALIZERS], ["orthogonal"]
    if architecture == "simple_rnn":
        fixed, multiples = [*fixed, "identity"], [*multiples, "identity"]
    scaled = st.builds(with_number, st.sampled_from([*SCALED_INITIALIZERS, *multiples]), scales)
    return {
        "direction": draw(st.sampled_from(recurrence.DIRECTIONS)),
        "recurrent": draw(st.one_of(st.sampled_from(fixed), scaled)),
        "pixels": draw(st.sampled_from([n for n in range(1, 785) if 784 % n == 0])),
    }


@st.composite
def _transformer(draw: st.DrawFn) -> dict[str, Any]:
    """Axes of transformers alone."""
    return {
        "placement": draw(st.sampled_from(PLACEMENTS)),
        "heads": draw(st.integers(1, 8)),
        "mask": draw(st.sampled_from(MASKS)),
    }


@st.composite
def fingerprints(draw: st.DrawFn) -> Tensors:
    """Any fingerprints that can be made."""
    names = draw(st.lists(st.text(st.characters(codec="utf-8")), max_size=3, unique=True))
    steps = sorted(draw(st.sets(st.integers(0, 200), max_size=3)))
    size = 4 * len(names) * len(steps)
    return Tensors(
        names=names,
        steps=steps,
        hashes=draw(st.binary(min_size=size, max_size=size)),
        values=draw(st.binary(min_size=VALUES * size, max_size=VALUES * size)),
    )
