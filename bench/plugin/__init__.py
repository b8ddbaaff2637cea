"""The pytest plugin: thin."""
