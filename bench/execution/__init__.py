"""Running tasks: a Dask cluster whose workers each own one training process."""
