"""Known faults: contracts that released versions break. They are told, and fail no run.

An entry that matches no check, or whose fault is gone in a version that it names, fails: it is to be
removed then, or its last version written down.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KnownFault:
    """A contract that is known to be broken."""

    check: str
    """Its id: ``losses:axis-categorical_crossentropy-smoothing``."""
    first: str
    """First version of Keras that has it."""
    last: str
    """Last one that was seen to have it."""
    always: bool = True
    """Whether it shows on every machine; of others, being gone is no news."""
    what: str
    """What goes wrong, with the upstream issue where there is one."""

    def applies(self, keras: str) -> bool:
        """Whether it is known of this version of Keras."""
        return _parts(self.first) <= _parts(keras) <= _parts(self.last)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


KNOWN_FAULTS = (
    *(
        KnownFault(
            check="losses:axis-categorical_crossentropy-smoothing",
            first=first,
            last=last,
            what="label smoothing divides by the size of the last axis, not of its own (keras #23451)",
        )
        for first, last in (("2.12.0", "2.12.0"), ("3.0.0", "3.15.1"))
    ),
    KnownFault(
        check="reductions:sample_weight-sequences",
        first="3.0.0",
        last="3.15.1",
        what="a weight for each sample raises where outputs have rank 3; no report of it is known",
    ),
    KnownFault(
        check="metrics:iou-weights:fractions",
        first="3.8.0",
        last="3.15.1",
        what="IoU casts weights to whole numbers, against the example in its own documentation "
        "(since keras PR #20584)",
    ),
    KnownFault(
        check="layers:einsum_dense-gradient-memory",
        first="3.4.1",
        last="3.15.1",
        what="the gradient of EinsumDense forms a product for each sample, as Dense did (keras #22823)",
    ),
    KnownFault(
        check="training:accumulation-sgd-ema",
        first="3.6.0",
        last="3.15.1",
        what="the moving average takes every part of an accumulated batch; no report of it is known",
    ),
    *(
        KnownFault(
            check=f"sparse:{optimizer}-rows:twice",
            first="3.0.0",
            last="3.15.1",
            what="rows of an Embedding that are used twice in a batch are squared before they are "
            "added up; no report of it is known",
        )
        for optimizer in (
            *("adam", "adamw", "adamax", "nadam", "rmsprop", "adagrad", "adadelta", "ftrl"),
            *("lamb", "adafactor"),
        )
    ),
    KnownFault(
        check="sparse:clipping-rows:twice",
        first="2.12.0",
        last="3.15.1",
        what="the norm of a sparse gradient counts rows that are used twice one by one; no report of "
        "it is known",
    ),
    KnownFault(
        check="products:matmul-process",
        first="3.0.0",
        last="3.15.1",
        what="a product of rank 4 by rank 2 with several threads kills the process on some processors "
        "(tensorflow #117700)",
        always=False,
    ),
)


def known(check: str, keras: str, *, wrong: bool = True) -> str:
    """What is known to be wrong with a check in a version of Keras; empty if nothing is, or if it is a
    fault of some machines and nothing is wrong here."""
    return next(
        (
            fault.what
            for fault in KNOWN_FAULTS
            if fault.check == check and fault.applies(keras) and (fault.always or wrong)
        ),
        "",
    )
