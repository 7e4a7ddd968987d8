"""Pictures are looked at before they are called done: what is refused, and what is not. No engine is needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from glossi_sync.studio.engines.inspection import Asked, faults, is_magenta
from glossi_sync.studio.template import Checks, View

ROWS, COLUMNS = 90, 160
WHOLE = Asked(View(0, 10, 24, 0.8, (0.0, 0.0)))
DETAIL = Asked(View(0, 10, 24, 1.4, (0.1, 0.3)))
Pixels = NDArray[np.uint8]


def silhouette(width: float, height: float, left: float = 0.0, up: float = 0.0) -> NDArray[np.bool_]:
    """A rectangle of these shares of the frame, moved from its middle by shares of the frame."""
    y, x = (np.arange(ROWS) + 0.5) / ROWS - 0.5 + up, (np.arange(COLUMNS) + 0.5) / COLUMNS - 0.5 + left
    return (np.abs(y) < height / 2)[:, None] & (np.abs(x) < width / 2)


def picture(seen: NDArray[np.bool_], seed: int = 0, low: int = 20, high: int = 230) -> Pixels:
    """A product of many levels before a plain backdrop, in the silhouette's own pixels."""
    result = np.full((*seen.shape, 3), 128, np.uint8)
    result[seen] = np.random.default_rng(seed).integers(low, high, (int(seen.sum()), 3), np.uint8)
    return result


def said(pixels: Pixels, seen: NDArray[np.bool_], asked: Asked = WHOLE, checks: Checks | None = None) -> str:
    return "; ".join(faults(pixels, seen, asked, checks or Checks()))


@given(st.integers(0, 99), st.floats(0.68, 0.9), st.integers(1, 4))
def test_a_good_picture_is_let_through_at_any_size(seed: int, high: float, larger: int) -> None:
    seen = silhouette(0.5, high)
    assert said(np.kron(picture(seen, seed), np.ones((larger, larger, 1), np.uint8)), seen) == ""


@given(st.floats(0.05, 0.95), st.floats(0, 1), st.sampled_from(("highlights", "shadows")))
def test_clipping_is_told_from_the_share_on_that_the_template_allows(clipped: float, allowed: float, kind: str) -> None:
    seen = silhouette(0.5, 0.8)
    pixels = picture(seen)
    rows, columns = np.nonzero(seen)
    some = slice(0, round(clipped * len(rows)))
    pixels[rows[some], columns[some]] = 255 if kind == "highlights" else 0
    share = len(rows[some]) / len(rows)
    found = said(pixels, seen, checks=replace(Checks(highlights=1, shadows=1), **{kind: allowed}))
    assert (f"{share:.0%} of the product are clipped" in found) == (share > allowed)
    assert (f"(checks.{kind})" in found) == (share > allowed)


def test_a_saturated_colour_is_not_clipped() -> None:
    seen = silhouette(0.5, 0.8)
    pixels = picture(seen)
    pixels[seen] = (255, 255, 0)
    assert said(pixels, seen) == ""


@given(st.integers(0, 255), st.integers(0, 2))
def test_one_colour_all_over_is_blank(level: int, noise: int) -> None:
    seen = silhouette(0.5, 0.8)
    pixels = np.full((ROWS, COLUMNS, 3), level, np.uint8)
    pixels[::2] = min(255, level + noise)
    assert "it is blank" in said(pixels, seen, checks=Checks(highlights=1, shadows=1))


def test_white_before_white_is_no_blank_while_it_has_a_shape() -> None:
    seen = silhouette(0.5, 0.8)
    pixels = np.full((ROWS, COLUMNS, 3), 255, np.uint8)
    pixels[seen] = np.linspace(235, 253, int(seen.sum())).astype(np.uint8)[:, None]
    assert said(pixels, seen) == ""


def test_nothing_in_the_picture() -> None:
    seen = np.zeros((ROWS, COLUMNS), bool)
    assert said(picture(seen), seen) == "nothing of the product is in it"


@given(st.floats(0.1, 0.88))
def test_a_product_that_is_too_small_is_told(high: float) -> None:
    seen = silhouette(0.05, high)
    rows = seen.any(axis=1).mean()
    found = said(picture(seen), seen)
    assert ("the product takes" in found) == (rows < 0.8 * 0.8)
    assert said(picture(seen), seen, checks=Checks(fill=0)) == ""
    assert said(picture(seen), seen, replace(WHOLE, alone=False)) == "", "beside others, it may be the small one"


@pytest.mark.parametrize(("left", "up"), [(0.3, 0), (-0.3, 0), (0, 0.2), (0, -0.2)])
def test_a_product_that_the_frame_cuts_is_told_unless_it_is_a_detail(left: float, up: float) -> None:
    seen = silhouette(0.5, 0.8, left, up)
    assert said(picture(seen), seen) == "the product is cut by the frame"
    assert said(picture(seen), seen, checks=Checks(fill=0)) == ""
    assert said(picture(seen), seen, DETAIL) == ""


@given(st.integers(110, 255), st.floats(0.0, 1.0))
def test_the_colour_of_a_missing_texture_is_told_bright_or_in_shadow(level: int, covered: float) -> None:
    seen = silhouette(0.5, 0.8)
    pixels = picture(seen, low=20, high=80)
    rows, columns = np.nonzero(seen)
    some = slice(0, round(covered * len(rows)))
    pixels[rows[some], columns[some]] = (level, level // 12, max(0, level - 5))
    told = len(rows[some]) / len(rows) > 0.25
    assert ("missing texture" in said(pixels, seen)) == told
    assert said(pixels, seen, replace(WHOLE, magenta=True)) == ""


@pytest.mark.parametrize(
    "color", ["#e4506d", "#8b1a8b", "#ff69b4", "#c71585", "#7a00ff", "#5c1f5c", "#ff0000", "#0000ff"]
)
def test_pinks_and_purples_are_no_missing_texture(color: str) -> None:
    levels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    assert is_magenta(levels) == (color == "#8b1a8b" and levels[1] * 8 < levels[0])
