"""What processing finds: facts, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

Vector = tuple[float, float, float]


class ProcessingError(Exception):
    """A model that is not usable; the message says what is wrong with the file and, where it can, what to do."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is in a model: counts of what its scene shows (triangles, vertices) and of what the file holds (the others).

    ``minimum`` and ``maximum`` are the corners of the scene's bounding box, in metres. ``extensions`` are the glTF
    extensions that the file says it uses, sorted.
    """

    triangles: int
    materials: int
    textures: int
    animations: int
    variants: tuple[str, ...]
    minimum: Vector
    maximum: Vector
    vertices: int = 0
    extensions: tuple[str, ...] = ()


def refuse(message: str) -> NoReturn:
    """Give a model up.

    Raises:
        ProcessingError: always.
    """
    raise ProcessingError(message)
