"""The report: one HTML page that shows every product with its pictures, from the state and the files at home.

``contents`` says what stands on the page (values of the state in, values out); ``pictures`` makes small pictures and
measures what changed between two of them; ``writing`` puts both into ``report.html.jinja``. The page holds all that it
shows and asks nobody for anything. Pillow, numpy, PyAV and Jinja2 come with the extra ``report`` and are imported where
they are used. Nothing here asks the service or reads the state.
"""

from glossi_sync.reporting.page.contents import Memory, Page, page_of, page_of_run
from glossi_sync.reporting.page.writing import ExtraMissing, Style, Written, summary, write_page

__all__ = ["ExtraMissing", "Memory", "Page", "Style", "Written", "page_of", "page_of_run", "summary", "write_page"]
