"""Tone curves and the sRGB transfer function. Pure numpy, no engine.

A template says how floor and backdrop are to look in the picture; an engine lights and tone-maps everything, so it
asks here which radiance will look that way.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.template import ToneMapping

Floats = NDArray[np.float64]

_NEUTRAL_START = 0.76
_NEUTRAL_OFFSET = 0.04


def tone_mapped(radiance: Floats, mapping: ToneMapping) -> Floats:
    """The linear light (…, 3) that a tone mapping makes of a radiance (…, 3)."""
    x = np.asarray(radiance, np.float64)
    if mapping == "linear":
        return np.clip(x, 0.0, 1.0)
    if mapping == "filmic":
        return np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0.0, 1.0)
    low = x.min(axis=-1, keepdims=True)
    c = x - np.where(low < 2 * _NEUTRAL_OFFSET, low - 6.25 * low * low, _NEUTRAL_OFFSET)
    peak = c.max(axis=-1, keepdims=True)
    room = 1.0 - _NEUTRAL_START
    new_peak = np.where(peak < _NEUTRAL_START, peak, 1.0 - room * room / np.maximum(peak + room - _NEUTRAL_START, room))
    scaled = c * new_peak / np.maximum(peak, 1e-12)
    grey = 1.0 - 1.0 / (0.15 * (peak - new_peak) + 1.0)
    result: Floats = scaled * (1.0 - grey) + new_peak * grey
    return result


def radiance_for(seen: Floats, mapping: ToneMapping) -> Floats:
    """The radiance (…, 3) that a tone mapping turns into the linear light ``seen`` (…, 3), each below 1."""
    y = np.clip(np.asarray(seen, np.float64), 0.0, 0.98)
    if mapping == "linear":
        return y
    if mapping == "filmic":
        a, b, c = 2.51 - 2.43 * y, 0.03 - 0.59 * y, -0.14 * y
        root: Floats = (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)
        return root
    # Neutral: exact below the compression, and for greys above it.
    new_peak = y.max(axis=-1, keepdims=True)
    room = 1.0 - _NEUTRAL_START
    peak = np.where(new_peak < _NEUTRAL_START, new_peak, room * room / (1.0 - new_peak) - room + _NEUTRAL_START)
    c_ = y * peak / np.maximum(new_peak, 1e-12)
    low = c_.min(axis=-1, keepdims=True)
    x_low = np.where(low < _NEUTRAL_OFFSET, np.sqrt(low / 6.25), low + _NEUTRAL_OFFSET)
    result: Floats = c_ + (x_low - low)
    return result


_LEVELS = np.arange(256) / 255
_LIGHT = np.arange(65536) / 65535

DECODED: NDArray[np.uint16] = np.round(
    65535 * np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
).astype(np.uint16)
"""Linear light (0..65535) of each of the 256 sRGB levels (IEC 61966-2-1)."""


@cache
def encoded(white: float = 1.0) -> NDArray[np.uint16]:
    """The sRGB level of each linear light (0..65535), in 256ths of a level; ``white`` and above is the whitest."""
    light = np.minimum(_LIGHT / white, 1.0)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * 256 * srgb).astype(np.uint16)
