"""Engines for the kills: small files whose bytes are told by the models', for each camera of the template.

"refuses …"    never can be rendered
"flickers …"   cannot at the first time

Imported in workers, where the moment of a kill may lie too: between two pictures, or once a file was put away. The one
that is killed is the server.
"""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio_kills.moments import FILE, PICTURE, AtPoint, read

from glossi_sync.studio.engines import EngineError, RenderedFile, RenderRequest
from glossi_sync.studio.storage import FolderDepot
from glossi_sync.studio.template import Checks, Template

FLICKERED = "GLOSSI_KILLS_FLICKERED"
"""The environment variable that names the folder in which an engine notes what has flickered."""

MOMENT = "GLOSSI_KILLS_MOMENT"
"""The environment variable that says when this server is killed, as ``moments.spelled``."""

PNG = b"\x89PNG\r\n\x1a\n"


class Sketch:
    """Implements the studio's ``Engine``. A job takes some milliseconds."""

    name = "sketch"

    def check(self) -> None:
        pass

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        for model in request.models:
            _obey(model.name)
        digests = [hashlib.sha256(model.path.read_bytes()).hexdigest() for model in request.models]
        picture = self._picture(request)
        files: list[RenderedFile] = []
        for camera, is_video in cameras(request.template, videos=request.settings.render_shots):
            file = RenderedFile(
                camera, f"{len(files)}.{'mp4' if is_video else 'png'}", "MP4" if is_video else "PNG", is_video
            )
            content = sketched(camera, digests) if picture is None else picture
            (request.folder / file.file_name).write_bytes(content)
            files.append(file)
            time.sleep(0.003)
            _pass(PICTURE)
        return tuple(files)

    def _picture(self, request: RenderRequest) -> bytes | None:
        return None


class Photograph(Sketch):
    """Filament's own picture of the first camera, small, stands for all of them: a renderer's threads and libraries
    are under way when the kill comes."""

    name = "photograph"

    def _picture(self, request: RenderRequest) -> bytes | None:
        from glossi_sync.studio.engines.filament import Draft, FilamentEngine

        anything = Checks(highlights=1.0, shadows=1.0, magenta=1.0, fill=0.0)
        template = replace(request.template, bookmarks=request.template.bookmarks[:1], shots=(), checks=anything)
        folder = request.folder / "photograph"
        folder.mkdir()
        engine = FilamentEngine(Draft(size=(160, 90), passes=1, shadows=4))
        drawn = engine.render(replace(request, models=request.models[:1], template=template, folder=folder))
        return (folder / drawn[0].file_name).read_bytes()


def cameras(template: Template, *, videos: bool) -> list[tuple[str, bool]]:
    """The names that a job's files have, and whether each is a video."""
    shots = [(shot.name, True) for shot in template.shots] if videos else []
    return [(bookmark.name, False) for bookmark in template.bookmarks] + shots


def sketched(camera: str, digests: Sequence[str]) -> bytes:
    """A camera's sketch of models, by the SHA-256 of each one's GLB file."""
    return hashlib.sha256("\n".join((camera, *digests)).encode()).digest()


def _obey(name: str) -> None:
    word = name.partition(" ")[0]
    if word == "refuses":
        raise EngineError("it refuses")
    if word == "flickers":
        note = Path(os.environ[FLICKERED]) / name.replace(" ", "-")
        if not note.exists():
            note.touch()
            raise EngineError("it flickered")


# --- the server's death at a worker's hand -------------------------------------------------------------------------------

_moment = read(os.environ[MOMENT]) if MOMENT in os.environ else None
_passes = itertools.count(1)


def _pass(point: str) -> None:
    if isinstance(_moment, AtPoint) and _moment.point == point and next(_passes) == _moment.nth:
        server = multiprocessing.parent_process()
        # Whoever takes in the children of a server that is dead already is innocent.
        if server is not None and server.pid is not None and server.pid == os.getppid():
            os.kill(server.pid, signal.SIGKILL)


if isinstance(_moment, AtPoint) and _moment.point == FILE:
    _place = FolderDepot.place

    def _place_and_pass(self: FolderDepot, *where: Any) -> None:
        _place(self, *where)
        _pass(FILE)

    FolderDepot.place = _place_and_pass  # type: ignore[method-assign]
