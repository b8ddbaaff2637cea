"""From arrays to numbers: gradient flow, trajectories, digests. NumPy only."""
