"""What is concluded from records, and from which evidence. NumPy and SciPy only."""
