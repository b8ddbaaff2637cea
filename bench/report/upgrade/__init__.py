"""An upgrade for people: report.md, report.html, upgrade-report.json; a chain of versions."""
