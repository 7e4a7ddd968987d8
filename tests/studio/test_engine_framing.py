"""Framing: from anywhere, a product of any shape fills the frame as its template says, and lies within it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from glossi_sync.studio.engines.framing import (
    NothingInView,
    Outline,
    Stand,
    axes,
    frame,
    nudged,
    shot_view,
    stands_along,
)
from glossi_sync.studio.template import Keyframe, Shot, View

Points = NDArray[np.float64]


def projected(points: Points, stand: Stand) -> Points:
    """Where points (n, 3) lie in a stand's frame (n, 2), -1 to 1."""
    right, up, back = axes(stand)
    away = points - np.array(stand.position)
    half = np.tan(np.radians(stand.field_of_view / 2))
    depth = -away @ back
    assert (depth > 0).all(), "the camera stands within the product"
    return np.stack([away @ right / depth / half / stand.aspect, away @ up / depth / half], axis=-1)


def outline(points: Points, stand: Stand) -> Outline:
    """As an engine draws it: what lies outside the frame is not seen."""
    seen = np.clip(projected(points, stand), -1, 1)
    (left, bottom), (right, top) = seen.min(axis=0), seen.max(axis=0)
    return Outline(float(left), float(right), float(bottom), float(top))


@st.composite
def products(draw: st.DrawFn) -> Points:
    """The corners of a solid within a ball of radius 1 that stands on the floor: slim or flat, upright or leaning."""
    extent = np.array([draw(st.floats(0.05, 1)) for _ in range(3)])
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * extent / np.linalg.norm(extent)
    tip = draw(st.floats(0.1, 1))  # A box, a frustum, almost a pyramid.
    corners[corners[:, 1] > 0] *= (tip, 1, tip)
    turn, lean = draw(st.floats(0, 6.3)), draw(st.floats(-0.5, 0.5))
    spin = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    points: Points = corners @ tilt.T @ spin.T
    points[:, 1] -= points[:, 1].min()
    return points


views = st.builds(
    View,
    azimuth=st.floats(-180, 180),
    elevation=st.floats(-20, 90),
    field_of_view=st.floats(8, 40),
    fill=st.floats(0.3, 0.88),
    aim=st.just((0.0, 0.0)),
)
aspects = st.sampled_from((16 / 9, 1.0, 9 / 16))


def centre(points: Points) -> NDArray[np.float64]:
    return (points.min(axis=0) + points.max(axis=0)) / 2


@given(products(), views, aspects)
def test_a_product_fills_the_frame_as_asked_and_lies_in_its_middle(points: Points, view: View, aspect: float) -> None:
    stand = frame(view, aspect, centre(points), lambda stand: outline(points, stand))
    seen = outline(points, stand)
    assert seen.fill == pytest.approx(view.fill, rel=0.05)
    assert not seen.cut
    assert seen.left + seen.right == pytest.approx(0, abs=0.06)
    assert seen.bottom + seen.top == pytest.approx(0, abs=0.06)


def test_a_rod_seen_from_its_end_is_looked_at_from_before_it() -> None:
    """Its near end looks wide and lies close to the camera, which must not come to stand within it."""
    rod = np.array([(x, y, z) for x in (-0.02, 0.02) for y in (0.0, 0.04) for z in (-1.0, 1.0)])
    stand = frame(View(0, 0, 22, 0.78, (0.0, 0.0)), 16 / 9, centre(rod), lambda stand: outline(rod, stand))
    assert stand.distance > 1
    assert outline(rod, stand).fill == pytest.approx(0.78, rel=0.02)


@given(products(), views, aspects)
def test_nothing_of_a_product_lies_beyond_its_reach(points: Points, view: View, aspect: float) -> None:
    stand = frame(view, aspect, centre(points), lambda stand: outline(points, stand))
    assert (np.abs(projected(points, stand)) <= stand.reach).all()
    assert max(stand.reach) < view.fill + 0.1, "and it does not reach much farther than the product"


@given(products(), views, aspects)
def test_a_camera_keeps_its_direction(points: Points, view: View, aspect: float) -> None:
    stand = frame(view, aspect, centre(points), lambda stand: outline(points, stand))
    _, _, back = axes(stand)
    azimuth, elevation = np.radians(view.azimuth), np.radians(min(view.elevation, 89.9))
    wanted = (np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation))
    assert back == pytest.approx(wanted, abs=1e-9)


@given(products(), views, st.floats(1.0, 3.0), st.tuples(st.floats(-1, 1), st.floats(-1, 1)))
def test_a_detail_is_that_part_of_the_whole_come_closer(
    points: Points, view: View, fill: float, aim: tuple[float, float]
) -> None:
    whole = View(view.azimuth, view.elevation, view.field_of_view, 0.9, (0.0, 0.0))
    detail = View(view.azimuth, view.elevation, view.field_of_view, fill, aim)

    def measure(stand: Stand) -> Outline:
        return outline(points, stand)

    far, near = (frame(v, 16 / 9, centre(points), measure) for v in (whole, detail))
    assert near.distance == pytest.approx(far.distance * 0.9 / fill, rel=1e-6)
    seen = outline(points, far)
    ((x, y),) = projected(np.array([near.target]), far)
    assert x == pytest.approx((seen.left + seen.right) / 2 + aim[0] * (seen.right - seen.left) / 2, abs=0.01)
    assert y == pytest.approx((seen.bottom + seen.top) / 2 + aim[1] * (seen.top - seen.bottom) / 2, abs=0.01)
    assert near.reach == (1.0, 1.0), "it may go on beyond the frame"


def test_what_cannot_be_seen_cannot_be_framed() -> None:
    with pytest.raises(NothingInView):
        frame(View(0, 0, 24, 0.8, (0.0, 0.0)), 1.0, np.zeros(3), lambda stand: None)


def test_a_nudge_is_that_share_of_a_pixel() -> None:
    points = np.array([[0.1, 0.5, 0.0], [-0.3, 0.1, 0.2]])
    stand = frame(View(30, 15, 24, 0.8, (0.0, 0.0)), 16 / 9, np.zeros(3), lambda s: outline(points, s))
    (moved,) = projected(np.array([stand.target]), nudged(stand, (0.5, -0.25), 1080))
    assert moved * (960, 540) == pytest.approx((-0.5, 0.25), abs=1e-4)


def test_a_moving_view_begins_and_ends_where_it_should_and_eases() -> None:
    first, last = View(0, 10, 24, 0.8, (0.0, 0.0)), View(90, 20, 30, 1.4, (0.2, 0.4))
    shot = Shot("Approach", first, (Keyframe(1.0, last, "smooth"),), turn=0.0, seconds=1.0, frames_per_second=11)
    views = [shot_view(shot, index) for index in range(11)]
    assert views[0] == first
    assert views[10] == last
    assert views[5].azimuth == pytest.approx(45)
    assert views[1].azimuth < 9, "it sets off slowly"
    even = replace(shot, path=(Keyframe(1.0, last, "linear"),))
    assert shot_view(even, 1).azimuth == pytest.approx(9)
    fast = replace(shot, path=(Keyframe(1.0, last, "out"),))
    assert shot_view(fast, 1).azimuth > 9
    slow = replace(shot, path=(Keyframe(1.0, last, "in"),))
    assert shot_view(slow, 1).azimuth < 9


def test_a_camera_arrives_when_its_path_says_and_stays_after_the_last_place() -> None:
    first = View(0, 10, 24, 0.8, (0.0, 0.0))
    there, back = replace(first, azimuth=60.0), replace(first, azimuth=-30.0, elevation=40.0)
    path = (Keyframe(0.25, there, "smooth"), Keyframe(0.75, back, "linear"))
    shot = Shot("Round", first, path, turn=0.0, seconds=1.0, frames_per_second=41)
    assert shot_view(shot, 10) == there
    assert shot_view(shot, 20).azimuth == pytest.approx(15)
    assert shot_view(shot, 30) == shot_view(shot, 40) == back


def test_a_whole_turn_of_the_camera_leads_into_itself() -> None:
    first = View(-180, 10, 24, 0.8, (0.0, 0.0))
    path = (Keyframe(1.0, replace(first, azimuth=180.0), "linear"),)
    shot = Shot("Around", first, path, turn=0.0, seconds=1.0, frames_per_second=12)
    assert shot.loops
    azimuths = [shot_view(shot, index).azimuth for index in range(12)]
    assert azimuths == pytest.approx([-180 + 30 * k for k in range(12)])


@given(products(), views, views)
@settings(max_examples=6)
def test_a_moving_camera_neither_jumps_nor_trembles(points: Points, first: View, last: View) -> None:
    last = replace(last, azimuth=first.azimuth + last.azimuth / 4, field_of_view=first.field_of_view)
    shot = Shot("Move", first, (Keyframe(1.0, last, "linear"),), turn=0.0, seconds=1.0, frames_per_second=96)
    stands = stands_along(shot, lambda view: frame(view, 16 / 9, centre(points), lambda s: outline(points, s)))
    assert len(stands) == 96
    for view, stand in ((first, stands[0]), (last, stands[-1])):
        seen = outline(points, stand)
        assert seen is not None
        assert seen.fill == pytest.approx(view.fill, abs=0.02)
    way = np.array([(*stand.target, np.log(stand.distance)) for stand in stands])
    bends = np.abs(np.diff(way, n=2, axis=0)).max()
    assert bends < 0.004, "one frame's step is like the next one's"
