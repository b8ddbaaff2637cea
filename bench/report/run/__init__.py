"""What is left to be told of a run: rows of a grid."""
