"""Does training in double and in mixed precision round where it did?"""

from bench.cells import component_grids
from bench.verdict.judgement import Judgement

GRID = component_grids.PRECISION


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says."""
    assert not judgement.verdict.fails, judgement.reason
