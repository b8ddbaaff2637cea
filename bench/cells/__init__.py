"""Cells, which are trained, and grids of them."""
