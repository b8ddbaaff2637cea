"""Examiner: runs checks in a training process, one after another."""

from __future__ import annotations

import importlib
import time

import msgspec
import numpy as np

from bench.checks.catalogue import module_of
from bench.checks.contracts.known_faults import known
from bench.checks.lab import AbsentError, Lab
from bench.errors import raised
from bench.mnist import Mnist
from bench.results.check import FAMILIES, Check, CheckResult, Deviation, result

#: Errors that say of the machine, not of a contract.
_OUT_OF_MEMORY = ("MemoryError", "ResourceExhaustedError")


class Examiner:
    """Runs checks.

    Args:
        data: the images.
        device: ``cpu`` or ``gpu``.
        tf32: whether float32 matrix products round their factors to TF32.
    """

    def __init__(self, data: Mnist, device: str, *, tf32: bool = False) -> None:
        self._data = data
        self._device = device
        self._tf32 = tf32

    def examine(self, check: Check) -> CheckResult:
        """Runs one check. What was out before the rest turned out to be absent still fails it.

        Raises:
            ValueError: no such family.
            Exception: whatever TensorFlow raises in a check of arithmetic; a contract is broken by it.
        """
        if check.family not in FAMILIES:
            raise ValueError(f"no family {check.family!r}; there are {', '.join(FAMILIES)}")
        family = importlib.import_module(module_of(check.family))
        lab = Lab(self._data, self._device, tf32=self._tf32)
        begin = time.perf_counter()
        compared: list[Deviation] = []
        absent = ""
        try:
            with np.errstate(all="ignore"):  # what is not finite is compared as such
                for deviation in family.run(check, lab):
                    compared.append(deviation)  # noqa: PERF402 - keeps what came before an error
        except AbsentError as error:
            absent = str(error)
        except Exception as error:
            if not check.is_contract or type(error).__name__ in _OUT_OF_MEMORY:
                raise
            compared.append(_raised(error))
        found = result(check, compared)
        if absent and not found.deviations:
            found = CheckResult(check=check, absent=absent)
        return msgspec.structs.replace(
            found,
            digest=lab.digest,
            known=_known(found) if check.is_contract and not found.absent else "",
            total_sec=time.perf_counter() - begin,
        )


def _raised(error: Exception) -> Deviation:
    """An error where a contract promises a number: what came before it still counts."""
    return Deviation(tensor="raises", excess=None, evidence=raised(error))


def _known(found: CheckResult) -> str:
    from bench.nets.api import KERAS_VERSION, tf

    versions = {"keras": KERAS_VERSION, "tensorflow": str(tf.__version__)}
    return known(msgspec.structs.replace(found.check, seed=0).id, **versions, wrong=found.wrong)
