"""OBJ, alone or in a zip archive with its materials (MTL) and textures. Taken to be in metres, with +Y up.

Of a material: base colour, emission, opacity, the shininess of old or roughness and metalness of today's exporters
(``Pr``, ``Pm``), and the textures of each, and a normal map.

Sources: Wavefront's OBJ and MTL as programs write them; the PBR extension to MTL (``Pr``, ``Pm``, ``norm``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.processing.archive import Archive, is_archive
from glossi_sync.studio.processing.facts import refuse
from glossi_sync.studio.processing.glb_writer import PLAIN, GlbWriter, Primitive, shared
from glossi_sync.studio.processing.pictures import for_gltf, opened, packed
from glossi_sync.studio.processing.polygons import smooth_normals, triangulated

MAX_CORNERS = 60_000_000

Lookup = Callable[[str], bytes | None]
"""The bytes of another file by the name that this one has for it; None where it was not uploaded."""


def convert(path: Path, file_type: str, target: Path) -> None:
    """See ``formats.convert``."""
    archive = Archive(path) if is_archive(path) else None
    name = "" if archive is None else archive.main(".obj")
    content = path.read_bytes() if archive is None else archive.read(name)

    def look_up(reference: str) -> bytes | None:
        found = None if archive is None else archive.find(reference, name)
        return None if archive is None or found is None else archive.read(found)

    shape = _read(content)
    libraries = [found for reference in shape.libraries if (found := look_up(reference)) is not None]
    materials = {name: entry for library in libraries for name, entry in _read_materials(library).items()}
    writer = GlbWriter("OBJ")
    primitives = []
    for look, faces in shape.faces.items():
        material = _material(writer, look, materials[look], look_up) if look in materials else writer.material(PLAIN)
        primitive = _primitive(shape, faces, material)
        if primitive is not None:
            primitives.append(primitive)
    if not primitives:
        refuse("the OBJ file holds no faces")
    writer.node(mesh=writer.mesh(primitives), root=True)
    writer.write(target)


@dataclass(slots=True)
class _Faces:
    """Faces of one material: corners, three numbers each (place, texture, normal; -1: none), and how many a face."""

    corners: list[tuple[int, int, int]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Shape:
    positions: NDArray[np.float64]
    colors: NDArray[np.float64] | None
    uvs: NDArray[np.float64]
    normals: NDArray[np.float64]
    faces: dict[str, _Faces]
    libraries: list[str]


def _lines(content: bytes) -> Iterator[tuple[str, str]]:
    """The statements: keyword and the rest; comments gone, continued lines joined."""
    text = content.decode("utf-8", "replace").replace("\\\r\n", " ").replace("\\\n", " ")
    for line in text.splitlines():
        keyword, _, rest = line.partition("#")[0].strip().partition(" ")
        if keyword:
            yield keyword, rest.strip()


def _read(content: bytes) -> _Shape:
    if b"\0" in content[:1024]:
        refuse("the file is not an OBJ: it is not text")
    numbers: dict[str, list[list[str]]] = {"v": [], "vt": [], "vn": []}
    places, textures, normals = numbers["v"], numbers["vt"], numbers["vn"]
    faces: dict[str, _Faces] = defaultdict(_Faces)
    libraries: list[str] = []
    current, corners = faces[""], 0
    for keyword, rest in _lines(content):
        if keyword in numbers:
            numbers[keyword].append(rest.split())
        elif keyword == "f":
            face = [_corner(part, len(places), len(textures), len(normals)) for part in rest.split()]
            current.corners += face
            current.counts.append(len(face))
            corners += len(face)
            if corners > MAX_CORNERS:
                refuse(f"the faces of the OBJ file have more than {MAX_CORNERS:,} corners: simplify the model")
        elif keyword == "usemtl":
            current = faces[rest]
        elif keyword == "mtllib":
            libraries.append(rest)
    vertices = _table(places, "v", 3)
    wide = vertices.shape[1] >= 6
    return _Shape(
        positions=vertices[:, :3],
        colors=vertices[:, 3:6] if wide else None,
        uvs=_table(textures, "vt", 2)[:, :2],
        normals=_table(normals, "vn", 3)[:, :3],
        faces={look: of_look for look, of_look in faces.items() if of_look.counts},
        libraries=libraries,
    )


def _corner(part: str, places: int, textures: int, normals: int) -> tuple[int, int, int]:
    """``7``, ``7/8``, ``7//9`` or ``7/8/9``, counted from 1, or backwards from the last one so far."""
    try:
        at = [int(number) if number else 0 for number in part.split("/")]
    except ValueError:
        refuse(f"the OBJ file has a face with the corner {part[:40]!r}, which is not numbers")
    found = [
        number - 1 if number > 0 else known + number if number < 0 else -1
        for number, known in zip((*at, 0, 0), (places, textures, normals), strict=False)
    ]
    if len(at) > 3 or not 0 <= found[0] < places or not -1 <= found[1] < textures or not -1 <= found[2] < normals:
        refuse(f"the OBJ file has a face with the corner {part[:40]!r}, and there are {places:,} vertices so far")
    return found[0], found[1], found[2]


def _table(rows: list[list[str]], keyword: str, width: int) -> NDArray[np.float64]:
    """Rows of numbers, as wide as the narrowest of them."""
    narrow = min(map(len, rows), default=width)
    if narrow < width:
        refuse(f"the OBJ file has a line '{keyword}' of {narrow} numbers, not {width}")
    try:
        table = np.array([row[:narrow] for row in rows], dtype=np.float64).reshape(-1, narrow)
    except ValueError as error:
        refuse(f"the OBJ file has a line '{keyword}' that is not numbers: {error}")
    if not np.isfinite(table).all():
        refuse(f"the OBJ file has a line '{keyword}' with a number that is not finite")
    return table


def _primitive(shape: _Shape, faces: _Faces, material: int) -> Primitive | None:
    corners = np.array(faces.corners, np.int64).reshape(-1, 3)
    places = shape.positions[corners[:, 0]]
    triangles = triangulated(np.array(faces.counts, np.int64), places)
    if not len(triangles):
        return None
    flat = triangles.reshape(-1)
    normals = smooth_normals(places, triangles).reshape(-1, 3)
    given = corners[flat, 2]
    normals[given >= 0] = shape.normals[given[given >= 0]]
    uvs = None
    if (corners[:, 1] >= 0).any():
        of_corner = corners[flat, 1]
        uvs = np.where((of_corner >= 0)[:, None], shape.uvs[of_corner], 0.0) * (1, -1) + (0, 1)
    colors = None
    if shape.colors is not None:
        colors = np.ones((len(flat), 4))
        colors[:, :3] = _decoded(shape.colors[corners[flat, 0]])
    return shared(places[flat], normals, uvs, colors, material)


# --- materials -------------------------------------------------------------------------------------------------------


def _read_materials(content: bytes) -> dict[str, dict[str, str]]:
    """The materials of a library: statements by keyword in small letters."""
    materials: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for keyword, rest in _lines(content):
        if keyword == "newmtl":
            current = materials.setdefault(rest, {})
        else:
            current[keyword.lower()] = rest
    return materials


def _material(writer: GlbWriter, name: str, entry: dict[str, str], look_up: Lookup) -> int:
    def picture(*keywords: str) -> tuple[bytes, str] | None:
        for keyword in keywords:
            words = entry.get(keyword, "").split()
            # Options come first, and a file's name may hold spaces: the longest tail that names a file is it.
            for at in range(len(words)):
                content = look_up(" ".join(words[at:]))
                if content is not None:
                    return content, " ".join(words[at:])
        return None

    def number(keyword: str, default: float) -> float:
        return _numbers(entry.get(keyword, ""), 1, (default,))[0]

    opacity = _clamped(number("d", 1.0 - number("tr", 0.0)))
    # An exporter that knows no roughness gives the exponent of a highlight, from 0 to 1000.
    shininess = max(0.0, number("ns", 100.0))
    surface: dict[str, Any] = {
        "metallicFactor": _clamped(number("pm", 0.0)),
        "roughnessFactor": _clamped(number("pr", 1.0 - min(1.0, shininess / 1000.0) ** 0.5)),
    }
    material: dict[str, Any] = {"name": name, "pbrMetallicRoughness": surface, "doubleSided": True}
    color = [_clamped(value) for value in _numbers(entry.get("kd", ""), 3, (0.8, 0.8, 0.8))]
    if (found := picture("map_kd")) is not None:
        surface["baseColorTexture"] = {"index": writer.picture(*for_gltf(*found))}
        color = [1.0, 1.0, 1.0]
    surface["baseColorFactor"] = [*color, opacity]
    rough, metal = picture("map_pr"), picture("map_pm")
    if rough is not None or metal is not None:
        channels = {key: opened(*found) for key, found in (("g", rough), ("b", metal)) if found is not None}
        largest = max(channels.values(), key=lambda channel: channel.width)
        surface["metallicRoughnessTexture"] = {"index": writer.picture(*packed(largest, **channels))}
        surface |= {"roughnessFactor": 1.0} if rough is not None else {}
        surface |= {"metallicFactor": 1.0} if metal is not None else {}
    light = [_clamped(value) for value in _numbers(entry.get("ke", ""), 3, (0.0, 0.0, 0.0))]
    if (found := picture("map_ke")) is not None:
        material["emissiveTexture"] = {"index": writer.picture(*for_gltf(*found))}
        light = [1.0, 1.0, 1.0]
    if max(light) > 0:
        material["emissiveFactor"] = light
    if (found := picture("norm", "map_kn")) is not None:
        material["normalTexture"] = {"index": writer.picture(*for_gltf(*found))}
    if opacity < 0.999:
        material["alphaMode"] = "BLEND"
    return writer.material(material)


def _numbers(text: str, count: int, default: tuple[float, ...]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split()[:count])
    except ValueError:
        return default
    return numbers if len(numbers) == count and all(np.isfinite(numbers)) else default


def _clamped(value: float) -> float:
    return float(min(1.0, max(0.0, value)))


def _decoded(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB to linear light: vertex colours are written as they look, the colours of materials as they are."""
    clipped = np.clip(encoded, 0.0, 1.0)
    decoded: NDArray[np.float64] = np.where(clipped <= 0.04045, clipped / 12.92, ((clipped + 0.055) / 1.055) ** 2.4)
    return decoded
