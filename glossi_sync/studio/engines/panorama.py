"""The template's environment as a panorama, and its light as directions to sample. Pure numpy, no engine.

A panorama has shape (height, 2 * height, 3), float32, linear light; its first row looks straight up, its middle column
along +Z, and azimuth grows to the left (the panorama is seen from inside, +X lies at a quarter of the width).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.template import Environment, EnvironmentPicture, GradientStop, Light, Template

_GOLDEN = 0.6180339887498949
"""The step of the one-dimensional Kronecker sequence: any prefix covers the interval evenly."""


@dataclass(frozen=True, slots=True)
class LightSamples:
    """Directions from which a template's light reaches the floor. They stand for all of its light.

    ``directions`` (n, 3) are unit vectors that point to the light, all above the horizon; ``weights`` (n, 3) are the
    irradiances that they add to a level floor, relative to all of them together: each channel sums to 1.
    """

    directions: NDArray[np.float64]
    weights: NDArray[np.float64]


def direction(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """The unit vector towards an azimuth and an elevation in degrees (axes: see ``template``)."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])


def disc(axis: NDArray[np.float64], angular_diameter: float, count: int) -> NDArray[np.float64]:
    """``count`` unit vectors (count, 3) spread evenly over a disc of ``angular_diameter`` degrees around ``axis``."""
    side = np.cross(axis, (0.0, 1.0, 0.0) if abs(axis[1]) < 0.99 else (1.0, 0.0, 0.0))
    side /= np.linalg.norm(side)
    up = np.cross(side, axis)
    index = np.arange(count)
    radius = np.tan(np.radians(angular_diameter / 2)) * np.sqrt((index + 0.5) / count)
    angle = 2 * np.pi * _GOLDEN * index
    spread = axis + radius[:, None] * (np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up)
    unit: NDArray[np.float64] = spread / np.linalg.norm(spread, axis=1, keepdims=True)
    return unit


def panorama_directions(height: int, rotation: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a panorama's pixels lie (height, 2 * height, 3), unit vectors, and their solid angles (height, 2 * height).

    ``rotation`` turns the directions about the vertical, in degrees.
    """
    step = np.pi / height
    elevation = np.pi / 2 - (np.arange(height) + 0.5) * step
    azimuth = np.pi - (np.arange(2 * height) + 0.5) * step + np.radians(rotation)
    azimuths, elevations = np.meshgrid(azimuth, elevation)
    towards = np.stack(
        [np.sin(azimuths) * np.cos(elevations), np.sin(elevations), np.cos(azimuths) * np.cos(elevations)], axis=-1
    )
    return towards, np.cos(elevations) * step**2


def panorama(environment: Environment, height: int = 256) -> NDArray[np.float32]:
    """The environment's radiance in every direction."""
    if environment.picture is not None:
        pixels = _photographed(environment.picture, height, environment.rotation)
    else:
        pixels = _gradient(environment.gradient, height)
    towards, _ = panorama_directions(height, environment.rotation)
    for box in environment.soft_boxes:
        centre = direction(box.azimuth, box.elevation)
        side = direction(box.azimuth + 90.0, 0.0)
        up = np.cross(centre, side)
        ahead = towards @ centre
        front = np.maximum(ahead, 1e-6)
        across = np.degrees(np.arctan2(np.abs(towards @ side), front))
        along = np.degrees(np.arctan2(np.abs(towards @ up), front))
        inside = _soft_step(box.width / 2 - across, box.feather) * _soft_step(box.height / 2 - along, box.feather)
        if box.elevation > 0:  # The floor hides what hangs below it.
            inside = inside * _soft_step(np.degrees(np.arcsin(towards[..., 1])), min(box.feather, 5.0))
        pixels += (inside * (ahead > 0))[..., None] * np.array(box.radiance)
    return (pixels * environment.intensity).astype(np.float32)


def _gradient(stops: tuple[GradientStop, ...], height: int) -> NDArray[np.float64]:
    elevation = 90.0 - (np.arange(height) + 0.5) * 180.0 / height
    rows = np.stack(
        [np.interp(elevation, [s.elevation for s in stops], [s.color[c] for s in stops]) for c in range(3)], axis=-1
    )
    return np.repeat(rows[:, None, :], 2 * height, axis=1)


def _photographed(picture: EnvironmentPicture, height: int, rotation: float) -> NDArray[np.float64]:
    """A picture turned and made smaller; its own height is a multiple of ``height``."""
    pixels = np.frombuffer(picture.pixels, "<f2").reshape(picture.height, 2 * picture.height, 3).astype(np.float64)
    pixels = np.roll(pixels, round(rotation / 360 * 2 * picture.height), axis=1)
    each = picture.height // height
    mean: NDArray[np.float64] = pixels.reshape(height, each, 2 * height, each, 3).mean(axis=(1, 3))
    return mean


@lru_cache(maxsize=16)
def light_samples(template: Template, count: int) -> LightSamples:
    """About ``count`` directions for the light of the environment's upper half and of the lights, by their share."""
    pixels = panorama(template.environment, 64).astype(np.float64)[:32]
    elevation = np.radians(90.0 - (np.arange(32) + 0.5) * 180.0 / 64)
    solid_angle = np.cos(elevation) * (np.pi / 64) ** 2
    # Irradiance relative to a white card: the integral of radiance * cosine over pi, as a light's illuminance is.
    received = pixels * (np.sin(elevation) * solid_angle / np.pi)[:, None, None]
    sky = received.sum(axis=(0, 1))
    suns = [_on_floor(light) for light in template.lights]
    whole = sky + sum(suns, np.zeros(3))
    if whole.sum() <= 0:
        return LightSamples(np.array([[0.0, 1.0, 0.0]]), np.full((1, 3), 1.0))
    share = count / whole.sum()
    directions: list[NDArray[np.float64]] = []
    weights: list[NDArray[np.float64]] = []
    for light, sun in zip(template.lights, suns, strict=True):
        if sun.sum() > 0:
            spread = disc(direction(light.azimuth, light.elevation), light.size, max(4, round(sun.sum() * share)))
            directions.append(spread[spread[:, 1] > 0.02])
            weights.append(np.tile(sun / len(directions[-1]), (len(directions[-1]), 1)))
    samples = max(8, round(sky.sum() * share))
    towards, power = _sky_directions(received, samples)
    directions.append(towards)
    weights.append(power * (sky / np.maximum(power.sum(axis=0), 1e-12)))
    every = np.concatenate(weights)
    return LightSamples(np.concatenate(directions), every / np.maximum(every.sum(axis=0), 1e-12))


def _soft_step(distance: NDArray[np.float64], feather: float) -> NDArray[np.float64]:
    """0 outside, 1 inside, smooth over ``feather`` degrees on both sides of the edge."""
    t = np.clip(distance / max(feather, 0.1) / 2 + 0.5, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def _on_floor(light: Light) -> NDArray[np.float64]:
    """The irradiance that a light adds to a level floor."""
    return np.array(light.color) * light.illuminance * max(0.0, float(np.sin(np.radians(light.elevation))))


def _sky_directions(received: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions drawn from the upper half's irradiance, evenly (inverse transform of an additive sequence).

    What comes from within a few degrees of the horizon is drawn a little higher: its shadows would reach beyond any
    floor, and it lights the floor hardly at all.
    """
    luminance = received.sum(axis=-1)
    columns = luminance.sum(axis=0)
    cumulative = np.cumsum(columns) / columns.sum()
    x = (np.arange(count) + 0.5) / count
    y = (0.5 + _GOLDEN * np.arange(count)) % 1.0
    column = np.searchsorted(cumulative, x).clip(0, len(columns) - 1)
    down = np.cumsum(luminance, axis=0) / columns
    row = np.array([np.searchsorted(down[:, c], value) for c, value in zip(column, y, strict=True)]).clip(0, 31)
    height = received.shape[0] * 2
    elevation = np.maximum(90.0 - (row + 0.5) * 180.0 / height, 6.0)
    azimuth = 180.0 - (column + 0.5) * 180.0 / height
    towards = np.stack([direction(a, e) for a, e in zip(azimuth, elevation, strict=True)])
    hue = received[row, column] / np.maximum(luminance[row, column], 1e-12)[:, None]
    return towards, hue
