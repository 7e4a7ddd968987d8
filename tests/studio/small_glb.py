"""Small GLB files, made here: a box with as many materials and variants as a test wants, and broken ones."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)], dtype="<f4")
_FACES = np.array(
    [0, 1, 3, 0, 3, 2, 4, 6, 7, 4, 7, 5, 0, 4, 5, 0, 5, 1, 2, 3, 7, 2, 7, 6, 0, 2, 6, 0, 6, 4, 1, 5, 7, 1, 7, 3],
    dtype="<u2",
)
BOX_TRIANGLES = 12


def pack(document: Any, binary: bytes = b"") -> bytes:
    """A GLB container around a JSON document and its binary chunk."""
    return pack_text(json.dumps(document).encode(), binary)


def pack_text(text: bytes, binary: bytes = b"") -> bytes:
    """A GLB container around what stands where its JSON should."""
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if binary:
        binary += b"\0" * (-len(binary) % 4)
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def box_document(variants: Sequence[str] = ()) -> tuple[dict[str, Any], bytes]:
    """A box of one metre that stands on the ground: the document and the binary chunk."""
    corners, faces = _CORNERS.tobytes(), _FACES.tobytes()
    primitive: dict[str, Any] = {"attributes": {"POSITION": 0}, "indices": 1, "material": 0}
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [
            {"pbrMetallicRoughness": {"baseColorFactor": [0.2 + 0.6 * (index % 2), 0.3, 0.5, 1]}}
            for index in range(max(1, len(variants)))
        ],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": len(_CORNERS),
                "type": "VEC3",
                "min": _CORNERS.min(axis=0).tolist(),
                "max": _CORNERS.max(axis=0).tolist(),
            },
            {"bufferView": 1, "componentType": 5123, "count": len(_FACES), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": len(corners)},
            {"buffer": 0, "byteOffset": len(corners), "byteLength": len(faces)},
        ],
        "buffers": [{"byteLength": len(corners) + len(faces)}],
    }
    if variants:
        document["extensionsUsed"] = ["KHR_materials_variants"]
        document["extensions"] = {"KHR_materials_variants": {"variants": [{"name": name} for name in variants]}}
        primitive["extensions"] = {
            "KHR_materials_variants": {
                "mappings": [{"material": index, "variants": [index]} for index in range(len(variants))]
            }
        }
    return document, corners + faces


def box(variants: Sequence[str] = ()) -> bytes:
    return pack(*box_document(variants))
