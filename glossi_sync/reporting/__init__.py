"""Reporting: plans and runs, told to people and to programs.

A plan as text, JSON or Markdown; an apply's events as a live display, plain lines or JSON lines; the summary at the
end. Nothing here asks the service or touches the state: it is given values and writes characters.
"""

from glossi_sync.reporting.history import history_text, strays_text
from glossi_sync.reporting.plan_json import plan_document
from glossi_sync.reporting.plan_markdown import plan_markdown
from glossi_sync.reporting.plan_text import plan_text
from glossi_sync.reporting.reading import reading
from glossi_sync.reporting.report import JsonReport, Report, TextReport
from glossi_sync.reporting.status import StatusRow, status_document, status_rows, status_text

__all__ = [
    "JsonReport",
    "Report",
    "StatusRow",
    "TextReport",
    "history_text",
    "plan_document",
    "plan_markdown",
    "plan_text",
    "reading",
    "status_document",
    "status_rows",
    "status_text",
    "strays_text",
]
