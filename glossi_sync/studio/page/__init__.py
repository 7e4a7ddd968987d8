"""The studio's page: what is there, to look at, in a browser: models, projects, renders, results, deliveries.

It reads and never changes anything. ``access`` says who may look (a workspace at a time), ``queries`` asks the records,
``routes`` answers with HTML from ``templates/`` (Jinja2) that lives on with htmx; ``static/`` holds all that it loads,
so it works without internet. ``reference`` is ``/docs``, made of the OpenAPI document. Not for: programs (``api``).
"""

from glossi_sync.studio.page.access import PageAccess
from glossi_sync.studio.page.routes import install

__all__ = ["PageAccess", "install"]
