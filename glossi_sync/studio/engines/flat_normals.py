"""Meshes without normals get flat ones (glTF 2.0, "Meshes", "When normals are not specified"). Pure numpy.

A renderer that meets none lights every face alike. So each triangle gets corners of its own, and its own normal.
"""

from __future__ import annotations

import copy
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.engines.glb import Glb

_TRIANGLES = 4
_FLOAT, _VERTICES = 5126, 34962
_KINDS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def with_normals(glb: Glb) -> Glb:
    """The same file with flat normals wherever triangles have none; the file itself where nothing is missing.

    What is compressed, sparse or morphs stays as it is.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: the file does not follow glTF.
    """
    if not any(_lacks(primitive, glb.document) for primitive in _primitives(glb.document)):
        return glb
    document = copy.deepcopy(glb.document)
    mesh = _Binary(document, glb.rest)
    for primitive in _primitives(document):
        if _lacks(primitive, document):
            mesh.flatten(primitive)
    return Glb(document, mesh.rest())


def _primitives(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [primitive for mesh in document.get("meshes", ()) for primitive in mesh.get("primitives", ())]


def _lacks(primitive: dict[str, Any], document: dict[str, Any]) -> bool:
    attributes = primitive.get("attributes", {})
    if "NORMAL" in attributes or "POSITION" not in attributes or primitive.get("targets"):
        return False
    if primitive.get("mode", _TRIANGLES) != _TRIANGLES:
        return False
    used = [*attributes.values(), *([primitive["indices"]] if "indices" in primitive else [])]
    return all(_is_plain(document["accessors"][index], document) for index in used)


def _is_plain(accessor: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether its numbers lie in the file as they are."""
    if "sparse" in accessor or "bufferView" not in accessor or accessor.get("type") not in _WIDTHS:
        return False
    view = document["bufferViews"][accessor["bufferView"]]
    return view["buffer"] == 0 and "uri" not in document["buffers"][0] and not view.get("extensions")


class _Binary:
    """The binary chunk that is read, and what is written behind it."""

    def __init__(self, document: dict[str, Any], rest: bytes) -> None:
        self._document = document
        (length,) = struct.unpack_from("<I", rest)
        self._kind = rest[4:8]
        self._data, self._behind = rest[8 : 8 + length], rest[8 + length :]
        self._length = length + -length % 4
        self._parts = [self._data, b"\0" * (-length % 4)]

    def flatten(self, primitive: dict[str, Any]) -> None:
        """Give each of a primitive's triangles its own corners and its own normal."""
        attributes = primitive["attributes"]
        accessors = self._document["accessors"]
        if "indices" in primitive:
            corners = self._numbers(accessors[primitive.pop("indices")])[:, 0].astype(np.int64)
        else:
            corners = np.arange(accessors[attributes["POSITION"]]["count"])
        corners = corners[: len(corners) // 3 * 3]
        for name, index in attributes.items():
            numbers = self._numbers(accessors[index])[corners]
            attributes[name] = self._written(numbers, accessors[index])
            if name == "POSITION":
                normals = _normals(numbers.astype(np.float64))
        shape = {"componentType": _FLOAT, "type": "VEC3"}
        attributes["NORMAL"] = self._written(np.repeat(normals, 3, axis=0).astype("<f4"), shape)

    def rest(self) -> bytes:
        """What stands behind the JSON."""
        self._document["buffers"][0]["byteLength"] = self._length
        return struct.pack("<I", self._length) + self._kind + b"".join(self._parts) + self._behind

    def _numbers(self, accessor: dict[str, Any]) -> NDArray[Any]:
        """An accessor's numbers (count, components)."""
        view = self._document["bufferViews"][accessor["bufferView"]]
        kind, width = np.dtype(_KINDS[accessor["componentType"]]), _WIDTHS[accessor["type"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        size = kind.itemsize * width
        stride, count = view.get("byteStride", size), accessor["count"]
        if not (count > 0 and stride > 0 and start >= 0 and start + (count - 1) * stride + size <= len(self._data)):
            raise ValueError("an accessor goes beyond its buffer")
        shape, strides = (count, width), (stride, kind.itemsize)
        return np.ndarray(shape, kind, self._data, start, strides)

    def _written(self, numbers: NDArray[Any], like: dict[str, Any]) -> int:
        """A new accessor's index, for numbers (count, components) of the kind that another one has."""
        size = numbers.itemsize * numbers.shape[1]
        stride = size + -size % 4
        rows = np.zeros((len(numbers), stride), np.uint8)
        rows[:, :size] = np.ascontiguousarray(numbers).view(np.uint8).reshape(len(numbers), size)
        view = {"buffer": 0, "byteOffset": self._length, "byteLength": rows.nbytes, "byteStride": stride}
        self._document["bufferViews"].append(view | {"target": _VERTICES})
        self._parts.append(rows.tobytes())
        self._length += rows.nbytes
        accessor = {key: value for key, value in like.items() if key != "byteOffset"}
        accessor |= {"bufferView": len(self._document["bufferViews"]) - 1, "count": len(numbers)}
        self._document["accessors"].append(accessor)
        return len(self._document["accessors"]) - 1


def _normals(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unit normals (n, 3) of triangles with these corners (3 * n, 3); upwards where one has no area."""
    first, second, third = corners[0::3], corners[1::3], corners[2::3]
    normals: NDArray[np.float64] = np.cross(second - first, third - first)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(lengths > 0, normals / np.where(lengths > 0, lengths, 1), (0.0, 1.0, 0.0))
