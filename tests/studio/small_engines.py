"""Engines for tests of the service: what they draw is small and quick, what they do is told by a model's name.

"wait for PATH"   renders once the file is there; writes its process id to PATH.pid first
"crash"           takes its worker process along, each time
"crash once PATH" does so until the file is there, and makes it
"refuse"          cannot be rendered
"stumble"         meets a defect of the engine
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from PIL import Image

from glossi_sync.studio.engines import EngineError, EngineUnavailable, RenderedFile, RenderRequest
from glossi_sync.studio.engines.filament import Draft, FilamentEngine


class DrawingEngine:
    """A flat picture of 32 x 18 pixels for each bookmark and model; no videos."""

    name = "small_engines"

    def check(self) -> None:
        pass

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        _obey(request)
        files = []
        for model in request.models:
            for bookmark in request.template.bookmarks if request.settings.render_bookmarks else ():
                file_name = f"{len(files)}.png"
                Image.new("RGB", (32, 18), (40, 90, 160)).save(request.folder / file_name)
                files.append(RenderedFile(f"{bookmark.name} - {model.name}", file_name, "PNG", False))
        return tuple(files)


class DraftFilamentEngine:
    """Filament's own pictures, small."""

    name = "small_engines"

    def __init__(self) -> None:
        self._filament = FilamentEngine(Draft(size=(160, 90), passes=1, shadows=4))

    def check(self) -> None:
        self._filament.check()

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        _obey(request)
        return self._filament.render(request)


class AbsentEngine:
    """An engine that this machine lacks something for."""

    name = "small_engines"

    def check(self) -> None:
        raise EngineUnavailable("there is no easel here; mend it with: apt-get install easel")

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        raise AssertionError("never asked, because the check fails")


def _obey(request: RenderRequest) -> None:
    for model in request.models:
        words = model.name.split()
        match words:
            case ["wait", "for", path]:
                Path(path + ".pid").write_text(str(os.getpid()))
                while not Path(path).exists():
                    time.sleep(0.01)
            case ["crash"]:
                os.abort()
            case ["crash", "once", path]:
                if not Path(path).exists():
                    Path(path).touch()
                    os.abort()
            case ["refuse"]:
                raise EngineError("the easel is too small for this")
            case ["stumble"]:
                raise ZeroDivisionError("1/0")
