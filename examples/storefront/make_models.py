"""Author the storefront's four products: a desk lamp, a lounge chair, a teapot and a bottle of perfume.

    python examples/storefront/make_models.py            # writes models/*.glb beside this file

Everything in the GLB files is made here: shapes, textures, materials. The same script gives the same bytes.
It needs numpy, Pillow and pygltflib (all in the project's `dev` extra).

How a product comes about, from the bottom of this file to the top:

    product function  ──>  Product: parts (a surface, a material, places)  ──>  GLB
                              │
                              └─ surfaces from a few primitives:
                                 lathe, loft   a profile round an axis or round a plan
                                 bend          any surface, its height laid along a curve in space
                                 skin          a grid of points, for what has no simple recipe

Units are metres and degrees; +Y is up, a product faces +Z and stands on y = 0.
A `Curve` turns anticlockwise about its material, so that its normals point out of it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gltf
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pixels = NDArray[np.uint8]
Point = tuple[float, float, float]
Tile = tuple[float, float]
Vector = Sequence[float] | Floats


# --- Curves in the plane -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curve:
    """A polyline in the plane with a unit normal at each point. A closed one repeats its first point.

    points, normals: shape (n, 2). Two points at one place with different normals make a hard edge.
    """

    points: Floats
    normals: Floats

    @property
    def lengths(self) -> Floats:
        """The distance travelled from the first point to each point, shape (n,)."""
        return _travelled(self.points)


def rounded(corners: Sequence[tuple[float, float, float]], *, closed: bool = False, steps: int = 3) -> Curve:
    """Straight lines through `corners`, each an (x, y, radius), the corner replaced by an arc of that radius.

    A radius of 0 leaves a hard edge. `steps` is the number of segments of a quarter turn.
    Raises ValueError where a line is too short for the arcs at its ends.
    """
    places = np.array([corner[:2] for corner in corners])
    count = len(places)
    points: list[Floats] = []
    normals: list[Floats] = []
    trims = np.zeros(count)
    for index, place in enumerate(places):
        first, last = not closed and index == 0, not closed and index == count - 1
        before = None if first else _unit(place - places[index - 1])
        after = None if last else _unit(places[(index + 1) % count] - place)
        if before is None or after is None:
            only = after if before is None else before
            assert only is not None
            points.append(place)
            normals.append(_right_of(only))
            continue
        turn = np.arctan2(before[0] * after[1] - before[1] * after[0], before @ after)
        radius = corners[index][2]
        if radius == 0 or abs(turn) < 1e-9:
            points += [place, place]
            normals += [_right_of(before), _right_of(after)]
            continue
        trims[index] = radius * np.tan(abs(turn) / 2)
        start = place - before * trims[index]
        centre = start - _right_of(before) * radius * np.sign(turn)
        segments = max(2, round(steps * abs(turn) / (np.pi / 2)))
        for angle in np.linspace(0, turn, segments + 1):
            normal = _turned(_right_of(before), angle)
            points.append(centre + normal * radius * np.sign(turn))
            normals.append(normal)
    room = np.linalg.norm(np.roll(places, -1, axis=0) - places, axis=1) - trims - np.roll(trims, -1)
    if np.any((room if closed else room[:-1]) < -1e-9):
        raise ValueError(f"the arcs leave no room for the line after corner {corners[int(np.argmin(room))]}")
    if closed:
        points.append(points[0])
        normals.append(normals[0])
    return Curve(np.array(points), np.array(normals))


def smooth(points: Sequence[Vector], steps: int = 6) -> Curve:
    """A Catmull-Rom spline through `points`, `steps` segments between two of them."""
    path = spline(points, steps)
    return Curve(path, _unit(_right_of(np.gradient(path, _travelled(path), axis=0, edge_order=2))))


def ellipse(width: float, depth: float, segments: int) -> Curve:
    """A closed ellipse with the half-axes `width` and `depth`."""
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ring[-1] = ring[0]
    return Curve(ring * (width, depth), _unit(ring * (depth, width)))


def point_circle(segments: int) -> Curve:
    """A circle of radius 0: the plan of a lathe."""
    return replace(ellipse(1, 1, segments), points=np.zeros((segments + 1, 2)))


def fluted(radius: float, depth: float, flutes: int, steps: int = 6) -> Curve:
    """A closed circle whose edge waves inwards by `depth`, `flutes` times."""
    angles = np.linspace(0, 2 * np.pi, flutes * steps + 1)
    reach = radius - depth * (0.5 + 0.5 * np.cos(angles * flutes))
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None]
    ring[-1] = ring[0]
    tangents = np.roll(ring[:-1], -1, axis=0) - np.roll(ring[:-1], 1, axis=0)
    normals = _unit(_right_of(tangents))
    return Curve(ring, np.concatenate([normals, normals[:1]]))


def rectangle(width: float, depth: float, radius: float, steps: int = 6) -> Curve:
    """A closed rectangle about the origin with rounded corners; `width` and `depth` are whole sizes."""
    x, y = width / 2, depth / 2
    return rounded([(x, -y, radius), (x, y, radius), (-x, y, radius), (-x, -y, radius)], closed=True, steps=steps)


def joined(*curves: Curve) -> Curve:
    """The curves one after another."""
    return Curve(np.concatenate([c.points for c in curves]), np.concatenate([c.normals for c in curves]))


def refined(curve: Curve, longest: float) -> Curve:
    """The curve with every segment longer than `longest` divided evenly, so that it can be bent."""
    points, normals = [curve.points[:1]], [curve.normals[:1]]
    for i in range(len(curve.points) - 1):
        span = np.linalg.norm(curve.points[i + 1] - curve.points[i])
        parts = np.linspace(0, 1, max(1, int(np.ceil(span / longest))) + 1)[1:, None]
        points.append(curve.points[i] * (1 - parts) + curve.points[i + 1] * parts)
        normals.append(_unit(curve.normals[i] * (1 - parts) + curve.normals[i + 1] * parts))
    return Curve(np.concatenate(points), np.concatenate(normals))


# --- Curves in space ---------------------------------------------------------------------------------------


def spline(points: Sequence[Vector], steps: int) -> Floats:
    """Points on a centripetal Catmull-Rom spline through `points` (of any dimension), shape (n, dimension)."""
    knots = np.asarray(points, dtype=float)
    padded = np.concatenate([[2 * knots[0] - knots[1]], knots, [2 * knots[-1] - knots[-2]]])
    spans: list[Floats] = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        t0 = 0.0
        t1 = t0 + np.sqrt(np.linalg.norm(p1 - p0))
        t2 = t1 + np.sqrt(np.linalg.norm(p2 - p1))
        t3 = t2 + np.sqrt(np.linalg.norm(p3 - p2))
        t = np.linspace(t1, t2, steps, endpoint=False)[:, None]
        a1 = (t1 - t) / (t1 - t0) * p0 + (t - t0) / (t1 - t0) * p1
        a2 = (t2 - t) / (t2 - t1) * p1 + (t - t1) / (t2 - t1) * p2
        a3 = (t3 - t) / (t3 - t2) * p2 + (t - t2) / (t3 - t2) * p3
        b1 = (t2 - t) / (t2 - t0) * a1 + (t - t0) / (t2 - t0) * a2
        b2 = (t3 - t) / (t3 - t1) * a2 + (t - t1) / (t3 - t1) * a3
        spans.append((t2 - t) / (t2 - t1) * b1 + (t - t1) / (t2 - t1) * b2)
    return np.concatenate([*spans, knots[-1:]])


def frames(path: Floats) -> tuple[Floats, Floats, Floats]:
    """Unit tangents, sides and normals along `path` (n, 3), carried along it without twisting."""
    tangents = _unit(np.gradient(path, _travelled(path), axis=0, edge_order=2))
    axis = np.eye(3)[np.argmin(np.abs(tangents[0]))]
    sides = [_unit(np.cross(tangents[0], axis))]
    for tangent in tangents[1:]:
        sides.append(_unit(sides[-1] - tangent * (sides[-1] @ tangent)))
    return tangents, np.array(sides), np.cross(np.array(sides), tangents)


# --- Surfaces ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Surface:
    """A triangle mesh. positions, normals: (n, 3); uvs: (n, 2), in repeats of a texture; triangles: (m, 3)."""

    positions: Floats
    normals: Floats
    uvs: Floats
    triangles: Ints


def loft(plan: Curve, profile: Curve, *, tile: Tile = (1.0, 1.0), capped: bool = False) -> Surface:
    """`profile` carried round `plan`: its x is the distance outwards from the plan, its y the height.

    The normals are exact. `tile` is the size of one repeat of the texture, round the plan (where repeats are
    whole) and along the profile.
    `capped` closes a top and a bottom that do not meet in a point; the plan must then be convex.
    """
    outwards = _upright(plan.normals)
    offset, height = profile.points[:, 0, None, None], profile.points[:, 1, None, None]
    up = np.array([0.0, 1.0, 0.0])
    positions = _upright(plan.points)[None] + outwards[None] * offset + up * height
    normals = outwards[None] * profile.normals[:, 0, None, None] + up * profile.normals[:, 1, None, None]
    rings = np.linalg.norm(np.diff(positions, axis=1), axis=2).sum(axis=1)
    around = np.linspace(0, 1, len(plan.points))
    if plan.lengths[-1] > 0:
        around = _travelled(positions[np.argmax(rings)])
        around = around / around[-1]
    u = around * max(1, round(rings.max() / tile[0]))
    v = profile.lengths / tile[1]
    uvs = np.stack(np.broadcast_arrays(u[None, :], v[:, None]), axis=-1)
    body = _grid(positions, normals, uvs)
    if not capped:
        return body
    return merged(body, _cap(positions[0, ::-1], -up, tile), _cap(positions[-1], up, tile))


def lathe(profile: Curve, segments: int = 64, *, tile: Tile = (1.0, 1.0)) -> Surface:
    """`profile` turned round the Y axis: its x is the radius, its y the height."""
    return loft(point_circle(segments), profile, tile=tile)


def rod(
    radius: float, length: float, *, edge: float | None = None, segments: int = 24, tile: Tile = (1.0, 1.0)
) -> Surface:
    """A cylinder on y = 0 with rounded edges; the whole end is round where `edge` is left out."""
    edge = radius * 0.999 if edge is None else edge
    corners = [(0, 0, 0), (radius, 0, edge), (radius, length, edge), (0, length, 0)]
    return lathe(rounded(corners), segments, tile=tile)


def bend(surface: Surface, path: Floats) -> Surface:
    """The surface with its height laid along `path` (n, 3); what lies beyond the path's ends goes straight on.

    The radius of the surface should be well below the path's radius of curvature.
    """
    tangents, sides, normals = frames(path)
    travelled = _travelled(path)
    height = surface.positions[:, 1]
    at = np.clip(height, 0, travelled[-1])

    def along(values: Floats) -> Floats:
        return np.stack([np.interp(at, travelled, values[:, axis]) for axis in range(3)], axis=1)

    tangent, side, normal = (_unit(along(values)) for values in (tangents, sides, normals))
    centre = along(path) + tangent * (height - at)[:, None]

    def carried(vectors: Floats) -> Floats:
        return side * vectors[:, :1] + normal * vectors[:, 2:]

    positions = centre + carried(surface.positions)
    turned = carried(surface.normals) + tangent * surface.normals[:, 1:2]
    return replace(surface, positions=positions, normals=_unit(turned))


def tube(radius: float, path: Floats, *, segments: int = 12, step: float | None = None) -> Surface:
    """A round tube along `path` (n, 3) with hemispherical ends; `step` is its longest segment."""
    length = float(_travelled(path)[-1])
    edge = radius * 0.999
    profile = rounded([(0, -edge, 0), (radius, -edge, edge), (radius, length + edge, edge), (0, length + edge, 0)])
    return bend(lathe(refined(profile, step or length / (len(path) - 1)), segments), path)


def skin(points: Floats, *, tile: Tile = (1.0, 1.0)) -> Surface:
    """A surface through a grid of points (rows, columns, 3); each row is closed and repeats its first point.

    A row runs anticlockwise, seen in the direction in which the rows follow each other. Normals are differences
    between neighbours, so the grid should be even, and dense where it curves; the first and the last row close
    the surface and face away from it.
    """
    positions = points[:, ::-1]
    ring = positions[:, :-1]
    across = np.roll(ring, -1, axis=1) - np.roll(ring, 1, axis=1)
    normals = _unit(np.cross(across, np.gradient(ring, axis=0)))
    middles = ring.mean(axis=1)
    normals[0], normals[-1] = _unit(middles[0] - middles[1]), _unit(middles[-1] - middles[-2])
    normals = np.concatenate([normals, normals[:, :1]], axis=1)
    girths = np.linalg.norm(np.diff(positions, axis=1), axis=2).sum(axis=1)
    around = _travelled(positions[np.argmax(girths)])
    u = around / around[-1] * max(1, round(around[-1] / tile[0]))
    v = _travelled(middles) / tile[1]
    return _grid(positions, normals, np.stack(np.broadcast_arrays(u[None, :], v[:, None]), axis=-1))


def merged(*surfaces: Surface) -> Surface:
    """Several surfaces as one."""
    starts = np.cumsum([0, *(len(s.positions) for s in surfaces)])
    return Surface(
        np.concatenate([s.positions for s in surfaces]),
        np.concatenate([s.normals for s in surfaces]),
        np.concatenate([s.uvs for s in surfaces]),
        np.concatenate([s.triangles + start for s, start in zip(surfaces, starts, strict=False)]),
    )


def placed(surface: Surface, matrix: Floats) -> Surface:
    """The surface moved by a rigid 4×4 `matrix`."""
    turn = matrix[:3, :3]
    return replace(
        surface, positions=surface.positions @ turn.T + matrix[:3, 3], normals=_unit(surface.normals @ turn.T)
    )


def _grid(positions: Floats, normals: Floats, uvs: Floats) -> Surface:
    """Triangles over a grid of points (rows, columns, 3); those without an area are left out."""
    rows, columns = positions.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]
    triangles = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], axis=2).reshape(-1, 3)
    flat = positions.reshape(-1, 3)
    corner = flat[triangles]
    sides = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2)
    return Surface(flat, normals.reshape(-1, 3), uvs.reshape(-1, 2), triangles[sides.min(axis=1) > 1e-7])


def _cap(ring: Floats, normal: Floats, tile: Tile) -> Surface:
    """A flat fan over a closed ring (n, 3) that runs anticlockwise when seen from outside."""
    centre = ring[:-1].mean(axis=0)
    positions = np.concatenate([ring[:-1], [centre]])
    count = len(ring) - 1
    rim = np.arange(count)
    triangles = np.stack([rim, (rim + 1) % count, np.full(count, count)], axis=1)
    return Surface(positions, np.tile(normal, (count + 1, 1)), positions[:, [0, 2]] / tile, triangles)


def _upright(plane: Floats) -> Floats:
    """Points of a plan (n, 2) on the floor: x stays, y becomes -z."""
    return np.stack([plane[:, 0], np.zeros(len(plane)), -plane[:, 1]], axis=1)


def _travelled(path: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])


def _unit(vectors: Floats) -> Floats:
    result: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return result


def _right_of(directions: Floats) -> Floats:
    return np.stack([directions[..., 1], -directions[..., 0]], axis=-1)


def _turned(vector: Floats, angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


# --- Places ------------------------------------------------------------------------------------------------


def at(x: float = 0, y: float = 0, z: float = 0) -> Floats:
    """The 4×4 matrix that moves by (x, y, z)."""
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def turn(axis: str, degrees: float) -> Floats:
    """The 4×4 matrix that turns about the axis "x", "y" or "z"."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(4)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


def mirrored(matrix: Floats) -> Floats:
    """The same place on the other side of the plane x = 0."""
    return np.diag([-1.0, 1.0, 1.0, 1.0]) @ matrix


def from_to(start: Vector, end: Vector) -> Floats:
    """The 4×4 matrix that lays the Y axis from `start` towards `end`."""
    base = np.asarray(start, dtype=float)
    up = _unit(np.asarray(end, dtype=float) - base)
    hint = np.array([0.0, 0.0, 1.0]) if abs(up[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    side = _unit(np.cross(up, hint))
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = side, up, np.cross(side, up), base
    return matrix


# --- Textures ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """An image of a product, shape (height, width, 3), 8 bits; `kind` is "jpeg", or "png" for flat artwork."""

    name: str
    pixels: Pixels
    kind: str = "jpeg"
    quality: int = 85

    def encoded(self) -> bytes:
        """The image file."""
        buffer = io.BytesIO()
        image = Image.fromarray(self.pixels)
        if self.kind == "png":
            image.quantize(32, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
        else:
            image.save(buffer, "jpeg", quality=self.quality, subsampling=0, optimize=True)
        return buffer.getvalue()


def noise(size: int, across: int, along: int, seed: int) -> Floats:
    """Smooth noise in 0..1 that tiles, shape (size, size), with `across` × `along` random cells."""
    lattice = np.random.default_rng(seed).random((along, across))

    def weights(cells: int) -> tuple[Ints, Ints, Floats]:
        place = np.arange(size) * cells / size
        cell = place.astype(np.int64)
        part = place - cell
        return cell, (cell + 1) % cells, part * part * (3 - 2 * part)

    left, right, x = weights(across)
    low, high, y = weights(along)
    upper = lattice[low][:, left] * (1 - x) + lattice[low][:, right] * x
    lower = lattice[high][:, left] * (1 - x) + lattice[high][:, right] * x
    return upper * (1 - y)[:, None] + lower * y[:, None]


def mixed(low: str, high: str, share: Floats) -> Pixels:
    """Two sRGB colours such as "#c08040" blended by `share` (0..1), as 8-bit pixels."""
    ends = [np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=float) for colour in (low, high)]
    blend = np.clip(share, 0, 1)[..., None]
    return np.round(ends[0] * (1 - blend) + ends[1] * blend).astype(np.uint8)


def relief(height: Floats, strength: float) -> Pixels:
    """The tangent-space normal map of a tiling height field."""
    dx = (np.roll(height, -1, axis=1) - np.roll(height, 1, axis=1)) / 2
    dy = (np.roll(height, -1, axis=0) - np.roll(height, 1, axis=0)) / 2
    normals = _unit(np.stack([-dx * strength, dy * strength, np.ones_like(dx)], axis=-1))
    return np.round((normals * 0.5 + 0.5) * 255).astype(np.uint8)


def wood_grain(name: str, dark: str, light: str, seed: int, size: int = 256) -> Texture:
    """Grain along v: year rings that wander, fine fibres, short dark pores."""
    x = np.arange(size)[None, :] / size
    wander = 0.9 * noise(size, 2, 1, seed) + 0.35 * noise(size, 4, 2, seed + 1) + 0.1 * noise(size, 12, 4, seed + 2)
    ring = (x * 7 + wander * 2.2) % 1.0
    late = np.where(ring < 0.86, (ring / 0.86) ** 2.2, 1 - (ring - 0.86) / 0.14)
    fibre = noise(size, 128, 8, seed + 3)
    pores = np.clip(noise(size, 128, 20, seed + 4) - 0.80, 0, 1) * 4
    cloud = noise(size, 3, 2, seed + 5)
    tone = 0.95 - 0.55 * late - 0.22 * (fibre - 0.5) - 0.45 * pores + 0.30 * (cloud - 0.5)
    return Texture(name, mixed(dark, light, tone), quality=80)


def wool(size: int = 256, threads: int = 32) -> tuple[Texture, Texture]:
    """A melange wool in basket weave: its colour (light, to be tinted) and its relief."""
    y, x = np.mgrid[0:size, 0:size] * threads / size
    over = (np.floor(x) + np.floor(y)) % 2
    dome_x, dome_y = np.abs(np.sin(np.pi * (x % 1))), np.abs(np.sin(np.pi * (y % 1)))
    warp = dome_x**0.7 * (0.55 + 0.45 * dome_y) * over
    weft = dome_y**0.7 * (0.55 + 0.45 * dome_x) * (1 - over)
    strands = 0.5 * noise(size, 128, 32, 21) * over + 0.5 * noise(size, 32, 128, 22) * (1 - over)
    height = (warp + weft) * (0.75 + 0.5 * noise(size, threads, threads, 23)) + 0.25 * strands
    melange = 0.45 * height + 0.4 * noise(size, threads, threads, 24) + 0.25 * strands
    return (
        Texture("Wool colour", mixed("#8f8f8f", "#ffffff", melange), quality=80),
        Texture("Wool relief", relief(height, 2.2), quality=70),
    )


# --- Materials and products --------------------------------------------------------------------------------


def linear(colour: str) -> list[float]:
    """An sRGB colour such as "#c08040" as linear red, green and blue."""
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return [round(float(v), 5) for v in np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A metallic-roughness material. `extensions` are glTF's, by name, as they stand in the file, but for
    a `Texture` where the file has a reference to one."""

    name: str
    colour: str = "#ffffff"
    metallic: float = 0.0
    roughness: float = 0.5
    colour_texture: Texture | None = None
    normal_texture: Texture | None = None
    normal_scale: float = 1.0
    emissive: str | None = None
    emissive_texture: Texture | None = None
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def textured(self) -> bool:
        """Whether a surface in this material needs UVs."""
        inside = [value for values in self.extensions.values() for value in values.values()]
        textures = (self.colour_texture, self.normal_texture, self.emissive_texture, *inside)
        return any(isinstance(texture, Texture) for texture in textures)


@dataclass(frozen=True, slots=True)
class Part:
    """A surface in a material, shown at each of `places` (4×4 matrices).

    Where `variants` is given, it lists the material of each of the product's variants in their order.
    """

    name: str
    surface: Surface
    material: Material
    places: tuple[Floats, ...] = (np.eye(4),)
    variants: tuple[Material, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """What becomes one GLB file; `facing` turns all of it."""

    name: str
    parts: list[Part]
    variants: tuple[str, ...] = ()
    facing: Floats = field(default_factory=lambda: np.eye(4))

    @property
    def place(self) -> Floats:
        """Turned to where it faces, centred on the Y axis, standing on y = 0."""
        points = [placed(part.surface, self.facing @ place).positions for part in self.parts for place in part.places]
        low, high = np.min([p.min(axis=0) for p in points], axis=0), np.max([p.max(axis=0) for p in points], axis=0)
        return at(-(low[0] + high[0]) / 2, -low[1], -(low[2] + high[2]) / 2) @ self.facing


class GlbWriter:
    """Collects a product's meshes, materials and images, each stored once, into one GLB file."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._gltf = gltf.GLTF2(asset=gltf.Asset(version="2.0", generator="glossi-sync examples"))
        self._blob = bytearray()
        self._materials: dict[int, int] = {}
        self._textures: dict[int, int] = {}

    def write(self, path: Path) -> int:
        """Write the product's file and return its size in bytes."""
        document = self._gltf
        document.nodes.append(
            gltf.Node(name=self._product.name, children=[], matrix=_column_major(self._product.place))
        )
        for part in self._product.parts:
            document.meshes.append(self._mesh(part))
            for place in part.places:
                document.nodes[0].children.append(len(document.nodes))
                document.nodes.append(
                    gltf.Node(name=part.name, mesh=len(document.meshes) - 1, matrix=_column_major(place))
                )
        document.scenes = [gltf.Scene(name=self._product.name, nodes=[0])]
        document.scene = 0
        if self._product.variants:
            names = [{"name": name} for name in self._product.variants]
            document.extensions["KHR_materials_variants"] = {"variants": names}
        used = {name for material in document.materials for name in material.extensions}
        document.extensionsUsed = sorted(used | set(document.extensions))
        document.buffers = [gltf.Buffer(byteLength=len(self._blob))]
        document.set_binary_blob(bytes(self._blob))
        data = b"".join(document.save_to_bytes())
        path.write_bytes(data)
        return len(data)

    def _mesh(self, part: Part) -> gltf.Mesh:
        textured = any(material.textured for material in (part.material, *part.variants))
        vertices, triangles = _welded(part.surface, textured)
        attributes = gltf.Attributes(
            POSITION=self._accessor(vertices[:, :3], "VEC3", bounds=True),
            NORMAL=self._accessor(vertices[:, 3:6], "VEC3"),
        )
        if textured:
            attributes.TEXCOORD_0 = self._accessor(vertices[:, 6:], "VEC2")
        index_type = "<u2" if len(vertices) <= 65535 else "<u4"
        primitive = gltf.Primitive(
            attributes=attributes,
            indices=self._accessor(triangles.reshape(-1).astype(index_type), "SCALAR"),
            material=self._material(part.material),
        )
        if part.variants:
            mappings = [{"material": self._material(m), "variants": [i]} for i, m in enumerate(part.variants)]
            primitive.extensions = {"KHR_materials_variants": {"mappings": mappings}}
        return gltf.Mesh(name=part.name, primitives=[primitive])

    def _material(self, material: Material) -> int:
        known = self._materials.get(id(material))
        if known is not None:
            return known
        pbr = gltf.PbrMetallicRoughness(
            baseColorFactor=[*linear(material.colour), 1.0],
            metallicFactor=material.metallic,
            roughnessFactor=material.roughness,
        )
        made = gltf.Material(
            name=material.name, pbrMetallicRoughness=pbr, alphaCutoff=None, extensions=self._extensions(material)
        )
        if material.colour_texture:
            pbr.baseColorTexture = gltf.TextureInfo(index=self._texture(material.colour_texture))
        if material.normal_texture:
            made.normalTexture = gltf.NormalMaterialTexture(
                index=self._texture(material.normal_texture), scale=material.normal_scale
            )
        if material.emissive:
            made.emissiveFactor = linear(material.emissive)
        if material.emissive_texture:
            made.emissiveTexture = gltf.TextureInfo(index=self._texture(material.emissive_texture))
        self._gltf.materials.append(made)
        self._materials[id(material)] = len(self._gltf.materials) - 1
        return self._materials[id(material)]

    def _extensions(self, material: Material) -> dict[str, dict[str, Any]]:
        def stored(value: Any) -> Any:
            return {"index": self._texture(value)} if isinstance(value, Texture) else value

        return {
            name: {key: stored(value) for key, value in values.items()} for name, values in material.extensions.items()
        }

    def _texture(self, texture: Texture) -> int:
        known = self._textures.get(id(texture))
        if known is not None:
            return known
        document = self._gltf
        if not document.samplers:
            repeat, mipmapped = gltf.REPEAT, gltf.LINEAR_MIPMAP_LINEAR
            document.samplers.append(
                gltf.Sampler(magFilter=gltf.LINEAR, minFilter=mipmapped, wrapS=repeat, wrapT=repeat)
            )
        view = self._view(texture.encoded(), target=None)
        document.images.append(gltf.Image(name=texture.name, bufferView=view, mimeType=f"image/{texture.kind}"))
        document.textures.append(gltf.Texture(source=len(document.images) - 1, sampler=0))
        self._textures[id(texture)] = len(document.textures) - 1
        return self._textures[id(texture)]

    def _accessor(self, values: NDArray[Any], kind: str, *, bounds: bool = False) -> int:
        types = {"f4": gltf.FLOAT, "u2": gltf.UNSIGNED_SHORT, "u4": gltf.UNSIGNED_INT}
        target = gltf.ELEMENT_ARRAY_BUFFER if kind == "SCALAR" else gltf.ARRAY_BUFFER
        accessor = gltf.Accessor(
            bufferView=self._view(np.ascontiguousarray(values).tobytes(), target=target),
            byteOffset=None,
            normalized=None,
            componentType=types[values.dtype.str[1:]],
            count=len(values),
            type=kind,
        )
        if bounds:
            accessor.min, accessor.max = (limit.tolist() for limit in (values.min(axis=0), values.max(axis=0)))
        self._gltf.accessors.append(accessor)
        return len(self._gltf.accessors) - 1

    def _view(self, content: bytes, *, target: int | None) -> int:
        view = gltf.BufferView(buffer=0, byteOffset=len(self._blob), byteLength=len(content), target=target)
        self._gltf.bufferViews.append(view)
        self._blob += content + bytes(-len(content) % 4)
        return len(self._gltf.bufferViews) - 1


def _welded(surface: Surface, textured: bool) -> tuple[NDArray[np.float32], Ints]:
    """The vertices that triangles use, each once: rows of position, normal and, if `textured`, UV; and triangles."""
    # glTF's v runs down the image; a surface's runs up.
    columns = [surface.positions, surface.normals, *([surface.uvs * (1, -1) + (0, 1)] if textured else [])]
    rows = np.concatenate(columns, axis=1).round(7).astype("<f4")[surface.triangles.reshape(-1)] + np.float32(0)
    _, first, number = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    # In the order of first use, which is kind to the graphics card's cache.
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return rows[first[order]], place[number.reshape(-1)].reshape(-1, 3)


def _column_major(matrix: Floats) -> list[float] | None:
    if np.array_equal(matrix, np.eye(4)):
        return None
    return [round(float(value), 7) for value in matrix.T.reshape(-1)]


# --- The products ------------------------------------------------------------------------------------------


def desk_lamp() -> Product:
    """A balanced-arm desk lamp: enamel base and shade, twin brass-jointed arms, a warm bulb. 0.49 m tall."""
    enamel = Material(
        "Enamel",
        "#ad3522",
        roughness=0.42,
        extensions={"KHR_materials_clearcoat": {"clearcoatFactor": 0.6, "clearcoatRoughnessFactor": 0.17}},
    )
    brass = Material("Brass", "#dfbf85", metallic=1.0, roughness=0.22)
    steel = Material("Steel", "#d8d8d6", metallic=1.0, roughness=0.3)
    cable = Material("Cable", "#1d1c1b", roughness=0.85)
    felt = Material("Felt", "#191919", roughness=1.0)
    shoulder, elbow, wrist = np.array([0.0, 0.072, 0]), np.array([-0.125, 0.318, 0]), np.array([0.118, 0.424, 0])
    spread, arm = 0.0125, 0.0044

    base = rounded(
        [(0, 0.0015, 0), (0.086, 0.0015, 0.002), (0.088, 0.016, 0.007), (0.045, 0.0225, 0.03), (0, 0.0225, 0)]
    )
    foot = rounded([(0, 0, 0), (0.080, 0, 0.001), (0.080, 0.003, 0)])
    stem = rounded(
        [
            (0.023, 0.021, 0),
            (0.023, 0.026, 0.0015),
            (0.0105, 0.030, 0.004),
            (0.0085, 0.054, 0.002),
            (0.0085, 0.064, 0.002),
            (0, 0.064, 0),
        ]
    )
    button = rounded([(0.009, 0.020, 0), (0.009, 0.0265, 0.002), (0, 0.0275, 0)])

    # A joint lies along z: a hub through both arms, and a knurled nut to fasten it at the front.
    hub = rounded(
        [
            (0, -0.0185, 0),
            (0.0115, -0.0185, 0.0025),
            (0.0165, -0.0145, 0.002),
            (0.0165, 0.0145, 0.002),
            (0.0115, 0.0185, 0.0025),
            (0, 0.0185, 0),
        ]
    )
    nut = loft(
        fluted(0.0092, 0.0007, 16, steps=2),
        rounded([(0, 0.017, 0), (0, 0.0255, 0.0008), (-0.0009, 0.0260, 0)], steps=3),
        capped=True,
    )
    joints = [at(*place) @ turn("x", 90) for place in (shoulder, elbow, wrist)]

    def arms(start: Floats, end: Floats) -> tuple[Surface, tuple[Floats, ...]]:
        bar = rod(arm, float(np.linalg.norm(end - start)), segments=16)
        return bar, tuple(at(z=side) @ from_to(start, end) for side in (-spread, spread))

    lower, lower_places = arms(shoulder, elbow)
    upper, upper_places = arms(elbow, wrist)

    direction = _unit(elbow - shoulder)
    beside = np.array([-direction[1], direction[0], 0])
    begin, coils, coil_length = shoulder + beside * 0.0145 + direction * 0.028, 13, 0.105
    angles = np.linspace(0, 2 * np.pi * coils, coils * 8 + 1)
    helix = np.stack([0.0058 * np.cos(angles), angles / angles[-1] * coil_length, 0.0058 * np.sin(angles)], axis=1)
    spring = tube(0.00115, helix, segments=5)
    hooks = merged(
        *(
            tube(
                0.00115,
                spline(
                    [
                        begin + direction * a,
                        begin + direction * b - beside * 0.001,
                        begin + direction * c - beside * 0.0145,
                    ],
                    4,
                ),
                segments=6,
            )
            for a, b, c in ((0.001, -0.004, -0.012), (coil_length - 0.001, coil_length + 0.004, coil_length + 0.012))
        )
    )
    springs = tuple(at(z=side) @ from_to(begin, begin + direction) for side in (-spread, spread))
    hook_places = (at(z=-spread), at(z=spread))

    head = at(*wrist) @ turn("z", 34) @ turn("x", -24) @ at(0.024, 0, 0)
    loop = spline(
        [
            (-0.006, 0.020, -0.030),
            (-0.010, 0.034, -0.018),
            shoulder - beside * 0.004 - direction * 0.01,
            shoulder + direction * 0.06 - beside * 0.004,
            shoulder + direction * 0.15 - beside * 0.004,
            shoulder + direction * 0.225 - beside * 0.007,
            elbow + np.array([0.030, -0.016, 0]),
            elbow + np.array([0.054, 0.012, 0]),
            elbow * 0.62 + wrist * 0.38 - np.array([0, 0.003, 0]),
            elbow * 0.25 + wrist * 0.75 + np.array([0, 0.001, 0]),
            *(
                (head @ (x, y, 0, 1))[:3]
                for x, y in ((-0.040, 0.030), (-0.031, 0.060), (-0.014, 0.074), (-0.001, 0.064), (0.0, 0.044))
            ),
        ],
        8,
    )
    parts = [
        Part("Base", lathe(base, 64), enamel),
        Part("Foot", lathe(foot, 40), felt),
        Part("Stem", lathe(stem, 32), brass),
        Part("Button", lathe(button, 32), brass, (at(0.052, 0, 0.028),)),
        Part("Joint", lathe(hub, 32), brass, tuple(joints)),
        Part("Nut", nut, brass, tuple(joints)),
        Part("Lower arm", lower, brass, lower_places),
        Part("Upper arm", upper, brass, upper_places),
        Part("Spring", spring, steel, springs),
        Part("Hook", hooks, steel, hook_places),
        Part("Cable", tube(0.0026, loop, segments=7), cable),
        Part("Yoke", rod(0.0052, 0.034, edge=0.001, segments=20), brass, (at(*wrist) @ turn("z", 34 - 90),)),
        *_lamp_head(enamel, brass, head),
    ]
    return Product("Desk Lamp", parts, facing=turn("y", -18))


def _lamp_head(enamel: Material, brass: Material, place: Floats) -> list[Part]:
    """Shade, cap and bulb. Their axis is Y: the cap lies above y = 0, the mouth opens downwards."""
    rows = np.linspace(0, 1, 64)[:, None] * np.ones((1, 8))
    glow = Texture("Glow", mixed("#2a1708", "#b57a3c", rows**1.6))
    lining = Material("Lining", "#f6efe2", roughness=0.6, emissive="#ffffff", emissive_texture=glow)
    bulb = Material(
        "Bulb",
        "#fff3dc",
        roughness=0.35,
        emissive="#ffd9a0",
        extensions={"KHR_materials_emissive_strength": {"emissiveStrength": 6.0}},
    )

    outer = rounded(
        [
            (0.0195, 0.006, 0),
            (0.0215, 0.003, 0.002),
            (0.0225, -0.020, 0.012),
            (0.0725, -0.108, 0.02),
            (0.0745, -0.122, 0),
        ][::-1],
        steps=7,
    )
    inner = rounded(
        [(0.0180, 0.002, 0), (0.0210, -0.021, 0.012), (0.0710, -0.1085, 0.02), (0.0730, -0.122, 0)], steps=7
    )
    rim_ring = ellipse(0.0013, 0.0013, 6)
    rim = lathe(replace(rim_ring, points=rim_ring.points + np.array([0.0738, -0.122])), 72)
    cap = rounded(
        [
            (0.0185, 0.004, 0),
            (0.0225, 0.004, 0.001),
            (0.0225, 0.0085, 0.001),
            (0.0190, 0.012, 0.002),
            (0.0165, 0.013, 0.001),
            (0.0165, 0.040, 0.006),
            (0.006, 0.0455, 0.003),
            (0, 0.0455, 0),
        ]
    )
    holder = rounded([(0.0, -0.046, 0), (0.0145, -0.046, 0.002), (0.0145, 0.0, 0)])
    globe = smooth(
        [
            (0, -0.1110),
            (0.0125, -0.1075),
            (0.0235, -0.0960),
            (0.0270, -0.0820),
            (0.0235, -0.0655),
            (0.0160, -0.0535),
            (0.0130, -0.044),
        ],
        steps=3,
    )
    return [
        Part("Shade", lathe(outer, 72), enamel, (place,)),
        Part("Shade lining", lathe(inner, 56), lining, (place,)),
        Part("Shade rim", rim, brass, (place,)),
        Part("Cap", lathe(cap, 36), brass, (place,)),
        Part("Holder", lathe(holder, 32), brass, (place,)),
        Part("Bulb", lathe(globe, 28), bulb, (place,)),
    ]


def lounge_chair() -> Product:
    """A lounge chair: an upholstered shell in a turned wooden frame, in oak, walnut or ebony. 0.78 m tall."""
    colour, relief_map = wool()
    fabric = Material(
        "Wool",
        "#5f7355",
        roughness=0.95,
        colour_texture=colour,
        normal_texture=relief_map,
        extensions={"KHR_materials_sheen": {"sheenColorFactor": linear("#4d5a45"), "sheenRoughnessFactor": 0.6}},
    )
    piping = Material("Piping", "#46573f", roughness=0.9)
    lacquer = {"KHR_materials_clearcoat": {"clearcoatFactor": 0.25, "clearcoatRoughnessFactor": 0.35}}
    oak, walnut, ebony = (
        Material(
            name, roughness=rough, colour_texture=wood_grain(f"{name} grain", dark, light, seed), extensions=lacquer
        )
        for name, dark, light, rough, seed in (
            ("Oak", "#9c6c3c", "#d9b27c", 0.55, 1),
            ("Walnut", "#3f2415", "#86573a", 0.5, 2),
            ("Ebony", "#120e0c", "#33291f", 0.4, 3),
        )
    )
    rubber = Material("Rubber", "#1a1a1a", roughness=0.7)
    grain = (0.11, 0.70)

    # The shell: a centre line in the plane x = 0, from the seat's front edge back and up; z forward, y up.
    line = spline(
        [
            (0.300, 0.395),
            (0.20, 0.404),
            (0.05, 0.382),
            (-0.11, 0.352),
            (-0.200, 0.380),
            (-0.252, 0.480),
            (-0.296, 0.620),
            (-0.345, 0.775),
        ],
        24,
    )
    shell, rim = _shell(line, width=0.275, corner=0.13, thickness=0.040)

    front_foot, front_top = (0.322, 0.0, 0.262), (0.300, 0.552, 0.232)
    rear_foot, rear_top = (0.310, 0.0, -0.395), (0.296, 0.560, -0.250)

    def leg(start: Point, end: Point) -> Surface:
        length = float(np.linalg.norm(np.subtract(end, start)))
        foot = rounded([(0, 0.004, 0), (0.0108, 0.004, 0.002), (0.0110, 0.012, 0)])
        profile = joined(
            foot, smooth([(0.0110, 0.012), (0.0150, length * 0.3), (0.0172, length * 0.6), (0.0135, length)], 4)
        )
        return lathe(profile, 24, tile=grain)

    def rail(radius: float, length: float) -> Surface:
        slim = radius * 0.72
        return lathe(rounded([(slim, 0, 0), (radius, length / 2, length), (slim, length, 0)], steps=30), 24, tile=grain)

    def both_sides(matrix: Floats) -> tuple[Floats, ...]:
        return matrix, mirrored(matrix)

    def on_leg(start: Point, end: Point, height: float) -> Floats:
        share = height / (end[1] - start[1])
        return np.asarray(start) * (1 - share) + np.asarray(end) * share

    side_front, side_rear = on_leg(front_foot, front_top, 0.285), on_leg(rear_foot, rear_top, 0.255)
    cross_front, cross_rear = on_leg(front_foot, front_top, 0.335), on_leg(rear_foot, rear_top, 0.305)
    cross_front_left, cross_rear_left = cross_front * (-1, 1, 1), cross_rear * (-1, 1, 1)

    glides = rod(0.0095, 0.008, edge=0.0015, segments=20)
    arm = _armrest(
        [
            (0.303, 0.552, 0.300),
            (0.306, 0.563, 0.21),
            (0.310, 0.570, 0.05),
            (0.303, 0.568, -0.14),
            (0.290, 0.566, -0.285),
        ],
        widths=[0.030, 0.037, 0.030, 0.022, 0.020],
        thickness=0.0125,
        tile=grain,
    )

    def wooden(name: str, surface: Surface, *places: Floats) -> Part:
        return Part(name, surface, oak, places, variants=(oak, walnut, ebony))

    def distance(start: Vector, end: Vector) -> float:
        return float(np.linalg.norm(np.subtract(end, start)))

    parts = [
        Part("Shell", shell, fabric),
        Part("Piping", rim, piping),
        wooden("Front leg", leg(front_foot, front_top), *both_sides(from_to(front_foot, front_top))),
        wooden("Rear leg", leg(rear_foot, rear_top), *both_sides(from_to(rear_foot, rear_top))),
        wooden("Side rail", rail(0.0135, distance(side_front, side_rear)), *both_sides(from_to(side_front, side_rear))),
        wooden("Front rail", rail(0.0165, 2 * cross_front[0]), from_to(cross_front_left, cross_front)),
        wooden("Rear rail", rail(0.0165, 2 * cross_rear[0]), from_to(cross_rear_left, cross_rear)),
        wooden("Armrest", arm, *both_sides(np.eye(4))),
        Part("Glide", glides, rubber, (*both_sides(at(*front_foot)), *both_sides(at(*rear_foot)))),
    ]
    return Product("Lounge Chair", parts, variants=("Oak", "Walnut", "Ebony"))


def _shell(line: Floats, *, width: float, corner: float, thickness: float) -> tuple[Surface, Surface]:
    """A padded shell along `line` (n, 2: z and y) with rounded ends, stitched in channels, and its piping.

    `width` and `thickness` are half sizes; `corner` is the radius of the outline's corners.
    """
    travelled = _travelled(line)
    length = travelled[-1]
    # Rows lie closer where the edge turns over: the thickness closes in a quarter circle at both ends.
    closing = thickness * (1 - np.cos(np.linspace(0, np.pi / 2, 7)))
    channels = 9
    middle = np.linspace(closing[-1], length - closing[-1], channels * 5 + 1)[1:-1]
    along = np.concatenate([closing, middle, length - closing[::-1]])
    centre = np.stack([np.interp(along, travelled, line[:, axis]) for axis in (0, 1)], axis=1)
    tangent = _unit(np.gradient(line, travelled, axis=0))
    tangent = _unit(np.stack([np.interp(along, travelled, tangent[:, axis]) for axis in (0, 1)], axis=1))
    inward = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)

    left = np.minimum(along, length - along)
    turned_in = np.clip(corner - left, 0, corner)
    half_width = width - corner + np.sqrt(corner**2 - turned_in**2)
    half_width *= 1 - 0.07 * np.clip((along / length - 0.45) / 0.55, 0, 1)
    pinched = np.clip(thickness - left, 0, thickness)
    half_thickness = np.sqrt(thickness**2 - pinched**2)

    angles = np.linspace(0, 2 * np.pi, 37)
    cos, sin = np.cos(angles), np.sin(angles)
    across = np.sign(cos) * np.abs(cos) ** 0.55
    through = np.sign(sin) * np.abs(sin) ** 0.62
    seat = (along - closing[-1]) / (length - 2 * closing[-1])
    stitch = 1 - np.abs(np.sin(np.pi * np.clip(seat, 0, 1) * channels)) ** 0.5
    puffed = through[None, :] * (1 - 0.26 * stitch[:, None] * (sin[None, :] > 0) * np.abs(sin)[None, :] ** 0.5)
    hollow = 0.030 * np.clip(np.sin(np.pi * along / length), 0, 1) ** 0.5

    x = across[None, :] * half_width[:, None]
    lift = puffed * half_thickness[:, None] + hollow[:, None] * (x / width) ** 2
    z = centre[:, :1] + inward[:, :1] * lift
    y = centre[:, 1:] + inward[:, 1:] * lift
    grid = np.stack([x, y, z], axis=-1)
    right, left_side = grid[:, 0], grid[::-1, len(angles) // 2]
    outline = np.concatenate([right, left_side, right[:1]])
    keep = np.concatenate([[True], np.linalg.norm(np.diff(outline, axis=0), axis=1) > 0.004])
    return skin(grid, tile=(0.14, 0.14)), tube(0.0042, outline[keep], segments=6)


def _armrest(spine: Sequence[Point], *, widths: Sequence[float], thickness: float, tile: Tile) -> Surface:
    """A sculpted armrest along `spine`; `widths` (half) at its points, rounded ends."""
    path, half = (
        spline(spine, 5),
        np.interp(np.linspace(0, 1, (len(spine) - 1) * 5 + 1), np.linspace(0, 1, len(spine)), widths),
    )
    closing = np.linspace(0, np.pi / 2, 6)[:-1]
    ends = [(path[0], path[0] - path[1], half[0]), (path[-1], path[-1] - path[-2], half[-1])]
    domes = [
        (p + _unit(d) * h * 0.8 * np.cos(closing)[:, None], h * np.sin(closing), np.sin(closing) ** 0.6)
        for p, d, h in ends
    ]
    path = np.concatenate([domes[0][0], path, domes[1][0][::-1]])
    half = np.concatenate([domes[0][1], half, domes[1][1][::-1]])
    high = np.concatenate([domes[0][2], np.ones(len(half) - 10), domes[1][2][::-1]]) * thickness
    angles = np.linspace(0, 2 * np.pi, 25)
    cos, sin = np.cos(angles), np.sin(angles)
    across = np.sign(cos) * np.abs(cos) ** 0.75
    through = np.sign(sin) * np.abs(sin) ** 0.75
    x = path[:, :1] + across * half[:, None]
    y = path[:, 1:2] + through * high[:, None] + 0.004 * (across**2) * (half[:, None] / max(half))
    z = np.broadcast_to(path[:, 2:], x.shape)
    return skin(np.stack([x, y, z], axis=-1), tile=tile)


def teapot() -> Product:
    """A stoneware teapot with a reactive glaze, a raw clay foot and a cane-wrapped brass handle. 0.20 m tall."""
    glaze = Material(
        "Glaze",
        roughness=0.38,
        colour_texture=_glaze(),
        extensions={"KHR_materials_clearcoat": {"clearcoatFactor": 1.0, "clearcoatRoughnessFactor": 0.17}},
    )
    clay = Material("Raw clay", "#a8745a", roughness=0.95)
    dark = Material("Inside", "#2b2521", roughness=0.6)
    brass = Material("Brass", "#d8b67a", metallic=1.0, roughness=0.26)
    cane_colour, cane_relief = _cane()
    cane = Material("Cane", roughness=0.55, colour_texture=cane_colour, normal_texture=cane_relief)

    foot = rounded(
        [(0.034, 0.003, 0), (0.036, 0.0, 0.001), (0.043, 0.0, 0.0015), (0.046, 0.009, 0.004), (0.050, 0.0115, 0)]
    )
    belly = smooth(
        [
            (0.0455, 0.0085),
            (0.060, 0.0135),
            (0.0755, 0.030),
            (0.0825, 0.052),
            (0.0790, 0.074),
            (0.0640, 0.0945),
            (0.0465, 0.1045),
            (0.0385, 0.1075),
        ],
        steps=4,
    )
    lip = rounded([(0.0385, 0.1075, 0), (0.0365, 0.1088, 0.0012), (0.0345, 0.1070, 0.001), (0.0335, 0.100, 0)])
    lid = joined(
        rounded(
            [
                (0.030, 0.104, 0),
                (0.0352, 0.1075, 0.0006),
                (0.0358, 0.1092, 0.0008),
                (0.0335, 0.1112, 0.004),
                (0.0300, 0.1132, 0),
            ]
        ),
        smooth(
            [
                (0.0300, 0.1132),
                (0.0200, 0.1178),
                (0.0105, 0.1203),
                (0.0062, 0.1216),
                (0.0052, 0.1250),
                (0.0066, 0.1290),
                (0.0102, 0.1325),
                (0.0118, 0.1368),
                (0.0098, 0.1408),
                (0.0048, 0.1432),
                (0.0, 0.1436),
            ],
            steps=2,
        ),
    )

    spout_path = spline(
        [(0.058, 0.045, 0), (0.082, 0.055, 0), (0.101, 0.072, 0), (0.114, 0.094, 0), (0.129, 0.109, 0)], 8
    )
    length = float(_travelled(spout_path)[-1])
    taper = smooth(
        [
            (0.0235, 0),
            (0.0200, length * 0.25),
            (0.0142, length * 0.55),
            (0.0105, length * 0.85),
            (0.0100, length - 0.0008),
        ],
        steps=5,
    )
    mouth = rounded(
        [
            (0.0100, length - 0.0008, 0),
            (0.0099, length + 0.0010, 0.0008),
            (0.0082, length + 0.0010, 0.0008),
            (0.0078, length - 0.004, 0),
        ]
    )
    throat = rounded([(0.0078, length - 0.004, 0), (0.0072, length - 0.03, 0), (0.0, length - 0.03, 0)])
    tilt = -0.35  # The spout is cut level rather than square to its path.
    spout, inside = (
        bend(_sheared(lathe(refined(curve, 0.009), 28), tilt, length), spout_path)
        for curve in (joined(taper, mouth), throat)
    )

    lug = at(0.0605, 0.0985, 0)
    ring = loft(ellipse(0.0075, 0.0075, 24), ellipse(0.0021, 0.0021, 8))
    lug_place = lug @ turn("z", 0) @ turn("x", 90)
    angles = np.radians(np.linspace(-8, 188, 41))
    arc = np.stack([0.0635 * np.cos(angles), 0.1105 + 0.082 * np.sin(angles), np.zeros_like(angles)], axis=1)
    wire = tube(0.0024, arc[:10], segments=10)
    wrapped = angles[7:-7]
    hold_path = np.stack([0.0635 * np.cos(wrapped), 0.1105 + 0.082 * np.sin(wrapped), np.zeros_like(wrapped)], axis=1)
    hold_length = float(_travelled(hold_path)[-1])
    hold = bend(
        lathe(
            refined(
                rounded(
                    [
                        (0.0022, -0.003, 0),
                        (0.0062, -0.001, 0.003),
                        (0.0066, hold_length / 2, 1.5),
                        (0.0062, hold_length + 0.001, 0.003),
                        (0.0022, hold_length + 0.003, 0),
                    ]
                ),
                0.005,
            ),
            18,
            tile=(0.04, 0.0085),
        ),
        hold_path,
    )
    parts = [
        Part("Foot", lathe(foot, 48), clay),
        Part("Body", _glazed(lathe(belly, 72), (0.005, 0.1088)), glaze),
        Part("Lip", _glazed(lathe(lip, 48), (0.005, 0.1088)), glaze),
        Part("Lid", _glazed(lathe(lid, 44), (0.03, 0.1600), mirrored_over=0.6), glaze),
        Part("Spout", _glazed(spout, (0.01, 0.1205), mirrored_over=0.25), glaze),
        Part("Throat", inside, dark),
        Part("Lug", ring, brass, (lug_place, mirrored(lug_place))),
        Part("Handle", wire, brass, (np.eye(4), mirrored(np.eye(4)))),
        Part("Wrapping", hold, cane),
    ]
    return Product("Teapot", parts)


def _glaze(size: int = 512) -> Texture:
    """A glaze that breaks from deep blue at the bottom (v = 0) to pale green at the rim, with iron speckles."""
    height = np.linspace(1, 0, size)[:, None]
    runs = (
        0.20 * (noise(size, 14, 3, 31) - 0.5)
        + 0.10 * (noise(size, 40, 6, 32) - 0.5)
        + 0.16 * (noise(size, 4, 4, 33) - 0.5)
    )
    share = np.clip((height + runs - 0.18) / 0.72, 0, 1)
    share = share * share * (3 - 2 * share)
    base = mixed("#12344d", "#a9c4b4", share).astype(float)
    warm = np.clip((height + runs * 0.16 - 0.955) / 0.04, 0, 1)[..., None]
    base = base * (1 - 0.75 * warm) + np.array([139, 92, 56]) * 0.75 * warm
    speckle = np.clip((noise(size, 150, 62, 34) * noise(size, 60, 25, 35) - 0.66) * 9, 0, 1)[..., None]
    base = base * (1 - 0.7 * speckle) + np.array([48, 36, 30]) * 0.7 * speckle
    return Texture("Glaze colour", np.round(base).astype(np.uint8), quality=82)


def _glazed(surface: Surface, heights: tuple[float, float], mirrored_over: float | None = None) -> Surface:
    """UVs for the glaze: all of v between two `heights`, u twice round; or `mirrored_over` a part of the texture.

    Mirroring keeps the glaze from being squeezed on what is slimmer than the belly, and from showing a seam.
    """
    around = surface.uvs[:, 0] / surface.uvs[:, 0].max()
    u = 2 * around if mirrored_over is None else np.abs(2 * around - 1) * mirrored_over
    v = np.interp(surface.positions[:, 1], heights, (0.005, 0.995))
    return replace(surface, uvs=np.stack([u, v], axis=1))


def _sheared(surface: Surface, slope: float, length: float) -> Surface:
    """The surface's upper end slanted: the height grows by `slope` times x, fading towards the bottom."""
    x, y, _ = surface.positions.T
    share = np.clip(y / length, 0, 1) ** 4
    positions = surface.positions + np.stack([np.zeros_like(x), slope * x * share, np.zeros_like(x)], axis=1)
    nx, ny, nz = surface.normals.T
    return replace(surface, positions=positions, normals=_unit(np.stack([nx - slope * share * ny, ny, nz], axis=1)))


def _cane(size: int = 128) -> tuple[Texture, Texture]:
    """Two turns of split cane round a handle: colour and relief."""
    rows = np.arange(size)[:, None] / size + np.arange(size)[None, :] / size
    strip = np.abs(np.sin(np.pi * rows * 2)) ** 0.5
    tone = 0.25 + 0.75 * strip - 0.35 * (noise(size, 8, 64, 41) - 0.5)
    return (
        Texture("Cane colour", mixed("#5b3a1e", "#c99a5c", tone), quality=80),
        Texture("Cane relief", relief(strip, 14.0), quality=85),
    )


def perfume() -> Product:
    """A bottle of perfume: heavy amber glass, a gold collar and a fluted gold cap, a paper label. 0.118 m tall."""
    passing, colour = _fill()
    glass = Material(
        "Glass",
        roughness=0.0,
        colour_texture=colour,
        extensions={
            "KHR_materials_transmission": {"transmissionFactor": 1.0, "transmissionTexture": passing},
            "KHR_materials_volume": {
                "thicknessFactor": 0.010,
                "thicknessTexture": passing,
                "attenuationDistance": 0.010,
                "attenuationColor": linear("#e6a052"),
            },
            "KHR_materials_ior": {"ior": 1.5},
        },
    )
    gold = Material("Gold", "#e6bd74", metallic=1.0, roughness=0.2)
    paper = Material("Label", roughness=0.75, colour_texture=_label())
    plastic = Material("Dip tube", "#f3ead8", roughness=0.4)

    body = rounded([(-0.009, 0, 0), (0, 0, 0.0035), (0, 0.076, 0.0038), (-0.009, 0.076, 0)], steps=6)
    bottle = loft(rectangle(0.058, 0.030, 0.0105, steps=6), refined(body, 0.02), capped=True)
    bottle = replace(bottle, uvs=np.stack([bottle.uvs[:, 0], bottle.positions[:, 1] / 0.076], axis=1))
    collar = rounded([(0.0110, 0.0757, 0), (0.0110, 0.0776, 0.0006), (0.0094, 0.0784, 0.0006), (0.0094, 0.0860, 0)])
    foot = rounded([(0.0, 0.0855, 0), (0.0137, 0.0855, 0.0006), (0.0137, 0.0885, 0.0006), (0.012, 0.0885, 0)])
    top = rounded(
        [
            (0.012, 0.1140, 0),
            (0.0137, 0.1140, 0.0005),
            (0.0137, 0.1180, 0.0012),
            (0.0115, 0.1180, 0.0004),
            (0.0110, 0.1176, 0.0004),
            (0, 0.1176, 0),
        ]
    )
    flutes = loft(fluted(0.0136, 0.0011, 36, steps=4), rounded([(0, 0.0880, 0), (0, 0.1145, 0)]))
    cap = merged(lathe(foot, 56), lathe(top, 56), flutes)
    card = placed(
        loft(
            rectangle(0.034, 0.038, 0.0015, steps=4),
            rounded([(0, 0, 0), (0, 0.0004, 0.0002), (-0.0002, 0.0004, 0)]),
            capped=True,
        ),
        at(0, 0.036, 0.0150) @ turn("x", 90),
    )
    x, y, _ = card.positions.T
    card = replace(card, uvs=np.stack([x / 0.034 + 0.5, (y - 0.036) / 0.038 + 0.5], axis=1))
    stem = tube(
        0.0013, spline([(0, 0.0755, 0), (0, 0.06, 0), (0.0015, 0.03, 0.0005), (0.006, 0.006, 0.001)], 5), segments=10
    )
    parts = [
        Part("Bottle", bottle, glass),
        Part("Collar", lathe(collar, 44), gold),
        Part("Cap", cap, gold),
        Part("Label", card, paper),
        Part("Dip tube", stem, plastic),
    ]
    return Product("Perfume", parts)


def _fill(width: int = 512, height: int = 256) -> tuple[Texture, Texture]:
    """What one sees in the bottle, once round it: a heavy base, liquid, air.

    The first texture has in red how much light passes, in green how thick the liquid is; the second is the colour.
    The liquid stops short of the corners, where a real bottle's glass is thickest. It is a little turbid, which
    keeps it from turning black before a dark backdrop.
    """
    around = (np.arange(width) + 0.5)[None, :] / width * 0.158
    y = (1 - (np.arange(height) + 0.5) / height)[:, None] * 0.076
    # Round the plan from the front right corner: the right side, the back, the left side, the front.
    middles, halves = (0.0209, 0.0603, 0.0998, 0.1393), (0.0110, 0.0260, 0.0110, 0.0260)
    corner = 0.006
    cavity = np.zeros((height, width))
    for middle, half in zip(middles, halves, strict=True):
        across = np.abs((around - middle + 0.079) % 0.158 - 0.079)
        over_x, over_y = across - (half - corner), np.abs(y - 0.0400) - (0.0310 - corner)
        inside = np.minimum(np.maximum(over_x, over_y), 0)
        outside = np.hypot(np.maximum(over_x, 0), np.maximum(over_y, 0)) + inside - corner
        cavity = np.maximum(cavity, np.clip(0.5 - outside / 0.0008, 0, 1))
    liquid = np.clip(0.5 + (0.0585 - y) / 0.0004, 0, 1)
    meniscus = np.clip(1 - np.abs(y - 0.0585) / 0.0007, 0, 1)
    filled = cavity * liquid
    thickness = 0.10 + cavity * (0.80 * liquid + 0.10 * meniscus)
    passing = np.stack([1 - 0.35 * filled, thickness, np.zeros_like(filled)], axis=-1)
    return (
        Texture("Fill", np.round(passing * 255).astype(np.uint8), kind="png"),
        Texture("Fill colour", mixed("#ffffff", "#f2b263", filled), kind="png"),
    )


def _label(size: int = 512) -> Texture:
    """The label's artwork, drawn larger than it is stored; the label itself is 34 × 38 mm."""
    width, height = 1020, 1140
    image = Image.new("RGB", (width, height), "#f4ecdd")
    draw = ImageDraw.Draw(image)
    ink, gold = "#2a211b", "#b08a4a"
    draw.rounded_rectangle((42, 42, width - 43, height - 43), 24, outline=gold, width=8)
    for text, points, top, colour in (
        ("No 4", 250, 250, ink),
        ("A M B R E", 102, 630, ink),
        ("eau de parfum", 76, 805, gold),
        ("50 ml", 68, 950, gold),
    ):
        draw.text((width / 2, top), text, fill=colour, font=ImageFont.load_default(points), anchor="mt")
    stored = image.resize((size, size), Image.Resampling.LANCZOS)
    return Texture("Label artwork", np.asarray(stored), kind="png")


PRODUCTS = {"lamp": desk_lamp, "chair": lounge_chair, "teapot": teapot, "perfume": perfume}


def main() -> None:
    """Write every product into models/ beside this file and say how large each became."""
    folder = Path(__file__).parent / "models"
    folder.mkdir(exist_ok=True)
    for name, product in PRODUCTS.items():
        path = folder / f"{name}.glb"
        print(f"{path.name:16} {GlbWriter(product()).write(path):>8,} bytes")


if __name__ == "__main__":
    main()
