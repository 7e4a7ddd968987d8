"""Processing: is this model's file usable, and what is in it? Pure functions of the file, run in a worker process.

    upload ─> convert (formats/: to GLB, where it is not one) ─> inspect (is it sound? what is in it?) ─> facts

A file that passes can be rendered; one that does not is FAILED with a message for the person who exported it. Time is
bounded by the workshop, memory by ``limits`` and by what each step believes: nothing that is only claimed.

Sources: the glTF 2.0 specification; service-facts, Models (file types, statuses).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glossi_sync.studio.processing.facts import ModelFacts, ProcessingError
from glossi_sync.studio.processing.formats import convert
from glossi_sync.studio.processing.inspection import inspect
from glossi_sync.studio.processing.limits import limited_memory

__all__ = ["CONVERTED", "THUMBNAIL", "ModelFacts", "ProcessedModel", "ProcessingError", "process"]

CONVERTED = "model.glb"
"""What a model is called in its working folder once it is converted."""

THUMBNAIL = "thumbnail.jpg"


@dataclass(frozen=True, slots=True)
class ProcessedModel:
    """A model that is usable: its facts, and which files were made of it in the working folder."""

    facts: ModelFacts
    converted: bool = False
    """``CONVERTED`` is there, to be rendered in place of the upload, which is no GLB."""
    thumbnail: bool = False
    """``THUMBNAIL`` is there."""


def process(
    path: Path, file_type: str, folder: Path, draw: Callable[[Path, Path], bool] | None = None
) -> ProcessedModel:
    """Check a model's file and measure it, converted into ``folder`` first where it is no GLB.

    Args:
        draw: makes a thumbnail of a GLB, at a path; says whether it could. None: there is to be none.

    Raises:
        ProcessingError: the file is not usable.
        OSError: the file cannot be read, or the folder not be written to.
    """
    glb = path if file_type == "glb" else folder / CONVERTED
    with limited_memory(path):
        if glb != path:
            convert(path, file_type, glb)
        facts = inspect(glb)
    return ProcessedModel(facts, converted=glb != path, thumbnail=draw is not None and draw(glb, folder / THUMBNAIL))
