"""Claims about transformers before their first step; :mod:`bench.theory.signal.transformer` derives
them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from bench.cells.cell import Cell
from bench.mnist import MNIST_FINGERPRINT
from bench.results.record import Record
from bench.theory.claim import Claim, Finding
from bench.theory.signal import transformer


def _stream(cell: Cell, records: Sequence[Record]) -> Finding | None:
    """Whether the last sum is as large as branches make it."""
    sizes = transformer.looked(_of_mnist(records), transformer.last_sum(cell))
    if not sizes:
        return None
    expected = transformer.stream(cell)
    holds, lowest, highest = expected.holds([size**2 for size in sizes])
    return holds, (
        f"mean square of {transformer.last_sum(cell)}: {_mean([size**2 for size in sizes]):.4g}, "
        f"predicted {expected.lowest:.4g} to {expected.highest:.4g}, with the spread of {len(sizes)} "
        f"seeds {lowest:.4g} to {highest:.4g}"
    )


def _last_gradient(cell: Cell, records: Sequence[Record]) -> Finding | None:
    """Whether the last block's gradient is as large as that sum makes it."""
    seen = [r for r in _of_mnist(records) if r.start is not None and r.start.signal[-1]]
    logits = transformer.looked(seen, "logits")
    signals = [record.start.signal[-1] or 0.0 for record in seen if record.start is not None]
    if not logits:
        return None
    expected = transformer.last_gradient(cell, float(np.sqrt(fmean(size**2 for size in logits))))
    holds, lowest, highest = expected.holds(signals)
    return holds, (
        f"mean square of the gradient at the last block's activation: {_mean(signals):.4g}, predicted "
        f"{expected.lowest:.4g} to {expected.highest:.4g}, with the spread of {len(signals)} seeds "
        f"{lowest:.4g} to {highest:.4g}"
    )


def _of_mnist(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.data == MNIST_FINGERPRINT]


def _mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


TRANSFORMER_STREAM = Claim(
    "transformer-stream",
    "Before the first step each branch of a Pre-LN transformer adds to the mean square of the stream, "
    "which grows in proportion to depth; behind Post-LN it is that of one branch more than 1 (Xiong "
    "et al. 2020).",
    transformer.speaks,
    _stream,
)
TRANSFORMER_LAST_GRADIENT = Claim(
    "transformer-last-gradient",
    "Before the first step the gradient in a transformer's last feed-forward layer is divided by the "
    "root of that mean square: behind Pre-LN it shrinks as 1 / sqrt(depth), behind Post-LN it does not "
    "(Xiong et al. 2020).",
    lambda cell: transformer.speaks(cell) and cell.loss == "crossentropy",
    _last_gradient,
)
TRANSFORMER_CLAIMS = (TRANSFORMER_STREAM, TRANSFORMER_LAST_GRADIENT)
