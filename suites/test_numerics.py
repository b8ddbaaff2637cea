"""Does TensorFlow compute what its documentation says? Part by part, against float64 formulas.

Error bounds are derived from the rounding of each computation, so what is out was computed by another
formula, with another constant, or wrongly. No baseline is needed.
"""

from bench.results.check import ARITHMETIC, CheckResult

FAMILIES = tuple(family for family in ARITHMETIC if family != "invariant")


def test_check(check_result: CheckResult) -> None:
    """All tensors lie within the bounds of rounding."""
    assert not check_result.fails, check_result.reason
