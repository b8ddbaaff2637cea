"""Do convolutional networks train the same, with batch normalization and either pooling?"""

from bench.cells import component_grids
from bench.verdict.judgement import Judgement

GRID = component_grids.CONVOLUTION


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says."""
    assert not judgement.verdict.fails, judgement.reason
