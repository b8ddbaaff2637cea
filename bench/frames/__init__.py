"""Frames: results as pandas DataFrames, with the columns that ids are made of."""
