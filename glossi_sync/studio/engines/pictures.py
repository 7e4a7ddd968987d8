"""From passes to a picture: many readings of one frame become one, dithered and written as PNG.

A frame is drawn several times, each time nudged by a fraction of a pixel and lit from another point of its lights.
The mean, taken in linear light, has clean edges, soft shadows and more than eight bits of depth.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glossi_sync.studio.engines.tone import DECODED, encoded

Pixels = NDArray[np.uint8]
"""A picture, shape (height, width, 3 or 4), sRGB."""


class Accumulator:
    """The sum of passes of one size; ``picture`` gives their mean and begins anew."""

    def __init__(self, width: int, height: int) -> None:
        self._sum = np.zeros((height, width, 3), np.uint32)
        self._passes = 0

    def add(self, reading: Pixels) -> None:
        """Add one pass, as read back from a target: sRGB."""
        self._sum += DECODED[reading[..., :3]]
        self._passes += 1

    def picture(self) -> Pixels:
        """The mean of the passes since the last picture, in sRGB, dithered down to 8 bits."""
        mean = self._sum.astype(np.float32) * np.float32(1 / (65535 * max(1, self._passes)))
        self._sum[:] = 0
        self._passes = 0
        return dithered(encoded(mean))


def dithered(picture: NDArray[np.float32]) -> Pixels:
    """Round a picture in 0..1 to 8 bits with a fixed pattern of noise, so that gradients show no steps."""
    height, width, _ = picture.shape
    noise = _pattern()
    across, down = -(-width // len(noise)), -(-height // len(noise))
    levels = picture * np.float32(255)
    levels += np.tile(noise, (down, across))[:height, :width, None]
    np.rint(levels, out=levels)
    np.clip(levels, 0, 255, out=levels)
    return levels.astype(np.uint8)


def write_png(picture: Pixels, path: Path) -> None:
    """Write a picture as PNG, marked as sRGB. The bytes depend on the pixels alone."""
    Image.fromarray(picture).save(path, "PNG", compress_level=3)


def _pattern() -> NDArray[np.float32]:
    """High-pass noise within half a level: its energy lies where the eye does not see it."""
    global _noise  # noqa: PLW0603 - computed once for a process
    if _noise is None:
        random = np.random.default_rng(7)
        white = random.random((256, 256))
        near = sum(np.roll(white, shift, axis) for shift in (-1, 1) for axis in (0, 1)) / 4
        rank = np.argsort(np.argsort((white - near).ravel())).reshape(white.shape)
        _noise = ((rank + 0.5) / rank.size - 0.5).astype(np.float32)
    return _noise


_noise: NDArray[np.float32] | None = None
