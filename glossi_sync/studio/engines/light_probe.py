"""The template's environment made ready for a real-time renderer: blurred reflections and irradiance. Pure numpy.

Filament's own filter takes seconds per environment where there is no graphics card, and stores eleven bits. An
environment of gradients and soft boxes is smooth and known everywhere, so that it is filtered here within half a
second, and more exactly:

    panorama ──> mirror level, as it is ──> rougher levels: the mean over GGX lobes  ──┐
        └──────> irradiance ──> nine coefficients, fitted                             ──┴──> KTX 1 file, as by cmgen

Sources: Filament, "Image based lights" (GGX with N = V = R, weighted by the cosine; levels by roughness); its
``cmgen`` (KTX 1 with the coefficients under the key ``sh``, in the basis of ``_basis``); Khronos, KTX 1 specification.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.engines.panorama import panorama, panorama_directions
from glossi_sync.studio.template import Environment

Floats = NDArray[np.float32]

_SIZE, _LEVELS = 256, 5
"""Of the cube map: Filament's shading expects five levels of roughness on a side of 256."""
_SAMPLES = (1, 24, 64, 128)
"""Directions in a lobe, for the levels that are sampled; the broad lobe of the last is integrated whole."""
_IRRADIANCE_ROWS = 16


@dataclass(frozen=True, slots=True)
class LightProbe:
    """What a glTF surface needs to know of its surroundings.

    ``levels`` are cube maps (6, side, side, 3) from mirror-like to fully rough, faces in the order of OpenGL;
    ``irradiance`` (9, 3) are the coefficients of the light on a white card by its normal.
    """

    levels: tuple[Floats, ...]
    irradiance: NDArray[np.float64]

    def ktx(self) -> bytes:
        """A KTX 1 file with half floats."""
        text = " ".join(f"{value:.7f}" for value in self.irradiance.ravel())
        entry = b"sh\0" + text.encode() + b"\0"
        metadata = struct.pack("<I", len(entry)) + entry + b"\0" * (-len(entry) % 4)
        side = self.levels[0].shape[1]
        # glType HALF_FLOAT, glFormat RGBA, glInternalFormat RGBA16F; six faces.
        numbers = (0x04030201, 0x140B, 2, 0x1908, 0x881A, 0x1908, side, side, 0, 0, 6, len(self.levels), len(metadata))
        parts = [b"\xabKTX 11\xbb\r\n\x1a\n", struct.pack("<13I", *numbers), metadata]
        for level in self.levels:
            pixels = np.ones((*level.shape[:3], 4), "<f2")
            pixels[..., :3] = np.minimum(level, 65504.0)
            parts += [struct.pack("<I", pixels[0].nbytes), pixels.tobytes()]
        return b"".join(parts)


def light_probe(environment: Environment) -> LightProbe:
    """Filter an environment for shading."""
    pyramid = [panorama(environment)]
    while len(pyramid[-1]) > 8:
        fine = pyramid[-1]
        pyramid.append(fine.reshape(len(fine) // 2, 2, len(fine), 2, 3).mean(axis=(1, 3)))
    return LightProbe(tuple(_level(pyramid, level) for level in range(_LEVELS)), _irradiance(pyramid))


def _level(pyramid: list[Floats], level: int) -> Floats:
    side = _SIZE >> level
    towards = _cube_directions(side)
    # The inverse of the shader's perceptualRoughnessToLod; GGX's alpha is the square of perceptual roughness.
    alpha = (1 - math.sqrt(1 - level / (_LEVELS - 1))) ** 2
    if level == 0:
        seen = _sampled(pyramid[0], towards)
    elif level < len(_SAMPLES):
        seen = _lobe_mean(pyramid, towards, alpha, _SAMPLES[level])
    else:
        seen = _lobe_integral(_rows(pyramid, 32), towards, alpha)
    return seen.reshape(6, side, side, 3)


def _lobe_mean(pyramid: list[Floats], towards: Floats, alpha: float, count: int) -> Floats:
    """The mean over ``count`` directions of a lobe; where they lie far apart, each is read from a coarser panorama."""
    share = (np.arange(count) + 0.5) / count
    turn = 2 * np.pi * 0.6180339887498949 * np.arange(count)
    half_squared = (1 - share) / (1 + (alpha * alpha - 1) * share)
    cosine = 2 * half_squared - 1
    sine = np.sqrt(1 - cosine**2)
    apart = 4 / (count * _ggx(half_squared, alpha))  # The solid angle for which each direction stands.
    texel = (np.pi / len(pyramid[0])) ** 2
    coarser = np.clip(np.rint(np.log2(apart / texel) / 2), 0, len(pyramid) - 1).astype(int)
    aside = np.cross(np.where(np.abs(towards[:, 1:2]) < 0.99, (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)), towards)
    aside = (aside / np.linalg.norm(aside, axis=1, keepdims=True)).astype(np.float32)
    along = np.cross(towards, aside)
    total = np.zeros_like(towards)
    for x, y, z, level in zip(sine * np.cos(turn), sine * np.sin(turn), cosine, coarser, strict=True):
        if z > 0:
            around = aside * np.float32(x) + along * np.float32(y) + towards * np.float32(z)
            total += _sampled(pyramid[level], around) * np.float32(z)
    return total / np.float32(cosine[cosine > 0].sum())


def _lobe_integral(pixels: Floats, towards: Floats, alpha: float) -> Floats:
    directions, solid_angles = panorama_directions(len(pixels))
    cosine = towards @ directions.reshape(-1, 3).T.astype(np.float32)
    weight = _ggx((1 + cosine) / 2, alpha) * np.maximum(cosine, 0) * solid_angles.ravel().astype(np.float32)
    mean: Floats = (weight @ pixels.reshape(-1, 3)) / weight.sum(axis=1, keepdims=True)
    return mean


def _ggx(half_squared: NDArray[np.floating], alpha: float) -> NDArray[np.floating]:
    """GGX's distribution of microfacets, by the square of the cosine between normal and half vector."""
    squared = alpha * alpha
    density: NDArray[np.floating] = squared / (np.pi * (half_squared * (squared - 1) + 1) ** 2)
    return density


def _irradiance(pyramid: list[Floats]) -> NDArray[np.float64]:
    """The coefficients that fit the irradiance best relative to itself: dark sides neither ring nor go black."""
    light = _rows(pyramid, 32).reshape(-1, 3).astype(np.float64)
    from_, solid_angles = panorama_directions(32)
    normals, weights = panorama_directions(_IRRADIANCE_ROWS)
    normals = normals.reshape(-1, 3)
    received = np.maximum(normals @ from_.reshape(-1, 3).T, 0) @ (light * solid_angles.reshape(-1, 1)) / np.pi
    fitted = np.zeros((9, 3))
    for channel in range(3):
        target = received[:, channel]
        trust = np.sqrt(weights.ravel()) / np.maximum(target, 1e-4 * max(1e-9, float(target.max())))
        fitted[:, channel] = np.linalg.lstsq(_basis(normals) * trust[:, None], target * trust, rcond=None)[0]
    return fitted


def _basis(normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nine polynomials of Filament's shaders for irradiance (n, 9)."""
    x, y, z = normals.T
    return np.stack([np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, z * x, x * x - y * y], axis=-1)


def _rows(pyramid: list[Floats], height: int) -> Floats:
    return next(pixels for pixels in pyramid if len(pixels) == height)


def _sampled(pixels: Floats, towards: Floats) -> Floats:
    """A panorama between its pixels, in each of the directions (n, 3)."""
    height, width = pixels.shape[:2]
    y = np.arccos(np.clip(towards[:, 1], -1, 1)) * np.float32(height / np.pi) - np.float32(0.5)
    x = (np.pi - np.arctan2(towards[:, 0], towards[:, 2])) * np.float32(width / (2 * np.pi)) - np.float32(0.5)
    row, column = np.floor(y).astype(np.int32), np.floor(x).astype(np.int32)
    down, right = (y - row)[:, None], (x - column)[:, None]
    upper, lower = row.clip(0, height - 1) * width, (row + 1).clip(0, height - 1) * width
    left, beside = column % width, (column + 1) % width
    flat = pixels.reshape(-1, 3)
    above = flat[upper + left] * (1 - right) + flat[upper + beside] * right
    below = flat[lower + left] * (1 - right) + flat[lower + beside] * right
    mean: Floats = above * (1 - down) + below * down
    return mean.astype(np.float32, copy=False)


def _cube_directions(side: int) -> Floats:
    """The unit vectors through the texels of a cube map's faces +X, -X, +Y, -Y, +Z, -Z, row by row (n, 3)."""
    line = (np.arange(side) + 0.5) / side * 2 - 1
    s, t = np.meshgrid(line, line)
    one = np.ones_like(s)
    faces = [(one, -t, -s), (-one, -t, s), (s, one, t), (s, -one, -t), (s, -t, one), (-s, -t, -one)]
    towards = np.stack([np.stack(face, axis=-1) for face in faces]).reshape(-1, 3)
    unit: Floats = (towards / np.linalg.norm(towards, axis=1, keepdims=True)).astype(np.float32)
    return unit
