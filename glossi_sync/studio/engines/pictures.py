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

from glossi_sync.studio.engines.tone import DECODED, encoded

Pixels = NDArray[np.uint8]
"""A picture, shape (height, width, 3 or 4), sRGB."""

Radiance = NDArray[np.uint16]
"""A picture in linear light, shape (height, width, 3), 65535 is white."""

_ROWS_AT_ONCE = 32
"""What is done to that few rows at a time stays in the processor's cache, and needs little memory beside them."""

_DECODED_PAIRS = DECODED[np.arange(65536, dtype=np.uint16).view(np.uint8)].view(np.uint32)
"""The linear light of two channels that lie side by side in memory, taken as one number."""


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
        self._sum = np.zeros((height, width, 4), np.uint32)
        self._light = np.empty((_ROWS_AT_ONCE, 2 * width), np.uint32)
        self._passes = 0

    def add(self, reading: Pixels) -> None:
        """Add one pass, as read back from a target: sRGB, (height, width, 4)."""
        # Two channels at a time: half of the time that one by one takes.
        pairs = np.ascontiguousarray(reading).view(np.uint16).reshape(len(reading), -1)
        for row in range(0, len(reading), _ROWS_AT_ONCE):
            some = slice(row, row + _ROWS_AT_ONCE)
            light = self._light[: len(pairs[some])]
            np.take(_DECODED_PAIRS, pairs[some], out=light, mode="clip")
            self._sum[some] += light.view(np.uint16).reshape(len(light), -1, 4)
        self._passes += 1

    def mean(self) -> Radiance:
        """The mean of the passes since the last mean, (height, width, 3)."""
        mean: Radiance = (self._sum[..., :3] // np.uint32(max(1, self._passes))).astype(np.uint16)
        self._sum[:] = 0
        self._passes = 0
        return mean


@dataclass(frozen=True, slots=True)
class Negative:
    """A picture as it was taken, in parts, which ``developed`` puts together: work for a thread besides the drawing."""

    frame: Radiance
    white: float
    """The linear light that becomes pure white."""
    half: bool = False
    """Whether ``frame`` has half of the picture's width and height."""
    middle: Radiance | None = None
    """What is taken of the frame's middle with more care; None where the frame is the picture."""

    def developed(self) -> Pixels:
        """The picture, dithered to 8 bits."""
        picture = _enlarged(self.frame) if self.half else self.frame
        if self.middle is not None:
            high, wide = self.middle.shape[:2]
            top, left = (picture.shape[0] - high) // 2, (picture.shape[1] - wide) // 2
            picture[top : top + high, left : left + wide] = self.middle
        return developed(picture, self.white)


def developed(picture: Radiance, white: float = 1.0) -> Pixels:
    """A picture in sRGB, rounded to 8 bits with a fixed pattern of noise, so that gradients show no steps.

    ``white`` is the linear light that becomes pure white.
    """
    height, width, _ = picture.shape
    table, noise = encoded(white), _noise(height, width)[..., None]
    result = np.empty(picture.shape, np.uint8)
    levels = np.empty((_ROWS_AT_ONCE, width, 3), np.uint16)
    for row in range(0, height, _ROWS_AT_ONCE):
        some = slice(row, row + _ROWS_AT_ONCE)
        part = levels[: len(picture[some])]
        np.take(table, picture[some], out=part, mode="clip")
        part += noise[some]
        part >>= 8
        result[some] = part
    return result


def write_png(picture: Pixels, path: Path) -> None:
    """Write a picture as PNG. The bytes depend on the pixels alone."""
    Image.fromarray(picture).save(path, "PNG", compress_level=2)


def _enlarged(picture: Radiance) -> Radiance:
    """A picture of twice the width and height, interpolated."""
    height, width, _ = picture.shape
    result = np.empty((2 * height, 2 * width, 3), np.uint16)
    for row in range(0, height, _ROWS_AT_ONCE):
        rows = np.clip(np.arange(row - 1, min(height, row + _ROWS_AT_ONCE) + 1), 0, height - 1)
        some = picture[rows].astype(np.uint32)
        near = 3 * some[1:-1]
        tall = np.empty((2 * len(near), width + 2, 3), np.uint32)
        np.add(some[:-2], near, out=tall[0::2, 1:-1])
        np.add(some[2:], near, out=tall[1::2, 1:-1])
        tall[:, 0], tall[:, -1] = tall[:, 1], tall[:, -2]
        near = 3 * tall[:, 1:-1]
        part = result[2 * row : 2 * row + len(tall)]
        part[:, 0::2] = (tall[:, :-2] + near) >> 4
        part[:, 1::2] = (tall[:, 2:] + near) >> 4
    return result


@cache
def _noise(height: int, width: int) -> NDArray[np.uint16]:
    """High-pass noise from 0 to 255, in 256ths of a level: its energy lies where the eye does not see it."""
    random = np.random.default_rng(7)
    white = random.random((256, 256))
    near = sum(np.roll(white, shift, axis) for shift in (-1, 1) for axis in (0, 1)) / 4
    rank = np.argsort(np.argsort((white - near).ravel())).reshape(white.shape)
    pattern = (rank * 256 // rank.size).astype(np.uint16)
    return np.tile(pattern, (-(-height // 256), -(-width // 256)))[:height, :width]
