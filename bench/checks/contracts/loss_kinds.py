"""Kinds of losses: each Keras loss with its formula and inputs that suit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from bench.checks.contracts import formulas
from bench.checks.contracts.formulas import Formula
from bench.checks.lab import AbsentError

Array = npt.NDArray[Any]

#: Samples, then time steps or pixels, then entries of a sample: of ranks 2, 3 and 4.
SHAPES = ((5, 3), (5, 4, 3), (5, 4, 2, 3))


@dataclass(frozen=True)
class Kind:
    """A loss, with inputs that suit it."""

    name: str
    """Of its class in ``keras.losses``."""
    formula: Formula
    """Targets and predictions to one loss per sample: the last axis is taken up."""
    targets: Callable[..., Array] = formulas.real
    predictions: Callable[..., Array] = formulas.real
    slope: Formula | None = None
    """Gradient of the sum of all losses by the predictions; None where the documentation says less."""
    function: str = ""
    """Of the function in ``keras.losses`` that gives the same; none where it is empty."""
    options: Mapping[str, Any] = field(default_factory=dict)

    def made(self, **options: Any) -> Any:
        """The loss, by default without a reduction.

        Raises:
            AbsentError: this Keras lacks the loss or an option.
        """
        from bench.nets.api import KERAS_VERSION, keras

        if not hasattr(keras.losses, self.name):
            raise AbsentError(f"Keras {KERAS_VERSION} has no keras.losses.{self.name}")
        try:
            return getattr(keras.losses, self.name)(
                **{"reduction": "none", **self.options, **options}
            )
        except TypeError as error:
            raise AbsentError(f"Keras {KERAS_VERSION}: {error}") from error

    def drawn(self, *shape: int) -> tuple[Array, Array]:
        """Targets and predictions."""
        targets = self.targets(f"{self.name} targets", *shape)
        return targets, self.predictions(f"{self.name} predictions", *shape)


def _positive(name: str, alias: str, formula: Formula, slope: Formula) -> Kind:
    return Kind(name, formula, formulas.positive, formulas.positive, slope, alias)


def _hinge(alias: str, name: str, formula: Formula, slope: Formula) -> Kind:
    return Kind(name, formula, formulas.signs, formulas.real, slope, alias)


def _crossentropy(
    alias: str, formula: Formula, slope: Formula | None = None, **options: Any
) -> Kind:
    """A crossentropy, of the inputs that its targets and ``from_logits`` ask for."""
    name = "".join(word.title() for word in alias.split("_"))
    targets, predictions = {
        "binary": (formulas.binary, formulas.probabilities),
        "categorical": (formulas.one_hot, formulas.distribution),
        "sparse": (formulas.classes, formulas.distribution),
    }[alias.split("_", maxsplit=1)[0]]
    if options.get("from_logits"):
        predictions = formulas.real
    return Kind(name, formula, targets, predictions, slope, alias, options)


_BINARY, _FOCAL = "binary_crossentropy", "binary_focal_crossentropy"
_CATEGORICAL, _SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"
_SMOOTHING = formulas.SMOOTHING

KINDS: Mapping[str, Kind] = {
    "mean_squared_error": Kind(
        "MeanSquaredError", formulas.mse, slope=formulas.mse_slope, function="MSE"
    ),
    "mean_absolute_error": Kind(
        "MeanAbsoluteError", formulas.mae, slope=formulas.mae_slope, function="MAE"
    ),
    "mean_absolute_percentage_error": _positive(
        "MeanAbsolutePercentageError", "MAPE", formulas.mape, formulas.mape_slope
    ),
    "mean_squared_logarithmic_error": _positive(
        "MeanSquaredLogarithmicError", "MSLE", formulas.msle, formulas.msle_slope
    ),
    "poisson": _positive("Poisson", "poisson", formulas.poisson, formulas.poisson_slope),
    "cosine_similarity": Kind("CosineSimilarity", formulas.cosine, function="cosine_similarity"),
    **{
        subject: Kind(
            "Huber",
            formulas.huber(delta),
            slope=formulas.huber_slope(delta),
            function="huber",
            options={"delta": delta},
        )
        for subject, delta in (("huber", 1.0), ("huber-delta:half", 0.5))
    },
    "log_cosh": Kind(
        "LogCosh", formulas.log_cosh, slope=formulas.log_cosh_slope, function="logcosh"
    ),
    "hinge": _hinge("hinge", "Hinge", formulas.hinge, formulas.hinge_slope),
    "hinge-labels:binary": Kind("Hinge", formulas.hinge, formulas.binary, function="hinge"),
    "squared_hinge": _hinge(
        "squared_hinge", "SquaredHinge", formulas.squared_hinge, formulas.squared_hinge_slope
    ),
    "categorical_hinge": Kind(
        "CategoricalHinge",
        formulas.categorical_hinge,
        formulas.one_hot,
        function="categorical_hinge",
    ),
    "kl_divergence": Kind(
        "KLDivergence",
        formulas.kl_divergence,
        formulas.distribution,
        formulas.distribution,
        formulas.kl_divergence_slope,
        "KLD",
    ),
    "binary_crossentropy": _crossentropy(
        _BINARY, formulas.binary_crossentropy, formulas.binary_crossentropy_slope
    ),
    "binary_crossentropy-logits": _crossentropy(
        _BINARY,
        formulas.binary_crossentropy_logits,
        formulas.binary_crossentropy_logits_slope,
        from_logits=True,
    ),
    "binary_crossentropy-smoothing": _crossentropy(
        _BINARY,
        formulas.smoothed_binary(formulas.binary_crossentropy),
        label_smoothing=_SMOOTHING,
    ),
    "binary_crossentropy-logits-smoothing": _crossentropy(
        _BINARY,
        formulas.smoothed_binary(formulas.binary_crossentropy_logits),
        from_logits=True,
        label_smoothing=_SMOOTHING,
    ),
    "binary_focal_crossentropy": _crossentropy(_FOCAL, formulas.binary_focal(2.0)),
    "binary_focal_crossentropy-balanced": _crossentropy(
        _FOCAL,
        formulas.binary_focal(3.0, 0.75),
        apply_class_balancing=True,
        alpha=0.75,
        gamma=3.0,
    ),
    "binary_focal_crossentropy-logits": _crossentropy(
        _FOCAL, lambda y, x: formulas.binary_focal(2.0)(y, formulas.sigmoid(x)), from_logits=True
    ),
    "categorical_crossentropy": _crossentropy(_CATEGORICAL, formulas.crossentropy),
    "categorical_crossentropy-logits": _crossentropy(
        _CATEGORICAL,
        formulas.crossentropy_logits,
        formulas.crossentropy_logits_slope,
        from_logits=True,
    ),
    "categorical_crossentropy-smoothing": _crossentropy(
        _CATEGORICAL, formulas.smoothed(formulas.crossentropy), label_smoothing=_SMOOTHING
    ),
    "categorical_crossentropy-logits-smoothing": _crossentropy(
        _CATEGORICAL,
        formulas.smoothed(formulas.crossentropy_logits),
        from_logits=True,
        label_smoothing=_SMOOTHING,
    ),
    "categorical_focal_crossentropy": _crossentropy(
        "categorical_focal_crossentropy", formulas.categorical_focal
    ),
    "categorical_focal_crossentropy-logits": _crossentropy(
        "categorical_focal_crossentropy",
        lambda y, x: formulas.categorical_focal(y, formulas.softmax(x)),
        from_logits=True,
    ),
    "sparse_categorical_crossentropy": _crossentropy(
        _SPARSE, formulas.sparse(formulas.crossentropy)
    ),
    "sparse_categorical_crossentropy-logits": _crossentropy(
        _SPARSE,
        formulas.sparse(formulas.crossentropy_logits),
        formulas.sparse(formulas.crossentropy_logits_slope),
        from_logits=True,
    ),
}

MSE = KINDS["mean_squared_error"]
BINARY, BINARY_LOGITS = KINDS[_BINARY], KINDS[f"{_BINARY}-logits"]
CATEGORICAL = KINDS[_CATEGORICAL]
SPARSE, SPARSE_LOGITS = KINDS[_SPARSE], KINDS[f"{_SPARSE}-logits"]
