"""Tables of the values that arguments of public classes have where none is given, as documented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_Arguments = Mapping[str, Any]
_BOTH = (2, 3)

_FILTERS: _Arguments = {"filters": 2, "kernel_size": 2}
_STEP: _Arguments = {"padding": "valid", "use_bias": True, "activation": "linear"}
_AVERAGES = {"use_ema": False, "ema_momentum": 0.99, "clipnorm": None, "clipvalue": None}
_MOMENTS = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
_GATES = {"use_bias": True, "return_sequences": False, "dropout": 0.0, "recurrent_dropout": 0.0}

#: Subject -> module, and of each class the arguments that it needs and documented ones by default.
DEFAULTS: Mapping[str, tuple[str, Mapping[str, tuple[_Arguments, _Arguments]], tuple[int, ...]]] = {
    "optimizers": (
        "optimizers",
        {
            "SGD": ({}, {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False, **_AVERAGES}),
            "RMSprop": (
                {},
                {"learning_rate": 1e-3, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7},
            ),
            "Adam": ({}, {**_MOMENTS, "amsgrad": False, **_AVERAGES}),
            "AdamW": ({}, {**_MOMENTS, "amsgrad": False, "weight_decay": 0.004, **_AVERAGES}),
            "Adamax": ({}, _MOMENTS),
            "Nadam": ({}, _MOMENTS),
            "Adagrad": ({}, {"learning_rate": 1e-3, "initial_accumulator_value": 0.1}),
            "Adadelta": ({}, {"learning_rate": 1e-3, "rho": 0.95, "epsilon": 1e-7}),
            "Ftrl": (
                {},
                {
                    "learning_rate": 1e-3,
                    "learning_rate_power": -0.5,
                    "initial_accumulator_value": 0.1,
                    "l1_regularization_strength": 0.0,
                    "beta": 0.0,
                },
            ),
        },
        _BOTH,
    ),
    "layers": (
        "layers",
        {
            "BatchNormalization": ({}, {"axis": -1, "momentum": 0.99, "epsilon": 1e-3}),
            "LayerNormalization": ({}, {"axis": -1, "epsilon": 1e-3, "center": True}),
            "GroupNormalization": ({}, {"groups": 32, "axis": -1, "epsilon": 1e-3}),
            "Conv1D": (_FILTERS, {"strides": (1,), "dilation_rate": (1,), "groups": 1, **_STEP}),
            "Conv2D": (_FILTERS, {"strides": (1, 1), "groups": 1, **_STEP}),
            "Conv2DTranspose": (_FILTERS, {"strides": (1, 1), **_STEP}),
            "DepthwiseConv2D": ({"kernel_size": 2}, {"depth_multiplier": 1, **_STEP}),
            "MaxPooling2D": ({}, {"pool_size": (2, 2), "strides": (2, 2), "padding": "valid"}),
            "AveragePooling2D": (
                {"pool_size": 3},
                {"pool_size": (3, 3), "strides": (3, 3), "padding": "valid"},
            ),
            "SimpleRNN": ({"units": 2}, {"activation": "tanh", **_GATES}),
            "LSTM": (
                {"units": 2},
                {"activation": "tanh", "recurrent_activation": "sigmoid", **_GATES},
            ),
            "GRU": ({"units": 2}, {"recurrent_activation": "sigmoid", "reset_after": True}),
            "MultiHeadAttention": (
                {"num_heads": 2, "key_dim": 3},
                {"dropout": 0.0, "use_bias": True},
            ),
            "Attention": ({}, {"use_scale": False, "score_mode": "dot", "dropout": 0.0}),
            "AdditiveAttention": ({}, {"use_scale": True, "dropout": 0.0}),
            "Embedding": ({"input_dim": 2, "output_dim": 3}, {"mask_zero": False}),
            "Masking": ({}, {"mask_value": 0.0}),
            "Dense": ({"units": 2}, {"activation": "linear", "use_bias": True}),
            "UpSampling2D": ({}, {"size": (2, 2), "interpolation": "nearest"}),
            "Resizing": (
                {"height": 2, "width": 2},
                {"interpolation": "bilinear", "crop_to_aspect_ratio": False},
            ),
            "RandomFlip": ({}, {"mode": "horizontal_and_vertical"}),
            "RandomRotation": (
                {"factor": 0.25},
                {"fill_mode": "reflect", "interpolation": "bilinear", "fill_value": 0.0},
            ),
            "RandomTranslation": (
                {"height_factor": 0.25, "width_factor": 0.25},
                {"fill_mode": "reflect", "interpolation": "bilinear", "fill_value": 0.0},
            ),
        },
        _BOTH,
    ),
    "random_zoom": (
        "layers",
        {
            "RandomZoom": (
                {"height_factor": 0.25},
                {"fill_mode": "reflect", "interpolation": "bilinear", "fill_value": 0.0},
            )
        },
        _BOTH,
    ),
    "metrics": (
        "metrics",
        {
            "AUC": (
                {},
                {"num_thresholds": 200, "curve": "ROC", "summation_method": "interpolation"},
            ),
            "BinaryAccuracy": ({}, {"threshold": 0.5}),
            "TopKCategoricalAccuracy": ({}, {"k": 5}),
            "SparseTopKCategoricalAccuracy": ({}, {"k": 5}),
            "BinaryIoU": ({}, {"target_class_ids": [0, 1], "threshold": 0.5}),
            "PrecisionAtRecall": ({"recall": 0.5}, {"num_thresholds": 200}),
            "SensitivityAtSpecificity": ({"specificity": 0.5}, {"num_thresholds": 200}),
        },
        _BOTH,
    ),
    "losses": (
        "losses",
        {
            "BinaryCrossentropy": ({}, {"from_logits": False, "label_smoothing": 0.0, "axis": -1}),
            "CategoricalCrossentropy": ({}, {"from_logits": False, "label_smoothing": 0.0}),
            "SparseCategoricalCrossentropy": ({}, {"from_logits": False, "ignore_class": None}),
            "BinaryFocalCrossentropy": (
                {},
                {"apply_class_balancing": False, "alpha": 0.25, "gamma": 2.0},
            ),
            "CategoricalFocalCrossentropy": ({}, {"alpha": 0.25, "gamma": 2.0}),
        },
        _BOTH,
    ),
}
