"""What tests of contracts share: one contract, tested here and now."""

from __future__ import annotations

from types import ModuleType

import pytest

from bench.checks.contracts.known_faults import known
from bench.checks.lab import AbsentError, Lab
from bench.nets.api import KERAS_VERSION, tf
from bench.results.check import Check, CheckResult, result

LAB = Lab(None, "cpu")  # type: ignore[arg-type] # no images here


def judged(family: ModuleType, subject: str) -> CheckResult:
    """The result of one contract; skips the test where this Keras does not have it."""
    check = Check(family=family.catalogue.family, subject=subject)
    try:
        return result(check, list(family.run(check, LAB)))
    except AbsentError as absence:
        pytest.skip(str(absence))


def sound(family: ModuleType, tier: str = "quick") -> list[str]:
    """Subjects of contracts that the versions at hand are not known to break."""
    versions = {"keras": KERAS_VERSION, "tensorflow": tf.__version__}
    return [one.subject for one in family.checks(tier) if not known(one.id, **versions)]
