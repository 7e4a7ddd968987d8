"""Meshes without normals get flat ones, as glTF asks of whoever shows them. No engine is needed."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_glb import box_document

from glossi_sync.studio.engines.flat_normals import with_normals
from glossi_sync.studio.engines.glb import Glb


def glb(document: dict[str, Any], binary: bytes) -> Glb:
    return Glb(document, struct.pack("<I", len(binary)) + b"BIN\0" + binary)


def numbers(file: Glb, index: int, kind: str = "<f4") -> NDArray[Any]:
    """What one of the written accessors holds."""
    accessor = file.document["accessors"][index]
    view = file.document["bufferViews"][accessor["bufferView"]]
    width = {"VEC2": 2, "VEC3": 3}[accessor["type"]]
    rows = np.frombuffer(file.rest[8:], np.uint8, view["byteLength"], view["byteOffset"]).reshape(
        -1, view["byteStride"]
    )
    return rows[:, : width * np.dtype(kind).itemsize].copy().view(kind)


def test_each_face_of_a_box_looks_outwards() -> None:
    made = with_normals(glb(*box_document()))
    (primitive,) = made.document["meshes"][0]["primitives"]
    assert "indices" not in primitive
    corners, normals = (numbers(made, primitive["attributes"][name]) for name in ("POSITION", "NORMAL"))
    assert len(corners) == len(normals) == 36
    middles = corners.reshape(12, 3, 3).mean(axis=1) - (0, 0.5, 0)
    outwards = np.repeat(middles, 3, axis=0)
    assert (np.abs(normals).max(axis=1) == 1).all(), "along an axis"
    assert (normals * outwards).sum(axis=1) == pytest.approx(0.5)
    assert made.document["buffers"][0]["byteLength"] == len(made.rest) - 8 == struct.unpack_from("<I", made.rest)[0]
    assert all(view["byteOffset"] % 4 == 0 for view in made.document["bufferViews"][2:])


@given(st.integers(1, 20), st.booleans(), st.integers(0, 99))
def test_normals_stand_upright_on_their_triangles_and_all_else_stays_at_its_corner(
    count: int, indexed: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    places = random.standard_normal((3 * count, 3)).astype("<f4")
    spots = random.integers(0, 65535, (3 * count, 2)).astype("<u2")
    order = random.permutation(3 * count).astype("<u2")
    binary = places.tobytes() + spots.tobytes() + order.tobytes()
    binary += b"\0" * (-len(binary) % 4)
    views = ((0, places.nbytes), (places.nbytes, spots.nbytes), (places.nbytes + spots.nbytes, order.nbytes))
    document = {
        "buffers": [{"byteLength": len(binary)}],
        "bufferViews": [{"buffer": 0, "byteOffset": start, "byteLength": length} for start, length in views],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3 * count, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 3 * count, "type": "VEC2", "normalized": True},
            {"bufferView": 2, "componentType": 5123, "count": 3 * count, "type": "SCALAR"},
        ],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}} | ({"indices": 2} if indexed else {})]}
        ],
    }
    made = with_normals(glb(document, binary))
    attributes = made.document["meshes"][0]["primitives"][0]["attributes"]
    corners, normals = (numbers(made, attributes[name]) for name in ("POSITION", "NORMAL"))
    wanted = order if indexed else np.arange(3 * count)
    assert (corners == places[wanted]).all()
    assert (numbers(made, attributes["TEXCOORD_0"], "<u2") == spots[wanted]).all()
    assert made.document["accessors"][attributes["TEXCOORD_0"]]["normalized"] is True
    triangles, upright = corners.reshape(count, 3, 3).astype(float), normals.reshape(count, 3, 3).astype(float)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=1e-5)
    for side in (triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]):
        assert (side * upright[:, 0]).sum(axis=1) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"attributes": {"POSITION": 0, "NORMAL": 0}},
        {"mode": 1},
        {"targets": [{"POSITION": 0}]},
        {"attributes": {}},
    ],
)
def test_what_has_normals_or_can_have_none_stays_as_it_is(change: dict[str, Any]) -> None:
    document, binary = box_document()
    document["meshes"][0]["primitives"][0] |= change
    before = glb(document, binary)
    kept = json.dumps(document)
    assert with_normals(before) is before
    assert json.dumps(document) == kept


@pytest.mark.parametrize(
    ("accessor", "change"),
    [(0, {"count": 10**9}), (1, {"count": 10**9}), (0, {"byteOffset": 80}), (0, {"byteOffset": -4})],
)
def test_a_file_that_claims_what_it_does_not_have_is_refused_without_making_room_for_it(
    accessor: int, change: dict[str, int]
) -> None:
    document, binary = box_document()
    document["accessors"][accessor] |= change
    with pytest.raises(ValueError, match="goes beyond its buffer"):
        with_normals(glb(document, binary))


def test_corners_that_are_not_there_are_refused() -> None:
    document, binary = box_document()
    document["accessors"][0]["count"] = 4
    with pytest.raises(IndexError):
        with_normals(glb(document, binary))
