"""Numbers made of arrays: gradient flow, trajectories, digests. NumPy only."""
