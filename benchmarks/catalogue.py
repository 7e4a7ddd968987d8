"""The catalogues that the benchmarks work on: files on disk, one spec."""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path

GLOSSI_SYNC = str(Path(sys.executable).with_name("glossi-sync"))


def glb(number: int, size: int = 0) -> bytes:
    """A GLB of one triangle that no other number has, of at least ``size`` bytes."""
    document = {
        "asset": {"version": "2.0", "generator": f"benchmark {number}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
        ],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "buffers": [{"byteLength": 36}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    body += b"\0" * (max(0, size - len(text) - len(body) - 28) // 4 * 4)
    length = 12 + 8 + len(text) + 8 + len(body)
    head = struct.pack("<4sII", b"glTF", 2, length) + struct.pack("<II", len(text), 0x4E4F534A)
    return head + text + struct.pack("<II", len(body), 0x004E4942) + body


def write_catalogue(folder: Path, products: int, *, size: int = 0) -> Path:
    """Products with a file each, a project each, a render each, generated from a CSV; returns the spec's path."""
    models = folder / "models"
    models.mkdir(parents=True)
    lines = ["sku,title,template"]
    for number in range(products):
        (models / f"sku{number:06}.glb").write_bytes(glb(number, size))
        lines.append(f"sku{number:06},Product number {number},studio")
    (folder / "products.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = folder / "glossi.yaml"
    spec.write_text(
        """\
version: 1
workspace: benchmark
templates:
  studio: {name: Studio Light}
renderSettings:
  web: {renderShots: false}
catalogues:
  - rows: products.csv
    key: ${row.sku}
    model: {name: "${row.title}", file: "models/${row.sku}.glb"}
    project: {template: "${row.template}", renders: [web]}
""",
        encoding="utf-8",
    )
    return spec


def environment(url: str, key: str) -> dict[str, str]:
    """The environment in which glossi-sync speaks to a studio."""
    return {**os.environ, "GLOSSI_ENDPOINT": url, "GLOSSI_API_KEY": key}
