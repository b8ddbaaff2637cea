"""What must hold for any TensorFlow version. NumPy and SciPy only."""
