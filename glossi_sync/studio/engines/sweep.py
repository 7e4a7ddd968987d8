"""The backdrop: one seamless surface of revolution, its colours and the floor's grain. Pure numpy, no engine.

Floor and wall are one mesh, so there is no seam to see; all around, so a camera may stand anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.template import Backdrop, Grain, Hills

PATCH = 3.6
"""Half the side of the square of floor, in product radii, that the floor's texture covers."""

_SEGMENTS, _FINE_SEGMENTS = 96, 240
"""Around the surface: what varies along it needs few, a skyline or a window's light needs more."""


@dataclass(frozen=True, slots=True)
class SweepMesh:
    """The surface, facing inwards; ``uvs`` map the floor's patch, and lie outside 0..1 beyond it."""

    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    uvs: NDArray[np.float32]
    indices: NDArray[np.uint32]
    places: NDArray[np.float64]
    """Where on the sweep each vertex is: 0 under the product, 1 at the wall's top (n)."""


def sweep_mesh(backdrop: Backdrop) -> SweepMesh:
    """Floor, bend and wall of a backdrop as triangles."""
    profile, lengths = _profile(backdrop)
    fine = backdrop.hills is not None or (backdrop.glow is not None and backdrop.glow.panes is not None)
    segments = _FINE_SEGMENTS if fine else _SEGMENTS
    angles = np.arange(segments + 1) * 2 * np.pi / segments
    radius, height = profile[:, 0], profile[:, 1]
    positions = np.stack(
        [
            radius[:, None] * np.sin(angles),
            np.broadcast_to(height[:, None], (len(profile), len(angles))),
            radius[:, None] * np.cos(angles),
        ],
        axis=-1,
    ).reshape(-1, 3)
    ring = len(angles)
    near, far = np.meshgrid(np.arange(len(profile) - 1) * ring, np.arange(ring - 1), indexing="ij")
    corner = (near + far).ravel()
    indices = np.concatenate(
        [
            np.stack([corner, corner + ring, corner + ring + 1], axis=-1),
            np.stack([corner, corner + ring + 1, corner + 1], axis=-1),
        ]
    )
    return SweepMesh(
        positions=positions.astype(np.float32),
        normals=np.tile(np.array([0, 1, 0], np.float32), (len(positions), 1)),
        uvs=((positions[:, [0, 2]] / PATCH + 1) / 2).astype(np.float32),
        indices=indices.astype(np.uint32),
        places=np.repeat(lengths, ring),
    )


def sweep_colors(backdrop: Backdrop, mesh: SweepMesh, camera_azimuth: float) -> NDArray[np.float64]:
    """The colour wanted in the picture at each vertex (n, 3), seen from a camera at an azimuth in degrees."""
    stops = backdrop.sweep
    at = [stop.at for stop in stops]
    places = mesh.places
    if backdrop.hills is not None:
        places = places + _hills(mesh, backdrop, backdrop.hills)
    colors = np.stack([_smooth(places, at, [stop.color[c] for stop in stops]) for c in range(3)], axis=-1)
    if backdrop.glow is not None:
        glow = backdrop.glow
        away = np.radians(camera_azimuth + 180.0 - glow.aside)
        aside = np.arctan2(mesh.positions[:, 0], mesh.positions[:, 2]) - away
        aside = (aside + np.pi) % (2 * np.pi) - np.pi
        reach = np.hypot(mesh.positions[:, 0], mesh.positions[:, 2])
        # Over the flat part the pool must die out, or the pole at the centre would show as a star.
        across = np.degrees(aside) / glow.width
        along = (mesh.positions[:, 1] - glow.height) / glow.extent
        light = np.exp(-0.5 * (across**2 + along**2)) if glow.panes is None else _window(across, along, glow.panes)
        pool = light * _smooth(reach, [0.3 * backdrop.flat, backdrop.flat], [0, 1])
        colors += pool[:, None] * np.array(glow.color)
    return colors


def _window(across: NDArray[np.floating], along: NDArray[np.floating], panes: tuple[int, int]) -> NDArray[np.float64]:
    """The light through a window that lies from -1 to 1 both ways: what comes from the side falls slantingly."""
    light = np.ones_like(across)
    for place, count in ((across - 0.3 * along, panes[0]), (along, panes[1])):
        light *= _smooth(np.abs(place), [0.86, 1.14], [1.0, 0.0])
        for bar in range(1, count):
            light *= 1 - 0.8 * np.exp(-(((place - (2 * bar / count - 1)) / 0.08) ** 2))
    return light


def _hills(mesh: SweepMesh, backdrop: Backdrop, hills: Hills) -> NDArray[np.float64]:
    """By how much the sweep's stops are moved: a soft skyline of hills, the same all around every picture."""
    azimuth = np.arctan2(mesh.positions[:, 0], mesh.positions[:, 2]).astype(np.float64)
    # Whole numbers of waves, so that the skyline closes; unrelated ones, so that it does not repeat.
    waves = ((5, 1.0, 0.4), (8, 0.8, 2.1), (13, 0.55, 4.0), (21, 0.35, 1.3), (34, 0.22, 5.2))
    skyline = sum(weight * np.sin(number * azimuth + phase) for number, weight, phase in waves) / 1.6
    reach = np.hypot(mesh.positions[:, 0], mesh.positions[:, 2])
    rising = _smooth(reach, [0.55 * backdrop.flat, backdrop.flat + 0.5 * backdrop.bend], [0.0, 1.0])
    result: NDArray[np.float64] = -hills.strength * skyline * rising
    return result


def grain(texture: Grain | None, size: int) -> NDArray[np.float32]:
    """The floor's fine texture as factors around 1, shape (size, size); fades out towards the patch's border.

    A sum of octaves of value noise from a fixed seed, so that every picture has the same ground.
    """
    if texture is None:
        return np.ones((size, size), np.float32)
    random = np.random.default_rng(20)
    total = np.zeros((size, size))
    cells = max(4, round(2 * PATCH / texture.scale))
    weight = 1.0
    while cells < size:
        along = max(2, round(cells / texture.stretch))
        total += weight * _upsampled(random.standard_normal((cells, along)), size)
        cells, weight = cells * 2, weight * 0.72
    total /= total.std()
    return (1.0 + texture.strength * total * border(size)).astype(np.float32)


def border(size: int) -> NDArray[np.float64]:
    """1 over the patch's middle, 0 on its border, round and smooth between: what is laid on it ends unseen."""
    line = np.abs((np.arange(size) + 0.5) / size * 2 - 1)
    reach = np.hypot(line[:, None], line[None, :])
    return _smooth(reach, [0.62, 0.97], [1.0, 0.0])


def _profile(backdrop: Backdrop) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radius and height along the sweep (n, 2), and the length gone, from 0 to 1 (n)."""
    flat, bend = backdrop.flat, min(backdrop.bend, backdrop.height)
    rings = np.concatenate([np.linspace(0.02, 1, 6) * min(PATCH, flat), np.linspace(min(PATCH, flat), flat, 16)[1:]])
    floor = np.stack([rings, np.zeros_like(rings)], axis=-1)
    turn = np.linspace(0, np.pi / 2, 25)[1:]
    curve = np.stack([flat + bend * np.sin(turn), bend * (1 - np.cos(turn))], axis=-1)
    wall_heights = np.linspace(bend, backdrop.height, 25)[1:]
    wall = np.stack([np.full_like(wall_heights, flat + bend), wall_heights], axis=-1)
    profile = np.concatenate([[[0.0, 0.0]], floor, curve, wall if backdrop.height > bend else wall[:0]])
    steps = np.linalg.norm(np.diff(profile, axis=0), axis=1)
    lengths = np.concatenate([[0.0], np.cumsum(steps)])
    return profile, lengths / lengths[-1]


def _smooth(x: NDArray[np.float64], at: list[float], values: list[float]) -> NDArray[np.float64]:
    """Monotone cubic interpolation between stops: no kink that the eye would take for an edge (Mach bands)."""
    knots, y = np.asarray(at, np.float64), np.asarray(values, np.float64)
    if len(knots) == 1:
        return np.full_like(x, y[0])
    widths = np.diff(knots)
    slopes = np.diff(y) / widths
    tangents = np.zeros_like(y)
    same = slopes[:-1] * slopes[1:] > 0
    inner = np.zeros(len(y) - 2)
    inner[same] = 2 * slopes[:-1][same] * slopes[1:][same] / (slopes[:-1] + slopes[1:])[same]
    tangents[1:-1] = inner
    clamped = np.clip(x, knots[0], knots[-1])
    span = np.clip(np.searchsorted(knots, clamped, side="right") - 1, 0, len(widths) - 1)
    t = (clamped - knots[span]) / widths[span]
    h = widths[span]
    result: NDArray[np.float64] = (
        (2 * t**3 - 3 * t**2 + 1) * y[span]
        + (t**3 - 2 * t**2 + t) * h * tangents[span]
        + (3 * t**2 - 2 * t**3) * y[span + 1]
        + (t**3 - t**2) * h * tangents[span + 1]
    )
    return result


def _upsampled(coarse: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Noise on a periodic grid, interpolated smoothly to ``size`` in both directions."""
    for cells in coarse.shape:  # Down the columns first; turned over, along the rows.
        place = (np.arange(size) + 0.5) * cells / size
        first = np.floor(place).astype(int)
        t = place - first
        t = (t * t * (3 - 2 * t))[:, None]
        coarse = (coarse[first % cells] * (1 - t) + coarse[(first + 1) % cells] * t).T
    return coarse
