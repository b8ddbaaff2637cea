"""What rounding explains: formats, bounds, Monte Carlo arithmetic."""
