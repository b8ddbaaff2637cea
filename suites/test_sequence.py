"""Do recurrent networks train the same, and how far do gradients reach back in time?"""

from bench.cells import sequence_grids
from bench.theory import claims, recurrent_claims
from bench.theory.claim import ClaimResult
from bench.verdict.judgement import Judgement

GRID = sequence_grids.SEQUENCE
CLAIMS = (
    *recurrent_claims.RECURRENT_CLAIMS,
    claims.CLIPPING_BOUNDS,
    claims.CLIPPING_PASSES,
)


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says, and breaks no claim."""
    assert not judgement.verdict.fails, judgement.reason


def test_claim(claim_results: list[tuple[str, ClaimResult]]) -> None:
    """The claim holds on every cell that it speaks of."""
    violated = [f"{cell}: {result.evidence}" for cell, result in claim_results if not result.holds]
    assert not violated, "\n".join([claim_results[0][1].statement, *violated])
