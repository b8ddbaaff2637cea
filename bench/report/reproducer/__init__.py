"""A short script that shows what an upgrade changed."""
