"""What tests of contracts share: one contract, tested here and now."""

from __future__ import annotations

from types import ModuleType

import pytest
from packaging.version import Version

from bench.checks.contracts.contract import Broken
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
    contracts = family.catalogue.contracts
    subjects = [one.subject for one in family.checks(tier)]
    return [one for one in subjects if not any(map(_here, contracts[one].broken))]


def _here(broken: Broken) -> bool:
    """Whether the version at hand is one that breaks it."""
    name, *versions = broken.versions.replace(" to ", " ").split()[:3]
    first, last = versions[0], versions[-1] if versions[-1][0].isdigit() else versions[0]
    here = {"keras": KERAS_VERSION, "tensorflow": tf.__version__}[name]
    return Version(first) <= Version(here) <= Version(last)
