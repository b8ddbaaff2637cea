"""The device that TensorFlow computes on: configured once, before anything else touches TensorFlow."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np
import tensorflow as tf

from bench import __version__
from bench.errors import BenchError
from bench.nets.keras_version import keras_version
from bench.results.environment import Numerics


def configure(device: str, *, threads: int, gpu_memory_mib: int | None = None) -> None:
    """Prepares ``cpu`` or ``gpu`` for this process.

    Args:
        device: ``cpu`` or ``gpu``.
        threads: of TensorFlow's pools; 0 leaves TensorFlow's default.
        gpu_memory_mib: hard limit of this process on its GPU; None lets it grow as needed.

    Raises:
        BenchError: TensorFlow sees no GPU though one was asked for.
    """
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return
    found = tf.config.list_physical_devices("GPU")
    if not found:
        raise BenchError(
            f"TensorFlow {tf.__version__} sees no GPU",
            hint="install the extra 'gpu' and check that the driver answers nvidia-smi, or use "
            "--device cpu",
        )
    tf.config.set_visible_devices(found[0], "GPU")
    if gpu_memory_mib is None:
        tf.config.experimental.set_memory_growth(found[0], enable=True)
    else:
        tf.config.set_logical_device_configuration(
            found[0], [tf.config.LogicalDeviceConfiguration(memory_limit=gpu_memory_mib)]
        )


def numerics(device: str, *, isa: str, threads: int) -> Numerics:
    """What this process' bits depend on.

    Args:
        device: as given to :func:`configure`.
        isa: the CPU's instruction set; a GPU's compute capability replaces it.
        threads: as given to :func:`configure`.
    """
    tf32 = False
    if device == "gpu":
        details = tf.config.experimental.get_device_details(
            tf.config.list_physical_devices("GPU")[0]
        )
        major, minor = details.get("compute_capability", (0, 0))
        isa = f"sm{major}{minor}"
        allowed = os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"
        enabled = tf.config.experimental.tensor_float_32_execution_enabled()
        tf32 = major >= 8 and allowed and enabled  # Ampere was the first to have it
    return Numerics(
        device=device,
        isa=isa,
        onednn=device == "cpu" and onednn_enabled(),
        xla="--tf_xla_auto_jit" in os.environ.get("TF_XLA_FLAGS", ""),
        tf32=tf32,
        threads=threads or len(os.sched_getaffinity(0)),
        fpmath=fast_math() if device == "cpu" and onednn_enabled() else "",
    )


def gpu_peak() -> int:
    """Bytes that the GPU's allocator held at its peak since this was last called."""
    peak = int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    tf.config.experimental.reset_memory_stats("GPU:0")
    return peak


def fast_math() -> str:
    """oneDNN's fast-math mode; empty for the default, which is strict."""
    mode = os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE", "").strip().lower()
    return "" if mode == "strict" else mode


def onednn_enabled() -> bool:
    """Whether TensorFlow runs its CPU kernels through oneDNN, as it says itself if it can."""
    try:
        from tensorflow.python.util import _pywrap_util_port

        return bool(_pywrap_util_port.IsMklEnabled())
    except (ImportError, AttributeError):
        default = "1" if platform.system() == "Linux" and platform.machine() == "x86_64" else "0"
        return os.environ.get("TF_ENABLE_ONEDNN_OPTS", default) == "1"


def software() -> dict[str, str]:
    """Versions of all that takes part in training."""
    build: dict[str, Any] = tf.sysconfig.get_build_info()
    versions = {
        "tensorflow": tf.__version__,
        "tensorflow_build": tf.version.GIT_VERSION,
        "keras": keras_version(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "bench": __version__,
    }
    versions.update(
        {
            key.removesuffix("_version"): str(build[key])
            for key in ("cuda_version", "cudnn_version")
            if build.get(key)
        }
    )
    return versions
