"""Previews: the ``filament`` engine in a hurry, for a look at what is to be rendered in earnest elsewhere.

The first few bookmarks of a template alone, a little larger than a page shows them, with coarser shadows.
"""

from __future__ import annotations

from dataclasses import replace

from glossi_sync.studio.engines import RenderedFile, RenderRequest
from glossi_sync.studio.engines.filament import Draft, FilamentEngine

BOOKMARKS = 2
"""So many pictures are taken of each look of a product."""

_DRAFT = Draft((960, 540), passes=4, shadows=64, patch=384)


class PreviewEngine:
    """Filament, for previews; its check is Filament's."""

    name = "preview"

    def __init__(self) -> None:
        self._filament = FilamentEngine(_DRAFT)

    def check(self) -> None:
        """Raises EngineUnavailable as Filament does."""
        self._filament.check()

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        """Render the first bookmarks; raises EngineError as Filament does."""
        template = replace(request.template, bookmarks=request.template.bookmarks[:BOOKMARKS], shots=())
        return self._filament.render(replace(request, template=template))
