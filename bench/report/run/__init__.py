"""A run for people: report.md, the terminal's last lines."""
