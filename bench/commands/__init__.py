"""The command line, ``bench ...``: thin. Imports no TensorFlow."""
