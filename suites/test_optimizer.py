"""Does every optimizer still take the same steps, with clipping and weight decay too?"""

from bench.cells import component_grids
from bench.verdict.judgement import Judgement

GRID = component_grids.OPTIMIZER


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says."""
    assert not judgement.verdict.fails, judgement.reason
