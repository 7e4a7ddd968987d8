"""The set in Filament: a template's light, floor and backdrop, and one product at a time upon it. All of it in filly.

What the pictures show is here; the product's outline and the shadows on the floor are drawn in ``casters``, its
mirror image in the floor in ``mirror``. A picture is put together so:

    mirror image ──> the frame around the product: few simple passes ──┐
                     the frame's middle with the product: all passes ──┴─> mean ──> developed picture
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import filly
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glossi_sync.studio.engines.casters import Product, load_asset
from glossi_sync.studio.engines.framing import Stand, nudged
from glossi_sync.studio.engines.glb import rescaled
from glossi_sync.studio.engines.mirror import Mirror
from glossi_sync.studio.engines.panorama import direction, disc
from glossi_sync.studio.engines.pictures import Accumulator, Negative, Radiance, passes
from glossi_sync.studio.engines.sweep import SweepMesh, border, grain, sweep_colors, sweep_mesh
from glossi_sync.studio.engines.tone import radiance_for
from glossi_sync.studio.template import Light, Template, ToneMapping

_EV = 15.0
_UNIT = 1.2 * 2**_EV
"""The environment intensity (lux) at which radiance 1 leaves the camera as 1, at ``_EV`` (Filament, "Exposure")."""
_LAMP_DISTANCE = 30.0
"""Where lamps other than the first stand: far enough to light like a distant source."""
_WARM = 1.06
"""The backdrop's brightness varies a little from pass to pass (see ``BeautyScene._mean``) and may not exceed 1."""
_WANDERING = 0.4
"""How far a distant light moves from pass to pass, as a share of its size."""
_STEP = 16
"""Pixels in which frames are cut: few sizes, few canvases."""
_PIXELS_KEPT = 24_000_000
"""Of all canvases together; each pixel takes some 40 bytes. Three whole ones in 4K, a dozen in 1080p."""

_TONE_MAPPINGS: dict[ToneMapping, str] = {"neutral": "pbr_neutral", "filmic": "filmic", "linear": "linear"}


@dataclass(frozen=True, slots=True)
class _Lamp:
    """One of the template's lights in the scene, and the directions that its passes take it from."""

    light: filly.Light
    distant: bool
    axis: NDArray[np.float64]
    size: float

    def spread(self, count: int) -> NDArray[np.float64]:
        """Where the light stands in each of ``count`` passes: it moves for the sake of its shadows alone.

        A distant one is seen in reflections as a disc of its size each time, and must stay one disc in their mean.
        """
        if not self.light.casts_shadows:
            return disc(self.axis, 0.0, count)
        return disc(self.axis, self.size * (_WANDERING if self.distant else 1.0), count)

    def aim(self, towards: NDArray[np.float64]) -> None:
        if not self.distant:
            self.light.position = tuple(float(v) for v in towards * _LAMP_DISTANCE + (0.0, 0.5, 0.0))
        self.light.direction = tuple(float(-v) for v in towards)


class BeautyScene:
    """What the pictures show: the lit product on the template's floor before its backdrop."""

    def __init__(
        self,
        renderer: filly.Renderer,
        template: Template,
        environment: filly.Environment,
        rest: filly.RenderTarget,
    ) -> None:
        self._renderer = renderer
        self._rest = rest
        self.template = template
        self._scene = scene = renderer.create_scene()
        self._camera = renderer.create_camera()
        scene.camera = self._camera
        scene.tone_mapping = _TONE_MAPPINGS[template.tone_mapping]
        scene.shadows = scene.ssao = True
        scene.environment = environment
        scene.environment_intensity = _UNIT
        self._lamps = tuple(self._lamp(index, light) for index, light in enumerate(template.lights))
        self._mesh: SweepMesh = sweep_mesh(template.backdrop)
        self._sweep = scene.create_mesh(
            positions=self._mesh.positions,
            indices=self._mesh.indices,
            normals=self._mesh.normals,
            uvs=self._mesh.uvs,
            colors=np.ones((len(self._mesh.positions), 4), np.float32),
            unlit=True,
        )
        self._surface = self._sweep.material("mesh")
        self._floor: filly.Texture | None = None
        self._product: filly.Model | None = None
        self._canvases: dict[tuple[int, int], tuple[filly.RenderTarget, Accumulator]] = {}
        self._mirror = Mirror(renderer, scene, template.floor.reflection) if template.floor.reflection else None
        self._azimuth: float | None = None

    def add(self, product: Product, scale: float) -> tuple[filly.Asset, filly.Model]:
        """Put a product into the scene; both that come back must be closed when it leaves."""
        asset = load_asset(self._renderer, rescaled(product.glb, scale), product.name)
        model = self._scene.add(asset)
        for light in model.lights:  # The template lights the set; lamps inside a product would upset its exposure.
            light.close()
        self._product = model
        return asset, model

    def light_floor(self, light: NDArray[np.float32]) -> None:
        """Lay the light that reaches the floor, (n, n, 3), and the floor's grain onto it."""
        floor = self.template.floor
        size = len(light) * (2 if floor.grain else 1)
        if size != len(light):
            light = np.stack(
                [
                    np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC))
                    for plane in np.moveaxis(light, -1, 0)
                ],
                axis=-1,
            )
        edge = border(size).astype(np.float32)[..., None]
        shaded = (1 - np.float32(floor.shadow) * (1 - light) * edge) * self._grain(size)[..., None]
        pixels = np.ascontiguousarray(shaded, np.float32)
        if self._floor is not None and self._floor.width == size:
            self._floor.update(pixels)
            return
        fresh = self._renderer.create_texture(pixels, color_space="linear", wrap="clamp", mipmaps=True)
        self._surface.base_color_texture = fresh
        if self._floor is not None:
            self._floor.close()
        self._floor = fresh

    def draw(self, stand: Stand, azimuth: float, size: tuple[int, int], count: int) -> Negative:
        """One picture in ``count`` passes seen from a stand; the backdrop's glow lies opposite of ``azimuth``.

        Where the frame shows floor and backdrop alone, both smooth, fewer and simpler passes look the same.
        """
        self._tint(azimuth)
        if self._mirror is not None:
            for lamp in self._lamps:
                lamp.aim(lamp.axis)
            self._sweep.visible = False
            _focus(self._camera, stand)
            self._mirror.look(self._camera, stand, size)
            self._sweep.visible = True
        inner, inner_size = _inner(stand, size)
        if inner_size[0] * inner_size[1] > 0.7 * size[0] * size[1]:
            return Negative(self._mean(stand, size, count), self.template.white_point)
        self._show_product(False)
        half = self._smooth(stand, size)
        plate = self._mean(stand, (size[0] // 2, size[1] // 2) if half else size, max(1, min(3, count // 2)))
        self._show_product(True)
        return Negative(plate, self.template.white_point, half, middle=self._mean(inner, inner_size, count))

    def _smooth(self, stand: Stand, size: tuple[int, int]) -> bool:
        """Whether what lies around the product has nothing in it that half as many pixels would not show."""
        reflection = self.template.floor.reflection
        blurred = reflection is None or reflection.blur * stand.pixels_per_radius(size[1]) > 4
        return blurred and self.template.floor.grain is None and size[0] % 2 == size[1] % 2 == 0

    def _mean(self, stand: Stand, size: tuple[int, int], count: int) -> Radiance:
        target, accumulator = self._canvas(size)
        camera = self._camera
        _focus(camera, stand)
        spreads = [lamp.spread(count) for lamp in self._lamps]
        for index, step in enumerate(passes(count)):
            moved = nudged(stand, step.pixel, size[1])
            camera.position = moved.position
            camera.look_at(moved.target)
            # A backdrop that is the same in all passes would keep the steps of the 8 bits that each is read in.
            camera.exposure = _EV - self.template.exposure + 0.06 * step.warmth
            warm = (1 + 0.08 * step.warmth) / _WARM
            self._surface.base_color = (warm, warm, warm, 1.0)
            for lamp, spread in zip(self._lamps, spreads, strict=True):
                lamp.aim(spread[step.lamp])
            if index:  # Drawing the next pass takes the processor's other threads while this one adds up the last.
                reading = target.read()
                self._renderer.render(self._scene, target)
                accumulator.add(reading)
            else:
                self._renderer.render(self._scene, target)
        accumulator.add(target.read())
        return accumulator.mean()

    def _show_product(self, shown: bool) -> None:
        assert self._product is not None
        self._product.visible = self._scene.shadows = self._scene.ssao = shown

    def close(self) -> None:
        """Release the scene, its targets and textures."""
        self._clear_canvases()
        if self._mirror is not None:
            self._mirror.close()
        self._scene.close()
        if self._floor is not None:
            self._floor.close()
        self._camera.close()

    def _clear_canvases(self) -> None:
        # Filament's output passes remember the target that they read last, and a later frame of another scene aborts
        # the process where that target has gone. So each of them reads one that stays.
        for mapping in ("linear", _TONE_MAPPINGS[self.template.tone_mapping]):
            self._scene.tone_mapping = mapping
            self._renderer.render(self._scene, self._rest)
        for target, _ in self._canvases.values():
            target.close()
        self._canvases.clear()

    def _canvas(self, size: tuple[int, int]) -> tuple[filly.RenderTarget, Accumulator]:
        if size not in self._canvases:
            if sum(width * height for width, height in (*self._canvases, size)) > _PIXELS_KEPT:
                self._clear_canvases()
            target = self._renderer.create_render_target(width=size[0], height=size[1])
            self._canvases[size] = target, Accumulator(*size)
        return self._canvases[size]

    def _lamp(self, index: int, light: Light) -> _Lamp:
        axis = direction(light.azimuth, light.elevation)
        towards = tuple(float(-v) for v in axis)
        if index == 0:  # Filament draws one directional light at most; the others are spots from afar.
            lamp = self._scene.add_sun_light(
                direction=towards,
                intensity=math.pi * _UNIT * light.illuminance,
                color=light.color,
                angular_radius_deg=min(20.0, max(0.25, light.size / 2)),
            )
        else:
            lamp = self._scene.add_spot_light(
                position=tuple(float(v) for v in axis * _LAMP_DISTANCE),
                direction=towards,
                intensity=math.pi * _UNIT * light.illuminance * _LAMP_DISTANCE**2,
                color=light.color,
                range=1000.0,
                cone_deg=(4.0, 6.0),
            )
        if light.shadows:
            lamp.casts_shadows = True
            lamp.shadow_map_size = 1024
        return _Lamp(lamp, index == 0, axis, light.size)

    def _tint(self, azimuth: float) -> None:
        if azimuth == self._azimuth:
            return
        self._azimuth = azimuth
        seen = sweep_colors(self.template.backdrop, self._mesh, azimuth)
        colors = np.ones((len(seen), 4), np.float32)
        colors[:, :3] = radiance_for(seen * self.template.white_point, self.template.tone_mapping) * _WARM
        self._sweep.update_mesh(colors=colors)

    def _grain(self, size: int) -> NDArray[np.float32]:
        key = (self.template.floor.grain, size)
        if key not in _GRAINS:
            _GRAINS.clear()
            _GRAINS[key] = grain(self.template.floor.grain, size)
        return _GRAINS[key]


_GRAINS: dict[object, NDArray[np.float32]] = {}
"""The last ground made in this process; a job asks for the same one again and again."""


def _focus(camera: filly.Camera, stand: Stand) -> None:
    near = max(0.02, stand.distance - 5)
    camera.set_perspective(fov_y_deg=stand.field_of_view, aspect=stand.aspect, near=near, far=120.0)


def _inner(stand: Stand, size: tuple[int, int]) -> tuple[Stand, tuple[int, int]]:
    """The middle of a stand's frame that holds the product: the same pixels, seen through a smaller frame."""
    width, height = (
        min(whole, whole - 2 * math.floor((1 - reach) * whole / 2 / _STEP) * _STEP)
        for whole, reach in zip(size, stand.reach, strict=True)
    )
    half = math.tan(math.radians(stand.field_of_view / 2)) * height / size[1]
    field_of_view = math.degrees(2 * math.atan(half))
    return replace(stand, field_of_view=field_of_view, aspect=width / height), (width, height)
