"""Writing GLBs: what a converter found in another format, put together as binary glTF 2.0.

Lengths in metres, +Y up, +Z the front: a converter that reads other axes or units puts a node with a transform above
all others. Everything is written once: pictures and materials that are alike share an entry.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.processing.facts import refuse

Floats = NDArray[np.float32]
Indices = NDArray[np.uint32]

PLAIN = {
    "pbrMetallicRoughness": {"baseColorFactor": [0.6, 0.6, 0.62, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.5},
    "doubleSided": True,
}
"""What a part looks like whose file does not say: a plain light grey."""

_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_FLOAT, _UNSIGNED_INT = 5126, 5125
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


@dataclass(frozen=True, slots=True)
class Primitive:
    """Triangles of one material: vertices (n, 3), and what belongs to each of them, in metres and linear light."""

    positions: Floats
    indices: Indices
    """(3 m): three for each triangle, counter-clockwise seen from outside."""
    normals: Floats | None = None
    """(n, 3), of length 1."""
    uvs: Floats | None = None
    """(n, 2); v runs downwards, as glTF has it."""
    colors: Floats | None = None
    """(n, 4), multiplied with the material's."""
    material: int | None = None


def shared(
    positions: NDArray[np.floating],
    normals: NDArray[np.floating],
    uvs: NDArray[np.floating] | None = None,
    colors: NDArray[np.floating] | None = None,
    material: int | None = None,
) -> Primitive:
    """A primitive from the corners of triangles, three for each: those that are alike become one vertex.

    Raises:
        ProcessingError: a number is not finite.
    """
    columns = [column for column in (positions, normals, uvs, colors) if column is not None]
    rows = np.concatenate(columns, axis=1).astype(np.float32)
    if not np.isfinite(rows).all():
        refuse("the model holds a vertex that is not at a finite place, or whose normal or colour is not a number")
    vertices, indices = np.unique(rows, axis=0, return_inverse=True)
    at = 6
    shared_uvs = vertices[:, at : at + 2] if uvs is not None else None
    at += 2 if uvs is not None else 0
    return Primitive(
        positions=vertices[:, :3],
        indices=indices.reshape(-1).astype(np.uint32),
        normals=_unit(vertices[:, 3:6]),
        uvs=shared_uvs,
        colors=vertices[:, at : at + 4] if colors is not None else None,
        material=material,
    )


def _unit(normals: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit = np.where(lengths > 1e-12, normals / np.maximum(lengths, 1e-12), np.array([0, 1, 0], np.float32))
    return unit.astype(np.float32)


class GlbWriter:
    """Collects a scene's parts; ``write`` makes the file. Each method returns the index of what it added."""

    def __init__(self, source: str) -> None:
        self._document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": f"glossi-sync studio, from {source}"}
        }
        self._binary: list[bytes] = []
        self._length = 0
        self._known: dict[tuple[str, bytes], int] = {}
        self._roots: list[int] = []

    def picture(self, content: bytes, mime_type: str) -> int:
        """A texture from a PNG's, JPEG's or WebP's bytes; it repeats in both directions."""
        known = self._known.get(("textures", content))
        if known is not None:
            return known
        image = self._add("images", {"bufferView": self._view(content), "mimeType": mime_type})
        sampler = 0 if "samplers" in self._document else self._add("samplers", {"magFilter": 9729, "minFilter": 9987})
        texture: dict[str, Any] = {"source": image, "sampler": sampler}
        if mime_type == "image/webp":
            texture = {"sampler": sampler, "extensions": {"EXT_texture_webp": {"source": image}}}
            self._use("EXT_texture_webp")
        self._known["textures", content] = index = self._add("textures", texture)
        return index

    def material(self, material: Mapping[str, Any]) -> int:
        """A material as glTF writes it."""
        key = ("materials", json.dumps(material, sort_keys=True).encode())
        if key not in self._known:
            self._known[key] = self._add("materials", dict(material))
            for name in material.get("extensions", {}):
                self._use(name)
        return self._known[key]

    def mesh(self, primitives: Sequence[Primitive], name: str = "") -> int:
        """A mesh of one primitive or more."""
        return self._add("meshes", {"primitives": [self._primitive(p) for p in primitives], **_named(name)})

    def node(
        self,
        *,
        mesh: int | None = None,
        transform: NDArray[np.float64] | None = None,
        children: Sequence[int] = (),
        name: str = "",
        root: bool = False,
    ) -> int:
        """A node; ``transform`` (4, 4) maps a column vector. ``root``: it belongs to the scene itself."""
        node: dict[str, Any] = _named(name)
        if mesh is not None:
            node["mesh"] = mesh
        if transform is not None and not np.array_equal(transform, np.eye(4)):
            node["matrix"] = [float(value) for value in np.asarray(transform, np.float64).T.ravel()]
        if children:
            node["children"] = list(children)
        index = self._add("nodes", node)
        if root:
            self._roots.append(index)
        return index

    def write(self, path: Path) -> None:
        """Write the file: a scene of all roots."""
        document = self._document | {"scene": 0, "scenes": [{"nodes": self._roots}]}
        if self._length:
            document["buffers"] = [{"byteLength": self._length}]
        write_glb(path, document, self._binary)

    def _primitive(self, primitive: Primitive) -> dict[str, Any]:
        positions = np.ascontiguousarray(primitive.positions, "<f4")
        bounds = (
            {"min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist()} if len(positions) else {}
        )
        attributes = {"POSITION": self._accessor(positions, _FLOAT, _ARRAY_BUFFER, **bounds)}
        for name, values in (
            ("NORMAL", primitive.normals),
            ("TEXCOORD_0", primitive.uvs),
            ("COLOR_0", primitive.colors),
        ):
            if values is not None:
                attributes[name] = self._accessor(np.ascontiguousarray(values, "<f4"), _FLOAT, _ARRAY_BUFFER)
        indices = np.ascontiguousarray(primitive.indices, "<u4").reshape(-1, 1)
        entry = {"attributes": attributes, "indices": self._accessor(indices, _UNSIGNED_INT, _ELEMENT_ARRAY_BUFFER)}
        return entry if primitive.material is None else entry | {"material": primitive.material}

    def _accessor(self, values: NDArray[Any], component: int, target: int, **bounds: Any) -> int:
        view = self._view(values.tobytes(), target)
        kind = _TYPES[values.shape[1]]
        return self._add(
            "accessors", {"bufferView": view, "componentType": component, "count": len(values), "type": kind, **bounds}
        )

    def _view(self, content: bytes, target: int | None = None) -> int:
        view: dict[str, Any] = {"buffer": 0, "byteOffset": self._length, "byteLength": len(content)}
        if target is not None:
            view["target"] = target
        padded = content + b"\0" * (-len(content) % 4)
        self._binary.append(padded)
        self._length += len(padded)
        return self._add("bufferViews", view)

    def _use(self, extension: str) -> None:
        used = self._document.setdefault("extensionsUsed", [])
        if extension not in used:
            used.append(extension)

    def _add(self, kind: str, entry: Mapping[str, Any]) -> int:
        entries: list[Any] = self._document.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1


def write_glb(path: Path, document: Mapping[str, Any], binary: Sequence[bytes]) -> None:
    """Write a GLB of a document and its one buffer's pieces."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    length = sum(map(len, binary))
    padding = -length % 4
    chunks = [struct.pack("<II", len(text), 0x4E4F534A), text]
    if length:
        chunks += [struct.pack("<II", length + padding, 0x004E4942), *binary, b"\0" * padding]
    with path.open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + sum(map(len, chunks))))
        file.writelines(chunks)


def _named(name: str) -> dict[str, Any]:
    return {"name": name} if name else {}
