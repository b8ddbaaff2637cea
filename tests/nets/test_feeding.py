"""What the published programs are fed: initial values, the order of examples."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells import initial_values
from bench.cells.recipe import Recipe
from bench.nets.programs.feeding import Feed, feed, kernel_shapes
from bench.published.experiments import EXPERIMENTS

#: Without the deepest, and of P2's, which differ in a spread alone, with one.
CASES = [
    pytest.param(recipe, id=f"{name}-{variant}")
    for name, experiment in EXPERIMENTS.items()
    for variant, recipe in experiment.variants.items()
    if "depth 30" not in variant and "depth 50" not in variant
    if name != "P2" or variant == "w = 0.1"
]


def small(**changes: Any) -> Recipe:
    recipe = Recipe(hidden=(4,), learning_rate=0.1, batch=5, steps=7)
    return msgspec.structs.replace(recipe, **changes)


def steps_of(fed: Feed) -> list[list[int]]:
    return [fed.batch(step).tolist() for step in range(len(fed.bounds) - 1)]


@pytest.mark.parametrize("recipe", CASES)
def test_every_variable_has_a_first_value(recipe: Recipe) -> None:
    """By the recipe's names, kernels as elsewhere in bench, gamma 1, beta 0."""
    fed = feed(msgspec.structs.replace(recipe, steps=2), 4, examples=60_000)
    assert tuple(fed.values) == recipe.names
    for layer, shape in enumerate(kernel_shapes(recipe)):
        drawn = initial_values.kernel(recipe.initializer, shape, seed=4, layer=layer).astype(
            "float32"
        )
        np.testing.assert_array_equal(fed.values[f"w{layer + 1}"], drawn)
        assert fed.values[f"b{layer + 1}"].shape == shape[-1:]
        for kind, value in (("gamma", 1), ("beta", 0)):
            if f"{kind}{layer + 1}" in fed.values:
                assert (fed.values[f"{kind}{layer + 1}"] == value).all()
    assert {value.dtype for value in fed.values.values()} == {np.dtype("float32")}


def test_the_tutorials_shapes() -> None:
    """28 x 28, pooled twice: 7 x 7 x 64 are 3,136."""
    shapes = kernel_shapes(EXPERIMENTS["P2"].variants["w = 0.1"])
    assert shapes == [(5, 5, 1, 32), (5, 5, 32, 64), (3136, 1024), (1024, 10)]


def test_p1_draws_its_biases_from_a_stream_of_their_own() -> None:
    """16 of N(0, .001^2) that are not the kernel's; 10,000 inputs of U(-1, 1)."""
    fed = feed(EXPERIMENTS["P1"].variants["three layers"], 0, examples=0)
    kernel, bias = fed.values["w1"].ravel(), fed.values["b1"]
    assert bias.shape == kernel.shape == (16,) and not np.isin(bias, kernel).any()
    assert 0 < np.abs(bias).max() < 0.005  # five standard deviations
    assert fed.inputs.shape == (10_000, 1, 1) and fed.inputs.dtype == np.float32
    # Mean and variance of U(-1, 1) are 0 and 1/3; five standard errors of 10,000 draws.
    assert abs(fed.inputs.mean()) < 5 * np.sqrt(1 / 3 / 10_000)
    assert abs(fed.inputs.var() - 1 / 3) < 5 * np.sqrt(4 / 45 / 10_000)
    assert -1 <= fed.inputs.min() < -0.99 and 0.99 < fed.inputs.max() <= 1


def test_fewer_steps_are_the_first_of_more() -> None:
    """Of inputs and of images: a reduced trial is the beginning of the whole one."""
    identity = small(task="identity", hidden=(3,))
    more = feed(msgspec.structs.replace(identity, steps=20), 1, examples=0).inputs
    np.testing.assert_array_equal(feed(identity, 1, examples=0).inputs, more[:7])
    for shuffled in (True, False):
        digits = small(shuffled=shuffled)
        longer = steps_of(feed(msgspec.structs.replace(digits, steps=20), 1, examples=23))
        assert steps_of(feed(digits, 1, examples=23)) == longer[:7]


@given(
    examples=st.integers(2, 60),
    held_out=st.integers(0, 30),
    batch=st.integers(1, 20),
    steps=st.integers(1, 30),
    shuffled=st.booleans(),
)
def test_held_out_images_are_never_trained_on(
    examples: int, held_out: int, batch: int, steps: int, *, shuffled: bool
) -> None:
    """Whatever the sizes; every step has its examples."""
    recipe = small(held_out=held_out, batch=batch, steps=steps, shuffled=shuffled)
    if held_out >= examples:
        with pytest.raises(ValueError, match="none is left to train on"):
            feed(recipe, 0, examples=examples)
        return
    found = steps_of(feed(recipe, 0, examples=examples))
    assert len(found) == steps
    assert all(0 < len(step) <= batch for step in found)
    assert {index for step in found for index in step} <= set(range(held_out, examples))


@given(
    examples=st.integers(1, 60),
    held_out=st.integers(0, 5),
    batch=st.integers(1, 70),
    steps=st.integers(1, 30),
)
def test_stored_order_has_a_smaller_last_batch(
    examples: int, held_out: int, batch: int, steps: int
) -> None:
    """Epoch by epoch, cut into batches, the rest of an epoch a batch of its own."""
    recipe = small(held_out=held_out, batch=batch, steps=steps, shuffled=False)
    stored = list(range(held_out, held_out + examples))
    epoch = [stored[start : start + batch] for start in range(0, examples, batch)]
    expected = list(itertools.islice(itertools.cycle(epoch), steps))
    assert steps_of(feed(recipe, 0, examples=held_out + examples)) == expected


def test_shuffled_epochs_visit_each_image_once() -> None:
    """Two epochs of 20 images, in two orders, that belong to the seed."""
    found = steps_of(feed(small(steps=8, held_out=3), 0, examples=23))
    first, second = (list(itertools.chain(*found[at : at + 4])) for at in (0, 4))
    assert sorted(first) == sorted(second) == list(range(3, 23))
    assert first != second
    assert found != steps_of(feed(small(steps=8, held_out=3), 1, examples=23))
