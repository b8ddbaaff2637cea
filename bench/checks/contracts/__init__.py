"""Contracts: what public parts of the training API owe their user, with truths that need no baseline.

A module per family, each with a :class:`bench.checks.contracts.contract.Catalogue` of its contracts. A
contract names a public thing of ``tf.keras`` or ``tf``, gives it sample inputs, and yields one
deviation per number that it compares: with float64 NumPy inside the bound of rounding, or exactly
with a relation that must hold in any version.
"""
