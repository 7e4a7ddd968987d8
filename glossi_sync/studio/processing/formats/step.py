"""STEP: boundary representations, cut into triangles by Open CASCADE (cascadio). It says its units itself; +Z is up.

Surfaces are followed to within a share of their own size, so that a watch and a crane get as many triangles as they
need. Colours are kept where the file gives them.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from glossi_sync.studio.processing.facts import refuse
from glossi_sync.studio.processing.glb_writer import PLAIN, write_glb
from glossi_sync.studio.processing.inspection import parse_json

_TOLERANCE = 0.005
"""How far triangles may lie from a surface, as a share of its edges' size."""

_ANGLE = 0.3
"""By how much the normals of neighbouring triangles may differ, in radians."""


Z_UP = [1.0, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 1]
"""+Z becomes +Y, and the front, -Y by the custom of CAD, +Z: column by column."""


def convert(path: Path, file_type: str, target: Path) -> None:
    """See ``formats.convert``."""
    import cascadio  # noqa: PLC0415 - an extra

    with path.open("rb") as file:
        if not file.read(256).lstrip().startswith(b"ISO-10303-21"):
            refuse("the file is not a STEP file: it does not begin with ISO-10303-21")
    status = cascadio.step_to_glb(
        str(path), str(target), tol_linear=_TOLERANCE, tol_angular=_ANGLE, tol_relative=True, use_parallel=False
    )
    if status != 0 or not target.exists():
        refuse(
            "the STEP file cannot be read, or holds no solids or surfaces: export it again as AP214 or AP242, or"
            " export a mesh as GLB"
        )
    _finish(target)


def _finish(path: Path) -> None:
    """Stand the model up, and give what has no colour a plain grey in place of glTF's white."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 12)
    document = parse_json(content[20 : 20 + length])
    materials: list[Any] = document.setdefault("materials", [])
    plain: int | None = None
    for mesh in document.get("meshes", []):
        for primitive in mesh["primitives"]:
            if "material" not in primitive:
                if plain is None:
                    plain = len(materials)
                    materials.append(PLAIN)
                primitive["material"] = plain
    for material in materials:
        # Metalness 1 is what glTF means where a file says nothing, and Open CASCADE has only a colour to tell.
        surface = material.setdefault("pbrMetallicRoughness", {})
        surface.setdefault("metallicFactor", 0.0)
        surface.setdefault("roughnessFactor", 0.5)
        material["doubleSided"] = True
    nodes: list[Any] = document.setdefault("nodes", [])
    for scene in document.get("scenes", []):
        nodes.append({"matrix": Z_UP, "children": scene.get("nodes", [])})
        scene["nodes"] = [len(nodes) - 1]
    if not materials:
        del document["materials"]
    write_glb(path, document, [content[28 + length :]] if len(content) > 28 + length else [])
