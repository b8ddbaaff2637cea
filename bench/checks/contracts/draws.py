"""Draws: ``tf.random``, its generators, and the distributions that they promise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import SEED, Catalogue
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("draws")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: How far a mean may be off, in standard errors: once in 4e11 by chance, and there are some 20.
_SIGMAS = 7.0


def _within(what: str, values: Any, mean: float, variance: float) -> Deviation:
    """The mean of independent numbers, in units of what chance allows it."""
    values = np.asarray(values, float)
    got = float(values.mean())
    off = abs(got - mean) / math.sqrt(variance / values.size) / _SIGMAS
    evidence = f"mean {got:.6g}, expected {mean:.6g}: {off * _SIGMAS:.2f} standard errors"
    return Deviation(tensor=what, excess=off if math.isfinite(off) else None, evidence=evidence)


def _philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 (Salmon et al. 2011, section 3.3 and its reference code): 4 words of 32 bits."""
    a, b, c, d = counter
    k0, k1 = key
    for _ in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (right >> 32) ^ b ^ k0, right % 2**32, (left >> 32) ^ d ^ k1, left % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [a, b, c, d]


@contract(
    "philox",
    thing="tf.random.Generator",
    truth="Bits are those of Philox4x32-10 for the counter and the key of the state, which advances"
    " by what was drawn; a state that is set again draws the same.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    low, high, key = 7, 3, 0x0123456789ABCDEF + SEED.get()
    generator = tf.random.Generator.from_state([low, high, key], "philox")
    drawn = lab.seen(generator.uniform_full_int([8], tf.uint32))
    keys = [key % 2**32, key >> 32]
    truth = [word for at in range(2) for word in _philox([low + at, 0, high, 0], keys)]
    yield exact("bits", drawn, truth)
    again = tf.random.Generator.from_state([low, high, key], "philox")
    yield exact("the same state", lab.seen(again.uniform_full_int([8], tf.uint32)), drawn)
    yield exact(
        "goes on", np.array((again.uniform_full_int([8], tf.uint32) != drawn).numpy().any()), 1
    )
    again.reset([low, high, key])
    yield exact("reset", lab.seen(again.uniform_full_int([8], tf.uint32)), drawn)


@contract(
    "generator",
    thing="tf.random.Generator",
    truth="A seed gives the same numbers again, also in a tf.function and through a checkpoint; split"
    " generators draw numbers of their own.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    seed = 17 + SEED.get()
    first, second = (tf.random.Generator.from_seed(seed) for _ in range(2))
    eager = lab.seen([first.normal([3]) for _ in range(2)])
    graph = tf.function(lambda: second.normal([3]))
    yield exact("in a function", lab.seen([graph() for _ in range(2)]), eager)
    state = first.state.numpy()
    after = lab.seen(first.uniform([4]))
    restored = tf.random.Generator.from_state(state, first.algorithm)
    yield exact("from its state", lab.seen(restored.uniform([4])), after)
    parts = [lab.seen(part.uniform_full_int([4], tf.uint64)) for part in first.split(3)]
    yield exact("split", np.array(len(np.unique(parts))), 12)


@contract(
    "stateless",
    thing="tf.random.stateless_uniform",
    truth="The same seed gives the same numbers, another seed others; split seeds differ.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    seed = [5, SEED.get()]
    random = tf.random
    for name, draw in (
        ("uniform", random.stateless_uniform),
        ("normal", random.stateless_normal),
        ("truncated normal", random.stateless_truncated_normal),
    ):
        once = lab.seen(draw([6], seed))
        yield exact(f"{name}, again", lab.seen(draw([6], seed)), once)
        other = lab.seen(draw([6], [6, SEED.get()]))
        yield exact(f"{name}, another seed", np.array((once != other).all()), 1)
    seeds = lab.seen(
        random.split(seed, 4)
        if hasattr(random, "split")
        else random.experimental.stateless_split(seed, 4)
    )
    yield exact("split", np.array(len(np.unique(seeds, axis=0))), 4)


@contract(
    "distributions",
    thing="tf.random.stateless_normal",
    truth="Means and variances are those of the distribution; uniform and truncated numbers keep to"
    " their range; a permutation has every element once.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    random, n = tf.random, 20_000

    def seed(at: int) -> list[int]:
        return [at, SEED.get()]

    normal = lab.seen(random.stateless_normal([n], seed(1), mean=2.0, stddev=3.0))
    yield _within("normal", normal, 2.0, 9.0)
    yield _within("normal, squares", (normal - 2.0) ** 2, 9.0, 2 * 81.0)
    uniform = lab.seen(random.stateless_uniform([n], seed(2), -1.0, 3.0))
    yield _within("uniform", uniform, 1.0, 16 / 12)
    yield exact("uniform, beyond", np.array(((uniform < -1) | (uniform >= 3)).sum()), 0)
    whole = lab.seen(random.stateless_uniform([n], seed(3), 0, 6, tf.int32))
    yield _within("whole", whole, 2.5, 35 / 12)
    yield exact("all six", np.unique(whole), np.arange(6))
    cut = lab.seen(random.stateless_truncated_normal([n], seed(4)))
    # Of a normal number within 2 (Johnson, Kotz and Balakrishnan 1994, section 13.10.1).
    density, inside = math.exp(-2.0) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2.0))
    variance = 1 - 4 * density / inside
    yield _within("truncated", cut, 0.0, variance)
    yield _within("truncated, squares", cut**2, variance, 1.0)
    yield exact("truncated, beyond", np.array((np.abs(cut) > 2).sum()), 0)
    counts = lab.seen(random.stateless_poisson([n], seed(5), 2.5, tf.int32))
    yield _within("Poisson", counts, 2.5, 2.5)
    waits = lab.seen(random.stateless_gamma([n], seed(6), alpha=2.0, beta=4.0))
    yield _within("gamma", waits, 0.5, 2 / 16)
    trials = lab.seen(random.stateless_binomial([n], seed(7), counts=10.0, probs=0.25))
    yield _within("binomial", trials, 2.5, 1.875)
    logits = np.log(np.array([[0.125, 0.625, 0.25]], np.float32))
    chosen = lab.seen(random.stateless_categorical(logits, n, seed(8)))
    for at, share in enumerate((0.125, 0.625, 0.25)):
        yield _within(f"class {at}", chosen == at, share, share * (1 - share))
    order = lab.seen(random.experimental.stateless_shuffle(np.arange(50), seed(9)))
    yield exact("shuffled", np.sort(order), np.arange(50))
    yield exact("not as it was", np.array((order != np.arange(50)).any()), 1)
