"""Keras' initializers against the distributions that they promise, exact values, and their seeds.

The tests of distributions are statistical, with the false-alarm rate stated in
:mod:`bench.theory.distributions`. But seeds are given, so one TensorFlow always gives the same
answer: what passed once can only fail when its values change. Kernels of several seeds are drawn
until there are enough entries to tell a variance that is off by 1 %.

Keras 2 (since 2.10) and Keras 3 document alike that an initializer with a seed gives the same values on
every call; from 2.12 to 2.21 the bits are the same too, which the check's digest shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cells import initial_values
from bench.checks.lab import Lab
from bench.results.check import Check, Deviation
from bench.theory import distributions
from bench.theory.distributions import Distribution
from bench.theory.rounding.deviation import exact

FAMILY = "initializer"

#: A square and a tall kernel of dense layers, the tutorial's second convolution, and a wide kernel.
SQUARE, TALL, CONVOLUTION, WIDE = (256, 256), (784, 100), (5, 5, 32, 64), (100, 784)

#: Keras' class and what Var(W) is of, of the initializers that scale by fans.
_SCALED = {
    "glorot_normal": "GlorotNormal",
    "glorot_uniform": "GlorotUniform",
    "he_normal": "HeNormal",
    "he_uniform": "HeUniform",
    "lecun_normal": "LecunNormal",
    "lecun_uniform": "LecunUniform",
}


@dataclass(frozen=True)
class Spec:
    """What is drawn, and what it must be.

    Args:
        kind: ``distribution``, ``orthogonal``, ``exact`` or ``layer``.
        keras: the class.
        shape: of the kernel.
        config: the class's arguments.
        promise: the distribution of a kernel's entries.
        value: the kernel, where it is not random.
        tier: the smallest that it belongs to.
    """

    kind: str
    keras: str
    shape: tuple[int, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    promise: Distribution | None = None
    value: npt.NDArray[Any] | None = None
    tier: str = "quick"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _fan_scaled() -> Iterator[tuple[str, Spec]]:
    """The initializers named after papers, in several shapes."""
    for name, kind in _SCALED.items():
        distribution = name.rpartition("_")[2]
        for shape in (TALL, CONVOLUTION, WIDE, SQUARE):
            promise = distributions.scaled(distribution, initial_values.variance(name, shape))
            tier = "quick" if shape in (TALL, CONVOLUTION) else "standard"
            yield f"init:{name}", Spec("distribution", kind, shape, {}, promise, tier=tier)
    for mode in ("fan_in", "fan_out", "fan_avg"):
        for distribution in ("truncated_normal", "untruncated_normal", "uniform"):
            name = f"init:variance_scaling-mode:{mode}-values:{distribution}"
            config = {"scale": 1.5, "mode": mode, "distribution": distribution}
            rule = distribution.removeprefix("truncated_")
            promise = distributions.variance_scaling(
                CONVOLUTION, scale=1.5, mode=mode, distribution=rule
            )
            tier = "quick" if (mode, rule) == ("fan_out", "untruncated_normal") else "standard"
            yield (
                name,
                Spec("distribution", "VarianceScaling", CONVOLUTION, config, promise, tier=tier),
            )
    promise = distributions.variance_scaling(TALL)
    yield "init:variance_scaling", Spec("distribution", "VarianceScaling", TALL, {}, promise)


def _plain() -> Iterator[tuple[str, Spec]]:
    """Initializers whose scale is an argument; Keras' defaults are -.05 to .05, and .05."""
    normal, cut, even = (
        distributions.normal,
        distributions.truncated_normal,
        distributions.uniform,
    )
    for name, kind, config, promise in (
        ("random_normal", "RandomNormal", {}, normal(0.05)),
        ("random_normal_0.5", "RandomNormal", {"mean": 0.1, "stddev": 0.5}, normal(0.5, 0.1)),
        ("truncated_normal", "TruncatedNormal", {}, cut(0.05)),
        ("truncated_normal_0.1", "TruncatedNormal", {"mean": -1.0, "stddev": 0.1}, cut(0.1, -1.0)),
        ("random_uniform", "RandomUniform", {}, even(0.05)),
        ("random_uniform_1.5", "RandomUniform", {"minval": -1.0, "maxval": 0.5}, even(0.75, -0.25)),
    ):
        tier = "standard" if config else "quick"
        yield f"init:{name}", Spec("distribution", kind, SQUARE, config, promise, tier=tier)


def _others() -> Iterator[tuple[str, Spec]]:
    """Orthogonal and constant kernels, and the layers that draw them."""
    yield "init:orthogonal", Spec("orthogonal", "Orthogonal", (100, 100))
    for shape in (TALL, (5, 5, 8, 64), (100, 250)):
        config = {"gain": math.sqrt(2.0)}
        tier = "quick" if shape == (5, 5, 8, 64) else "standard"
        yield (
            "init:orthogonal-gain:1.41",
            Spec("orthogonal", "Orthogonal", shape, config, tier=tier),
        )
    sizes: tuple[tuple[int, ...], ...] = (TALL, (64,))
    for size in sizes:
        yield "init:zeros", Spec("exact", "Zeros", size, value=np.zeros(size))
        yield "init:ones", Spec("exact", "Ones", size, value=np.ones(size))
        # .1 rounded to float32, as a variable holds it.
        tenth = np.full(size, float(np.float32(0.1)))
        yield "init:constant_0.1", Spec("exact", "Constant", size, {"value": 0.1}, value=tenth)
    yield (
        "init:identity",
        Spec("exact", "Identity", (100, 60), {"gain": 0.5}, value=0.5 * np.eye(100, 60)),
    )
    yield "layer:dense", Spec("layer", "Dense", TALL)
    yield "layer:convolution", Spec("layer", "Conv2D", CONVOLUTION)


#: Specs by the subjects of checks.
SPECS: Mapping[str, Spec] = {
    f"{name}-shape:{_shape(spec.shape)}": spec
    for specs in (_fan_scaled(), _plain(), _others())
    for name, spec in specs
}


def checks(tier: str) -> list[Check]:
    """The checks of a tier: in float32, and from ``standard`` on two in float64 as well."""
    found = [
        Check(family=FAMILY, subject=subject)
        for subject, spec in SPECS.items()
        if spec.tier == "quick" or tier != "quick"
    ]
    if tier != "quick":
        for name in ("he_normal", "glorot_uniform"):
            subject = f"init:{name}-shape:{_shape(TALL)}"
            found.append(Check(family=FAMILY, subject=subject, precision="float64"))
    return found


def run(check: Check, lab: Lab) -> Iterator[Deviation]:
    """Compares one initializer with what it promises."""
    spec = SPECS[check.subject]
    if spec.kind == "exact":
        yield from _exact(spec, check, lab)
    elif spec.kind == "layer":
        yield from _layer(spec, check, lab)
    else:
        yield from _random(spec, check, lab)


def _seeds(check: Check, count: int) -> list[int]:
    """Distinct seeds below 2^31 that belong to the check's own seed."""
    bits = initial_values.stream(check.seed, f"initializer {check.subject}")
    seeds: dict[int, None] = {}
    while len(seeds) < count:
        seeds[int(initial_values.uniform(bits, 1)[0] * 2.0**31)] = None
    return list(seeds)


def _random(spec: Spec, check: Check, lab: Lab) -> Iterator[Deviation]:
    from bench.nets import parts

    form = lab.form(check.precision)
    wanted = distributions.entries(spec.promise or distributions.normal(1.0))
    # An orthogonal matrix costs more than its entries, and its size is exact: a fifth is enough.
    draws = math.ceil(wanted / math.prod(spec.shape) / (1 if spec.promise else 5))
    seeds = _seeds(check, draws)
    drawn = parts.samples(spec.keras, spec.shape, seeds, dtype=check.precision, config=spec.config)
    matrices = lab.seen(drawn)
    yield from _reproducible(spec, check, seeds[0], matrices[0])
    if spec.promise:
        yield from distributions.deviations(matrices, spec.promise, form)
        return
    gain = float(spec.config.get("gain", 1.0))
    yield distributions.orthonormality(matrices, gain, form)
    bits = initial_values.stream(check.seed, f"triangles {check.subject}")
    normals = distributions.normals_of(matrices, gain, bits)
    yield from distributions.deviations(normals, distributions.normal(1.0), form)
    yield distributions.diagonal_mean(normals)


def _reproducible(
    spec: Spec, check: Check, seed: int, first: npt.NDArray[Any]
) -> Iterator[Deviation]:
    """The same seed gives the same bits: in another instance, and in another call of it."""
    from bench.nets import parts

    again = parts.initializer(spec.keras, seed=seed, **spec.config)
    for name in ("another instance of the seed", "its second call"):
        kernel = parts.drawn(again, spec.shape, check.precision)
        yield exact(name, kernel.reshape(first.shape), first)


def _exact(spec: Spec, check: Check, lab: Lab) -> Iterator[Deviation]:
    from bench.nets import parts

    assert spec.value is not None
    made = parts.initializer(spec.keras, **spec.config)
    yield exact("values", lab.seen(parts.drawn(made, spec.shape, check.precision)), spec.value)


def _layer(spec: Spec, check: Check, lab: Lab) -> Iterator[Deviation]:
    """A layer's defaults are Glorot's uniform and zeros; it hands its kernel's shape to them."""
    from bench.nets import parts

    built = parts.layer(spec.keras, spec.shape, seed=_seeds(check, 1)[0])
    documented = ["GlorotUniform", "Zeros"]
    same = list(built.defaults) == documented
    yield Deviation(
        tensor="default initializers",
        excess=0.0 if same else None,
        evidence=f"{', '.join(built.defaults)}; documented {', '.join(documented)}",
    )
    yield exact("kernel", lab.seen(built.kernel), built.given)
    yield exact("bias", lab.seen(built.bias), np.zeros(spec.shape[-1]))
