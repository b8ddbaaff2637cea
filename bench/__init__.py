"""Regression tests and benchmarks for TensorFlow: is this upgrade safe?

Importing this package neither imports TensorFlow nor touches files, devices or random state.
"""

__version__ = "0.1.0"
