"""The public API under test, as users import it; contracts use nothing else."""

from __future__ import annotations

import keras as installed
import tensorflow as tf

keras = tf.keras
KERAS_MAJOR = int(installed.__version__.split(".")[0])
KERAS_VERSION: str = installed.__version__

__all__ = ["KERAS_MAJOR", "KERAS_VERSION", "keras", "tf"]
