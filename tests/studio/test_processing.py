"""Processing: what a model's file is found to hold, and what is said about one that cannot be used."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_glb import BOX_TRIANGLES, box, box_document, pack, pack_text
from studio_client import SHARED_MODELS

from glossi_sync.studio.processing import ModelFacts, ProcessingError
from glossi_sync.studio.processing.inspection import inspect


@pytest.fixture
def processed(tmp_path: Path) -> Callable[[bytes], ModelFacts]:
    def of(content: bytes) -> ModelFacts:
        (tmp_path / "model").write_bytes(content)
        return inspect(tmp_path / "model")

    return of


Processed = Callable[..., ModelFacts]


def test_the_facts_of_a_box(processed: Processed) -> None:
    assert processed(box(["Oak", "Walnut"])) == ModelFacts(
        triangles=BOX_TRIANGLES,
        materials=2,
        textures=0,
        animations=0,
        variants=("Oak", "Walnut"),
        minimum=(-0.5, 0.0, -0.5),
        maximum=(0.5, 1.0, 0.5),
        vertices=8,
        extensions=("KHR_materials_variants",),
    )


def test_a_nodes_transform_and_its_parents_count(processed: Processed) -> None:
    document, binary = box_document()
    document["nodes"] = [
        {"translation": [0, 10, 0], "children": [1, 2]},
        {"mesh": 0, "scale": [2, 2, 2]},
        {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 100, 0, 0, 1]},
        {"mesh": 0},
    ]
    facts = processed(pack(document, binary))
    assert facts.triangles == 2 * BOX_TRIANGLES, "the third is in no scene"
    assert (facts.minimum, facts.maximum) == ((-1.0, 10.0, -1.0), (100.5, 12.0, 1.0))


def test_the_box_is_measured_not_believed(processed: Processed) -> None:
    document, binary = box_document()
    document["accessors"][0] |= {"min": [-1000, -1000, -1000], "max": [1000, 1000, 1000]}
    assert processed(pack(document, binary)).maximum == (0.5, 1.0, 0.5)


GOOD = box()
BAD_CONTAINERS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "another format": (b"ISO-10303-21;", "does not begin with the letters glTF"),
    "a glTF in text": (b'{"asset": {"version": "2.0"}}', "does not begin with the letters glTF"),
    "half a header": (GOOD[:10], "does not begin with"),
    "an old version": (GOOD[:4] + struct.pack("<I", 1) + GOOD[8:], "glTF version 1"),
    "cut short": (GOOD[:-100], "cut short: its header says"),
    "a header alone": (b"glTF" + struct.pack("<II", 2, 12), "has no JSON chunk"),
    "a chunk too long": (GOOD[:12] + struct.pack("<I", 10**9) + GOOD[16:], "reaches beyond the end of the file"),
    "no JSON first": (GOOD[:16] + b"BIN\0" + GOOD[20:], "first chunk is not JSON"),
    "broken JSON": (GOOD.replace(b'{"asset"', b'{"asset;'), "JSON cannot be read"),
    "a list": (pack([]), "not an object"),
    "lists in lists": (pack_text(b"[" * 100_000), "nested too deeply"),
    "a number without end": (pack_text(b"[" + b"9" * 10_000 + b"]"), "JSON cannot be read"),
    "no UTF-8": (pack_text(b'{"\xff": 1}'), "JSON cannot be read"),
    "not a number": (GOOD.replace(b"0.5", b"NaN"), "NaN is not a number that JSON knows"),
}


@pytest.mark.parametrize(("content", "reason"), BAD_CONTAINERS.values(), ids=BAD_CONTAINERS)
def test_a_container_that_cannot_be_read(processed: Processed, content: bytes, reason: str) -> None:
    with pytest.raises(ProcessingError) as refused:
        processed(content)
    assert reason in str(refused.value)


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Changes a document at a path like ``accessors.0.count``."""

    def change(document: Any) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in parents:
            document = document[part]
        document[last] = value

    return change


BAD_DOCUMENTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "glTF 1": (put("asset.version", "1.0"), "only glTF 2"),
    "no asset": (put("asset", None), "asset is missing or not an object"),
    "an extension": (put("extensionsRequired", ["EXT_unheard_of"]), "does not know: EXT_unheard_of"),
    "no scene": (put("scenes", []), "nothing to see"),
    "another scene": (put("scene", 7), "scenes[7], and there are 1"),
    "an empty scene": (put("scenes.0.nodes", []), "nothing to see"),
    "no such node": (put("scenes.0.nodes", [1]), "nodes[1], and there are 1"),
    "a loop": (put("nodes.0.children", [0]), "reached twice"),
    "points alone": (put("meshes.0.primitives.0.mode", 0), "nothing to see"),
    "no such accessor": (put("meshes.0.primitives.0.indices", 9), "accessors[9]"),
    "no such material": (put("meshes.0.primitives.0.material", 9), "materials[9]"),
    "too many claimed": (put("accessors.0.count", 10**9), "accessors[0] claims 1,000,000,000 elements"),
    "a view too long": (put("bufferViews.1.byteLength", 10**9), "bufferViews[1] reaches to byte"),
    "a buffer too long": (put("buffers.0.byteLength", 10**9), "buffers[0] claims 1,000,000,000 bytes"),
    "another file": (put("buffers.0.uri", "box.bin"), "in another file ('box.bin'), which was not uploaded"),
    "a negative place": (put("bufferViews.0.byteOffset", -4), "must be a whole number, 0 or more"),
    "an unknown kind": (put("accessors.0.type", "VEC9"), "of an unknown kind"),
    "a list for a kind": (put("accessors.0.type", ["VEC3"]), "of an unknown kind"),
    "a list for a number": (put("accessors.0.componentType", [5126]), "accessors[0].componentType is [5126]"),
    "far away": (put("nodes.0.translation", [1e300, 0, 0]), "lies far outside"),
    "not numbers": (put("nodes.0.scale", [1, 1, "one"]), "nodes[0].scale is not a list of 3 numbers"),
    "flat": (put("nodes.0.scale", [0, 0, 0]), "all of it lies in a single point"),
    "no picture": (put("images", [{"bufferView": 0}]), "images[0] is not a PNG, JPEG, WebP or KTX2 picture"),
    "meshopt's claim": (
        put(
            "bufferViews.0.extensions",
            {"EXT_meshopt_compression": {"buffer": 0, "byteLength": 10**9, "byteStride": 12, "count": 8}},
        ),
        "EXT_meshopt_compression reaches to byte",
    ),
}


@pytest.mark.parametrize(("change", "reason"), BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS)
def test_a_document_that_cannot_be_rendered(
    processed: Processed, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    document, binary = box_document()
    change(document)
    with pytest.raises(ProcessingError) as refused:
        processed(pack(document, binary))
    assert reason in str(refused.value)


def test_an_index_beyond_the_vertices_is_found(processed: Processed) -> None:
    document, binary = box_document()
    with pytest.raises(ProcessingError, match="points to vertex 65,535 of a mesh that has 8"):
        processed(pack(document, binary[:-2] + b"\xff\xff"))


def test_a_vertex_that_is_nowhere_is_found(processed: Processed) -> None:
    document, binary = box_document()
    with pytest.raises(ProcessingError, match="not at a finite place"):
        processed(pack(document, struct.pack("<f", float("nan")) + binary[4:]))


def test_a_small_file_that_claims_to_unpack_to_much_is_refused(processed: Processed) -> None:
    document, binary = box_document()
    for accessor in document["accessors"]:
        del accessor["bufferView"]
        accessor["count"] = 10**9
    primitive = document["meshes"][0]["primitives"][0]
    primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    with pytest.raises(ProcessingError, match="claim to unpack to more than 2 GB"):
        processed(pack(document, binary))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: the object or list, and the key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


DOCUMENT, BINARY = box_document(["Oak"])
DOCUMENT |= {
    "textures": [{}],
    "animations": [],
    "extensionsRequired": ["KHR_materials_variants"],
}
DOCUMENT["accessors"].append(
    {
        "componentType": 5126,
        "count": 8,
        "type": "VEC2",
        "sparse": {
            "count": 2,
            "indices": {"bufferView": 1, "componentType": 5123},
            "values": {"bufferView": 0},
        },
    }
)
DOCUMENT["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"] = 2
DOCUMENT["nodes"] = [{"mesh": 0, "translation": [0, 0, 0], "children": [1]}, {"mesh": 0, "matrix": [1.0] * 16}]


def test_the_document_to_be_damaged_is_whole(processed: Processed) -> None:
    assert processed(pack(DOCUMENT, BINARY)).triangles == 2 * BOX_TRIANGLES


@given(st.data())
@settings(deadline=None, max_examples=500)
def test_any_value_at_any_place_is_refused_in_words_or_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    document = copy.deepcopy(DOCUMENT)
    if data.draw(st.booleans()):
        document["images"] = [{"bufferView": 0}]
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(places(document)))
        elsewhere, other = data.draw(st.sampled_from(places(document)))
        holder[key] = data.draw(json_values | st.just(copy.deepcopy(elsewhere[other])))
    harmless(tmp_path_factory, pack(document, BINARY))


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_any_damage_to_the_bytes_is_refused_in_words_or_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    harmless(tmp_path_factory, bytes(content[: data.draw(st.integers(0, len(content)))]))


def harmless(folders: pytest.TempPathFactory, content: bytes) -> None:
    path = folders.getbasetemp() / "damaged.glb"
    path.write_bytes(content)
    try:
        facts = inspect(path)
    except ProcessingError as error:
        assert str(error)
    else:
        json.dumps(facts.variants)
        assert facts.triangles > 0


@pytest.mark.skipif(not SHARED_MODELS.is_dir(), reason=f"no models at {SHARED_MODELS}")
def test_models_that_others_made() -> None:
    facts = {}
    for path in sorted(SHARED_MODELS.glob("*.glb")):
        try:
            facts[path.stem] = inspect(path)
        except ProcessingError as error:
            assert path.stem == "empty_nodes", error
            assert "nothing to see" in str(error)
    assert len(facts) >= 10
    assert facts["CesiumMilkTruck"].animations == 1
    assert facts["BoxTextured"].triangles == 12 and facts["BoxTextured"].textures == 1
    assert facts["heart_draco"].triangles > 0, "measured by what the file declares, because it is compressed"
    for name, of in facts.items():
        assert all(low < high for low, high in zip(of.minimum, of.maximum, strict=True)), name
