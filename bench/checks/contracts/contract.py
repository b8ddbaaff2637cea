"""Contract, and the catalogue that a family keeps of its own. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from bench.cells.grid import TIERS
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Check, Deviation

#: Seed of the sample inputs, which families draw while they test.
SEED: ContextVar[int] = ContextVar("seed of sample inputs", default=0)

Test = Callable[[Lab], Iterable[Deviation]]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a public part of the API owes its user."""

    subject: str
    """Its name in the id of its check."""
    thing: str
    """The public name: ``keras.Model.train_on_batch``."""
    truth: str
    """What holds, in one sentence."""
    test: Test
    """Yields one deviation per number that is compared, in the order of the computation."""
    keras: tuple[int, ...] = (2, 3)
    """Major versions of Keras whose documentation says so; the others do not have this contract."""
    counterpart: str = ""
    """The subject of what the other major version of Keras documents in its place."""
    tier: str = "quick"
    """The smallest tier that tests it."""


class Catalogue:
    """The contracts of one family, by subject.

    Args:
        family: its name in ids of checks, and the name of its module.
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self.contracts: dict[str, Contract] = {}

    def contract(
        self,
        subject: str,
        *,
        thing: str,
        truth: str,
        keras: tuple[int, ...] = (2, 3),
        counterpart: str = "",
        tier: str = "quick",
    ) -> Callable[[Test], Test]:
        """Decorates the function that tests a contract; see :class:`Contract`.

        Raises:
            ValueError: the subject is taken.
        """

        def register(test: Test) -> Test:
            if subject in self.contracts:
                raise ValueError(f"{self.family} has two contracts {subject!r}")
            self.contracts[subject] = Contract(
                subject=subject,
                thing=thing,
                truth=truth,
                test=test,
                keras=keras,
                counterpart=counterpart,
                tier=tier,
            )
            return test

        return register

    def checks(self, tier: str) -> list[Check]:
        """A check for each contract of a tier and the smaller ones, in the order of the module."""
        order = list(TIERS)
        return [
            Check(family=self.family, subject=contract.subject)
            for contract in self.contracts.values()
            if order.index(contract.tier) <= order.index(tier)
        ]

    def run(self, check: Check, lab: Lab) -> Iterator[Deviation]:
        """Tests one contract.

        Raises:
            AbsentError: this Keras documents it otherwise, or has no such thing.
            KeyError: no such contract.
        """
        from bench.nets.api import KERAS_MAJOR

        contract = self.contracts[check.subject]
        if KERAS_MAJOR not in contract.keras:
            raise AbsentError(f"Keras {KERAS_MAJOR} documents {contract.thing} otherwise")
        before = SEED.set(check.seed)
        try:
            yield from contract.test(lab)
        finally:
            SEED.reset(before)
