"""What people read: Markdown, the terminal's last lines, two runs compared. No TensorFlow.

The package itself imports nothing: a progress line does not wait for the tables' libraries.
"""
