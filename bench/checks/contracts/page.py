"""Page of all contracts for the documentation, made by running this module."""

from __future__ import annotations

import importlib
import sys

from bench.checks.catalogue import catalogue_of, module_of
from bench.checks.contracts.contract import Contract
from bench.checks.contracts.known_faults import KNOWN_FAULTS
from bench.results.check import CONTRACTS, Check

_HEAD = """\
# Contracts of the public API

What public parts of TensorFlow and Keras owe their user, each held against a truth that needs no
baseline: float64 NumPy within the bound of rounding, or an exact relation.
`python -m tox run -e contracts` (`pytest suites/test_contracts.py`) tests them on the TensorFlow that
is installed, and so does the quick tier; `bench upgrade OLD NEW` tests both sides, and a contract that
is broken on one side alone, or that the documentation of the other side words otherwise, makes the
upgrade unsafe.

A contract that one side alone breaks has, where it can be cut out of bench's source, a script of at
most 60 lines of TensorFlow and NumPy, which ends with status 0 where the contract is kept and with 1
where it is broken: `bench upgrade` writes three of what NEW breaks, `bench bisect` that of a finding
which NEW breaks, `bench reproduce UPGRADE CONTRACT` any. It computes the number that was out and holds
it against the truth that bench found, as a literal; it is kept only if it was run on both sides and
shows it. Others have their line of pytest.

`python -m tox run -e contracts -- -k "callbacks: and early_stopping"` runs those whose names match,
with `--collect-only -q` it lists them, and `bench show NAME` says what a run measured of one.

This page is made from the code: `python -m bench.checks.contracts.page > docs/contracts.md`.
"""


#: Inside a table a bare one ends a column.
_PIPE = "\\|"
_COLUMNS = ("| contract | of | what holds | broken by |", "|:--|:--|:--|:--|")


def page() -> str:
    """Markdown: a table for each family, in the order of its module."""
    parts = [_HEAD]
    for family in CONTRACTS:
        module = importlib.import_module(module_of(family))
        summary = (module.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        rows = [_row(family, contract) for contract in catalogue_of(family).contracts.values()]
        parts.append("\n".join([f"## {summary}\n", *_COLUMNS, *rows]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _row(family: str, contract: Contract) -> str:
    check = Check(family=family, subject=contract.subject).id
    faults = [fault for fault in KNOWN_FAULTS if fault.breaks(check)]
    broken = "; ".join(f"{fault.versions}: {fault.what}" for fault in faults)
    only = "" if len(contract.keras) > 1 else f" (Keras {contract.keras[0]})"
    if contract.counterpart:
        only = f"{only[:-1]}; else `{contract.counterpart}`)"
    truth = contract.truth.replace("|", _PIPE)
    return f"| `{check}` | `{contract.thing}`{only} | {truth} | {broken} |"


if __name__ == "__main__":
    sys.stdout.write(page())
