"""Reproducer of a contract: its own source, cut down to a script of TensorFlow and NumPy alone."""
