"""TensorFlow's own arithmetic against independent truth. Run in a training process.

A module per family of checks. Each has ``checks(tier)``, which lists them without importing
TensorFlow, and ``run(check, lab)``, which yields one deviation per compared tensor, in the order of the
computation.
"""
