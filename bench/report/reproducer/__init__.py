"""A short script that shows what an upgrade changed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bench.results.check import Check
from bench.results.plan import Item

#: Paths of scripts, by the cell or the check that each shows.
Scripts = Mapping[Item | Check, str]

NO_SCRIPTS: Scripts = MappingProxyType({})
