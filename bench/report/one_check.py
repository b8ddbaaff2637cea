"""All that is known of one check or contract: its truth, and what came of it by side."""

from __future__ import annotations

from bench.checks.catalogue import contract_of
from bench.errors import count
from bench.report.document import Block, Bullets, Section, Table
from bench.report.markup import code, strong
from bench.report.text import NOTHING, clipped, significant
from bench.results.check import Check, CheckResult
from bench.verdict.conclusion import Conclusion

_HEADERS = ("side", "state", "compared", "most of a bound used")
_MOST_EVIDENCE = 2_000


def check_blocks(conclusion: Conclusion, check: Check) -> list[Block]:
    """Blocks of a document: the truth, a row for each side, then what is out of bounds."""
    runs = {"run": conclusion.run}
    if conclusion.old is not None:
        runs = {"OLD": conclusion.old, "NEW": conclusion.run}
    results = {side: run.checks.get(check) for side, run in runs.items()}
    contract = contract_of(check)
    out = [
        f"{side}, {clipped(each.tensor)}: {clipped(each.evidence, _MOST_EVIDENCE)}"
        for side, result in results.items()
        if result is not None
        for each in result.deviations
    ]
    blocks: list[Block | None] = [
        f"{code(contract.thing)}: {contract.truth}" if contract is not None else None,
        Table(_HEADERS, [_row(side, result) for side, result in results.items()], "llrl"),
        f"{strong('Out of bounds')}:" if out else None,
        Bullets(out),
        Bullets(
            [
                f"{side}: {clipped(text, _MOST_EVIDENCE)}"
                for side, result in results.items()
                if result is not None and (text := result.known or result.absent)
            ]
        ),
        f"Again: {code(f'bench run -k {check.id!r}')} (with tox: {code(_with_tox(check))}).",
    ]
    return [Section(check.id, blocks)]


def _with_tox(check: Check) -> str:
    environment = "contracts" if check.is_contract else "quick"
    return f"python -m tox run -e {environment} -- -k {check.id!r}"


def _row(side: str, result: CheckResult | None) -> list[str]:
    if result is None:
        return [side, "did not run", NOTHING, NOTHING]
    if result.absent:
        state = "not applicable"
    elif result.crash is not None:
        state = clipped(f"crashed: {result.crash.message}")
    elif result.wrong:
        state = "broken by a known fault" if result.known else "out of bounds"
    else:
        state = "known fault is gone" if result.known else "holds"
    closest = result.closest
    used = NOTHING
    if closest is not None:
        share = "out" if closest.excess is None else significant(closest.excess, 3)
        used = f"{share}: {clipped(closest.tensor, 100)}"
    return [side, state, count(result.compared, "tensor"), used]
