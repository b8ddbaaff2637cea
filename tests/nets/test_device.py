"""The device: configured once, described truthfully."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
import tensorflow as tf

from bench.errors import BenchError
from bench.nets import device

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)


def test_threads_are_those_asked_for() -> None:
    """The fixture of this folder asked for one."""
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1
    assert tf.config.get_visible_devices("GPU") == []


def test_a_missing_gpu_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than silently training on the CPU."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    message = re.escape(f"TensorFlow {tf.__version__} sees no GPU")
    with pytest.raises(BenchError, match=message) as caught:
        device.configure("gpu", threads=0)
    assert "--device cpu" in str(caught.value.hint)


def test_a_gpu_is_configured_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Growing memory without a limit, one logical device with it; only the first of two GPUs."""
    done: list[tuple[object, ...]] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu0", "gpu1"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *a: done.append(a))
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda gpu, enable: done.append((gpu, enable))
    )
    monkeypatch.setattr(
        tf.config,
        "set_logical_device_configuration",
        lambda gpu, limits: done.append((gpu, limits[0].memory_limit)),
    )
    device.configure("gpu", threads=0)
    device.configure("gpu", threads=0, gpu_memory_mib=2048)
    visible = ("gpu0", "GPU")
    assert done == [visible, ("gpu0", True), visible, ("gpu0", 2048)]


def test_numerics_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was passed, and what TensorFlow says of itself."""
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    found = device.numerics("cpu", isa="avx2", threads=1)
    assert (found.device, found.isa, found.threads) == ("cpu", "avx2", 1)
    assert (found.xla, found.tf32) == (False, False)
    assert found.onednn is device.onednn_enabled()


def test_auto_clustering_is_another_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for in the environment, as users do."""
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit")
    assert device.numerics("cpu", isa="avx2", threads=1).xla is True


def test_default_threads_are_the_cores_given() -> None:
    """Not all that the machine has."""
    found = device.numerics("cpu", isa="avx2", threads=0)
    assert found.threads == len(os.sched_getaffinity(0))


def test_numerics_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its compute capability replaces the CPU's instruction set."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu0"])
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda gpu: {"compute_capability": (9, 0)},
    )
    enabled = tf.config.experimental.tensor_float_32_execution_enabled()
    found = device.numerics("gpu", isa="avx2", threads=1)
    assert (found.device, found.isa, found.tf32) == ("gpu", "sm90", enabled)
    assert found.onednn is False


def test_software_names_all_that_takes_part() -> None:
    """With the versions of this very process."""
    versions = device.software()
    assert versions["tensorflow"] == tf.__version__
    assert versions["numpy"] == np.__version__
    major = int(versions["keras"].partition(".")[0])
    minor = int(tf.__version__.split(".")[1])
    assert major == (2 if minor < 16 else 3)
    assert all(versions.values())
    assert {"tensorflow_build", "python", "bench"} <= set(versions)
