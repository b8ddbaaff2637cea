"""Rounding: formats, bounds, Monte Carlo arithmetic."""
