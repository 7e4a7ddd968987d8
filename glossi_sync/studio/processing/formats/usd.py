"""USD and USDZ, with Pixar's own library. The stage says which way is up and how long a unit is.

What is taken over: meshes and simple shapes with their instances, as they stand at the beginning of time; subsets by
material; normals, one set of texture coordinates, display colours; of materials UsdPreviewSurface, with its textures.
Variants stand as they are selected; animation is left behind. Whatever lies outside the one file that was uploaded
(other layers, textures on somebody's disk) is not looked at.

Sources: USD, "UsdPreviewSurface Specification", "UsdGeom"; glTF 2.0, "Materials".
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.processing.archive import MAX_ENTRIES, MAX_UNPACKED_BYTES, Archive, is_archive
from glossi_sync.studio.processing.facts import refuse
from glossi_sync.studio.processing.glb_writer import PLAIN, GlbWriter, Primitive, shared
from glossi_sync.studio.processing.pictures import as_png, for_gltf, opened, packed
from glossi_sync.studio.processing.polygons import smooth_normals, triangulated

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom, UsdShade

MAX_PRIMS = 200_000
MAX_CORNERS = 60_000_000

Floats = NDArray[np.float64]


def convert(path: Path, file_type: str, target: Path) -> None:
    """See ``formats.convert``."""
    from pxr import Tf, Usd, UsdGeom  # noqa: PLC0415 - an extra

    packaged = is_archive(path)
    if packaged:
        _check_package(path)
    with TemporaryDirectory(dir=target.parent) as folder:
        # The library goes by a file's name, and a .usd may be any of the three notations; what it has once read under
        # a name, it may have kept.
        named = Path(folder) / ("model.usdz" if packaged else "model.usd")
        try:
            named.hardlink_to(path)
        except OSError:  # On another disk, or one that knows no links.
            shutil.copyfile(path, named)
        try:
            stage = Usd.Stage.Open(str(named))
        except Tf.ErrorException:  # It names files of this machine, and lines of its own source.
            refuse(f"the {file_type.upper()} file cannot be read: it is damaged, or not USD at all. Export it again")
        _check_layers(stage, named)
        writer = GlbWriter("USD")
        up = np.eye(4)
        if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z:
            up[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
        up[:3, :3] *= UsdGeom.GetStageMetersPerUnit(stage)
        _Stage(stage, writer, Textures(path, named)).write(up)
    writer.write(target)


def _check_package(path: Path) -> None:
    """A USDZ is a zip archive whose files are stored, not compressed; USD reads nothing else, and a bomb is neither."""
    import zipfile  # noqa: PLC0415

    Archive(path)
    with zipfile.ZipFile(path) as package:
        entries = package.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        refuse("the USDZ package holds compressed files, which the format does not allow: make it anew with usdzip")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES or len(entries) > MAX_ENTRIES:
        refuse("the USDZ package claims more than it can hold: it is damaged")


def _check_layers(stage: Usd.Stage, named: Path) -> None:
    session = stage.GetSessionLayer()
    for layer in stage.GetUsedLayers():
        of_package = layer.identifier == str(named) or layer.identifier.startswith(f"{named}[")
        if layer != session and not layer.anonymous and not of_package:
            refuse(
                f"the model is made of several files (one is {Path(layer.identifier).name[:80]!r}): pack them into one"
                " USDZ (usdzip), or flatten the stage (usdcat --flatten)"
            )


class Textures:
    """The pictures in a package, by the asset paths that the stage has for them."""

    def __init__(self, path: Path, named: Path) -> None:
        self._archive = Archive(path) if is_archive(path) else None
        self._named = named

    def read(self, asset: Any) -> tuple[bytes, str] | None:
        """A texture's bytes and name; None where the package does not hold it."""
        if self._archive is None or asset is None:
            return None
        resolved = str(asset.resolvedPath)
        within = resolved[len(str(self._named)) + 1 : -1] if resolved.startswith(f"{self._named}[") else ""
        found = self._archive.find(within or asset.path, "")
        return None if found is None else (self._archive.read(found), found)


class _Stage:
    """A stage on its way into a writer."""

    def __init__(self, stage: Usd.Stage, writer: GlbWriter, textures: Textures) -> None:
        from pxr import Usd, UsdGeom  # noqa: PLC0415 - an extra

        self._stage = stage
        self._writer = writer
        self._textures = textures
        self._time = Usd.TimeCode.EarliestTime()
        self._places = UsdGeom.XformCache(self._time)
        self._materials: dict[str, _Look] = {}
        self._corners = 0

    def write(self, up: Floats) -> None:
        """Everything that a renderer of the stage would show, under a node that stands it up."""
        from pxr import Usd, UsdGeom  # noqa: PLC0415 - an extra

        hidden = {UsdGeom.Tokens.proxy, UsdGeom.Tokens.guide}
        nodes: list[int] = []
        meshes: dict[str, int | None] = {}
        prims = iter(Usd.PrimRange(self._stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()))
        for count, prim in enumerate(prims):
            if count > MAX_PRIMS:
                refuse(f"the stage has more than {MAX_PRIMS:,} prims: simplify it")
            if prim.IsA(UsdGeom.PointInstancer):
                refuse("the stage instances by points, which cannot be converted: bake the instances, or export a GLB")
            if not prim.IsA(UsdGeom.Gprim):
                continue
            shown = UsdGeom.Imageable(prim)
            if shown.ComputeVisibility(self._time) == UsdGeom.Tokens.invisible or shown.ComputePurpose() in hidden:
                continue
            source = prim.GetPrimInPrototype() if prim.IsInstanceProxy() else prim
            key = str(source.GetPath())
            if key not in meshes:
                primitives = list(self._primitives(prim))
                meshes[key] = self._writer.mesh(primitives, prim.GetName()) if primitives else None
            if (mesh := meshes[key]) is not None:
                # USD multiplies row vectors.
                transform = np.array(self._places.GetLocalToWorldTransform(prim)).T
                nodes.append(self._writer.node(mesh=mesh, transform=transform, name=prim.GetName()))
        if not nodes:
            refuse("there is nothing to see in this model: its stage shows no mesh")
        self._writer.node(transform=up, children=nodes, root=True)

    def _primitives(self, prim: Usd.Prim) -> Iterator[Primitive]:
        from pxr import UsdGeom  # noqa: PLC0415 - an extra

        shape = _mesh_of(UsdGeom.Mesh(prim), self._time) if prim.IsA(UsdGeom.Mesh) else _simple(prim, self._time)
        if shape is None:
            return
        self._corners += len(shape.indices)
        if self._corners > MAX_CORNERS:
            refuse(f"the faces of the stage have more than {MAX_CORNERS:,} corners: simplify it")
        for faces, look in self._parts(prim, shape):
            yield from shape.primitive(faces, look, self._writer)

    def _parts(self, prim: Usd.Prim, shape: _Shape) -> Iterator[tuple[NDArray[np.bool_], _Look]]:
        """The faces of each material."""
        from pxr import UsdGeom, UsdShade  # noqa: PLC0415 - an extra

        binding = UsdShade.MaterialBindingAPI(prim)
        rest = np.ones(len(shape.counts), bool)
        if prim.IsA(UsdGeom.Mesh):
            for subset in binding.GetMaterialBindSubsets():
                indices = np.array(subset.GetIndicesAttr().Get(self._time) or [], np.int64)
                if len(indices) and (indices.min() < 0 or indices.max() >= len(rest)):
                    refuse(f"the subset {subset.GetPath()} names faces that its mesh does not have")
                faces = np.zeros(len(rest), bool)
                faces[indices] = True
                faces &= rest
                rest &= ~faces
                material, _ = UsdShade.MaterialBindingAPI(subset.GetPrim()).ComputeBoundMaterial()
                yield faces, self._look(material)
        material, _ = binding.ComputeBoundMaterial()
        yield rest, self._look(material)

    def _look(self, material: UsdShade.Material) -> _Look:
        path = str(material.GetPath()) if material else ""
        if path not in self._materials:
            self._materials[path] = _look_of(material, self._writer, self._textures) if material else _Look(None)
        return self._materials[path]


# --- shapes ----------------------------------------------------------------------------------------------------------


class _Look:
    """A material in the writer, None: none was bound, and the primvar that its textures are laid by, transformed."""

    def __init__(self, material: int | None, uv_name: str = "st", uv_transform: Floats | None = None) -> None:
        self.material = material
        self.uv_name = uv_name
        self.uv_transform = uv_transform


class _Shape:
    """Polygons: how many corners each has, which point each corner is; and the attributes that ride on them."""

    def __init__(
        self,
        points: Floats,
        counts: NDArray[np.int64],
        indices: NDArray[np.int64],
        *,
        normals: tuple[Floats, str] | None = None,
        primvars: UsdGeom.PrimvarsAPI | None = None,
        time: Usd.TimeCode | None = None,
        turned: bool = False,
    ) -> None:
        self.points, self.counts, self.indices = points, counts, indices
        self._normals, self._primvars, self._time, self._turned = normals, primvars, time, turned

    def primitive(self, faces: NDArray[np.bool_], look: _Look, writer: GlbWriter) -> Iterator[Primitive]:
        """The triangles of some of the faces; none where they have none."""
        begins = np.concatenate([[0], np.cumsum(self.counts)[:-1]]) if len(self.counts) else self.counts
        chosen, counts = begins[faces], self.counts[faces]
        before = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else counts
        corners = np.repeat(chosen - before, counts) + np.arange(counts.sum())
        of_face = np.repeat(np.flatnonzero(faces), counts)
        places = self.points[self.indices[corners]]
        triangles = triangulated(counts, places)
        if not len(triangles):
            return
        if self._turned:
            triangles = triangles[:, ::-1]
        flat = triangles.reshape(-1)
        at, face = corners[flat], of_face[flat]
        if self._normals is None:
            normals = smooth_normals(places, triangles).reshape(-1, 3)
        else:
            normals = self._spread(*self._normals, at, face)
        uvs = self._primvar(look.uv_name, 2, at, face)
        if uvs is not None:
            if look.uv_transform is not None:
                uvs = uvs @ look.uv_transform[:2, :2].T + look.uv_transform[:2, 2]
            uvs = uvs * (1, -1) + (0, 1)
        colors, material = None, look.material
        if material is None:
            material = writer.material(PLAIN)
            shown = self._primvar("displayColor", 3, at, face)
            if shown is not None:
                material = writer.material(PLAIN | {"pbrMetallicRoughness": {"metallicFactor": 0.0,
                                                                             "roughnessFactor": 0.5}})  # fmt: skip
                colors = np.concatenate([np.clip(shown, 0, 1), np.ones((len(shown), 1))], axis=1)
        yield shared(places[flat], normals, uvs, colors, material)

    def _primvar(self, name: str, width: int, at: NDArray[np.int64], face: NDArray[np.int64]) -> Floats | None:
        primvar = None if self._primvars is None else self._primvars.FindPrimvarWithInheritance(name)
        if primvar is None or not primvar or not primvar.HasValue():
            return None
        values = np.array(primvar.ComputeFlattened(self._time), np.float64).reshape(-1, width)
        return self._spread(values, str(primvar.GetInterpolation()), at, face)

    def _spread(self, values: Floats, interpolation: str, at: NDArray[np.int64], face: NDArray[np.int64]) -> Floats:
        """An attribute at corners: ``at`` says which they are, ``face`` whose."""
        index = {
            "faceVarying": at,
            "vertex": self.indices[at],
            "varying": self.indices[at],
            "uniform": face,
            "constant": np.zeros(len(at), np.int64),
        }.get(interpolation)
        if index is None or not len(values) or index.max(initial=0) >= len(values):
            refuse(f"an attribute of a mesh has {len(values):,} values, which is too few for its interpolation")
        spread: Floats = values[index]
        return spread


def _mesh_of(mesh: UsdGeom.Mesh, time: Usd.TimeCode) -> _Shape | None:
    from pxr import UsdGeom  # noqa: PLC0415 - an extra

    points = np.array(mesh.GetPointsAttr().Get(time) or [], np.float64).reshape(-1, 3)
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get(time) or [], np.int64)
    indices = np.array(mesh.GetFaceVertexIndicesAttr().Get(time) or [], np.int64)
    where = mesh.GetPath()
    if not len(points) or not len(counts):
        return None
    if counts.min() < 0 or counts.sum() != len(indices):
        refuse(f"the mesh {where} has faces of {counts.sum():,} corners together, and {len(indices):,} indices")
    if len(indices) and (indices.min() < 0 or indices.max() >= len(points)):
        refuse(f"the mesh {where} points to a vertex that it does not have")
    primvars = UsdGeom.PrimvarsAPI(mesh.GetPrim())
    normals: tuple[Floats, str] | None = None
    primvar = primvars.GetPrimvar("normals")
    if primvar and primvar.HasValue():
        values = np.array(primvar.ComputeFlattened(time), np.float64).reshape(-1, 3)
        normals = values, str(primvar.GetInterpolation())
    elif (authored := mesh.GetNormalsAttr().Get(time)) is not None and len(authored):
        normals = np.array(authored, np.float64), str(mesh.GetNormalsInterpolation())
    turned = mesh.GetOrientationAttr().Get(time) == UsdGeom.Tokens.leftHanded
    return _Shape(points, counts, indices, normals=normals, primvars=primvars, time=time, turned=turned)


def _simple(prim: Usd.Prim, time: Usd.TimeCode) -> _Shape | None:
    """A cube, sphere, cylinder or cone as polygons; None for what shows no surface (points, curves)."""
    from pxr import UsdGeom  # noqa: PLC0415 - an extra

    def value(name: str, default: float) -> float:
        found = prim.GetAttribute(name).Get(time) if prim.HasAttribute(name) else None
        return default if found is None else float(found)

    primvars = UsdGeom.PrimvarsAPI(prim)
    if prim.IsA(UsdGeom.Cube):
        points = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * value("size", 2.0) / 2
        faces = [0, 1, 3, 2, 4, 6, 7, 5, 0, 4, 5, 1, 2, 3, 7, 6, 0, 2, 6, 4, 1, 5, 7, 3]
        return _Shape(points, np.full(6, 4), np.array(faces), primvars=primvars, time=time)
    radius, half = value("radius", 1.0), value("height", 2.0) / 2
    if prim.IsA(UsdGeom.Sphere):
        angles = np.linspace(-np.pi / 2, np.pi / 2, 33)
        profile = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radius
    elif prim.IsA(UsdGeom.Cylinder):
        profile = np.array([[0, -half], [radius, -half], [radius, half], [0, half]])
    elif prim.IsA(UsdGeom.Cone):
        profile = np.array([[0, -half], [radius, -half], [0, half]])
    else:
        return None
    points, counts, indices = _turned_profile(profile)
    axis = str(prim.GetAttribute("axis").Get(time)) if prim.HasAttribute("axis") else "Z"
    order = {"X": [2, 0, 1], "Y": [1, 2, 0], "Z": [0, 1, 2]}[axis]
    return _Shape(points[:, order], counts, indices, primvars=primvars, time=time)


def _turned_profile(profile: Floats, segments: int = 64) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """A profile of radius and height (n, 2), from below upwards, turned about Z."""
    angles = np.arange(segments) * 2 * np.pi / segments
    points = np.stack(
        [
            profile[:, :1] * np.cos(angles),
            profile[:, :1] * np.sin(angles),
            np.broadcast_to(profile[:, 1:], (len(profile), segments)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    ring, step = np.meshgrid(np.arange(len(profile) - 1), np.arange(segments), indexing="ij")
    here, beside = ring * segments + step, ring * segments + (step + 1) % segments
    quads = np.stack([here, beside, beside + segments, here + segments], axis=-1).reshape(-1, 4)
    return points, np.full(len(quads), 4), quads.ravel()


# --- materials -------------------------------------------------------------------------------------------------------


def _look_of(material: UsdShade.Material, writer: GlbWriter, textures: Textures) -> _Look:
    shader = material.ComputeSurfaceSource()[0]
    name = material.GetPrim().GetName()
    if not shader or shader.GetIdAttr().Get() != "UsdPreviewSurface":
        return _Look(writer.material(PLAIN | {"name": name}))
    return _Surface(shader, writer, textures).look(name)


class _Surface:
    """A UsdPreviewSurface on its way into a glTF material."""

    def __init__(self, shader: UsdShade.Shader, writer: GlbWriter, textures: Textures) -> None:
        self._shader, self._writer, self._textures = shader, writer, textures
        self._uv_name = "st"
        self._uv_transform: Floats | None = None

    def look(self, name: str) -> _Look:
        """The material, made from every input that glTF has a place for."""
        surface: dict[str, Any] = {}
        entry: dict[str, Any] = {"name": name, "pbrMetallicRoughness": surface, "doubleSided": True}
        opacity = self._number("opacity", 1.0)
        color = self._color("diffuseColor", (0.18, 0.18, 0.18))
        base = self._texture("diffuseColor")
        if base is not None:
            surface["baseColorTexture"] = {"index": self._base(base)}
            color = (1.0, 1.0, 1.0)
        surface["baseColorFactor"] = [*color, opacity]
        surface["metallicFactor"] = self._number("metallic", 0.0)
        surface["roughnessFactor"] = self._number("roughness", 0.5)
        self._packed_surface(surface)
        light = self._color("emissiveColor", (0.0, 0.0, 0.0))
        if (glow := self._texture("emissiveColor")) is not None:
            entry["emissiveTexture"] = {"index": self._writer.picture(*for_gltf(*glow[:2]))}
            light = (1.0, 1.0, 1.0)
        if max(light) > 0:
            entry["emissiveFactor"] = list(light)
        if (bumps := self._texture("normal")) is not None:
            entry["normalTexture"] = {"index": self._writer.picture(*for_gltf(*bumps[:2]))}
        if (shade := self._texture("occlusion")) is not None:
            entry["occlusionTexture"] = {"index": self._writer.picture(*packed(opened(*shade[:2]), r=_channel(shade)))}
        threshold = self._number("opacityThreshold", 0.0)
        if threshold > 0:
            entry |= {"alphaMode": "MASK", "alphaCutoff": threshold}
        elif opacity < 0.999 or self._texture("opacity") is not None:
            entry["alphaMode"] = "BLEND"
        if (coat := self._number("clearcoat", 0.0)) > 0:
            entry["extensions"] = {
                "KHR_materials_clearcoat": {
                    "clearcoatFactor": coat,
                    "clearcoatRoughnessFactor": self._number("clearcoatRoughness", 0.01),
                }
            }
        return _Look(self._writer.material(entry), self._uv_name, self._uv_transform)

    def _base(self, base: tuple[bytes, str, str]) -> int:
        """The base colour's texture, with the opacity's in its alpha where there is one."""
        cut = self._texture("opacity")
        if cut is None:
            return self._writer.picture(*for_gltf(*base[:2]))
        picture = opened(*base[:2]).convert("RGB")
        alpha = _channel(cut).resize(picture.size)
        picture.putalpha(alpha)
        return self._writer.picture(*as_png(picture))

    def _packed_surface(self, surface: dict[str, Any]) -> None:
        rough, metal = self._texture("roughness"), self._texture("metallic")
        found = {key: _channel(texture) for key, texture in (("g", rough), ("b", metal)) if texture is not None}
        if not found:
            return
        largest = max(found.values(), key=lambda picture: picture.width)
        surface["metallicRoughnessTexture"] = {"index": self._writer.picture(*packed(largest, **found))}
        surface |= {"roughnessFactor": 1.0} if rough is not None else {}
        surface |= {"metallicFactor": 1.0} if metal is not None else {}

    def _value(self, name: str) -> Any:
        given = self._shader.GetInput(name)
        if not given or given.GetConnectedSources()[0]:
            # What is connected to a material's own input takes its value.
            sources = given.GetValueProducingAttributes() if given else []
            return sources[0].Get() if len(sources) == 1 and not sources[0].GetName().startswith("outputs:") else None
        return given.Get()

    def _number(self, name: str, default: float) -> float:
        value = self._value(name)
        number = float(value) if isinstance(value, int | float) else default
        return min(1.0, max(0.0, number)) if np.isfinite(number) else default

    def _color(self, name: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
        value = self._value(name)
        numbers = default if value is None or len(value) != 3 else tuple(map(float, value))
        if not np.isfinite(numbers).all():
            return default
        red, green, blue = (min(1.0, max(0.0, number)) for number in numbers)
        return red, green, blue

    def _texture(self, name: str) -> tuple[bytes, str, str] | None:
        """The picture that an input is read from: its bytes, its name, and the channels that are read."""
        from pxr import UsdShade  # noqa: PLC0415 - an extra

        given = self._shader.GetInput(name)
        sources = given.GetConnectedSources()[0] if given else []
        if not sources:
            return None
        reader = UsdShade.Shader(sources[0].source.GetPrim())
        if not reader or reader.GetIdAttr().Get() != "UsdUVTexture":
            return None
        file = reader.GetInput("file")
        found = self._textures.read(file.Get() if file else None)
        if found is None:
            return None
        self._lay(reader)
        return (*found, str(sources[0].sourceName))

    def _lay(self, reader: UsdShade.Shader) -> None:
        """Find out which texture coordinates a texture is laid by; the last one asked decides for all."""
        from pxr import UsdShade  # noqa: PLC0415 - an extra

        given = reader.GetInput("st")
        for _ in range(4):
            sources = given.GetConnectedSources()[0] if given else []
            if not sources:
                return
            node = UsdShade.Shader(sources[0].source.GetPrim())
            kind = node.GetIdAttr().Get() if node else None
            if kind == "UsdTransform2d":
                self._uv_transform = _transform_2d(node)
                given = node.GetInput("in")
                continue
            if kind is not None and str(kind).startswith("UsdPrimvarReader"):
                varname = node.GetInput("varname")
                attributes = varname.GetValueProducingAttributes() if varname else []
                if attributes and (name := attributes[0].Get()):
                    self._uv_name = str(name)
            return


def _transform_2d(node: UsdShade.Shader) -> Floats:
    def value(name: str, default: Any) -> Any:
        given = node.GetInput(name)
        found = given.Get() if given else None
        return default if found is None else found

    angle = np.radians(float(value("rotation", 0.0)))
    scale, shift = value("scale", (1.0, 1.0)), value("translation", (0.0, 0.0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    transform = np.eye(3)
    transform[:2, :2] = turn @ np.diag([float(scale[0]), float(scale[1])])
    transform[:2, 2] = float(shift[0]), float(shift[1])
    return transform


def _channel(texture: tuple[bytes, str, str]) -> Any:
    """One channel of a picture, as a texture's output names it."""
    picture = opened(*texture[:2])
    return picture.convert("RGBA").split()[{"r": 0, "g": 1, "b": 2, "a": 3}.get(texture[2], 0)]
