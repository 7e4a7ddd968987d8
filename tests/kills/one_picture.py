"""An engine for the kills: one small picture for each job, told by its model's bytes, in no time."""

from __future__ import annotations

import hashlib

from glossi_sync.studio.engines import RenderedFile, RenderRequest


class OnePicture:
    """Implements the studio's ``Engine``."""

    name = "one picture"

    def check(self) -> None:
        pass

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        [model] = request.models
        (request.folder / "front.png").write_bytes(picture_of(model.path.read_bytes()))
        return (RenderedFile("Front View", "front.png", "PNG", False),)


def picture_of(model: bytes) -> bytes:
    """What is made of a model's file: no two models' pictures are alike."""
    return hashlib.sha256(model).digest()
