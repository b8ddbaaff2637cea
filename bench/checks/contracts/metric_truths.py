"""Truths of metrics: what each is over all samples with their weights, as Keras documents it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts import formulas
from bench.checks.contracts.formulas import EPSILON, Numbers
from bench.theory.rounding.arrays import Bounded

Array = npt.NDArray[Any]
#: Targets, predictions and a weight for each sample to the metric over them all.
Truth = Callable[[Array, Array, Array], Numbers]

CLASSES = 3


# --- Means over samples


def mean(values: Numbers, weights: Array) -> Numbers:
    """Weighted, over samples."""
    return (values * weights).sum() / Bounded(weights.sum())


def accuracy(right: Callable[[Array, Array], Array]) -> Truth:
    """Share of samples that are right, of a function of targets and predictions."""
    return lambda y, p, w: mean(Bounded(right(y, p).astype(np.float64)), w)


def among_best(y: Array, p: Array) -> Array:
    """Whether the class is one of the two with the largest scores."""
    return (np.argsort(-p, -1)[:, :2] == y[:, None]).any(-1)


def _centred(x: Numbers) -> Numbers:
    return x - x.mean(-1, keepdims=True)


def pearson(y: Array, p: Array, w: Array) -> Numbers:
    a, b = _centred(Bounded(y)), _centred(Bounded(p))
    spread = [np.sqrt(np.square(x).mean(-1, keepdims=True)) for x in (a, b)]
    return mean(((a / spread[0]) * (b / spread[1])).mean(-1), w)


def concordance(y: Array, p: Array, w: Array) -> Numbers:
    a, b = Bounded(y), Bounded(p)
    gap = a.mean(-1) - b.mean(-1)
    spread = np.square(_centred(a)).mean(-1) + np.square(_centred(b)).mean(-1) + np.square(gap)
    # Keras multiplies by y - mean(p), which gives the same as y - mean(y) up to rounding.
    shared = ((a - b.mean(-1, keepdims=True)) * _centred(b)).mean(-1)
    return mean(shared * 2.0 / formulas.fuzzy(spread), w)


# --- Counts


def _counts(y: Array, p: Array, w: Array, threshold: float = 0.5) -> tuple[Numbers, ...]:
    """True positives, false positives, true negatives, false negatives of each column: exact."""
    positive, weights = p > threshold, np.reshape(w, (-1,) + (1,) * (p.ndim - 1))
    hits = (positive & (y == 1), positive & (y == 0), ~positive & (y == 0), ~positive & (y == 1))
    return tuple(Bounded((hit * weights).sum(0)) for hit in hits)


def _share(part: Numbers, rest: Numbers) -> Numbers:
    """The share of the part in both, 0 where there are none."""
    whole = part.value + rest.value
    divisor = formulas.fuzzy(Bounded(np.where(whole > 0, whole, 1.0)))
    return np.where(whole > 0, part / divisor, 0.0)


THRESHOLDS = (0.25, 0.5, 0.75)


def count_at(which: int) -> Truth:
    """One of :func:`_counts` at each threshold."""
    return lambda y, p, w: np.stack([_counts(y, p, w, t)[which] for t in THRESHOLDS])


def precision(y: Array, p: Array, w: Array, threshold: float = 0.5) -> Numbers:
    true, false, _, _ = _counts(y, p, w, threshold)
    return _share(true, false)


def recall(y: Array, p: Array, w: Array, threshold: float = 0.5) -> Numbers:
    true, _, _, missed = _counts(y, p, w, threshold)
    return _share(true, missed)


def at_thresholds(one: Callable[..., Numbers]) -> Truth:
    return lambda y, p, w: np.stack([one(y, p, w, t) for t in THRESHOLDS])


def of_top(y: Array, p: Array, w: Array, rate: Callable[..., Numbers] = precision) -> Numbers:
    """The rate of the two best of each sample."""
    best = np.argsort(np.argsort(-p, -1), -1) < 2
    return rate(y.reshape(-1), best.reshape(-1).astype(float), np.repeat(w, y.shape[-1]))


# --- Curves

#: Thresholds 0, .1, ... 1, and predictions halfway between them.
STEPS = 10
_CURVE_THRESHOLDS = np.concatenate([[-EPSILON], np.arange(1, STEPS) / STEPS, [1 + EPSILON]])


def halfway(role: str, *shape: int) -> Array:
    """Predictions halfway between thresholds."""
    at = np.floor(STEPS * formulas.probabilities(role, *shape).astype(np.float64))
    return ((at + 0.5) / STEPS).astype(np.float32)


def halfway_logits(role: str, *shape: int) -> Array:
    p = halfway(role, *shape).astype(np.float64)
    return np.log(p / (1 - p)).astype(np.float32)


def _curve(y: Array, p: Array, w: Array, thresholds: Sequence[float]) -> tuple[Numbers, ...]:
    """The counts at every threshold of the curve, (thresholds, ...)."""
    each = [_counts(y, p, w, threshold) for threshold in thresholds]
    return tuple(np.stack(column) for column in zip(*each, strict=True))


def auc(
    curve: str,
    method: str = "interpolation",
    thresholds: Sequence[float] = tuple(_CURVE_THRESHOLDS[1:-1]),
) -> Truth:
    def truth(y: Array, p: Array, w: Array) -> Numbers:
        ends = _CURVE_THRESHOLDS[0], _CURVE_THRESHOLDS[-1]
        true, false, true_negative, missed = _curve(y, p, w, (ends[0], *thresholds, ends[1]))
        recall = _share(true, missed)
        if curve == "ROC":
            x, height = _share(false, true_negative), recall
        elif method == "interpolation":
            return _davis_goadrich(true, false, missed)
        else:
            x, height = recall, _share(true, false)
        left, right = height[:-1], height[1:]
        between = {
            "interpolation": (left + right) / 2.0,
            "minoring": np.minimum(left, right),
            "majoring": np.maximum(left, right),
        }
        return ((x[:-1] - x[1:]) * between[method]).sum(0)

    return truth


def _davis_goadrich(true: Numbers, false: Numbers, missed: Numbers) -> Numbers:
    """Area under precision by recall, of true and false positives interpolated between thresholds."""
    positive = true.value + false.value
    gained, more = true.value[:-1] - true.value[1:], positive[:-1] - positive[1:]
    slope = Bounded(gained) / np.where(more > 0, more, 1.0)
    intercept = Bounded(true.value[1:]) - slope * positive[1:]
    both = positive[1:] > 0
    ratio = Bounded(np.where(both, positive[:-1], 1.0)) / np.where(both, positive[1:], 1.0)
    areas = slope * (Bounded(gained) + intercept * np.log(ratio))
    return (areas / np.maximum(true.value[1:] + missed.value[1:], 1e-30)).sum(0)


def of_labels(weights: Sequence[float]) -> Truth:
    """The mean of the areas under the ROC curves of labels, weighted by label."""
    return lambda y, p, w: (auc("ROC")(y, p, w) * np.array(weights)).sum() / Bounded(sum(weights))


def flattened(weights: Sequence[float]) -> Truth:
    """The area under the ROC curve of all labels as one, each with a weight."""
    return lambda y, p, w: auc("ROC")(y.ravel(), p.ravel(), np.outer(w, weights).ravel())


def best_where(wanted: Callable[..., Numbers], given: Callable[..., Numbers]) -> Truth:
    """The largest of one rate at thresholds where another is at least :data:`LEAST`."""

    def truth(y: Array, p: Array, w: Array) -> Numbers:
        pairs = [(wanted(y, p, w, t), given(y, p, w, t)) for t in _CURVE_THRESHOLDS]
        reached = [rate for rate, other in pairs if other.value >= LEAST]
        return np.stack(reached).max(0) if reached else Bounded(0.0)

    return truth


#: No ratio of the sample inputs' counts: rounding cannot decide whether it is reached.
LEAST = 0.5501


def specificity(y: Array, p: Array, w: Array, threshold: float) -> Numbers:
    _, false, true_negative, _ = _counts(y, p, w, threshold)
    return _share(true_negative, false)


# --- Intersection over union


def iou(classes: Sequence[int], number: int = CLASSES, ignored: int | None = None) -> Truth:
    """Mean over classes that occur."""

    def truth(y: Array, p: Array, w: Array) -> Numbers:
        kept = w * (y != ignored) if ignored is not None else w
        matrix = np.array(
            [[(kept * (y == a) * (p == b)).sum() for b in range(number)] for a in range(number)]
        )
        union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
        shares = [
            Bounded(matrix[c, c]) / formulas.fuzzy(Bounded(union[c]))
            for c in classes
            if union[c] > 0
        ]
        return np.stack(shares).mean()

    return truth


def labels(role: str, *shape: int) -> Array:
    """A class for each sample."""
    return formulas.classes(role, *shape, CLASSES)


# --- Scores


def fbeta(beta: float, average: str | None) -> Truth:
    def truth(y: Array, p: Array, w: Array) -> Numbers:
        true, false, _, missed = _counts(y, p, w)
        if average == "micro":
            true, false, missed = true.sum(), false.sum(), missed.sum()
        # The fuzz factor stands in each of three divisors.
        precision = true / formulas.fuzzy(np.maximum(true + false, EPSILON))
        recall = true / formulas.fuzzy(np.maximum(true + missed, EPSILON))
        divisor = formulas.fuzzy(np.maximum(precision * beta**2 + recall, EPSILON))
        score = precision * recall / divisor * (1.0 + beta**2)
        # Without true positives all three are 0 exactly.
        score = np.where(true.value > 0, score, 0.0)
        if average == "weighted":
            each = Bounded(true.value + missed.value)
            return (score * (each / formulas.fuzzy(each.sum()))).sum()
        return score if average is None else score.mean()

    return truth


def r2(aggregation: str | None, regressors: int = 0) -> Truth:
    def truth(y: Array, p: Array, w: Array) -> Numbers:
        targets, weights = Bounded(y), w[:, None]
        total, count = (targets * weights).sum(0), Bounded(np.full(y.shape[1], w.sum()))
        spread = (np.square(targets) * weights).sum(0) - total * (total / count)
        score = 1.0 - (np.square(targets - Bounded(p)) * weights).sum(0) / spread
        if aggregation == "uniform_average":
            score = score.mean()
        elif aggregation == "variance_weighted_average":
            score = (spread * score).sum() / spread.sum()
        if regressors:
            score = 1.0 - (1.0 - score) * (len(y) - 1.0) / (len(y) - regressors - 1.0)
        return score

    return truth
