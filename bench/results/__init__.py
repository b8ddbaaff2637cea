"""Tasks and outcomes: what is measured, read and written."""
