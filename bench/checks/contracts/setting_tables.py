"""Tables of arguments of public classes that are not the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_Arguments = Mapping[str, Any]
_BOTH, _THREE = (2, 3), (3,)


def _convolutions() -> dict[str, _Arguments]:
    shared = {"padding": "same", "use_bias": False, "activation": "relu"}
    table: dict[str, _Arguments] = {}
    for rank in (1, 2, 3):
        kernel: _Arguments = {"kernel_size": (2,) * rank, "data_format": "channels_first", **shared}
        sizes = {"filters": 4, "strides": (1,) * rank, "dilation_rate": (2,) * rank, "groups": 2}
        table[f"Conv{rank}D"] = {**kernel, **sizes}
        if rank < 3:
            one = {"strides": (2,) * rank, "depth_multiplier": 3}
            table[f"DepthwiseConv{rank}D"] = {**kernel, **one}
            table[f"SeparableConv{rank}D"] = {**kernel, **one, "filters": 4}
    return table


def _transposed() -> dict[str, _Arguments]:
    return {
        f"Conv{rank}DTranspose": {
            "filters": 4,
            "kernel_size": (3,) * rank,
            "strides": (2,) * rank,
            "padding": "same",
            "output_padding": (1,) * rank,
            "use_bias": False,
        }
        for rank in (1, 2, 3)
    }


def _recurrent() -> dict[str, _Arguments]:
    ways: _Arguments = {
        "units": 3,
        "use_bias": False,
        "activation": "relu",
        "dropout": 0.25,
        "recurrent_dropout": 0.5,
        "return_sequences": True,
        "return_state": True,
        "go_backwards": True,
        "stateful": True,
    }
    gated = {"recurrent_activation": "tanh", "unroll": True}
    films = {key: value for key, value in ways.items() if key != "units"}
    films |= {"filters": 3, "recurrent_activation": "tanh", "unit_forget_bias": False}
    return {
        "SimpleRNN": {**ways, "unroll": True},
        "LSTM": {**ways, **gated, "unit_forget_bias": False},
        "GRU": {**ways, **gated, "reset_after": False},
        **{
            f"ConvLSTM{rank}D": {
                **films,
                "kernel_size": (2,) * rank,
                "strides": (2,) * rank,
                "padding": "same",
            }
            for rank in (1, 2, 3)
        },
    }


def _pooling() -> dict[str, _Arguments]:
    table: dict[str, _Arguments] = {}
    for rank in (1, 2, 3):
        for kind in ("Max", "Average"):
            table[f"{kind}Pooling{rank}D"] = {
                "pool_size": (3,) * rank,
                "strides": (2,) * rank,
                "padding": "same",
                "data_format": "channels_first",
            }
            table[f"Global{kind}Pooling{rank}D"] = {
                "keepdims": True,
                "data_format": "channels_first",
            }
    return table


_NORMALIZATION: Mapping[str, _Arguments] = {
    "BatchNormalization": {
        "axis": 1,
        "momentum": 0.5,
        "epsilon": 0.25,
        "center": False,
        "scale": False,
    },
    "LayerNormalization": {"axis": (1, 2), "epsilon": 0.25, "center": False, "scale": False},
    "GroupNormalization": {
        "groups": 2,
        "axis": 1,
        "epsilon": 0.25,
        "center": False,
        "scale": False,
    },
    "UnitNormalization": {"axis": (1, 2)},
}

_DROPPING: Mapping[str, _Arguments] = {
    "Dropout": {"rate": 0.25, "noise_shape": (None, 1), "seed": 3},
    "SpatialDropout1D": {"rate": 0.25},
    "GaussianNoise": {"stddev": 0.25, "seed": 3},
    "GaussianDropout": {"rate": 0.25, "seed": 3},
    "AlphaDropout": {"rate": 0.25, "seed": 3},
}

_RANDOM: Mapping[str, _Arguments] = {
    "RandomFlip": {"mode": "vertical", "seed": 3},
    "RandomCrop": {"height": 2, "width": 3, "seed": 3},
    "RandomRotation": {
        "factor": (0.125, 0.25),
        "fill_mode": "wrap",
        "interpolation": "nearest",
        "fill_value": 0.5,
        "seed": 3,
    },
    "RandomZoom": {
        "height_factor": (0.125, 0.25),
        "width_factor": (-0.25, 0.125),
        "fill_mode": "wrap",
        "interpolation": "nearest",
        "fill_value": 0.5,
        "seed": 3,
    },
    "RandomTranslation": {
        "height_factor": (0.125, 0.25),
        "width_factor": (-0.25, 0.125),
        "fill_mode": "wrap",
        "interpolation": "nearest",
        "fill_value": 0.5,
        "seed": 3,
    },
    "RandomBrightness": {"factor": (-0.25, 0.125), "value_range": (0.0, 2.0), "seed": 3},
}

_SHAPING: Mapping[str, _Arguments] = {
    "Resizing": {"height": 3, "width": 4, "interpolation": "nearest", "crop_to_aspect_ratio": True},
    "CenterCrop": {"height": 3, "width": 4},
    "Rescaling": {"scale": 0.25, "offset": 0.5},
    "Cropping2D": {"cropping": ((1, 0), (2, 1)), "data_format": "channels_first"},
    "ZeroPadding2D": {"padding": ((1, 0), (2, 1)), "data_format": "channels_first"},
    "UpSampling2D": {"size": (2, 3), "interpolation": "bilinear", "data_format": "channels_first"},
    "Reshape": {"target_shape": (3, -1)},
    "Permute": {"dims": (2, 1)},
    "Flatten": {"data_format": "channels_first"},
    "RepeatVector": {"n": 3},
}

_ENCODING: Mapping[str, _Arguments] = {
    "CategoryEncoding": {"num_tokens": 4, "output_mode": "count"},
    "Discretization": {"bin_boundaries": [0.25, 0.5], "output_mode": "one_hot"},
    "Hashing": {"num_bins": 4, "mask_value": "x", "salt": [1, 2], "output_mode": "count"},
    "StringLookup": {
        "max_tokens": 9,
        "num_oov_indices": 2,
        "mask_token": "m",
        "oov_token": "o",
        "output_mode": "count",
        "pad_to_max_tokens": True,
    },
    "IntegerLookup": {"max_tokens": 9, "num_oov_indices": 2, "mask_token": 0, "oov_token": -7},
    "TextVectorization": {
        "max_tokens": 9,
        "standardize": "lower",
        "split": "character",
        "ngrams": (2,),
        "output_mode": "count",
        "pad_to_max_tokens": True,
    },
}

_METRICS: Mapping[str, _Arguments] = {
    "IoU": {
        "num_classes": 3,
        "target_class_ids": [0, 2],
        "ignore_class": 1,
        "sparse_y_true": False,
        "sparse_y_pred": False,
        "axis": 1,
    },
    "BinaryIoU": {"target_class_ids": [1], "threshold": 0.25},
    "MeanIoU": {
        "num_classes": 3,
        "ignore_class": 1,
        "sparse_y_true": False,
        "sparse_y_pred": False,
        "axis": 1,
    },
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0], "sparse_y_pred": True, "axis": 1},
    "OneHotMeanIoU": {"num_classes": 3, "ignore_class": 1, "sparse_y_pred": True, "axis": 1},
    "AUC": {
        "num_thresholds": 7,
        "curve": "PR",
        "summation_method": "minoring",
        "multi_label": True,
        "num_labels": 3,
        "label_weights": [0.5, 1.0, 2.0],
        "from_logits": True,
    },
    "Precision": {"thresholds": 0.25, "top_k": 2, "class_id": 1},
    "Recall": {"thresholds": 0.25, "top_k": 2, "class_id": 1},
    "SensitivityAtSpecificity": {"specificity": 0.25, "num_thresholds": 7, "class_id": 1},
    "SpecificityAtSensitivity": {"sensitivity": 0.25, "num_thresholds": 7, "class_id": 1},
    "PrecisionAtRecall": {"recall": 0.25, "num_thresholds": 7, "class_id": 1},
    "RecallAtPrecision": {"precision": 0.25, "num_thresholds": 7, "class_id": 1},
    "SparseTopKCategoricalAccuracy": {"k": 3},
}

_PLACES = {"data_format": "channels_first"}

#: Subject -> module of the classes, arguments of each, and major versions of Keras.
TOLD: Mapping[str, tuple[str, Mapping[str, _Arguments], tuple[int, ...]]] = {
    "convolutions": ("layers", _convolutions(), _BOTH),
    "transposed": ("layers", _transposed(), _BOTH),
    "recurrent": ("layers", _recurrent(), _BOTH),
    "pooling": ("layers", _pooling(), _BOTH),
    "normalization": ("layers", _NORMALIZATION, _BOTH),
    "dropping": ("layers", _DROPPING, _BOTH),
    "spatial_dropout-data_format": (
        "layers",
        {"SpatialDropout2D": {"rate": 0.25, "data_format": "channels_first"}},
        _BOTH,
    ),
    "alpha_dropout-noise_shape": (
        "layers",
        {"AlphaDropout": {"rate": 0.25, "noise_shape": (None, 1)}},
        _BOTH,
    ),
    "random": ("layers", _RANDOM, _BOTH),
    "shaping": ("layers", _SHAPING, _BOTH),
    "encoding": ("layers", _ENCODING, _BOTH),
    "encoding-sparse": (
        "layers",
        {"CategoryEncoding": {"num_tokens": 4, "output_mode": "count", "sparse": True}},
        _BOTH,
    ),
    "attention": (
        "layers",
        {
            "MultiHeadAttention": {
                "num_heads": 2,
                "key_dim": 3,
                "value_dim": 4,
                "dropout": 0.25,
                "use_bias": False,
                "attention_axes": (1,),
            },
            "Attention": {"use_scale": True, "score_mode": "concat", "dropout": 0.25},
            "AdditiveAttention": {"use_scale": False, "dropout": 0.25},
        },
        _BOTH,
    ),
    "attention-seed": ("layers", {"Attention": {"dropout": 0.25, "seed": 3}}, _THREE),
    "images-data_format": (
        "layers",
        {
            "CenterCrop": {"height": 2, "width": 2, **_PLACES},
            "Resizing": {"height": 2, "width": 2, **_PLACES},
            "RandomCrop": {"height": 2, "width": 2, **_PLACES},
            "RandomRotation": {"factor": (0.125, 0.25), **_PLACES},
            "RandomTranslation": {
                "height_factor": (0.125, 0.25),
                "width_factor": (0.125, 0.25),
                **_PLACES,
            },
            "RandomZoom": {"height_factor": (0.125, 0.25), **_PLACES},
        },
        _THREE,
    ),
    "metrics": ("metrics", _METRICS, _BOTH),
}
