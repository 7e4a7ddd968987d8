"""Cameras: where to stand so that the product fills the frame as its template says. Pure numpy, no engine.

An engine tells how the product's outline lies in the frame seen from a given stand (``Measure``), and the stand is
corrected until it fits. Outlines rather than boxes: a ring's bounding box is mostly air.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.engines.panorama import direction
from glossi_sync.studio.template import Easing, Shot, View


@dataclass(frozen=True, slots=True)
class Stand:
    """A camera: position and target in product radii, vertical field of view in degrees, width over height."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    field_of_view: float
    aspect: float
    reach: tuple[float, float] = (1.0, 1.0)
    """How far from the frame's centre the product goes, across and upwards: 1 to the frame's edge (or beyond)."""

    @property
    def distance(self) -> float:
        """From the camera to its target."""
        return float(np.linalg.norm(np.subtract(self.position, self.target)))

    def pixels_per_radius(self, height: int) -> float:
        """How many of a frame's ``height`` pixels one product radius takes at the camera's target."""
        return height / 2 / float(np.tan(np.radians(self.field_of_view / 2))) / self.distance


@dataclass(frozen=True, slots=True)
class Outline:
    """The extent of what is seen, in the frame's coordinates: -1 to 1 from left to right and from bottom to top."""

    left: float
    right: float
    bottom: float
    top: float

    @property
    def fill(self) -> float:
        """The share of the frame's tighter side that it takes."""
        return max(self.right - self.left, self.top - self.bottom) / 2

    @property
    def cut(self) -> bool:
        """Whether it touches the frame's edge, so that it may well go on beyond."""
        return min(self.left, self.bottom) < -0.995 or max(self.right, self.top) > 0.995


_ROOM = 0.03
"""Left around an outline: for its being measured in coarse pixels, and at some positions of a turn only."""

_DEGREES_A_PIECE = 15.0
"""How far a moving camera turns from one place that it is fitted at to the next."""

_NEAREST = 1.02
"""A camera's distance from the middle of a product of radius 1 that it does not stand in."""

Measure = Callable[[Stand], Outline | None]
"""How the product lies in the frame from a stand; None where nothing of it is seen."""


class NothingInView(Exception):
    """There is no outline: nothing of the model can be seen from where its bounds say it is."""


def axes(stand: Stand) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A stand's unit vectors: to the right, upwards, and from the target to the camera."""
    back = np.subtract(stand.position, stand.target) / stand.distance
    right = np.cross((0.0, 1.0, 0.0), back)
    right /= np.linalg.norm(right)
    return right, np.cross(back, right), back


def frame(view: View, aspect: float, centre: NDArray[np.float64], measure: Measure) -> Stand:
    """The stand from which the product's outline fills and sits in the frame as ``view`` asks.

    ``centre`` is the middle of the product's bounds, which lie within a ball of radius 1 around it.

    Raises:
        NothingInView: the product leaves no outline.
    """
    half = np.tan(np.radians(view.field_of_view / 2)) * min(1.0, aspect)
    # Straight down, "up" has no direction: a hair's breadth off it does.
    back = direction(view.azimuth, float(np.clip(view.elevation, -89.9, 89.9)))
    target, distance = np.array(centre, np.float64), 1.1 / np.sin(np.arctan(half))
    stand = _stand(target, back, distance, view.field_of_view, aspect)
    whole = min(view.fill, 0.9)
    # What is seen grows as the distance from its widest part shrinks, which lies ``depth`` before the centre. Of a rod
    # seen end-on that is its near end, all but where the camera is: so the distance is kept between known bounds.
    depth, before = 0.0, (0.0, 0.0)
    nearest, farthest = _NEAREST, np.inf
    for step in range(24):
        outline = measure(stand)
        if outline is None:
            raise NothingInView
        x, y = (outline.left + outline.right) / 2, (outline.bottom + outline.top) / 2
        if outline.cut:
            nearest, following = distance, 1.5 * distance
        else:
            if abs(outline.fill / whole - 1) < 0.004 and max(abs(x), abs(y)) < 0.004:
                break
            if outline.fill > whole:
                nearest = max(nearest, distance)
            else:
                farthest = min(farthest, distance)
            if abs(before[0] - outline.fill) > 0.02:
                part = (before[0] * before[1] - outline.fill * distance) / (before[0] - outline.fill)
                depth = float(np.clip(part, -1.0, 1.0)) if before[0] else 0.0
            before = outline.fill, distance
            following = depth + (distance - depth) * outline.fill / whole
        right, up, _back = axes(stand)
        high = np.tan(np.radians(view.field_of_view / 2)) * (distance - depth)
        high *= 1.0 if step < 5 else 0.7  # What has not settled by now swings from side to side.
        target = target + right * (x * high * aspect) + up * (y * high)
        if farthest - nearest < 0.002 * distance:  # The bounds were of a camera that looked elsewhere.
            nearest, farthest = _NEAREST, np.inf
        if not nearest < following < farthest and np.isfinite(farthest):
            following = (nearest + farthest) / 2
        distance = max(following, _NEAREST)
        stand = _stand(target, back, distance, view.field_of_view, aspect)
    outline = measure(stand)
    if outline is None:
        raise NothingInView
    if view.aim == (0.0, 0.0) and view.fill <= whole:
        return replace(stand, reach=reach_of(outline))
    return _closer(stand, view, whole, outline)


@dataclass(frozen=True, slots=True)
class Leg:
    """A shot's way between two of its places: from ``view`` to ``to``, from ``begin`` to ``end`` of its time."""

    view: View
    to: View
    begin: float
    end: float
    easing: Easing

    def eased(self, time: float) -> float:
        """How far the camera has come at a time: 0 to 1."""
        t = float(np.clip((time - self.begin) / (self.end - self.begin), 0.0, 1.0))
        return {"smooth": t * t * (3 - 2 * t), "linear": t, "in": t * t, "out": t * (2 - t)}[self.easing]

    def at(self, way: float) -> View:
        """The view after a share of the way."""

        def mix(a: float, b: float) -> float:
            return a + (b - a) * way

        first, last = self.view, self.to
        return View(
            azimuth=mix(first.azimuth, last.azimuth),
            elevation=mix(first.elevation, last.elevation),
            field_of_view=mix(first.field_of_view, last.field_of_view),
            fill=mix(first.fill, last.fill),
            aim=(mix(first.aim[0], last.aim[0]), mix(first.aim[1], last.aim[1])),
        )


def legs(shot: Shot) -> tuple[Leg, ...]:
    """The legs of a shot's path, in order; none where its camera stands still."""
    result: list[Leg] = []
    view, begin = shot.view, 0.0
    for stop in shot.path:
        result.append(Leg(view, stop.view, begin, stop.at, stop.easing))
        view, begin = stop.view, stop.at
    return tuple(result)


def moment(shot: Shot, index: int) -> float:
    """The time of a shot's frame, from 0 to 1; a loop ends one step before its beginning, and does not stutter."""
    return index / (shot.frames if shot.loops else max(1, shot.frames - 1))


def shot_view(shot: Shot, index: int) -> View:
    """A shot's view at one of its frames."""
    time = moment(shot, index)
    view = shot.view
    for leg in legs(shot):
        if time >= leg.begin:
            view = leg.at(leg.eased(time))
    return view


def stands_along(shot: Shot, fit: Callable[[View], Stand]) -> list[Stand]:
    """The stand of each of a shot's frames, ``fit`` giving that of a view; ``reach`` is left at all of the frame.

    A stand is fitted within a few pixels, which would tremble from frame to frame. So it is fitted at a few places of
    the path, and what lies between them follows a smooth curve.
    """
    curves: list[tuple[Leg, NDArray[np.float64]]] = []
    last: Stand | None = None
    for leg in legs(shot):
        turned = max(abs(leg.to.azimuth - leg.view.azimuth), abs(leg.to.elevation - leg.view.elevation))
        pieces = 1 + int(turned // _DEGREES_A_PIECE)
        fitted = [last or fit(leg.view), *(fit(leg.at(piece / pieces)) for piece in range(1, pieces + 1))]
        last = fitted[-1]
        curves.append((leg, np.array([(*stand.target, np.log(stand.distance)) for stand in fitted])))
    if last is None:
        return [fit(shot.view)]
    stands: list[Stand] = []
    for index in range(shot.frames):
        time = moment(shot, index)
        leg, knots = next(((leg, knots) for leg, knots in curves if time <= leg.end), curves[-1])
        way = leg.eased(time)
        view = leg.at(way)
        x, y, z, distance = _on_curve(knots, way)
        back = direction(view.azimuth, float(np.clip(view.elevation, -89.9, 89.9)))
        stands.append(_stand(np.array((x, y, z)), back, float(np.exp(distance)), view.field_of_view, last.aspect))
    return stands


def _on_curve(knots: NDArray[np.float64], way: float) -> NDArray[np.float64]:
    """A point of a smooth curve (Catmull-Rom) through evenly spaced knots (n, k); a straight line through two."""
    pieces = len(knots) - 1
    piece = min(int(way * pieces), pieces - 1)
    t = way * pieces - piece
    slopes = np.gradient(knots, axis=0)
    result: NDArray[np.float64] = (
        (2 * t**3 - 3 * t**2 + 1) * knots[piece]
        + (t**3 - 2 * t**2 + t) * slopes[piece]
        + (3 * t**2 - 2 * t**3) * knots[piece + 1]
        + (t**3 - t**2) * slopes[piece + 1]
    )
    return result


def nudged(stand: Stand, pixels: tuple[float, float], height: int) -> Stand:
    """The stand turned by a fraction of a pixel, for supersampling a frame of ``height`` pixels."""
    right, up, _ = axes(stand)
    pixel = 2 * np.tan(np.radians(stand.field_of_view / 2)) * stand.distance / height
    target = np.array(stand.target) + right * (pixels[0] * pixel) + up * (pixels[1] * pixel)
    return replace(stand, target=(float(target[0]), float(target[1]), float(target[2])))


def _stand(
    target: NDArray[np.float64], back: NDArray[np.float64], distance: float, field_of_view: float, aspect: float
) -> Stand:
    position = target + back * distance
    return Stand(
        position=(float(position[0]), float(position[1]), float(position[2])),
        target=(float(target[0]), float(target[1]), float(target[2])),
        field_of_view=field_of_view,
        aspect=aspect,
    )


def reach_of(outline: Outline) -> tuple[float, float]:
    """How far from the frame's centre an outline goes, with a little room around it (``Stand.reach``)."""
    across, upwards = max(-outline.left, outline.right), max(-outline.bottom, outline.top)
    return min(1.0, across + _ROOM), min(1.0, upwards + _ROOM)


def _closer(stand: Stand, view: View, whole: float, outline: Outline) -> Stand:
    """A view of a part: the whole product is framed first, then the camera aims and comes closer."""
    right, up, back = axes(stand)
    high = np.tan(np.radians(view.field_of_view / 2)) * stand.distance
    x = (outline.left + outline.right) / 2 + view.aim[0] * (outline.right - outline.left) / 2
    y = (outline.bottom + outline.top) / 2 + view.aim[1] * (outline.top - outline.bottom) / 2
    target = np.array(stand.target) + right * (x * high * stand.aspect) + up * (y * high)
    return _stand(target, back, stand.distance * whole / view.fill, view.field_of_view, stand.aspect)
