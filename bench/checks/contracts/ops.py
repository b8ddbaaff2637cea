"""Operations: functions of ``keras.ops``, at once, in a graph and for symbols."""

from __future__ import annotations

from bench.checks.contracts import ops_arrays, ops_elementwise, ops_sums
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.operation import register

catalogue = Catalogue("ops")
checks, run = catalogue.checks, catalogue.run

for table in (ops_elementwise, ops_arrays, ops_sums):
    register(catalogue, table.OPERATIONS)
