"""Small pictures for a page, and what changed between two of them. Knows files and pixels, nothing of products.

Pillow, numpy and PyAV are imported here and nowhere else in reporting, where they are used.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

SIDE = 720
"""The longer side of an embedded picture, in pixels."""

COMPARED = 512
"""The longer side at which two pictures are compared: noise of single pixels is no change that anybody sees."""

NOTICEABLE = 16
"""A pixel has changed where one of its channels differs by more than this, of 255."""

_QUALITY = 78
_WINDOW = 8
_HEAT = ((0, 0, 0), (90, 10, 110), (200, 40, 60), (250, 140, 30), (255, 240, 170))
"""The heat map's colours, from no difference to the largest."""


class Unreadable(Exception):
    """A file is no picture or video that can be shown; the message says why, to be read after its name."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for a page: a data URI, and its size there; ``original`` is the size of the file itself, in pixels."""

    uri: str
    width: int
    height: int
    original: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """How two pictures differ.

    ``changed`` is the share of pixels that differ noticeably (0 to 1), ``similarity`` the structural similarity of
    their brightness (SSIM, Wang et al. 2004; 1 is alike), ``heat`` a map of where; ``resized`` tells that the files
    have different sizes.
    """

    changed: float
    similarity: float
    heat: Picture
    resized: bool


def still(path: Path) -> Image:
    """A picture, or the first frame of a video; opaque, upright.

    Raises:
        Unreadable: it is neither.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415

    try:
        with Image.open(path) as opened:
            # JPEGs are decoded at a fraction of their size, where that is enough.
            opened.draft("RGB", (2 * SIDE, 2 * SIDE))
            picture = ImageOps.exif_transpose(opened)
            if picture.mode in ("RGBA", "LA", "PA", "P"):
                picture = picture.convert("RGBA")
                ground = Image.new("RGBA", picture.size, "white")
                return Image.alpha_composite(ground, picture).convert("RGB")
            return picture.convert("RGB")
    except UnidentifiedImageError:
        return _first_frame(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(f"cannot be shown: {_said(error)}") from None


def _first_frame(path: Path) -> Image:
    import av  # noqa: PLC0415

    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                picture: Image = frame.to_image()  # type: ignore[no-untyped-call]
                return picture
    except (av.FFmpegError, OSError, ValueError, IndexError):
        pass
    raise Unreadable("cannot be shown: it is neither a picture nor a video")


def small(picture: Image, side: int = SIDE) -> Picture:
    """A picture, scaled down to ``side`` where it is larger, for a page."""
    from PIL import Image  # noqa: PLC0415

    fitted = picture.copy()
    fitted.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _embedded(fitted, picture.size)


def difference(before: Image, after: Image) -> Difference:
    """Compare two pictures at ``COMPARED`` pixels; the one before is brought to the size of the one after."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    scale = min(1.0, COMPARED / max(after.size))
    size = (max(1, round(after.width * scale)), max(1, round(after.height * scale)))
    first, second = (np.asarray(one.resize(size, Image.Resampling.BOX), dtype=np.int16) for one in (before, after))
    apart = np.abs(first - second).max(axis=2)
    heat = _embedded(_heat_map(apart, second), after.size)
    return Difference(
        changed=float((apart > NOTICEABLE).mean()),
        similarity=_similarity(_brightness(first), _brightness(second)),
        heat=heat,
        resized=before.size != after.size,
    )


def _heat_map(apart: NDArray[np.int16], after: NDArray[np.int16]) -> Image:
    """The picture after, grey and faint, with the differences over it; small ones are raised so that they are seen."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    strength = np.sqrt(np.clip(apart / 128.0, 0.0, 1.0))
    stops = np.linspace(0.0, 1.0, len(_HEAT))
    colours = np.stack([np.interp(strength, stops, [one[n] for one in _HEAT]) for n in range(3)], axis=2)
    ground = np.repeat(_brightness(after)[:, :, None] * 0.35, 3, axis=2)
    # What nobody would notice fades into the ground.
    seen = np.clip((apart - NOTICEABLE / 2) / NOTICEABLE, 0.0, 1.0)[:, :, None]
    return Image.fromarray(np.clip(ground * (1.0 - seen) + colours * seen, 0, 255).astype(np.uint8), "RGB")


def _brightness(picture: NDArray[np.int16]) -> NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415

    weighed: NDArray[np.float64] = picture @ np.array([0.299, 0.587, 0.114])
    return weighed


def _similarity(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The mean of SSIM over windows of ``_WINDOW`` pixels, all weighed alike."""
    import numpy as np  # noqa: PLC0415

    height, width = (side - side % _WINDOW for side in first.shape)
    if not height or not width:
        return 1.0 if np.array_equal(first, second) else 0.0

    def windows(picture: NDArray[np.float64]) -> NDArray[np.float64]:
        cut = picture[:height, :width].reshape(height // _WINDOW, _WINDOW, width // _WINDOW, _WINDOW)
        return cut.transpose(0, 2, 1, 3).reshape(-1, _WINDOW * _WINDOW)

    one, two = windows(first), windows(second)
    mean_one, mean_two = one.mean(axis=1), two.mean(axis=1)
    shared = ((one - mean_one[:, None]) * (two - mean_two[:, None])).mean(axis=1)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_one * mean_two + c1) * (2 * shared + c2)
    below = (mean_one**2 + mean_two**2 + c1) * (one.var(axis=1) + two.var(axis=1) + c2)
    return float((above / below).mean())


def _embedded(picture: Image, original: tuple[int, int]) -> Picture:
    written = io.BytesIO()
    picture.save(written, "WEBP", quality=_QUALITY, method=2)
    uri = "data:image/webp;base64," + base64.b64encode(written.getvalue()).decode()
    return Picture(uri, picture.width, picture.height, original)


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0][:200]
