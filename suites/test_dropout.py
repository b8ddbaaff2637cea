"""Does dropout regularize training as it did, and leave inference alone?"""

from bench.cells import component_grids
from bench.verdict.judgement import Judgement

GRID = component_grids.DROPOUT


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says."""
    assert not judgement.verdict.fails, judgement.reason
