"""Reporting: plans and runs, told to people and to programs.

A plan as text, JSON or Markdown; an apply's events as a live display, plain lines or JSON lines; the summary at the
end. Nothing here asks the service or touches the state: it is given values and writes characters.
"""

from glossi_sync.reporting.drift import drift_document, drift_markdown, drift_text
from glossi_sync.reporting.history import history_text, holders_text, strays_text
from glossi_sync.reporting.plan_json import plan_document
from glossi_sync.reporting.plan_markdown import plan_markdown
from glossi_sync.reporting.plan_text import plan_text, width_of
from glossi_sync.reporting.previews import Preview, Previews, drawing, previews_document, previews_text
from glossi_sync.reporting.reading import reading
from glossi_sync.reporting.report import JsonReport, Report, TextReport
from glossi_sync.reporting.status import StatusRow, status_document, status_rows, status_text

__all__ = [
    "JsonReport",
    "Preview",
    "Previews",
    "Report",
    "StatusRow",
    "TextReport",
    "drawing",
    "drift_document",
    "drift_markdown",
    "drift_text",
    "history_text",
    "holders_text",
    "plan_document",
    "plan_markdown",
    "plan_text",
    "previews_document",
    "previews_text",
    "reading",
    "status_document",
    "status_rows",
    "status_text",
    "strays_text",
    "width_of",
]
