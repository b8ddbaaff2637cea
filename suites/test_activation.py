"""Which activations let gradients flow, and does each one still compute what it did?"""

from bench.cells import grids
from bench.theory import claims
from bench.theory.claim import ClaimResult
from bench.verdict.judgement import Judgement

GRID = grids.ACTIVATION
CLAIMS = (
    claims.MEAN_FIELD_SIGNAL_RATIO,
    claims.SIGMOID_SIGNAL_RATIO,
)


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says, and breaks no claim."""
    assert not judgement.verdict.fails, judgement.reason


def test_claim(claim_results: list[tuple[str, ClaimResult]]) -> None:
    """The claim holds on every cell that it speaks of."""
    violated = [f"{cell}: {result.evidence}" for cell, result in claim_results if not result.holds]
    assert not violated, "\n".join([claim_results[0][1].statement, *violated])
