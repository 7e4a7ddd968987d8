"""From passes to a picture: many readings of one frame become one, dithered and written as PNG.

A frame is drawn several times, each time nudged by a fraction of a pixel and lit from another point of its lights.
The mean, taken in linear light, has clean edges, soft shadows and more than eight bits of depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glossi_sync.studio.engines.tone import DECODED, ENCODED

Pixels = NDArray[np.uint8]
"""A picture, shape (height, width, 3 or 4), sRGB."""

Radiance = NDArray[np.uint16]
"""A picture in linear light, shape (height, width, 3), 65535 is white."""


@dataclass(frozen=True, slots=True)
class Pass:
    """How one of a frame's passes differs from the others; all numbers are centred on 0."""

    pixel: tuple[float, float]
    lamp: int
    warmth: float


def passes(count: int) -> tuple[Pass, ...]:
    """``count`` passes that spread over pixel, lamps and brightness evenly: no two share one of them."""
    index = np.arange(count)

    def spread(step: float) -> NDArray[np.float64]:
        order: NDArray[np.intp] = np.argsort(np.argsort((index * step) % 1.0))
        return (order + 0.5) / count - 0.5

    x, y, warmth = (spread(step) for step in (0.7548776662466927, 0.5698402909980532, 0.618033988749895))
    return tuple(Pass((float(x[i]), float(y[i])), int(i), float(warmth[i])) for i in range(count))


class Accumulator:
    """The sum of passes of one size; ``mean`` begins anew."""

    def __init__(self, width: int, height: int) -> None:
        self._sum = np.zeros((height, width, 3), np.uint32)
        self._passes = 0

    def add(self, reading: Pixels) -> None:
        """Add one pass, as read back from a target: sRGB."""
        self._sum += DECODED[reading[..., :3]]
        self._passes += 1

    def mean(self) -> Radiance:
        """The mean of the passes since the last mean."""
        mean: Radiance = (self._sum // np.uint32(max(1, self._passes))).astype(np.uint16)
        self._sum[:] = 0
        self._passes = 0
        return mean


def developed(picture: Radiance) -> Pixels:
    """A picture in sRGB, rounded to 8 bits with a fixed pattern of noise, so that gradients show no steps."""
    height, width, _ = picture.shape
    levels = ENCODED[picture]
    levels += _noise(height, width)[..., None]
    levels >>= 8
    return levels.astype(np.uint8)


def write_png(picture: Pixels, path: Path) -> None:
    """Write a picture as PNG. The bytes depend on the pixels alone."""
    Image.fromarray(picture).save(path, "PNG", compress_level=2)


@cache
def _noise(height: int, width: int) -> NDArray[np.uint16]:
    """High-pass noise from 0 to 255, in 256ths of a level: its energy lies where the eye does not see it."""
    random = np.random.default_rng(7)
    white = random.random((256, 256))
    near = sum(np.roll(white, shift, axis) for shift in (-1, 1) for axis in (0, 1)) / 4
    rank = np.argsort(np.argsort((white - near).ravel())).reshape(white.shape)
    pattern = (rank * 256 // rank.size).astype(np.uint16)
    return np.tile(pattern, (-(-height // 256), -(-width // 256)))[:height, :width]
