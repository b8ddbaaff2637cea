"""Where replicas run: a Dask cluster whose workers each own one training process."""
