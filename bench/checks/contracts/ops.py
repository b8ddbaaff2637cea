"""Operations: functions of ``keras.ops``, at once, in a graph and for symbols."""

from __future__ import annotations

from bench.checks.contracts import (
    ops_activations,
    ops_control,
    ops_elementwise,
    ops_images,
    ops_linear,
    ops_neural,
    ops_pixels,
    ops_plain,
    ops_products,
    ops_sequences,
    ops_slopes,
    ops_windows,
)
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.operation import register

catalogue = Catalogue("ops")
checks, run = catalogue.checks, catalogue.run

for _module in (
    ops_elementwise,
    ops_linear,
    ops_products,
    ops_activations,
    ops_neural,
    ops_sequences,
    ops_windows,
    ops_images,
    ops_pixels,
    ops_control,
    ops_slopes,
):
    register(catalogue, _module.OPERATIONS)
ops_plain.register(catalogue)
