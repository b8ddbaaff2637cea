"""Keras behind ``tf.keras``: 2 up to TensorFlow 2.15 or by ``TF_USE_LEGACY_KERAS``, else 3."""

from __future__ import annotations

import keras as installed_keras
import tensorflow as tf


def keras_version() -> str:
    """Whole version, such as ``3.15.1``."""
    return str(getattr(tf.keras, "__version__", None) or installed_keras.__version__)


def keras_generation() -> int:
    """2 or 3."""
    return int(keras_version().partition(".")[0])
