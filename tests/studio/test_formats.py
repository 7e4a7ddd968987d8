"""Formats: what comes out of a model in another format, and what is said about one that cannot be converted."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from small_glb import BOX_TRIANGLES, box, box_document
from small_step import step_box

from glossi_sync.service import wire
from glossi_sync.studio import blender
from glossi_sync.studio.processing import CONVERTED, ModelFacts, ProcessingError, process
from glossi_sync.studio.processing.polygons import smooth_normals, triangulated

Converted = Callable[[bytes, str], tuple[ModelFacts, dict[str, Any]]]
"""A file's facts, and the document of the GLB that came of it."""


@pytest.fixture
def converted(tmp_path: Path) -> Converted:
    def of(content: bytes, file_type: str) -> tuple[ModelFacts, dict[str, Any]]:
        (tmp_path / "upload").write_bytes(content)
        folder = tmp_path / "made"
        folder.mkdir(exist_ok=True)
        processed = process(tmp_path / "upload", file_type, folder)
        assert processed.converted and not processed.thumbnail
        return processed.facts, document_of((folder / CONVERTED).read_bytes())

    return of


def document_of(glb: bytes) -> dict[str, Any]:
    (length,) = struct.unpack_from("<I", glb, 12)
    document: dict[str, Any] = json.loads(glb[20 : 20 + length])
    return document


def archive(**files: bytes | str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return target.getvalue()


def png(color: tuple[int, int, int] = (200, 30, 40), size: int = 4, kind: str = "PNG") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (size, size), color).save(target, kind)
    return target.getvalue()


def corners(facts: ModelFacts) -> list[float]:
    return [round(value, 4) for value in (*facts.minimum, *facts.maximum)]


# --- glTF ------------------------------------------------------------------------------------------------------------


def gltf(uri: str) -> bytes:
    document, _ = box_document(["Oak"])
    document["buffers"][0]["uri"] = uri
    document["images"] = [{"uri": "textures/red%20one.png"}]
    document["textures"] = [{"source": 0}]
    return json.dumps(document).encode()


def test_a_gltf_with_everything_embedded(converted: Converted) -> None:
    document, binary = box_document(["Oak"])
    document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    document["images"] = [{"uri": "data:image/png;base64," + base64.b64encode(png()).decode()}]
    document["textures"] = [{"source": 0}]
    facts, made = converted(json.dumps(document).encode(), "gltf")
    assert (facts.triangles, facts.textures, facts.variants) == (BOX_TRIANGLES, 1, ("Oak",))
    assert corners(facts) == [-0.5, 0, -0.5, 0.5, 1, 0.5]
    assert len(made["buffers"]) == 1 and "uri" not in made["buffers"][0]
    assert made["images"] == [{"mimeType": "image/png", "bufferView": 2}]


def test_a_gltf_in_an_archive_with_its_files(converted: Converted) -> None:
    _, binary = box_document()
    files = {"box__box_DOT_gltf": gltf("box.bin"), "box__box_DOT_bin": binary, "box__textures__red one_DOT_png": png()}
    facts, _ = converted(archive(**files), "gltf")
    assert (facts.triangles, facts.textures) == (BOX_TRIANGLES, 1)


def test_a_glb_that_was_called_a_gltf_is_taken_for_what_it_is(converted: Converted) -> None:
    assert converted(box(), "gltf")[0].triangles == BOX_TRIANGLES


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gltf("box.bin"), "in another file ('box.bin'), which was not uploaded: upload a zip archive"),
        (archive(box_DOT_gltf=gltf("box.bin")), "the zip archive does not hold: pack it, too"),
        (archive(box_DOT_gltf=gltf("../../../etc/passwd")), "the zip archive does not hold"),
        (archive(readme_DOT_txt=b"hello"), "holds no .gltf or .glb file"),
        (archive(a_DOT_gltf=b"{}", b_DOT_gltf=b"{}"), "holds several models (a.gltf, b.gltf)"),
        (archive(a_DOT_gltf=b"{}")[:-20], "the zip archive cannot be read"),
        (b"[]", "not an object"),
        (b'{"buffers": [3]}', "buffers is not a list of objects"),
        (b'{"bufferViews": [{"buffer": 7}]}', "refers to buffers[7]"),
    ],
)
def test_a_gltf_that_is_not_whole(converted: Converted, content: bytes, reason: str) -> None:
    with pytest.raises(ProcessingError) as refused:
        converted(content, "gltf")
    assert reason in str(refused.value)
    assert "GLB" in str(refused.value), "what always works"


# --- OBJ -------------------------------------------------------------------------------------------------------------

QUAD = "v 0 0 0\nv 2 0 0\nv 2 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\n"


def test_an_obj_with_materials_and_a_texture(converted: Converted) -> None:
    obj = QUAD + "mtllib looks.mtl\nusemtl Red\nf 1/1/1 2/2/1 3/3/1\nusemtl Gold\nf -4/-4/-1 -2/-2/-1 -1/-1/-1\n"
    mtl = (
        "newmtl Red\nKd 1 1 1\nmap_Kd -s 1 1 1 C:\\art\\red one.png\nPr 0.7\n"
        "newmtl Gold\nKd 0.9 0.6 0.1\nPm 1\nPr 0.25\nKe 0 0.5 0\nd 0.5\n"
    )
    files = {"a__model_DOT_obj": obj, "a__looks_DOT_mtl": mtl, "a__art__Red One_DOT_png": png()}
    facts, made = converted(archive(**files), "obj")
    assert (facts.triangles, facts.materials, facts.textures) == (2, 2, 1)
    assert corners(facts) == [0, 0, 0, 2, 1, 0], "metres, +Y up"
    red, gold = made["materials"]
    assert red["pbrMetallicRoughness"]["baseColorTexture"] == {"index": 0}
    assert red["pbrMetallicRoughness"]["roughnessFactor"] == 0.7
    assert gold["pbrMetallicRoughness"]["baseColorFactor"] == [0.9, 0.6, 0.1, 0.5]
    assert gold["pbrMetallicRoughness"]["metallicFactor"] == 1
    assert gold["alphaMode"] == "BLEND" and gold["emissiveFactor"] == [0, 0.5, 0]


def test_roughness_and_metalness_become_one_texture(converted: Converted) -> None:
    mtl = "newmtl A\nmap_Pr rough.tga\nmap_Pm metal.png\n"
    obj = QUAD + "mtllib a.mtl\nusemtl A\nf 1/1 2/2 3/3 4/4\n"
    files = {"m_DOT_obj": obj, "a_DOT_mtl": mtl, "rough_DOT_tga": png((90, 90, 90), kind="TGA"), "metal_DOT_png": png()}
    _, made = converted(archive(**files), "obj")
    (material,) = made["materials"]
    assert material["pbrMetallicRoughness"]["metallicRoughnessTexture"] == {"index": 0}
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == 1
    assert made["images"][0]["mimeType"] == "image/png"


def test_an_obj_alone_is_grey_and_faces_of_any_kind_are_cut(converted: Converted) -> None:
    concave = "v 0 0 0\nv 4 0 0\nv 4 1 0\nv 1 1 0\nv 1 3 0\nv 0 3 0\nf 1 2 3 4 5 6\nl 1 2\n"
    facts, made = converted(concave.encode(), "obj")
    assert (facts.triangles, facts.materials) == (4, 1)
    assert made["meshes"][0]["primitives"][0]["attributes"].keys() == {"POSITION", "NORMAL"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"v 0 0 0\nf 1 2 3\n", "there are 1 vertices so far"),
        (b"v 0 0\n", "a line 'v' of 2 numbers, not 3"),
        (b"v 0 0 nan\nf 1 1 1\n", "a number that is not finite"),
        (b"v 0 0 x\nf 1 1 1\n", "not numbers"),
        (b"v 0 0 0\nf 1/a 1 1\n", "not numbers"),
        (b"v 0 0 0\n", "holds no faces"),
        (b"\0\1\2\3", "it is not text"),
        (b"", "the file is empty"),
    ],
)
def test_an_obj_that_cannot_be_used(converted: Converted, content: bytes, reason: str) -> None:
    with pytest.raises(ProcessingError) as refused:
        converted(content, "obj")
    assert reason in str(refused.value)


# --- STL -------------------------------------------------------------------------------------------------------------

BOX = np.array([[x, y, z] for x in (0, 100) for y in (0, 60) for z in (0, 40)], np.float32)
BOX_FACES = [0, 1, 3, 0, 3, 2, 4, 6, 7, 4, 7, 5, 0, 4, 5, 0, 5, 1, 2, 3, 7, 2, 7, 6, 0, 2, 6, 0, 6, 4, 1, 5, 7, 1, 7, 3]


def binary_stl(head: bytes = b"") -> bytes:
    facets = BOX[np.array(BOX_FACES).reshape(-1, 3)]
    rows = b"".join(struct.pack("<3f", 0, 0, 0) + facet.tobytes() + b"\0\0" for facet in facets)
    return head.ljust(80, b" ") + struct.pack("<I", len(facets)) + rows


def text_stl() -> bytes:
    lines = ["solid box"]
    for facet in BOX[np.array(BOX_FACES).reshape(-1, 3)]:
        lines += [
            "facet normal 0 0 0",
            "outer loop",
            *(f"vertex {x} {y} {z}" for x, y, z in facet),
            "endloop",
            "endfacet",
        ]
    return "\n".join([*lines, "endsolid box"]).encode()


@pytest.mark.parametrize("content", [binary_stl(), binary_stl(b"solid made by a careless program"), text_stl()])
def test_an_stl_is_in_millimetres_with_z_up(converted: Converted, content: bytes) -> None:
    facts, made = converted(content, "stl")
    assert (facts.triangles, facts.vertices) == (12, 24), "edges are edges, corners are shared along a side"
    assert corners(facts) == [0, 0, -0.06, 0.1, 0.04, 0]
    assert made["materials"][0]["pbrMetallicRoughness"]["metallicFactor"] == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (binary_stl()[:-10], "cut short"),
        (b"hello", "neither a binary one nor one in text"),
        (text_stl().replace(b"vertex 100.0", b"vertex nan"), "not at a finite place"),
        (text_stl().replace(b"vertex 100.0 0.0 0.0", b"", 1), "its last triangle is not whole"),
        (b"solid nothing\nendsolid", "holds no triangles"),
    ],
)
def test_an_stl_that_cannot_be_used(converted: Converted, content: bytes, reason: str) -> None:
    with pytest.raises(ProcessingError) as refused:
        converted(content, "stl")
    assert reason in str(refused.value)


# --- STEP ------------------------------------------------------------------------------------------------------------


def test_a_step_says_its_units_and_keeps_its_colour(converted: Converted) -> None:
    pytest.importorskip("cascadio")
    facts, made = converted(step_box(100, 60, 40, (0.8, 0.1, 0.1)), "step")
    assert facts.triangles == 12
    assert corners(facts) == [0, 0, -0.06, 0.1, 0.04, 0], "millimetres, +Z up, its front to the viewer"
    red, green, _, _ = made["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"]
    assert red > 0.5 and green < 0.05


def test_a_step_without_colours_is_grey(converted: Converted) -> None:
    pytest.importorskip("cascadio")
    _, made = converted(step_box(100, 60, 40), "stp")
    assert made["materials"][0]["pbrMetallicRoughness"]["metallicFactor"] == 0


@pytest.mark.parametrize("content", [b"hello", b"ISO-10303-21;\nnonsense", step_box(1, 1, 1)[:2000]])
def test_a_step_that_cannot_be_read(converted: Converted, content: bytes) -> None:
    pytest.importorskip("cascadio")
    with pytest.raises(ProcessingError, match="STEP file"):
        converted(content, "step")


# --- USD -------------------------------------------------------------------------------------------------------------

STAGE = """#usda 1.0
(
    metersPerUnit = 0.01
    upAxis = "Z"
)
def Xform "Root"
{
    double3 xformOp:translate = (0, 0, 50)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def Mesh "Quad" (
        prepend apiSchemas = ["MaterialBindingAPI"]
    )
    {
        int[] faceVertexCounts = [4]
        int[] faceVertexIndices = [0, 1, 2, 3]
        point3f[] points = [(0, 0, 0), (100, 0, 0), (100, 0, 60), (0, 0, 60)]
        texCoord2f[] primvars:map1 = [(0, 0), (1, 0), (1, 1), (0, 1)] (interpolation = "faceVarying")
        rel material:binding = </Root/Paint>
    }
    def Cube "Cube"
    {
        double size = 10
        color3f[] primvars:displayColor = [(0.1, 0.2, 0.3)]
    }
    def Mesh "Hidden"
    {
        token visibility = "invisible"
        int[] faceVertexCounts = [3]
        int[] faceVertexIndices = [0, 1, 2]
        point3f[] points = [(0, 0, 0), (1000, 0, 0), (1000, 0, 1000)]
    }
    def Material "Paint"
    {
        token outputs:surface.connect = </Root/Paint/Surface.outputs:surface>
        def Shader "Surface"
        {
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor.connect = </Root/Paint/Picture.outputs:rgb>
            float inputs:metallic = 0.25
            float inputs:roughness.connect = </Root/Paint/Rough.outputs:g>
            token outputs:surface
        }
        def Shader "Picture"
        {
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @textures/red.png@
            float2 inputs:st.connect = </Root/Paint/Reader.outputs:result>
            float3 outputs:rgb
        }
        def Shader "Rough"
        {
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @textures/rough.png@
            float2 inputs:st.connect = </Root/Paint/Reader.outputs:result>
            float outputs:g
        }
        def Shader "Reader"
        {
            uniform token info:id = "UsdPrimvarReader_float2"
            string inputs:varname = "map1"
            float2 outputs:result
        }
    }
}
"""


def usdz(tmp_path: Path, stage: str = STAGE) -> bytes:
    from pxr import UsdUtils

    folder = tmp_path / "package"
    (folder / "textures").mkdir(parents=True)
    (folder / "scene.usda").write_text(stage, encoding="utf-8")
    (folder / "textures" / "red.png").write_bytes(png())
    (folder / "textures" / "rough.png").write_bytes(png((0, 128, 0)))
    assert UsdUtils.CreateNewUsdzPackage(str(folder / "scene.usda"), str(tmp_path / "made.usdz"))
    return (tmp_path / "made.usdz").read_bytes()


def test_a_usdz_with_its_textures(converted: Converted, tmp_path: Path) -> None:
    pytest.importorskip("pxr")
    facts, made = converted(usdz(tmp_path), "usdz")
    assert (facts.triangles, facts.textures) == (2 + 12, 2)
    assert corners(facts) == [-0.05, 0.45, -0.05, 1.0, 1.1, 0.05], "centimetres, +Z up"
    paint = next(material for material in made["materials"] if material.get("name") == "Paint")
    surface = paint["pbrMetallicRoughness"]
    assert surface["baseColorTexture"] == {"index": 0} and surface["metallicRoughnessTexture"] == {"index": 1}
    assert (surface["metallicFactor"], surface["roughnessFactor"]) == (0.25, 1.0)
    quad = next(mesh for mesh in made["meshes"] if mesh["name"] == "Quad")
    assert "TEXCOORD_0" in quad["primitives"][0]["attributes"], "by the primvar that the material reads"
    cube = next(mesh for mesh in made["meshes"] if mesh["name"] == "Cube")
    assert "COLOR_0" in cube["primitives"][0]["attributes"]


def test_a_usd_in_text_or_binary(converted: Converted, tmp_path: Path) -> None:
    pxr = pytest.importorskip("pxr.Usd")
    facts, _ = converted(STAGE.encode(), "usd")
    assert (facts.triangles, facts.textures) == (14, 0), "the textures were not uploaded"
    stage = pxr.Stage.CreateInMemory()
    stage.GetRootLayer().ImportFromString(STAGE)
    stage.Export(str(tmp_path / "binary.usdc"))
    assert converted((tmp_path / "binary.usdc").read_bytes(), "usd")[0].triangles == 14


def test_what_lies_outside_of_the_file_is_not_looked_at(converted: Converted, tmp_path: Path) -> None:
    pytest.importorskip("pxr")
    secret = tmp_path / "secret.usda"
    secret.write_text(STAGE, encoding="utf-8")
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    with pytest.raises(ProcessingError, match=r"made of several files \(one is 'secret\.usda'\)"):
        converted(f'#usda 1.0\n(subLayers = [@{secret}@])\ndef Cube "A" {{}}\n'.encode(), "usd")
    stage = STAGE.replace("textures/red.png", str(tmp_path / "secret.png"))
    assert converted(stage.encode(), "usd")[0].textures == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "damaged, or not USD at all"),
        (b"#usda 1.0\n", "there is nothing to see"),
        (STAGE.replace("[0, 1, 2, 3]", "[0, 1, 2, 9]").encode(), "points to a vertex that it does not have"),
        (STAGE.replace("[0, 1, 2, 3]", "[0, 1]").encode(), "faces of 4 corners together, and 2 indices"),
        (STAGE.replace("(100, 0, 60)", "(nan, 0, 60)").encode(), "not at a finite place"),
        (archive(scene_DOT_usda=STAGE), "holds compressed files, which the format does not allow"),
    ],
)
def test_a_usd_that_cannot_be_used(converted: Converted, content: bytes, reason: str) -> None:
    pytest.importorskip("pxr")
    with pytest.raises(ProcessingError) as refused:
        converted(content, "usd")
    assert reason in str(refused.value)


# --- FBX -------------------------------------------------------------------------------------------------------------

FBX = """; FBX 7.4.0 project file
FBXHeaderExtension:  {
\tFBXHeaderVersion: 1003
\tFBXVersion: 7400
}
GlobalSettings:  {
\tVersion: 1000
\tProperties70:  {
\t\tP: "UpAxis", "int", "Integer", "",1
\t\tP: "UpAxisSign", "int", "Integer", "",1
\t\tP: "FrontAxis", "int", "Integer", "",2
\t\tP: "FrontAxisSign", "int", "Integer", "",1
\t\tP: "CoordAxis", "int", "Integer", "",0
\t\tP: "CoordAxisSign", "int", "Integer", "",1
\t\tP: "UnitScaleFactor", "double", "Number", "",1
\t}
}
Objects:  {
\tGeometry: 100, "Geometry::Quad", "Mesh" {
\t\tVertices: *12 {
\t\t\ta: 0,0,0,200,0,0,200,100,0,0,100,0
\t\t}
\t\tPolygonVertexIndex: *4 {
\t\t\ta: 0,1,2,-4
\t\t}
\t\tGeometryVersion: 124
\t\tLayerElementMaterial: 0 {
\t\t\tVersion: 101
\t\t\tName: ""
\t\t\tMappingInformationType: "AllSame"
\t\t\tReferenceInformationType: "IndexToDirect"
\t\t\tMaterials: *1 {
\t\t\t\ta: 0
\t\t\t}
\t\t}
\t\tLayer: 0 {
\t\t\tVersion: 100
\t\t\tLayerElement:  {
\t\t\t\tType: "LayerElementMaterial"
\t\t\t\tTypedIndex: 0
\t\t\t}
\t\t}
\t}
\tModel: 200, "Model::Quad", "Mesh" {
\t\tVersion: 232
\t}
\tMaterial: 300, "Material::Paint", "" {
\t\tVersion: 102
\t\tShadingModel: "phong"
\t\tProperties70:  {
\t\t\tP: "DiffuseColor", "Color", "", "A",0.8,0.1,0.1
\t\t}
\t}
}
Connections:  {
\tC: "OO",200,0
\tC: "OO",100,200
\tC: "OO",300,200
}
"""


def blender_here() -> bool:
    try:
        blender.version()
    except blender.BlenderMissing:
        return False
    return True


needs_blender = pytest.mark.skipif(
    not blender_here(), reason=f"no Blender: set {blender.PYTHON_VARIABLE} to a Python that has bpy"
)


@needs_blender
def test_an_fbx_says_its_units_and_keeps_its_colour(converted: Converted) -> None:
    facts, made = converted(FBX.encode(), "fbx")
    assert facts.triangles == 2
    assert corners(facts) == [0, 0, 0, 2, 1, 0], "centimetres, +Y up"
    assert made["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"][0] > 0.5


@needs_blender
@pytest.mark.parametrize("content", [b"hello", FBX[:600].encode(), b"Kaydara FBX Binary  \0\x1a\0" + b"\xff" * 500])
def test_an_fbx_that_cannot_be_read(converted: Converted, content: bytes) -> None:
    with pytest.raises(ProcessingError, match="FBX"):
        converted(content, "fbx")


def test_without_blender_an_fbx_says_what_to_upload_instead(
    converted: Converted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(blender.PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(blender, "find_spec", lambda _: None)
    with pytest.raises(ProcessingError, match=r"export the model as GLB .* or have the studio's operator install"):
        converted(FBX.encode(), "fbx")


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file_type", "library", "extra"), [("usdz", "pxr", "usd"), ("step", "cascadio", "step")])
def test_without_its_library_a_format_says_what_to_do(
    converted: Converted, monkeypatch: pytest.MonkeyPatch, file_type: str, library: str, extra: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(ProcessingError) as refused:
        converted(b"whatever is in it", file_type)
    assert "export it as GLB (binary glTF 2.0) and upload that" in str(refused.value)
    assert f"pip install 'glossi-sync[{extra}]'" in str(refused.value)


@pytest.mark.parametrize("file_type", sorted(set(wire.FILE_TYPES) - {"glb"}))
def test_every_documented_type_has_a_way(converted: Converted, file_type: str) -> None:
    with pytest.raises(ProcessingError, match="GLB"):
        converted(b"whatever is in it", file_type)


SAMPLES = {
    "gltf": archive(
        box_DOT_gltf=gltf("box.bin"), box_DOT_bin=box_document()[1], **{"textures__red one_DOT_png": png()}
    ),
    "obj": QUAD.encode() + b"usemtl A\nf 1/1/1 2/2/1 3/3/1 4/4/1\nf -1 -2 -3\n",
    "stl": text_stl()[:700],
}


@given(st.data())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_refused_in_words_or_does_no_harm(converted: Converted, data: st.DataObject) -> None:
    file_type = data.draw(st.sampled_from(sorted(SAMPLES)))
    content = bytearray(SAMPLES[file_type])
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        facts, _ = converted(bytes(content[: data.draw(st.integers(1, len(content)))]), file_type)
    except ProcessingError as error:
        assert str(error)
    else:
        assert facts.triangles > 0


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_polygons_become_as_many_triangles_as_they_have_room_for(counts: list[int], random: Any) -> None:
    points = np.array([[random.random() for _ in range(3)] for _ in range(sum(counts))]).reshape(-1, 3)
    triangles = triangulated(np.array(counts), points)
    assert len(triangles) == sum(max(0, count - 2) for count in counts)
    assert all(0 <= corner < sum(counts) for corner in triangles.ravel())


def test_a_concave_polygon_is_covered_once() -> None:
    shape = np.array([[0, 0, 0], [4, 0, 0], [4, 1, 0], [1, 1, 0], [1, 3, 0], [0, 3, 0]], float)
    a, b, c = (shape[triangulated(np.array([6]), shape)][:, corner] for corner in range(3))
    areas = np.cross(b - a, c - a)[:, 2] / 2
    assert (areas > 0).all() and areas.sum() == pytest.approx(6.0)


def test_normals_are_smooth_on_a_ball_and_sharp_on_a_box() -> None:
    points, triangles = BOX.astype(float), np.array(BOX_FACES).reshape(-1, 3)
    normals = smooth_normals(points, triangles)
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    facing = np.cross(b - a, c - a)
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    assert np.allclose(normals, facing[:, None, :])
    ring = np.linspace(0, 2 * np.pi, 33)[:-1]
    lower = np.stack([np.cos(ring), np.sin(ring), np.zeros(32)], axis=-1)
    tube = np.concatenate([lower, lower + (0, 0, 1)])
    at = np.arange(32)
    sides = np.concatenate(
        [np.stack([at, (at + 1) % 32, at + 32], -1), np.stack([(at + 1) % 32, (at + 1) % 32 + 32, at + 32], -1)]
    )
    outwards = tube[sides] * (1, 1, 0)
    assert (np.einsum("ijk,ijk->ij", smooth_normals(tube, sides), outwards) > 0.99).all()
