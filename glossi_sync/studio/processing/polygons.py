"""Faces of other formats made ready for glTF: polygons cut into triangles, normals where there are none. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Corners = NDArray[np.int64]

_CREASE = np.cos(np.radians(35.0))
"""Faces that meet at a sharper angle than this keep an edge between them."""

_LARGEST_EAR_CUT = 512
"""Corners of a polygon; cutting one grows with their square, and larger ones are flat caps, which a fan suits."""


def triangulated(counts: Corners, points: Points) -> Corners:
    """Three corners for each triangle (m, 3), from polygons of ``counts`` corners each, that follow one another.

    ``points`` (n, 3) is each corner's place. Polygons of fewer than three corners vanish; concave ones are cut by
    their ears.
    """
    counts = np.asarray(counts, np.int64)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else counts
    parts = []
    for step in range(1, int(counts.max(initial=2)) - 1):
        wide = first[(counts >= step + 2) & ((counts <= 4) | (counts > _LARGEST_EAR_CUT))]
        if not len(wide):
            break
        parts.append(np.stack([wide, wide + step, wide + step + 1], axis=-1))
    for begin, count in zip(first, counts, strict=True) if counts.max(initial=0) > 4 else ():
        if 4 < count <= _LARGEST_EAR_CUT:
            parts.append(begin + _ears(points[begin : begin + count]))
    return np.concatenate(parts) if parts else np.empty((0, 3), np.int64)


def _ears(points: Points) -> Corners:
    """A polygon (n, 3) cut into n - 2 triangles."""
    flat = _flattened(points)
    left = list(range(len(flat)))
    triangles: list[tuple[int, int, int]] = []
    while len(left) > 3:
        for at in range(len(left)):
            a, b, c = left[at - 1], left[at], left[(at + 1) % len(left)]
            if _is_ear(flat, a, b, c, left):
                break
        else:  # It crosses itself: any cut is as good as another.
            at, (a, b, c) = 1, (left[0], left[1], left[2])
        triangles.append((a, b, c))
        del left[at]
    triangles.append((left[0], left[1], left[2]))
    return np.array(triangles, np.int64)


def _flattened(points: Points) -> Points:
    """A polygon seen from its outside (n, 2), counter-clockwise."""
    after = np.roll(points, -1, axis=0)
    normal = np.cross(points - points[0], after - points[0]).sum(axis=0)
    length = np.linalg.norm(normal)
    normal = normal / length if length > 0 else np.array([0.0, 0.0, 1.0])
    side = np.cross((1.0, 0.0, 0.0) if abs(normal[0]) < 0.9 else (0.0, 1.0, 0.0), normal)
    return np.stack([points @ side, points @ np.cross(normal, side)], axis=-1)


def _is_ear(flat: Points, a: int, b: int, c: int, left: list[int]) -> bool:
    if _turn(flat[a], flat[b], flat[c]) <= 0:
        return False
    others = flat[[corner for corner in left if corner not in (a, b, c)]]
    inside = np.ones(len(others), bool)
    for begin, end in ((a, b), (b, c), (c, a)):
        edge, to = flat[end] - flat[begin], others - flat[begin]
        inside &= edge[0] * to[:, 1] - edge[1] * to[:, 0] > 0
    return not inside.any()


def _turn(a: Points, b: Points, c: Points) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def smooth_normals(points: Points, triangles: Corners) -> Points:
    """A normal for each corner of each triangle (m, 3, 3): smooth where faces meet at a small angle, else with an edge.

    ``points`` (n, 3) and ``triangles`` (m, 3); points at the same place are one.
    """
    _, welded = np.unique(points, axis=0, return_inverse=True)
    vertices = welded.reshape(-1)[triangles]
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    areas = np.cross(b - a, c - a)
    lengths = np.linalg.norm(areas, axis=1, keepdims=True)
    facing = areas / np.where(lengths > 0, lengths, 1)
    group = _smoothing_groups(vertices, facing)
    sums = np.zeros((group.max(initial=-1) + 1, 3))
    for axis in range(3):
        sums[:, axis] = np.bincount(group.ravel(), np.repeat(areas[:, axis], 3), len(sums))
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    sums = sums / np.where(lengths > 0, lengths, 1)
    normals: Points = sums[group]
    flat = np.linalg.norm(normals, axis=2) < 0.5
    normals[flat] = (0.0, 1.0, 0.0)
    return normals


def _smoothing_groups(vertices: Corners, facing: Points) -> Corners:
    """A number for each corner (m, 3): corners of one number share a place, and a normal."""
    count = len(vertices)
    corners = np.arange(3 * count).reshape(count, 3)
    begins, ends = corners.ravel(), np.roll(corners, -1, axis=1).ravel()
    flat = vertices.ravel()
    low, high = np.minimum(flat[begins], flat[ends]), np.maximum(flat[begins], flat[ends])
    order = np.lexsort((high, low))
    same = (low[order][1:] == low[order][:-1]) & (high[order][1:] == high[order][:-1])
    one, other = order[:-1][same], order[1:][same]
    smooth = np.einsum("ij,ij->i", facing[one // 3], facing[other // 3]) > _CREASE
    one, other = one[smooth], other[smooth]
    # The two ends of an edge, each with the corner at the same place in the face beyond.
    straight = flat[begins[one]] == flat[begins[other]]
    pairs = np.concatenate(
        [
            np.stack([begins[one], np.where(straight, begins[other], ends[other])]),
            np.stack([ends[one], np.where(straight, ends[other], begins[other])]),
        ],
        axis=1,
    )
    return np.unique(_components(3 * count, pairs), return_inverse=True)[1].reshape(count, 3)


def _components(count: int, pairs: Corners) -> Corners:
    """The smallest number that is reached from each of ``count`` by ``pairs`` (2, k)."""
    label = np.arange(count)
    while True:
        low = np.minimum(label[pairs[0]], label[pairs[1]])
        before = label.copy()
        for side in pairs:
            np.minimum.at(label, label[side], low)
            np.minimum.at(label, side, low)
        while not np.array_equal(label, label[label]):
            label = label[label]
        if np.array_equal(label, before):
            return label
