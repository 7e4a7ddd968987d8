"""Radiance pictures (``.hdr``): a photographed environment made ready for a template.

The format is that of Greg Ward's *Radiance* ("The RADIANCE Picture File Format"): a text header, then rows of pixels
with a shared exponent, run-length encoded channel by channel. Its brightness has no scale that could be relied on, so
that what comes out is scaled by what it does: a white card on the floor receives 1.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.template import EnvironmentPicture

Floats = NDArray[np.float32]

ROWS = 256
"""Of the panorama that is kept, which is twice as wide: a reflection in a product shows no more."""

_MOST_ROWS = 8192
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


class HdrError(Exception):
    """The file is no usable environment; the message says what is wrong with it."""


def environment_picture(path: Path) -> EnvironmentPicture:
    """Read a panorama and make it small.

    Raises:
        HdrError: there is no such file, it is no Radiance picture, is broken, too large, no panorama, or black.
    """
    try:
        with path.open("rb") as file:
            pixels = _pooled(_rows(file), ROWS)
    except OSError as error:
        raise HdrError(f"{path} cannot be read: {error.strerror}") from error
    except HdrError as error:
        raise HdrError(f"{path} {error}") from error
    received = _received_by_the_floor(pixels)
    if received <= 0:
        raise HdrError(f"{path} is black: no light falls on the floor from its upper half")
    return EnvironmentPicture(ROWS, np.minimum(pixels / received, 65504.0).astype("<f2").tobytes())


def _rows(file: IO[bytes]) -> Floats:
    """Every row of the file, (height, 2 * ROWS, 3), linear light."""
    if not file.readline(128).startswith(b"#?"):
        raise HdrError("is no Radiance picture: it does not begin with '#?'")
    header = b""
    while (line := file.readline(4096)).strip() and len(header) < 65536:
        header += line
    if b"FORMAT=32-bit_rle_rgbe" not in header:
        raise HdrError("holds no 32-bit_rle_rgbe pixels: save it again as a Radiance picture (.hdr)")
    size = re.fullmatch(rb"-Y (\d{1,6}) \+X (\d{1,6})\n", file.readline(64))
    if size is None:
        raise HdrError("does not say its size as '-Y height +X width': save it again")
    height, width = int(size[1]), int(size[2])
    if width != 2 * height or not 4 <= height <= _MOST_ROWS:
        raise HdrError(f"is {width} by {height}: a panorama is twice as wide as high, and at most {_MOST_ROWS} high")
    data = file.read(height * (4 + 8 * width) + 1)  # The most that an encoding of it can take.
    pixels = np.empty((height, 2 * ROWS, 3), np.float32)
    place = 0
    for index in range(height):
        channels, place = _row(data, place, width)
        exponent = channels[3].astype(np.int32)
        unit = np.where(exponent > 0, np.ldexp(np.float32(1), np.minimum(exponent, 150) - 136), np.float32(0))
        pixels[index] = _pooled((channels[:3] * unit).T, 2 * ROWS)
    return pixels


def _row(data: bytes, place: int, width: int) -> tuple[NDArray[np.uint8], int]:
    """One row's channels (4, width): red, green, blue, exponent; and where the next row begins."""
    encoded = data[place : place + 4] == bytes((2, 2, width >> 8, width & 255)) and 8 <= width < 32768
    if not encoded:
        flat = np.frombuffer(data, np.uint8, count=max(0, min(4 * width, len(data) - place)), offset=place)
        if len(flat) < 4 * width:
            raise HdrError("is truncated, or encoded in the way of before 1991: save it again")
        return flat.reshape(width, 4).T, place + 4 * width
    place += 4
    channels = np.empty((4, width), np.uint8)
    for channel in channels:
        done = 0
        while done < width:
            if place + 1 >= len(data):
                raise HdrError("is truncated")
            count = data[place]
            run = count > 128
            count = count - 128 if run else count
            if not 0 < count <= width - done or (not run and place + count >= len(data)):
                raise HdrError("is truncated, or holds a run of pixels that goes beyond its row")
            channel[done : done + count] = (
                data[place + 1] if run else np.frombuffer(data, np.uint8, count=count, offset=place + 1)
            )
            place += 2 if run else 1 + count
            done += count
    return channels, place


def _pooled(values: NDArray[Any], count: int) -> Floats:
    """``count`` entries of the first axis instead of all, each the mean of those that it covers."""
    length = len(values)
    edges = np.arange(count) * length // count
    if length <= count:
        return values[edges].astype(np.float32)
    sizes = np.diff(edges, append=length).reshape(-1, *(1,) * (values.ndim - 1))
    pooled: Floats = (np.add.reduceat(values, edges, axis=0) / sizes).astype(np.float32)
    return pooled


def _received_by_the_floor(pixels: Floats) -> float:
    """What a white card on the floor receives from the upper half, as luminance."""
    elevation = np.radians(90.0 - (np.arange(ROWS // 2) + 0.5) * 180.0 / ROWS)
    solid_angle = np.cos(elevation) * (np.pi / ROWS) ** 2
    rows = (pixels[: ROWS // 2] @ _LUMINANCE).sum(axis=1)
    return float((rows * np.sin(elevation) * solid_angle).sum() / np.pi)
