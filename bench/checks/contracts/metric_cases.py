"""Cases of metrics: each Keras metric with its truth over all samples and inputs that suit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts import formulas
from bench.checks.contracts import metric_truths as truths
from bench.checks.contracts.loss_kinds import KINDS
from bench.checks.contracts.metric_truths import CLASSES, Truth
from bench.checks.lab import AbsentError
from bench.theory.rounding.arrays import Bounded

Array = npt.NDArray[Any]
#: Batches of unequal sizes, one of them a single sample.
SIZES = (8, 1, 11)
SAMPLES = sum(SIZES)
#: Powers of two and zeros: sums of them, and products with them, are exact.
WEIGHTS = np.resize(formulas.float32([0.25, 2.0, 0.0, 1.0, 4.0, 0.5, 1.0]), SAMPLES)
#: Whole numbers: what IoU takes in any version.
_WHOLE = (4 * WEIGHTS).astype(np.int32)
#: Of labels; powers of two, whose sum is none.
_LABELS = (0.5, 2.0, 4.0)
#: Whether a sample of weight 0 counts as one, no documentation says.
_POSITIVE = np.where(WEIGHTS > 0.0, WEIGHTS, np.float32(0.5))


@dataclass(frozen=True)
class Case:
    """A metric, with inputs that suit it."""

    name: str
    """Of its class in ``keras.metrics``."""
    truth: Truth
    targets: Callable[..., Array] = formulas.real
    predictions: Callable[..., Array] = formulas.real
    options: Mapping[str, Any] = field(default_factory=dict)
    width: int = CLASSES
    """Entries of a sample; 0 where it is a single number."""
    weights: Array = field(default_factory=lambda: WEIGHTS)

    def made(self) -> Any:
        """The metric.

        Raises:
            AbsentError: this Keras lacks it or an option.
        """
        from bench.nets.api import KERAS_VERSION, keras

        if not hasattr(keras.metrics, self.name):
            raise AbsentError(f"Keras {KERAS_VERSION} has no keras.metrics.{self.name}")
        try:
            return getattr(keras.metrics, self.name)(**self.options)
        except TypeError as error:
            raise AbsentError(f"Keras {KERAS_VERSION}: {error}") from error

    def drawn(self) -> tuple[Array, Array]:
        """Targets and predictions of all samples."""
        shape = (SAMPLES, self.width) if self.width else (SAMPLES,)
        targets = self.targets(f"{self.name} targets", *shape)
        return targets, self.predictions(f"{self.name} predictions", *shape)


def _of_loss(subject: str, name: str) -> Case:
    """The metric that is the truths.mean of a loss; similarity counts positive."""
    kind = KINDS[subject]
    sign = -1.0 if subject == "cosine_similarity" else 1.0
    return Case(
        name,
        lambda y, p, w: truths.mean(kind.formula(y, Bounded(p)) * sign, w),
        kind.targets,
        kind.predictions,
        kind.options,
    )


def _scored(name: str, truth: Truth, width: int = 0, **options: Any) -> Case:
    """A case of binary targets and probabilities."""
    return Case(name, truth, formulas.binary, formulas.probabilities, options, width=width)


def _curved(name: str, truth: Truth, width: int = 0, **options: Any) -> Case:
    """A case of binary targets and probabilities halfway between thresholds."""
    options = {"num_thresholds": truths.STEPS + 1, **options}
    return Case(name, truth, formulas.binary, truths.halfway, options, width=width)


def _right(name: str, truth: Truth, targets: Callable[..., Array], width: int = CLASSES) -> Case:
    """A case of scores of classes; of the two best ones where there are five."""
    return Case(name, truth, targets, options={"k": 2} if width == 5 else {}, width=width)


def _labelled(name: str, truth: Truth, **options: Any) -> Case:
    """A case of classes as targets and predictions."""
    options = {"num_classes": CLASSES, **options}
    return Case(name, truth, truths.labels, truths.labels, options, width=0, weights=_WHOLE)


def _one_hot(name: str, truth: Truth, **options: Any) -> Case:
    """A case of one-hot targets and scores, or classes in their place."""
    options = {"num_classes": CLASSES, **options}
    sparse = options.get("sparse_y_pred", False)

    def truth_of_best(y: Array, p: Array, w: Array) -> Any:
        return truth(y.argmax(-1), p if sparse else p.argmax(-1), w)

    scores = (lambda role, samples, _: truths.labels(role, samples)) if sparse else formulas.real
    return Case(name, truth_of_best, formulas.one_hot, scores, options, weights=_WHOLE)


_LOSSES: Mapping[str, str] = {
    "mean_squared_error": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "cosine_similarity": "CosineSimilarity",
    "log_cosh": "LogCoshError",
    "hinge": "Hinge",
    "squared_hinge": "SquaredHinge",
    "categorical_hinge": "CategoricalHinge",
    "kl_divergence": "KLDivergence",
    "poisson": "Poisson",
    "binary_crossentropy": "BinaryCrossentropy",
    "binary_crossentropy-logits": "BinaryCrossentropy",
    "binary_crossentropy-smoothing": "BinaryCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "categorical_crossentropy-logits-smoothing": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "sparse_categorical_crossentropy-logits": "SparseCategoricalCrossentropy",
}
_COUNTS = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")

CASES: Mapping[str, Case] = {
    **{subject: _of_loss(subject, name) for subject, name in _LOSSES.items()},
    "root_mean_squared_error": Case(
        "RootMeanSquaredError",
        lambda y, p, w: np.sqrt(truths.mean(np.square(Bounded(p) - y).mean(-1), w)),
    ),
    "pearson_correlation": Case("PearsonCorrelation", truths.pearson, width=6),
    "concordance_correlation": Case("ConcordanceCorrelation", truths.concordance, width=6),
    "accuracy": Case(
        "Accuracy",
        truths.accuracy(lambda y, p: y == p),
        truths.labels,
        truths.labels,
        width=0,
    ),
    "binary_accuracy": _scored(
        "BinaryAccuracy",
        lambda y, p, w: truths.mean(Bounded(np.float64((p > 0.25) == y)).mean(-1), w),
        CLASSES,
        threshold=0.25,
    ),
    "categorical_accuracy": _right(
        "CategoricalAccuracy",
        truths.accuracy(lambda y, p: y.argmax(-1) == p.argmax(-1)),
        formulas.one_hot,
    ),
    "sparse_categorical_accuracy": _right(
        "SparseCategoricalAccuracy",
        truths.accuracy(lambda y, p: y == p.argmax(-1)),
        formulas.classes,
    ),
    "top_k_categorical_accuracy": _right(
        "TopKCategoricalAccuracy",
        truths.accuracy(lambda y, p: truths.among_best(y.argmax(-1), p)),
        formulas.one_hot,
        5,
    ),
    "sparse_top_k_categorical_accuracy": _right(
        "SparseTopKCategoricalAccuracy", truths.accuracy(truths.among_best), formulas.classes, 5
    ),
    **{
        name: _scored(name, truths.count_at(which), thresholds=list(truths.THRESHOLDS))
        for which, name in enumerate(_COUNTS)
    },
    "precision": _scored("Precision", truths.precision),
    "precision-thresholds": _scored(
        "Precision", truths.at_thresholds(truths.precision), thresholds=list(truths.THRESHOLDS)
    ),
    "precision-top_k": _scored("Precision", truths.of_top, 5, top_k=2),
    "precision-class_id": _scored(
        "Precision", lambda y, p, w: truths.precision(y[:, 1], p[:, 1], w), CLASSES, class_id=1
    ),
    "recall": _scored("Recall", truths.recall),
    "recall-thresholds": _scored(
        "Recall", truths.at_thresholds(truths.recall), thresholds=list(truths.THRESHOLDS)
    ),
    "recall-top_k": _scored(
        "Recall", lambda y, p, w: truths.of_top(y, p, w, truths.recall), 5, top_k=2
    ),
    "recall-class_id": _scored(
        "Recall", lambda y, p, w: truths.recall(y[:, 1], p[:, 1], w), CLASSES, class_id=1
    ),
    **{
        f"auc-curve:{curve}-{method}": _curved(
            "AUC", truths.auc(curve, method), curve=curve, summation_method=method
        )
        for curve in ("ROC", "PR")
        for method in ("interpolation", "minoring", "majoring")
    },
    "auc-logits": Case(
        "AUC",
        lambda y, p, w: truths.auc("ROC")(y, 1 / (1 + np.exp(-p.astype(float))), w),
        formulas.binary,
        truths.halfway_logits,
        {"from_logits": True, "num_thresholds": truths.STEPS + 1},
        width=0,
    ),
    "auc-multi_label": _curved(
        "AUC", lambda y, p, w: truths.auc("ROC")(y, p, w).mean(), CLASSES, multi_label=True
    ),
    "auc-multi_label-curve:PR": _curved(
        "AUC",
        lambda y, p, w: truths.auc("PR")(y, p, w).mean(),
        CLASSES,
        multi_label=True,
        num_labels=CLASSES,
        curve="PR",
    ),
    "auc-multi_label-label_weights": _curved(
        "AUC",
        truths.of_labels(_LABELS),
        CLASSES,
        multi_label=True,
        num_labels=CLASSES,
        label_weights=list(_LABELS),
    ),
    "auc-label_weights": _curved(
        "AUC", truths.flattened(_LABELS), CLASSES, label_weights=list(_LABELS)
    ),
    **{
        f"auc-thresholds-curve:{curve}": _curved(
            "AUC",
            truths.auc(curve, thresholds=truths.THRESHOLDS[:2]),
            curve=curve,
            thresholds=list(truths.THRESHOLDS[:2]),
        )
        for curve in ("ROC", "PR")
    },
    "precision_at_recall": _curved(
        "PrecisionAtRecall", truths.best_where(truths.precision, truths.recall), recall=truths.LEAST
    ),
    "recall_at_precision": _curved(
        "RecallAtPrecision",
        truths.best_where(truths.recall, truths.precision),
        precision=truths.LEAST,
    ),
    "sensitivity_at_specificity": _curved(
        "SensitivityAtSpecificity",
        truths.best_where(truths.recall, truths.specificity),
        specificity=truths.LEAST,
    ),
    "recall_at_precision-class_id": _curved(
        "RecallAtPrecision",
        lambda y, p, w: truths.best_where(truths.recall, truths.precision)(y[:, 1], p[:, 1], w),
        CLASSES,
        precision=truths.LEAST,
        class_id=1,
    ),
    "specificity_at_sensitivity": _curved(
        "SpecificityAtSensitivity",
        truths.best_where(truths.specificity, truths.recall),
        sensitivity=truths.LEAST,
    ),
    "iou": _labelled("IoU", truths.iou((0, 2)), target_class_ids=[0, 2]),
    "mean_iou": _labelled("MeanIoU", truths.iou(range(CLASSES))),
    "mean_iou-ignore_class": _labelled(
        "MeanIoU", truths.iou(range(CLASSES), ignored=1), ignore_class=1
    ),
    "binary_iou": Case(
        "BinaryIoU",
        lambda y, p, w: truths.iou((0, 1), 2)(y, (p > 0.25).astype(float), w),
        formulas.binary,
        formulas.probabilities,
        {"threshold": 0.25},
        width=0,
        weights=_WHOLE,
    ),
    "one_hot_iou": _one_hot("OneHotIoU", truths.iou((0, 2)), target_class_ids=[0, 2]),
    "one_hot_mean_iou": _one_hot("OneHotMeanIoU", truths.iou(range(CLASSES))),
    "binary_iou-target:1": Case(
        "BinaryIoU",
        lambda y, p, w: truths.iou((1,), 2)(y, (p > 0.5).astype(float), w),
        formulas.binary,
        formulas.probabilities,
        {"target_class_ids": [1]},
        width=0,
        weights=_WHOLE,
    ),
    "mean_iou-sparse_y_true:false-sparse_y_pred:false": _one_hot(
        "MeanIoU", truths.iou(range(CLASSES)), sparse_y_true=False, sparse_y_pred=False
    ),
    "one_hot_iou-sparse_y_pred": _one_hot(
        "OneHotIoU", truths.iou((0, 2)), target_class_ids=[0, 2], sparse_y_pred=True
    ),
    "one_hot_mean_iou-sparse_y_pred": _one_hot(
        "OneHotMeanIoU", truths.iou(range(CLASSES)), sparse_y_pred=True
    ),
    "mean_iou-ignore_class:-1": Case(
        "MeanIoU",
        truths.iou(range(CLASSES), ignored=-1),
        lambda role, *shape: truths.labels(role, *shape) - (np.arange(*shape) % 5 == 1),
        truths.labels,
        {"num_classes": CLASSES, "ignore_class": -1},
        width=0,
        weights=_WHOLE,
    ),
    "iou-weights:fractions": Case(
        "IoU",
        truths.iou((0, 2)),
        truths.labels,
        truths.labels,
        {"num_classes": CLASSES, "target_class_ids": [0, 2]},
        width=0,
    ),
    **{
        f"f1_score-average:{average}": _scored(
            "F1Score", truths.fbeta(1.0, average), CLASSES, threshold=0.5, average=average
        )
        for average in (None, "micro", "macro", "weighted")
    },
    **{
        f"fbeta_score-average:{average}": _scored(
            "FBetaScore",
            truths.fbeta(2.0, average),
            CLASSES,
            beta=2.0,
            threshold=0.5,
            average=average,
        )
        for average in (None, "micro", "macro", "weighted")
    },
    **{
        f"r2_score-{aggregation}": Case(
            "R2Score", truths.r2(aggregation), options={"class_aggregation": aggregation}
        )
        for aggregation in (None, "uniform_average", "variance_weighted_average")
    },
    "r2_score-adjusted": Case(
        "R2Score",
        truths.r2("uniform_average", 1),
        options={"num_regressors": 1},
        width=1,
        weights=_POSITIVE,
    ),
    "r2_score-adjusted-outputs": Case(
        "R2Score", truths.r2("uniform_average", 2), options={"num_regressors": 2}, weights=_POSITIVE
    ),
    "f1_score-best": _scored(
        "F1Score",
        lambda y, p, w: truths.fbeta(1.0, "macro")(y, 1.0 * (p == p.max(-1, keepdims=True)), w),
        CLASSES,
        average="macro",
    ),
}
