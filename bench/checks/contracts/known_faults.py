"""Known faults: contracts that released versions break. They are told, and fail no run.

A fault names exactly the versions that were seen to have it, by ranges that end in tried ones; what
lies between two of them is taken to have it, too. One that is gone in such a version fails the run, as
does a contract that is broken in a version of which nothing is known.
"""

from __future__ import annotations

from bench.checks.contracts import (
    faults_of_layers,
    faults_of_more_ops,
    faults_of_ops,
    faults_of_training,
)

KNOWN_FAULTS = (
    *faults_of_training.FAULTS,
    *faults_of_layers.FAULTS,
    *faults_of_ops.FAULTS,
    *faults_of_more_ops.FAULTS,
)


def known(check: str, *, keras: str, tensorflow: str, wrong: bool = True) -> str:
    """What is known to be wrong with a check in these versions; empty if nothing is, or if it is a
    fault of some machines and nothing is wrong here."""
    return next(
        (
            fault.what
            for fault in KNOWN_FAULTS
            if fault.breaks(check) and fault.applies(keras, tensorflow) and (fault.always or wrong)
        ),
        "",
    )
