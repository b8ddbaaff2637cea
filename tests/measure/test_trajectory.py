"""Trajectory and digest: which bits count."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from bench.measure.trajectory import (
    LENGTH,
    digest,
    first_not_finite,
    from_bytes,
    marks,
    state,
    trajectory,
)

pytestmark = pytest.mark.filterwarnings("error")

LOSSES = np.linspace(2.3, 0.3, 1200, dtype=np.float32)
GRADIENTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([0.0, 1.5], np.float32)]


@pytest.mark.parametrize(("steps", "kept"), [(1, 1), (600, 600), (1000, 1000), (1200, 1000)])
def test_the_first_1000_losses_are_kept(steps: int, kept: int) -> None:
    """Four bytes each, and they come back as they were."""
    assert LENGTH == 1000
    stored = trajectory(LOSSES[:steps])
    assert len(stored) == 4 * kept
    np.testing.assert_array_equal(from_bytes(stored), LOSSES[:kept])
    assert from_bytes(stored).dtype == np.float32


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, [1]),
        (2, [1, 2]),
        (10, [1, 9, 10]),
        (25, [1, 10, 20, 24, 25]),
        (230, [1, *range(10, 200, 10), 200, 225, 229, 230]),
    ],
)
def test_states_are_marked_early_regularly_and_at_both_ends(
    steps: int, expected: list[int]
) -> None:
    """Worked by hand; in order, each once."""
    assert marks(steps) == expected


def test_a_state_is_of_all_bits_in_order() -> None:
    """One unit in the last place of the last number, or another order, is another state."""
    assert state(GRADIENTS) == state([array.copy() for array in GRADIENTS])
    assert (
        len({state(GRADIENTS), state(GRADIENTS[::-1]), state([*GRADIENTS[:1], _ulp(GRADIENTS[1])])})
        == 3
    )


def test_bytes_are_little_endian_wherever_they_come_from() -> None:
    """1.0 is 0x3f800000; also from a strided view and a big-endian array."""
    one_two = b"\x00\x00\x80\x3f\x00\x00\x00\x40"
    assert trajectory(np.array([1, 2], np.float32)) == one_two
    assert trajectory(np.array([1, 9, 2, 9], np.float32)[::2]) == one_two
    assert trajectory(np.array([1, 2], ">f4")) == one_two


def test_a_digest_is_that_of_its_bytes() -> None:
    """Worked by hand: each array's dtype, shape and bytes."""
    content = b"<f4(2, 3)" + GRADIENTS[0].tobytes() + b"<f4(2,)" + GRADIENTS[1].tobytes()
    assert digest(GRADIENTS) == hashlib.sha256(content).hexdigest()[:32]


def _ulp(array: np.ndarray) -> np.ndarray:
    moved = array.copy()
    moved.flat[-1] = np.nextafter(moved.flat[-1], np.float32(9), dtype=moved.dtype)
    return moved


CHANGED_GRADIENTS = {
    "one unit in the last place": [GRADIENTS[0], _ulp(GRADIENTS[1])],
    "sign of zero": [GRADIENTS[0], np.array([-0.0, 1.5], np.float32)],
    "order of variables": GRADIENTS[::-1],
    "shape": [GRADIENTS[0].reshape(3, 2), GRADIENTS[1]],
    "transposed": [np.ascontiguousarray(GRADIENTS[0].reshape(3, 2).T), GRADIENTS[1]],
    "dtype": [GRADIENTS[0].view(np.int32), GRADIENTS[1]],
    "precision": [GRADIENTS[0].astype(np.float64), GRADIENTS[1]],
    "a variable less": GRADIENTS[:1],
    "a variable more": [*GRADIENTS, np.zeros((0,), np.float32)],
    "split otherwise": [GRADIENTS[0][:1], GRADIENTS[0][1:], GRADIENTS[1]],
    "payload of NaN": [
        GRADIENTS[0],
        np.array([0x7FC00001, 0x3FC00000], np.uint32).view(np.float32),
    ],
}


def test_a_digest_sees_every_change() -> None:
    """Each alone; all the digests differ from one another, too."""
    late = LOSSES.copy()
    late[-1] = np.nextafter(late[-1], np.float32(9))
    digests = {
        "unchanged": digest([LOSSES, *GRADIENTS]),
        "last loss": digest([late, *GRADIENTS]),
        "a loss less": digest([LOSSES[:-1], *GRADIENTS]),
        **{name: digest([LOSSES, *changed]) for name, changed in CHANGED_GRADIENTS.items()},
    }
    assert len(set(digests.values())) == len(digests) == 14


def test_a_digest_sees_nothing_else() -> None:
    """Equal values in another memory layout."""
    expected = digest(GRADIENTS)
    fortran = [np.asfortranarray(GRADIENTS[0]), np.repeat(GRADIENTS[1], 2)[::2]]
    assert digest(fortran) == expected
    assert len(expected) == 32


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([2.3, 1.0], None),
        ([], None),
        ([math.nan, 1.0], 0),
        ([2.3, 1.0, math.inf, math.nan], 2),
        ([2.3, -math.inf], 1),
        ([3e38], None),
    ],
)
def test_first_not_finite(losses: list[float], step: int | None) -> None:
    """Counted from 0; a large loss is a loss."""
    assert first_not_finite(np.array(losses, np.float32)) == step
