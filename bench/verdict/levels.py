"""Levels: how the chance of any false alarm in a run is divided."""

#: placeholder until the luck branch is merged
ENVELOPE = 0.0067
ALPHA = 0.05
