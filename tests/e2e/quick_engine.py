"""An engine for end-to-end tests: files of a few bytes in no time; a model's name may ask for trouble.

"fails until PATH"   the job fails as long as there is no file at PATH
"fails once PATH"    the job fails where there is no file at PATH, and makes it
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from glossi_sync.studio.engines import EngineError, RenderedFile, RenderRequest


class QuickEngine:
    """One file for each camera, its content told by the models' bytes, so that no two models' pictures are alike."""

    name = "quick_engine"

    def check(self) -> None:
        pass

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        for model in request.models:
            _obey(model.name)
        look = ", ".join(model.name for model in request.models)
        seed = b"".join(model.path.read_bytes() for model in request.models)
        files: list[RenderedFile] = []

        def draw(camera: str, suffix: str, file_type: str, is_video: bool) -> None:
            file_name = f"{len(files)}.{suffix}"
            content = hashlib.sha256(f"{camera} {request.settings}".encode() + seed).digest()
            (request.folder / file_name).write_bytes(content)
            files.append(RenderedFile(f"{camera} - {look}", file_name, file_type, is_video))

        for bookmark in request.template.bookmarks if request.settings.render_bookmarks else ():
            draw(bookmark.name, "png", "PNG", False)
        for shot in request.template.shots if request.settings.render_shots else ():
            draw(shot.name, "mp4", "MP4", True)
        return tuple(files)


def _obey(name: str) -> None:
    match name.split():
        case ["fails", "until", path]:
            if not Path(path).exists():
                raise EngineError("the lamp is out")
        case ["fails", "once", path]:
            if not Path(path).exists():
                Path(path).touch()
                raise EngineError("the lamp flickered")
