"""The networks of :mod:`bench.nets` in NumPy, from the formulas of the publications."""
