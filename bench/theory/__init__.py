"""Truth that holds for any TensorFlow version, by NumPy and SciPy alone."""
