"""Pictures of other formats made ready for glTF, which knows PNG, JPEG and WebP alone. With Pillow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from glossi_sync.studio.processing.facts import refuse

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE = 16_384
MAX_PIXELS = 8192 * 8192
"""Of one picture that has to be unpacked here."""

_KEPT = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_READ = (*_KEPT, "TGA", "BMP", "TIFF", "GIF", "PSD", "DDS")


def for_gltf(content: bytes, name: str) -> tuple[bytes, str]:
    """A picture's bytes and MIME type: as they are where glTF knows them, else as PNG.

    Raises:
        ProcessingError: it is no picture that can be read, or too large.
    """
    picture = opened(content, name)
    if picture.format in _KEPT:
        return content, _KEPT[picture.format]
    return as_png(picture.convert("RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"))


def opened(content: bytes, name: str) -> Image.Image:
    """A picture, its pixels not yet unpacked.

    Raises:
        ProcessingError: see ``for_gltf``.
    """
    from PIL import Image  # noqa: PLC0415 - only where a format needs it

    Image.MAX_IMAGE_PIXELS = None  # Checked here.
    try:
        picture = Image.open(io.BytesIO(content), formats=_READ)
    except (OSError, ValueError, SyntaxError):
        refuse(f"the texture {name!r} is not a picture that can be read, or it is damaged: use PNG or JPEG")
    if max(picture.size) > MAX_SIDE or picture.width * picture.height > MAX_PIXELS:
        refuse(f"the texture {name!r} is {picture.width} x {picture.height} pixels: make it smaller")
    return picture


def as_png(picture: Image.Image) -> tuple[bytes, str]:
    """A picture as PNG, and its MIME type."""
    target = io.BytesIO()
    picture.save(target, "PNG", compress_level=3)
    return target.getvalue(), "image/png"


def packed(size_of: Image.Image, **channels: Image.Image | float) -> tuple[bytes, str]:
    """Channels ``r``, ``g``, ``b`` from one-channel pictures, or from numbers from 0 to 1, as one PNG."""
    from PIL import Image  # noqa: PLC0415 - as above

    planes = []
    for name in "rgb":
        value = channels.get(name, 1.0)
        if isinstance(value, int | float):
            planes.append(Image.new("L", size_of.size, round(255 * min(1.0, max(0.0, value)))))
        else:
            planes.append(value.convert("L").resize(size_of.size))
    return as_png(Image.merge("RGB", planes))
