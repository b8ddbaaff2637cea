"""How deep can a network be, plain or with skip connections, before gradients vanish or explode?"""

from bench.cells import grids
from bench.theory import claims
from bench.theory.claim import ClaimResult
from bench.verdict.judgement import Judgement

GRID = grids.DEPTH
CLAIMS = (
    claims.MEAN_FIELD_SIGNAL_RATIO,
    claims.SIGMOID_SIGNAL_RATIO,
    claims.SIGMOID_VANISHES,
    claims.PLAIN_RELU_50_DOES_NOT_LEARN,
    claims.SKIPS_REACH_50,
)


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says, and breaks no claim."""
    assert not judgement.verdict.fails, judgement.reason


def test_claim(claim_results: list[tuple[str, ClaimResult]]) -> None:
    """The claim holds on every cell that it speaks of."""
    violated = [f"{cell}: {result.evidence}" for cell, result in claim_results if not result.holds]
    assert not violated, "\n".join([claim_results[0][1].statement, *violated])
