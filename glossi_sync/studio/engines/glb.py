"""GLB files, as far as rendering needs to look inside or rewrite them (glTF 2.0, "GLB File Format Specification").

Two rewrites, both of the JSON alone, the geometry stays as it is:

- a *caster* is the same shape in black on white, so that its outline and its shadows are quick and exact to draw;
- *rescaled* keeps the colour of thick glass when the product is scaled: the distances at which light is absorbed are
  in world units, and a renderer scales thicknesses but not those.
"""

from __future__ import annotations

import copy
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAGIC = b"glTF"
_JSON = 0x4E4F534A
_VOLUME = "KHR_materials_volume"
_GLASS_SHADE = 0.35
"""How much light clear glass keeps from the floor: what it reflects and absorbs."""


class BrokenGlb(Exception):
    """The file is no usable GLB; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Glb:
    """A GLB file taken apart: its JSON document, and everything behind it as it stands."""

    document: dict[str, Any]
    rest: bytes


def read_glb(path: Path) -> Glb:
    """Take a GLB file apart.

    Raises:
        BrokenGlb: it cannot be read, is no GLB of version 2, is shorter than it says, or its JSON is broken.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BrokenGlb(f"cannot be read: {error.strerror}") from error
    if len(data) < 20 or data[:4] != _MAGIC:
        raise BrokenGlb("is not a GLB file (it does not begin with 'glTF')")
    version, length, json_length, json_kind = struct.unpack_from("<4I", data, 4)
    if version != 2:
        raise BrokenGlb(f"is GLB version {version}; version 2 is needed")
    if length > len(data) or json_kind != _JSON or 20 + json_length > len(data):
        raise BrokenGlb(f"is truncated: its header promises {length:,} bytes, the file has {len(data):,}")
    try:
        document = json.loads(data[20 : 20 + json_length])
    except (ValueError, RecursionError) as error:
        raise BrokenGlb(f"holds broken JSON: {error}") from error
    if not isinstance(document, dict):
        raise BrokenGlb("holds JSON that is no glTF document")
    return Glb(document, data[20 + json_length : length])


def caster(glb: Glb) -> bytes:
    """The same shape, unlit black, seen from both sides; glass lets most of the light through, cut-outs stay cut."""
    document = copy.deepcopy(glb.document)
    document["materials"] = [
        _black(material) for material in document.get("materials", ()) if isinstance(material, dict)
    ]
    # A primitive without a material would be drawn in glTF's default white.
    document["materials"].append(_black({}))
    default = len(document["materials"]) - 1
    for mesh in document.get("meshes", ()):
        for primitive in mesh.get("primitives", ()):
            primitive.setdefault("material", default)
            primitive.get("attributes", {}).pop("COLOR_0", None)
    for key in ("extensionsUsed", "extensionsRequired"):
        names = [
            n for n in document.get(key, ()) if not n.startswith("KHR_materials_") or n == "KHR_materials_variants"
        ]
        if key == "extensionsUsed":
            names.append("KHR_materials_unlit")
        document[key] = names
        if not names:
            del document[key]
    document.pop("animations", None)
    return _bytes(document, glb.rest)


def rescaled(glb: Glb, scale: float) -> bytes:
    """The file for a product that will be scaled by ``scale``: absorption distances grow with it."""
    document = copy.deepcopy(glb.document)
    for material in document.get("materials", ()):
        volume = material.get("extensions", {}).get(_VOLUME, {})
        if "attenuationDistance" in volume:
            volume["attenuationDistance"] *= scale
    return _bytes(document, glb.rest)


def _black(material: dict[str, Any]) -> dict[str, Any]:
    extensions = material.get("extensions", {})
    surface = material.get("pbrMetallicRoughness", {})
    mode = material.get("alphaMode", "OPAQUE")
    alpha = float(surface.get("baseColorFactor", (1, 1, 1, 1))[3])
    transmission = float(extensions.get("KHR_materials_transmission", {}).get("transmissionFactor", 0.0))
    black: dict[str, Any] = {
        "pbrMetallicRoughness": {},
        "doubleSided": True,
        "extensions": {"KHR_materials_unlit": {}},
    }
    if transmission > 0:
        black["alphaMode"] = "BLEND"
        alpha *= 1 - transmission * (1 - _GLASS_SHADE)
    elif mode in {"MASK", "BLEND"}:
        black["alphaMode"] = "BLEND"
        if "baseColorTexture" in surface:
            black["pbrMetallicRoughness"]["baseColorTexture"] = surface["baseColorTexture"]
    else:
        alpha = 1.0
    black["pbrMetallicRoughness"]["baseColorFactor"] = [0.0, 0.0, 0.0, alpha]
    return black


def _bytes(document: dict[str, Any], rest: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4s4I", _MAGIC, 2, 20 + len(text) + len(rest), len(text), _JSON)
    return head + text + rest
