"""What holds for gradients exactly, whatever the weights: over all cells that it applies to.

In float32, in float64, and in mixed precision with bfloat16 and float16.
"""

from bench.results.check import CheckResult

FAMILIES = ("invariant",)


def test_check(check_result: CheckResult) -> None:
    """All invariants hold on all cells that have this network, within the bounds of rounding."""
    assert not check_result.fails, check_result.reason
