"""What clients bring: models, none like any other; some that the studio must refuse, some that it cannot render."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from triangle import triangle

from glossi_sync.service import wire

FLAWS: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "empty"),
    "cut short": (lambda content: content[: len(content) // 2], ""),
    "claims more than it has": (lambda content: content.replace(b'"count": 3', b'"count": 9'), ""),
    "not a number": (lambda content: content.replace(b'"max": [1, 1, 0]', b'"max": [NaN,1,0]'), "NaN"),
}
"""What makes a model unusable, and what its errorMessage says."""


@dataclass(frozen=True)
class Product:
    """A model's name, file and file type. Its ``name`` may tell the engine what to do (see ``engine``)."""

    name: str
    file_type: str
    content: bytes
    flaw: str | None

    @property
    def file_name(self) -> str:
        return f"model.{self.file_type}"

    @property
    def media_type(self) -> str:
        return wire.FILE_TYPES[self.file_type]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def new_product(number: int, rng: Random) -> Product:
    """Of thirty in a row three are flawed, one refuses to be rendered, two do so once, and three are STL."""
    name = f"product {number}"
    content = triangle(f"{name} {rng.random()}", size=rng.choice((*[0] * 10, 50_000, 400_000)))
    match number % 30:
        case 10 | 20 | 0:
            flaw = rng.choice([*FLAWS])
            return Product(name, "glb", FLAWS[flaw][0](content), flaw)
        case 5:
            return Product(f"refuses {number}", "glb", content, None)
        case 8 | 18:
            return Product(f"flickers {number}", "glb", content, None)
        case 3 | 13 | 23:
            return Product(name, "stl", _stl(name), None)
    return Product(name, "glb", content, None)


def _stl(name: str) -> bytes:
    facet = struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 10, 0, 0)
    return name.encode().ljust(80, b"\0") + struct.pack("<I", 1) + facet
