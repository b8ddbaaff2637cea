"""Clipping of gradients (Pascanu et al. 2013, algorithm 1, and its variants), for any kind of array.

What is documented of gradients that are not finite, and followed here:

- By value: what is above the threshold becomes the threshold, so an infinity becomes it too. A NaN is
  neither above nor below: it stays.
- By norm: ``g * threshold / norm(g)`` with an infinite norm is 0 where g is finite and NaN where it is
  infinite. With a NaN in g the norm, and so every entry, is NaN.
- By global norm: "if the global norm is infinity, then the entries are all set to NaN to signal that an
  error occurred" (tf.clip_by_global_norm). With a NaN anywhere all entries of all gradients are NaN.

The norm is the one that the format can hold: of a float32 gradient above 2^64 it is infinite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.theory.oracle.choices import constant, in_range
from bench.theory.rounding.arrays import decide


def by_value(gradients: Sequence[Any], threshold: float) -> list[Any]:
    """Gradients with each entry brought into [-threshold, threshold].

    Example:
        >>> import numpy as np
        >>> by_value([np.array([-2.0, 0.5, np.nan])], 1.0)
        [array([-1. ,  0.5,  nan])]
    """
    limits = [constant(threshold, gradient) for gradient in gradients]
    return [
        np.minimum(limit, np.maximum(-limit, gradient))
        for limit, gradient in zip(limits, gradients, strict=True)
    ]


def by_norm(gradients: Sequence[Any], threshold: float) -> list[Any]:
    """Gradients, each scaled by min(1, threshold / its L2 norm).

    Example:
        >>> by_norm([np.array([3.0, 4.0]), np.array([0.5])], 1.0)
        [array([0.6, 0.8]), array([0.5])]
    """
    return [_scaled(gradient, norm([gradient]), threshold) for gradient in gradients]


def by_global_norm(gradients: Sequence[Any], threshold: float) -> list[Any]:
    """All gradients scaled by min(1, threshold / L2 norm of all entries of all of them).

    Example:
        >>> by_global_norm([np.array([3.0, 0.0]), np.array([4.0])], 1.0)
        [array([0.6, 0. ]), array([0.8])]
    """
    size = norm(gradients)
    if np.isinf(decide(size)):
        return [gradient * np.nan for gradient in gradients]
    return [_scaled(gradient, size, threshold) for gradient in gradients]


def clip(rule: str, gradients: Sequence[Any], threshold: float | None) -> list[Any]:
    """Gradients clipped by a rule of a cell; ``none`` needs no threshold and changes nothing.

    Raises:
        ValueError: no such rule.
    """
    if rule == "none":
        return list(gradients)
    rules = {"value": by_value, "norm": by_norm, "global_norm": by_global_norm}
    if rule not in rules or threshold is None:
        raise ValueError(
            f"clipping {rule!r} with threshold {threshold} is unknown; rules are none and, "
            f"with a threshold, {', '.join(rules)}"
        )
    return rules[rule](gradients, threshold)


def norm(gradients: Sequence[Any]) -> Any:
    """sqrt of the sum of squares over all entries of all gradients, a scalar array."""
    with np.errstate(over="ignore", invalid="ignore"):
        total: Any = 0.0
        for gradient in gradients:
            total = total + in_range(np.sum(in_range(np.square(gradient))))
        return np.sqrt(in_range(total))


def _scaled(gradient: Any, size: Any, threshold: float) -> Any:
    """``gradient * (T / max(norm, T))``. Its bound, two products and a quotient beside the error of the
    norm, admits ``T min(1 / norm, 1 / T)`` and ``(gradient * T) / max(norm, T)`` as well."""
    limit = constant(threshold, gradient)
    with np.errstate(invalid="ignore"):
        return gradient * (limit / np.maximum(limit, size))
