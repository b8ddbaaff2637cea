"""Do recurrent networks train the same, and how far do gradients reach back in time?"""

from bench.cells import sequence_grids
from bench.verdict.judgement import Judgement

GRID = sequence_grids.SEQUENCE


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says, and breaks no claim."""
    assert not judgement.verdict.fails, judgement.reason
