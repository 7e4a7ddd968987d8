"""Engines for tests of the service: what they draw is small and quick, what they do is told by a model's name.

"wait for PATH"     renders once the file is there; writes its process id to PATH.pid first
"crash"             takes its worker process along, each time, as a native renderer does
"exit"              does so quietly
"crash once PATH"   crashes where there is no file, and makes it
"refuse"            cannot be rendered
"refuse until PATH" cannot as long as there is no file
"stumble"           meets a defect of the engine
"chatter"           prints to standard output
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from PIL import Image

from glossi_sync.studio.engines import EngineError, EngineUnavailable, RenderedFile, RenderRequest
from glossi_sync.studio.engines.filament import Draft, FilamentEngine


class DrawingEngine:
    """A flat picture of 32 x 18 pixels for each bookmark and model; the beginning of a video for each shot."""

    name = "small_engines"

    def check(self) -> None:
        pass

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        _obey(request)
        files: list[RenderedFile] = []
        for bookmark in request.template.bookmarks if request.settings.render_bookmarks else ():
            for model in request.models:
                look = model.name if len(request.models) > 1 else "Default"
                files.append(RenderedFile(f"{bookmark.name} - {look}", f"{len(files)}.png", "PNG", False))
                Image.new("RGB", (32, 18), (40, 90, 160)).save(request.folder / files[-1].file_name)
        for shot in request.template.shots if request.settings.render_shots else ():
            files.append(RenderedFile(f"{shot.name} - Default", f"{len(files)}.mp4", "MP4", True))
            (request.folder / files[-1].file_name).write_bytes(b"\0\0\0\x18ftypisom, a video's first letters")
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


class AbsentEngine(DrawingEngine):
    """An engine that this machine lacks something for: a file at the path in the environment variable EASEL."""

    def check(self) -> None:
        if not Path(os.environ["EASEL"]).exists():
            raise EngineUnavailable("there is no easel here; mend it with: apt-get install easel")


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
            case ["exit"]:
                os._exit(0)
            case ["crash", "once", path]:
                if not Path(path).exists():
                    Path(path).touch()
                    os.abort()
            case ["refuse"]:
                raise EngineError("the easel is too small for this")
            case ["refuse", "until", path]:
                if not Path(path).exists():
                    raise EngineError("the easel is too small for this")
            case ["stumble"]:
                raise ZeroDivisionError("1/0")
            case ["chatter"]:
                os.write(1, b"this is not JSON\n")
