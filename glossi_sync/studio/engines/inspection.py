"""Looking at a finished picture before it is called done. Pure numpy on pixels, a few milliseconds each, no engine.

An engine gives the picture and the product's silhouette from the same camera, in black and white and as coarse as it
likes: the picture is looked at in the silhouette's pixels. What is found is said in words for ``errorMessage``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.template import Checks, View

Pixels = NDArray[np.uint8]
"""A picture (height, width, 3), sRGB."""

Silhouette = NDArray[np.bool_]
"""Where the product is (rows, columns), over the same frame as the picture."""

_WHITE, _BLACK = 254, 2
"""The levels from which on, and up to which, nothing is told apart any more."""
_ALIKE = 6
"""Levels between the darkest and the brightest of what is taken for one colour."""
_DETAIL = 0.9
"""Cameras that fill more of the frame than this show a part of the product."""
_SMALLEST = 0.05
"""Share of the frame's tighter side that a part of a product takes, or one that is shown with larger ones."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a picture was meant to show."""

    view: View
    alone: bool = True
    """Whether its camera stands where it does for this product alone, and not for others as well."""
    magenta: bool = False
    """Whether the product's own materials are magenta."""


def faults(picture: Pixels, silhouette: Silhouette, asked: Asked, checks: Checks) -> Iterator[str]:
    """What is wrong with a picture; nothing where it is fit to be seen."""
    rows, columns = np.flatnonzero(silhouette.any(axis=1)), np.flatnonzero(silhouette.any(axis=0))
    if not len(rows):
        yield "nothing of the product is in it"
        return
    yield from _placed(silhouette, rows, columns, asked, checks)
    seen = _as_coarse_as(silhouette, picture)
    around = seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].reshape(-1, 3)
    if int(around.max()) - int(around.min()) < _ALIKE:
        yield f"it is blank: where the product should be, all is of one colour ({_hex(around[0])})"
        return
    product = seen[silhouette]
    darkest, brightest = product.min(axis=-1), product.max(axis=-1)
    yield from _too_much(darkest >= _WHITE, checks.highlights, "clipped to white", "highlights")
    yield from _too_much(brightest <= _BLACK, checks.shadows, "clipped to black", "shadows")
    if not asked.magenta:
        yield from _too_much(is_magenta(product), checks.magenta, "magenta, as a missing texture is shown", "magenta")


def is_magenta(colors: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which colours (…, 3), sRGB from 0 to 255, are a pure magenta, bright or in shadow: no green in it at all."""
    red, green, blue = (np.asarray(colors[..., channel], np.int32) for channel in range(3))
    least, most = np.minimum(red, blue), np.maximum(red, blue)
    pure: NDArray[np.bool_] = (least > 90) & (green * 8 < least) & (most - least < 12)
    return pure


def _placed(
    silhouette: Silhouette, rows: NDArray[np.intp], columns: NDArray[np.intp], asked: Asked, checks: Checks
) -> Iterator[str]:
    if checks.fill == 0:
        return
    high, wide = silhouette.shape
    share = max((rows[-1] - rows[0] + 1) / high, (columns[-1] - columns[0] + 1) / wide)
    whole = asked.view.fill <= _DETAIL and asked.view.aim == (0.0, 0.0)
    least = checks.fill * asked.view.fill if whole and asked.alone else _SMALLEST
    if share < least:
        yield f"the product takes {share:.0%} of the frame's tighter side, and should take {least:.0%} at least"
    if whole and (rows[0] == 0 or columns[0] == 0 or rows[-1] == high - 1 or columns[-1] == wide - 1):
        yield "the product is cut by the frame"


def _too_much(wrong: NDArray[np.bool_], allowed: float, what: str, check: str) -> Iterator[str]:
    share = float(wrong.mean())
    if share > allowed:
        yield f"{share:.0%} of the product are {what}, and no more than {allowed:.0%} may be (checks.{check})"


def _as_coarse_as(silhouette: Silhouette, picture: Pixels) -> Pixels:
    """The picture's pixels in the middle of each of the silhouette's."""
    down, across = (
        (np.arange(few) * 2 + 1) * many // (2 * few)
        for few, many in zip(silhouette.shape, picture.shape[:2], strict=True)
    )
    coarse: Pixels = picture[down[:, None], across]
    return coarse


def _hex(color: NDArray[np.uint8]) -> str:
    return "#" + "".join(f"{int(level):02x}" for level in color)
