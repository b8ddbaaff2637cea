"""What people read: Markdown, the terminal's last lines, two runs compared. No TensorFlow."""

from bench.report.comparison import FORMATS, compare_runs
from bench.report.github import append_step_summary
from bench.report.markdown import full_report, short_report
from bench.report.terminal import summary_lines

__all__ = [
    "FORMATS",
    "append_step_summary",
    "compare_runs",
    "full_report",
    "short_report",
    "summary_lines",
]
