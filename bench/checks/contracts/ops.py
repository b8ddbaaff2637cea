"""Operations: functions of ``keras.ops``, at once, in a graph and for symbols."""

from __future__ import annotations

from bench.checks.contracts import ops_elementwise
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.operation import register

catalogue = Catalogue("ops")
checks, run = catalogue.checks, catalogue.run

register(catalogue, ops_elementwise.OPERATIONS)
