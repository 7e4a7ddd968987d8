"""Thumbnails: a small picture of each model, drawn while it is processed, in a worker, by the ``filament`` engine.

The set is the bundled Studio Light template's, seen from three quarters; the model looks as the file itself has it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from glossi_sync.studio.engines import EngineError, RenderRequest, Settings, SourceModel
from glossi_sync.studio.template import Bookmark, Checks, Template, View, bundled_templates

if TYPE_CHECKING:
    from glossi_sync.studio.engines.filament import FilamentEngine

log = logging.getLogger(__name__)

SIDE = 512
"""Pixels: a thumbnail is square."""

_SETTINGS = Settings(render_shots=False, render_variants=False)
_TEMPLATE_NAME = "Studio Light"
_VIEW = View(azimuth=32.0, elevation=16.0, field_of_view=24.0, fill=0.82, aim=(0.0, 0.0))


def draw_thumbnail(glb: Path, target: Path) -> bool:
    """Draw a GLB as a JPEG; False where it cannot be drawn, which says nothing about the model's worth.

    Raises:
        OSError: the file cannot be written.
    """
    from PIL import Image  # noqa: PLC0415 - the server reads this module, too

    if (engine := _engine()) is None:
        return False
    with TemporaryDirectory(dir=target.parent) as folder:
        request = RenderRequest((SourceModel(target.stem, glb),), _template(), _SETTINGS, Path(folder))
        try:
            (drawn,) = engine.render(request)
        except OSError:
            raise
        except Exception as error:
            log.log(
                logging.INFO if isinstance(error, EngineError) else logging.WARNING,
                "no thumbnail of %s: %s",
                glb,
                error,
            )
            return False
        with Image.open(Path(folder) / drawn.file_name) as picture:
            picture.convert("RGB").save(target, "JPEG", quality=88, optimize=True)
    return True


@cache
def _engine() -> FilamentEngine | None:
    from glossi_sync.studio.engines.filament import Draft, FilamentEngine  # noqa: PLC0415 - needs numpy

    engine = FilamentEngine(Draft((SIDE, SIDE), passes=3, shadows=16, patch=128))
    try:
        engine.check()
    except EngineError:
        return None
    return engine


@cache
def _template() -> Template:
    template = next(template for template in bundled_templates() if template.name == _TEMPLATE_NAME)
    anything = Checks(highlights=1.0, shadows=1.0, magenta=1.0, fill=0.0)
    return replace(template, bookmarks=(Bookmark("Thumbnail", _VIEW),), shots=(), checks=anything)
