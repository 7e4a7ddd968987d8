"""The smallest model that is one: a triangle as a GLB file."""

from __future__ import annotations

import json
import struct


def triangle(content: str, size: int = 0) -> bytes:
    """A triangle as a GLB file of at least so many bytes; ``content`` makes its bytes unlike all others."""
    corners = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    document = {
        "asset": {"version": "2.0", "extras": content},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(corners)}],
        "buffers": [{"byteLength": len(corners)}],
    }
    text = json.dumps(document).encode()
    text += b" " * (max(size - len(text), 0) // 4 * 4)
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(corners), 0x004E4942) + corners
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks
