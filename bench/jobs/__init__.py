"""What a command does from selection to report: run, upgrade, merge, reproduce."""
