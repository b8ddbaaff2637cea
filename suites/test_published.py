"""Seven published experiments on vanishing and exploding gradients: do their findings still hold?

Each is trained as it was published, with today's API and as the original's graph and session.
"""

import pytest

from bench.published.claims import Finding

EXPERIMENTS = ("P1", "P2", "P3", "P4", "P5", "P6", "P7")


def test_finding(finding: Finding) -> None:
    """What the original found holds, or what TensorFlow must do in any case."""
    if finding.holds is None:
        pytest.skip(finding.evidence)
    if not finding.holds and not finding.binding:
        pytest.xfail(f"the original is not confirmed: {finding.evidence}")
    assert finding.holds, f"{finding.statement}\n{finding.evidence}"
