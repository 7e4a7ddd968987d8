"""Inspection: is this GLB usable, and what is in it? A pure function of the file, which never believes it.

It reads the GLB container and its JSON, checks what a renderer would follow, walks the scene, and measures what is to
be seen: a file that passes can be rendered, one that does not is FAILED with a message for the person who exported
it. Memory is bounded by the file's size, whatever the file claims: nothing that is only claimed (a count, a size, an
address) is believed before it is found to lie within the file; vertices are read in place. Where data is compressed,
so that a claim is all there is, the claims together are limited.

Source: the glTF 2.0 specification.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from glossi_sync.collecting import uncollected
from glossi_sync.studio.processing.facts import ModelFacts, Vector, refuse

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 512
"""Of the node tree: far above what tools write, far below what a renderer's stack takes."""

MAX_TRIANGLES = 100_000_000
"""Shown by the scene, instances counted."""

MAX_UNPACKED_BYTES = 2 * 1024**3
"""What all compressed and sparse data of a file may claim to unpack to."""

MAX_TEXTURE_SIDE = 16_384
"""Pixels: no graphics driver promises more."""

MAX_TEXELS = 16_384**2
"""Pixels of all pictures of a file together: a gigabyte once they are unpacked."""

MAX_NODES = 250_000

KNOWN_EXTENSIONS = frozenset(
    {
        "EXT_meshopt_compression",
        "EXT_texture_webp",
        "KHR_draco_mesh_compression",
        "KHR_lights_punctual",
        "KHR_materials_anisotropy",
        "KHR_materials_clearcoat",
        "KHR_materials_dispersion",
        "KHR_materials_emissive_strength",
        "KHR_materials_ior",
        "KHR_materials_iridescence",
        "KHR_materials_pbrSpecularGlossiness",
        "KHR_materials_sheen",
        "KHR_materials_specular",
        "KHR_materials_transmission",
        "KHR_materials_unlit",
        "KHR_materials_variants",
        "KHR_materials_volume",
        "KHR_mesh_quantization",
        "KHR_texture_basisu",
        "KHR_texture_transform",
    }
)

_COMPONENTS = {5120: ("b", 1), 5121: ("B", 1), 5122: ("<h", 2), 5123: ("<H", 2), 5125: ("<I", 4), 5126: ("<f", 4)}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_TRIANGLES = {4: lambda count: count // 3, 5: lambda count: max(0, count - 2), 6: lambda count: max(0, count - 2)}
_ROWS_AT_ONCE = 1 << 18
_PLACED = frozenset({"matrix", "translation", "rotation", "scale"})
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)

Matrix = tuple[float, ...]
"""Sixteen numbers, column by column, as glTF writes them."""


def inspect(path: Path) -> ModelFacts:
    """Check a GLB and measure it.

    Raises:
        ProcessingError: the file is not usable.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        if size == 0:
            refuse("the file is empty")
        # Never closed by hand: views of it live as long as the traceback of an error.
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    document, (begin, end) = _chunks(content, size)
    return _facts(_Gltf(document, memoryview(content)[begin:end]))


def _chunks(content: mmap.mmap, size: int) -> tuple[dict[str, Any], tuple[int, int]]:
    """The JSON chunk, parsed, and where the binary chunk begins and ends (an empty range where there is none)."""
    if size < 12 or content[:4] != b"glTF":
        refuse("the file is not a GLB: it does not begin with the letters glTF. Export it as binary glTF 2.0")
    version, length = struct.unpack_from("<II", content, 4)
    if version != 2:
        refuse(f"the file is glTF version {version}: only version 2 can be used. Export it as glTF 2.0")
    if length > size:
        refuse(f"the file is cut short: its header says {length:,} bytes, there are {size:,}. Upload it again")
    position = 12
    document: dict[str, Any] | None = None
    binary: tuple[int, int] | None = None
    while position + 8 <= length:
        chunk_length, kind = struct.unpack_from("<II", content, position)
        begin, end = position + 8, position + 8 + chunk_length
        if end > length:
            refuse(f"the file is damaged: the chunk at byte {position:,} reaches beyond the end of the file")
        if document is None:
            if kind != 0x4E4F534A:
                refuse("the file is damaged: its first chunk is not JSON")
            document = parse_json(content[begin : min(end, begin + MAX_JSON_BYTES + 1)])
        elif kind == 0x004E4942 and binary is None:
            binary = (begin, end)
        position = end
    if document is None:
        refuse("the file is damaged: it has no JSON chunk")
    return document, binary or (0, 0)


def parse_json(text: bytes) -> dict[str, Any]:
    """A glTF document.

    Raises:
        ProcessingError: it is too large, or no JSON object.
    """
    if len(text) > MAX_JSON_BYTES:
        refuse(f"the file's JSON is larger than {MAX_JSON_BYTES // 1024**2} MB: split the model into several")
    try:
        with uncollected():  # it takes most of the time in a document of millions of small parts
            document = json.loads(text.decode("utf-8"), parse_constant=_not_a_number)
    except RecursionError:
        refuse("the file's JSON is nested too deeply")
    except ValueError as error:
        refuse(f"the file's JSON cannot be read: {error}")
    if not isinstance(document, dict):
        refuse("the file's JSON is not an object")
    return document


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number that JSON knows")


# --- the document, read with suspicion -------------------------------------------------------------------------------


class _Gltf:
    """A glTF document whose every access is checked; ``binary`` is the file's own binary chunk."""

    def __init__(self, document: Mapping[str, Any], binary: memoryview) -> None:
        self.document = document
        self.binary = binary
        self._claimed = 0
        # By accessor: a thousand primitives may share one, and each is read once.
        self.boxes: dict[str, tuple[Vector, Vector] | None] = {}
        self.highest: dict[str, int] = {}

    def list(self, name: str) -> Sequence[Any]:
        value = self.document.get(name, [])
        if not isinstance(value, list):
            refuse(f"{name} is not a list")
        return value

    def entry(self, name: str, index: object, of: str) -> Mapping[str, Any]:
        """The object ``name[index]``; ``of`` is who refers to it."""
        entries = self.list(name)
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(entries):
            refuse(f"{of} refers to {name}[{index}], and there are {len(entries)} {name}")
        return _object(entries[index], f"{name}[{index}]")

    def extension(self, entry: Mapping[str, Any], name: str, of: str) -> Mapping[str, Any] | None:
        extensions = _object(entry.get("extensions", {}), f"{of}.extensions")
        return None if name not in extensions else _object(extensions[name], f"{of}.extensions.{name}")

    @cached_property
    def buffers(self) -> Sequence[memoryview]:
        return [self._buffer(index, entry) for index, entry in enumerate(self.list("buffers"))]

    def _buffer(self, index: int, entry: object) -> memoryview:
        where = f"buffers[{index}]"
        buffer = _object(entry, where)
        length = _count(buffer, "byteLength", where)
        uri = buffer.get("uri")
        if uri is not None:
            content = memoryview(embedded(uri, where))
        elif index == 0:
            content = self.binary
        elif self.extension(buffer, "EXT_meshopt_compression", where) is not None:
            # The place of uncompressed data that such a file does not have to carry.
            return memoryview(b"")
        else:
            refuse(f"{where} has neither a uri nor a place in the file")
        if length > len(content):
            refuse(f"{where} claims {length:,} bytes, the file has {len(content):,} for it")
        return content[:length]

    def view(self, index: object, of: str) -> tuple[memoryview, int]:
        """The bytes of a bufferView, and its stride (0: none)."""
        entry = self.entry("bufferViews", index, of)
        where = f"bufferViews[{index}]"
        content = self._bytes_of(entry, where)
        stride = _count(entry, "byteStride", where, 0)
        if stride and not 4 <= stride <= 252:
            refuse(f"{where}.byteStride is {stride}: it must be from 4 to 252")
        return content, stride

    def _bytes_of(self, entry: Mapping[str, Any], where: str) -> memoryview:
        buffer = entry.get("buffer")
        self.entry("buffers", buffer, where)
        assert isinstance(buffer, int)
        content = self.buffers[buffer]
        offset = _count(entry, "byteOffset", where, 0)
        length = _count(entry, "byteLength", where)
        if offset + length > len(content):
            refuse(f"{where} reaches to byte {offset + length:,} of a buffer of {len(content):,} bytes")
        return content[offset : offset + length]

    def claim(self, accessor: _Accessor) -> None:
        """Count what a renderer will have to make room for without finding it in the file."""
        self._claimed += accessor.count * accessor.size * accessor.width
        if self._claimed > MAX_UNPACKED_BYTES:
            refuse(
                f"{accessor.where} and others claim to unpack to more than {MAX_UNPACKED_BYTES // 1024**3} GB:"
                " the file is damaged, or the model is too large"
            )

    def accessor(self, index: object, of: str) -> _Accessor:
        entry = self.entry("accessors", index, of)
        where = f"accessors[{index}]"
        count = _count(entry, "count", where)
        component, kind = _count(entry, "componentType", where), entry.get("type")
        if component not in _COMPONENTS or not isinstance(kind, str) or kind not in _WIDTHS:
            refuse(f"{where} is of an unknown kind: componentType {component}, type {kind}")
        accessor = _Accessor(where, entry, count, _COMPONENTS[component][0], _COMPONENTS[component][1], _WIDTHS[kind])
        self._check_sparse(accessor)
        return accessor

    def rows(self, accessor: _Accessor) -> Iterator[NDArray[Any]]:
        """An accessor's elements, some at a time, each (rows, width), in place; none where they are compressed."""
        import numpy as np  # noqa: PLC0415 - the server reads this module, too, and has no use for numpy

        if "bufferView" not in accessor.entry:
            if "sparse" not in accessor.entry:
                refuse(f"{accessor.where} has no data")
            self.claim(accessor)
            return
        view_index = accessor.entry["bufferView"]
        view_entry = self.entry("bufferViews", view_index, accessor.where)
        where = f"bufferViews[{view_index}]"
        compressed = self.extension(view_entry, "EXT_meshopt_compression", where)
        if compressed is not None:
            self._bytes_of(compressed, f"{where}.extensions.EXT_meshopt_compression")
            self.claim(accessor)
            return
        content, stride = self.view(view_index, accessor.where)
        offset = _count(accessor.entry, "byteOffset", accessor.where, 0)
        element = accessor.size * accessor.width
        stride = stride or element
        end = offset + stride * (accessor.count - 1) + element if accessor.count else offset
        if end > len(content) or stride < element:
            refuse(
                f"{accessor.where} claims {accessor.count:,} elements and reaches to byte {end:,}"
                f" of a bufferView of {len(content):,} bytes"
            )
        for first in range(0, accessor.count, _ROWS_AT_ONCE):
            yield np.ndarray(
                (min(_ROWS_AT_ONCE, accessor.count - first), accessor.width),
                dtype=accessor.component,
                buffer=content,
                offset=offset + first * stride,
                strides=(stride, accessor.size),
            )

    def _check_sparse(self, accessor: _Accessor) -> None:
        if "sparse" not in accessor.entry:
            return
        where = f"{accessor.where}.sparse"
        sparse = _object(accessor.entry["sparse"], where)
        count = _count(sparse, "count", where)
        indices = _object(sparse.get("indices"), f"{where}.indices")
        component = _count(indices, "componentType", f"{where}.indices")
        if component not in {5121, 5123, 5125}:
            refuse(f"{where}.indices.componentType is {component}")
        self._check_sparse_part(indices, count * _COMPONENTS[component][1], f"{where}.indices")
        values = _object(sparse.get("values"), f"{where}.values")
        self._check_sparse_part(values, count * accessor.size * accessor.width, f"{where}.values")

    def _check_sparse_part(self, entry: Mapping[str, Any], length: int, where: str) -> None:
        content, _ = self.view(entry.get("bufferView"), where)
        if _count(entry, "byteOffset", where, 0) + length > len(content):
            refuse(f"{where} reaches beyond its bufferView")


@dataclass(frozen=True, slots=True)
class _Accessor:
    where: str
    entry: Mapping[str, Any]
    count: int
    component: str
    """numpy's name of one component's type."""
    size: int
    """Bytes of one component."""
    width: int
    """Components of one element."""


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        refuse(f"{where} is missing or not an object")
    return value


def _count(entry: Mapping[str, Any], name: str, where: str, default: int | None = None) -> int:
    value = entry.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        refuse(f"{where}.{name} is {value!r}: it must be a whole number, 0 or more")
    return value


def _numbers(value: object, count: int, where: str) -> tuple[float, ...]:
    if (
        not isinstance(value, list)
        or len(value) != count
        or not all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
    ):
        refuse(f"{where} is not a list of {count} numbers")
    try:
        numbers = tuple(float(number) for number in value)
    except OverflowError:
        refuse(f"{where} holds a number that is too large")
    if not all(map(math.isfinite, numbers)):
        refuse(f"{where} holds a number that is not finite")
    return numbers


def embedded(uri: object, where: str) -> bytes:
    """The bytes of a data URI; anything else is another file, which was not uploaded."""
    if not isinstance(uri, str) or not uri.startswith("data:"):
        refuse(
            f"{where} is in another file ({str(uri)[:80]!r}), which was not uploaded:"
            " export the model as one GLB with everything embedded"
        )
    head, _, encoded = uri.partition(",")
    if not head.endswith(";base64"):
        refuse(f"{where}.uri is a data URI without base64")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        refuse(f"{where}.uri is not valid base64: {error}")


# --- what is in it ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Mesh:
    """One mesh: its triangles and the box around its vertices (None where it has no triangles)."""

    triangles: int
    vertices: int
    minimum: Vector
    maximum: Vector


def _facts(gltf: _Gltf) -> ModelFacts:
    _check_head(gltf)
    _check_images(gltf)
    variants = _variants(gltf)
    meshes: dict[int, _Mesh | None] = {}
    minimum, maximum = [math.inf] * 3, [-math.inf] * 3
    triangles = vertices = 0
    for index, transform in _mesh_instances(gltf):
        if index not in meshes:
            meshes[index] = _mesh(gltf, index)
        mesh = meshes[index]
        if mesh is None:
            continue
        triangles += mesh.triangles
        vertices += mesh.vertices
        if triangles > MAX_TRIANGLES:
            refuse(f"the model shows more than {MAX_TRIANGLES:,} triangles: simplify it")
        for axis, (low, high) in enumerate(_transformed(transform, mesh)):
            minimum[axis] = min(minimum[axis], low)
            maximum[axis] = max(maximum[axis], high)
    if triangles == 0:
        refuse(
            "there is nothing to see in this model: no node of its scene shows a mesh with triangles."
            " Check that the product was selected, and visible, when it was exported"
        )
    if not all(map(math.isfinite, (*minimum, *maximum))) or max(map(abs, (*minimum, *maximum))) > 1e30:
        refuse("the model's bounding box is not finite: a vertex or a node's transform lies far outside")
    if all(high - low <= 0 for low, high in zip(minimum, maximum, strict=True)):
        refuse("there is nothing to see in this model: all of it lies in a single point")
    return ModelFacts(
        triangles=triangles,
        materials=len(gltf.list("materials")),
        textures=len(gltf.list("textures")),
        animations=len(gltf.list("animations")),
        variants=variants,
        minimum=(minimum[0], minimum[1], minimum[2]),
        maximum=(maximum[0], maximum[1], maximum[2]),
        vertices=vertices,
        extensions=tuple(sorted({str(name) for name in gltf.list("extensionsUsed")})),
    )


def _check_head(gltf: _Gltf) -> None:
    version = _object(gltf.document.get("asset"), "asset").get("version")
    if not isinstance(version, str) or not version.startswith("2."):
        refuse(f"asset.version is {version!r}: only glTF 2 can be used")
    unknown = sorted({str(name) for name in gltf.list("extensionsRequired")} - KNOWN_EXTENSIONS)
    if unknown:
        refuse(
            f"the model requires glTF extensions that this studio does not know: {', '.join(unknown)[:300]}."
            " Export it without them"
        )


def _check_images(gltf: _Gltf) -> None:
    texels = 0
    for index, entry in enumerate(gltf.list("images")):
        where = f"images[{index}]"
        image = _object(entry, where)
        if "uri" in image:
            content = memoryview(embedded(image["uri"], where))
        else:
            content, _ = gltf.view(image.get("bufferView"), where)
        if bytes(content[:12]) == b"\xabKTX 20\xbb\r\n\x1a\n":
            width, height = struct.unpack_from("<II", content.tobytes()[:28].ljust(28, b"\0"), 20)
        else:
            width, height = _image_size(content, where)
        if max(width, height) > MAX_TEXTURE_SIDE:
            refuse(f"{where} is {width} x {height} pixels: at most {MAX_TEXTURE_SIDE} a side can be used")
        texels += width * height
        if texels > MAX_TEXELS:
            refuse(
                f"the model's pictures have more than {MAX_TEXELS // 10**6} million pixels together:"
                " make its textures smaller"
            )
    for index, entry in enumerate(gltf.list("textures")):
        texture = _object(entry, f"textures[{index}]")
        if "source" in texture:
            gltf.entry("images", texture["source"], f"textures[{index}]")


def _image_size(content: memoryview, where: str) -> tuple[int, int]:
    from PIL import Image  # noqa: PLC0415 - as numpy, above

    # Only the header is read here, and the caller checks the size: Pillow's own warning is not wanted.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as image:
            return image.size
    except (OSError, ValueError, SyntaxError):
        refuse(f"{where} is not a PNG, JPEG, WebP or KTX2 picture, or it is damaged")


def _variants(gltf: _Gltf) -> tuple[str, ...]:
    extension = gltf.extension(gltf.document, "KHR_materials_variants", "the file")
    if extension is None:
        return ()
    entries = extension.get("variants", [])
    if not isinstance(entries, list):
        refuse("KHR_materials_variants.variants is not a list")
    return tuple(
        str(_object(entry, f"KHR_materials_variants.variants[{index}]").get("name", f"Variant {index + 1}"))
        for index, entry in enumerate(entries)
    )


def _mesh_instances(gltf: _Gltf) -> Iterator[tuple[int, Matrix]]:
    """Each node of the scene that shows a mesh: the mesh's index, and the node's transform into the scene."""
    scenes = gltf.list("scenes")
    if not scenes:
        return
    scene = gltf.entry("scenes", gltf.document.get("scene", 0), "the file")
    roots = scene.get("nodes", [])
    if not isinstance(roots, list):
        refuse("the scene's nodes are not a list")
    if len(gltf.list("nodes")) > MAX_NODES:
        refuse(f"the model has more than {MAX_NODES:,} nodes: join its parts")
    seen: set[int] = set()
    waiting: list[tuple[object, Matrix, int]] = [(root, _IDENTITY, 1) for root in reversed(roots)]
    while waiting:
        index, parent, depth = waiting.pop()
        node = gltf.entry("nodes", index, "the scene")
        assert isinstance(index, int)
        where = f"nodes[{index}]"
        if index in seen:
            refuse(f"{where} is reached twice: the nodes are not a tree")
        seen.add(index)
        if depth > MAX_DEPTH:
            refuse(f"the nodes are nested more than {MAX_DEPTH} deep: flatten the model's hierarchy")
        transform = _product(parent, _local_transform(node, where))
        if "mesh" in node:
            mesh = node["mesh"]
            gltf.entry("meshes", mesh, where)
            yield mesh, transform
        children = node.get("children", [])
        if not isinstance(children, list):
            refuse(f"{where}.children is not a list")
        waiting.extend((child, transform, depth + 1) for child in reversed(children))


def _local_transform(node: Mapping[str, Any], where: str) -> Matrix:
    if not _PLACED & node.keys():
        return _IDENTITY
    if "matrix" in node:
        return _numbers(node["matrix"], 16, f"{where}.matrix")
    tx, ty, tz = _numbers(node.get("translation", [0, 0, 0]), 3, f"{where}.translation")
    x, y, z, w = _numbers(node.get("rotation", [0, 0, 0, 1]), 4, f"{where}.rotation")
    sx, sy, sz = _numbers(node.get("scale", [1, 1, 1]), 3, f"{where}.scale")
    return (
        (1 - 2 * (y * y + z * z)) * sx,
        2 * (x * y + z * w) * sx,
        2 * (x * z - y * w) * sx,
        0.0,
        2 * (x * y - z * w) * sy,
        (1 - 2 * (x * x + z * z)) * sy,
        2 * (y * z + x * w) * sy,
        0.0,
        2 * (x * z + y * w) * sz,
        2 * (y * z - x * w) * sz,
        (1 - 2 * (x * x + y * y)) * sz,
        0.0,
        tx,
        ty,
        tz,
        1.0,
    )


def _product(left: Matrix, right: Matrix) -> Matrix:
    if right is _IDENTITY:
        return left
    a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3 = left
    columns = (right[:4], right[4:8], right[8:12], right[12:])
    return tuple(
        value
        for x, y, z, w in columns
        for value in (
            a0 * x + b0 * y + c0 * z + d0 * w,
            a1 * x + b1 * y + c1 * z + d1 * w,
            a2 * x + b2 * y + c2 * z + d2 * w,
            a3 * x + b3 * y + c3 * z + d3 * w,
        )
    )


def _transformed(matrix: Matrix, mesh: _Mesh) -> Iterator[tuple[float, float]]:
    """The box around a mesh's transformed box, an axis at a time: each term of a place is lowest at one of its ends."""
    (x0, y0, z0), (x1, y1, z1) = mesh.minimum, mesh.maximum
    for axis in range(3):
        x, y, z = matrix[axis], matrix[4 + axis], matrix[8 + axis]
        ends = ((x * x0, x * x1), (y * y0, y * y1), (z * z0, z * z1))
        yield sum(map(min, ends)) + matrix[12 + axis], sum(map(max, ends)) + matrix[12 + axis]


def _mesh(gltf: _Gltf, index: int) -> _Mesh | None:
    where = f"meshes[{index}]"
    primitives = gltf.entry("meshes", index, where).get("primitives")
    if not isinstance(primitives, list):
        refuse(f"{where}.primitives is missing or not a list")
    parts = [
        part
        for number, entry in enumerate(primitives)
        if (part := _primitive(gltf, _object(entry, f"{where}.primitives[{number}]"), f"{where}.primitives[{number}]"))
    ]
    if not parts:
        return None
    return _Mesh(
        triangles=sum(part.triangles for part in parts),
        vertices=sum(part.vertices for part in parts),
        minimum=_corner(min, [part.minimum for part in parts]),
        maximum=_corner(max, [part.maximum for part in parts]),
    )


def _corner(choose: Any, corners: Sequence[Vector]) -> Vector:
    x, y, z = (choose(corner[axis] for corner in corners) for axis in range(3))
    return x, y, z


def _primitive(gltf: _Gltf, primitive: Mapping[str, Any], where: str) -> _Mesh | None:
    mode = _count(primitive, "mode", where, 4)
    attributes = _object(primitive.get("attributes"), f"{where}.attributes")
    if "material" in primitive:
        gltf.entry("materials", primitive["material"], where)
    if mode not in _TRIANGLES or "POSITION" not in attributes:
        return None
    positions = gltf.accessor(attributes["POSITION"], f"{where}.attributes.POSITION")
    if positions.width != 3:
        refuse(f"{positions.where} gives positions, and its type is not VEC3")
    draco = gltf.extension(primitive, "KHR_draco_mesh_compression", where)
    indices = gltf.accessor(primitive["indices"], f"{where}.indices") if "indices" in primitive else None
    others = [gltf.accessor(at, f"{where}.attributes.{name}") for name, at in attributes.items() if name != "POSITION"]
    if draco is not None:
        gltf.view(draco.get("bufferView"), f"{where}.extensions.KHR_draco_mesh_compression")
        for accessor in (positions, *others, *([indices] if indices else [])):
            gltf.claim(accessor)
    else:
        for accessor in others:
            _check_attribute(gltf, accessor, positions)
        if indices is not None:
            _check_indices(gltf, indices, positions)
    count = positions.count if indices is None else indices.count
    triangles = _TRIANGLES[mode](count)
    if triangles == 0 or positions.count == 0:
        return None
    # Renderers cull by what is declared, so that it must make sense even where the vertices can be measured.
    declared = _declared_box(positions)
    box = None
    if draco is None and "sparse" not in positions.entry:
        if positions.where not in gltf.boxes:
            gltf.boxes[positions.where] = _measured_box(gltf, positions)
        box = gltf.boxes[positions.where]
    minimum, maximum = box or declared
    return _Mesh(triangles, positions.count, minimum, maximum)


def _check_indices(gltf: _Gltf, indices: _Accessor, positions: _Accessor) -> None:
    if indices.component not in {"B", "<H", "<I"} or indices.width != 1:
        refuse(f"{indices.where} gives indices, and is not a list of unsigned whole numbers")
    if indices.where not in gltf.highest:
        gltf.highest[indices.where] = max((int(rows.max()) for rows in gltf.rows(indices)), default=-1)
    if (highest := gltf.highest[indices.where]) >= positions.count:
        refuse(f"{indices.where} points to vertex {highest:,} of a mesh that has {positions.count:,} vertices")


def _check_attribute(gltf: _Gltf, accessor: _Accessor, positions: _Accessor) -> None:
    if accessor.count != positions.count:
        refuse(f"{accessor.where} has {accessor.count:,} elements for {positions.count:,} vertices")
    for _ in gltf.rows(accessor):
        break


def _measured_box(gltf: _Gltf, positions: _Accessor) -> tuple[Vector, Vector] | None:
    """The box around the vertices that are there; None where they are compressed."""
    lows: list[Vector] = []
    highs: list[Vector] = []
    for rows in gltf.rows(positions):
        low, high = _vector(rows.min(axis=0)), _vector(rows.max(axis=0))
        if not all(map(math.isfinite, (*low, *high))):
            refuse(f"{positions.where} holds a vertex that is not at a finite place")
        lows.append(low)
        highs.append(high)
    if not lows:
        return None
    return _scaled(_corner(min, lows), positions), _scaled(_corner(max, highs), positions)


def _declared_box(positions: _Accessor) -> tuple[Vector, Vector]:
    low = _numbers(positions.entry.get("min"), 3, f"{positions.where}.min")
    high = _numbers(positions.entry.get("max"), 3, f"{positions.where}.max")
    if any(a > b for a, b in zip(low, high, strict=True)):
        refuse(f"{positions.where}.min lies above its max")
    return _scaled(_vector(low), positions), _scaled(_vector(high), positions)


def _vector(numbers: Sequence[float] | NDArray[Any]) -> Vector:
    x, y, z = map(float, numbers)
    return x, y, z


def _scaled(point: Vector, accessor: _Accessor) -> Vector:
    """A point as a renderer sees it: quantised, normalised components stand for fractions (KHR_mesh_quantization)."""
    if accessor.entry.get("normalized") is not True:
        return point
    step = 1.0 / {"b": 127, "B": 255, "<h": 32767, "<H": 65535}.get(accessor.component, 1)
    return point[0] * step, point[1] * step, point[2] * step
