"""The set in Filament: a template's light, floor and backdrop, and one product at a time upon it. All of it in filly.

Two scenes share the renderer. In the *caster* scene the product is black on white and can be drawn in a millisecond:
it yields outlines for framing and, sheared along each direction of light, the shadows on the floor. The *beauty* scene
is what the pictures show. The product is scaled to a bounding radius of 1 and stands on height 0 in both, so that
light, shadows and ambient occlusion behave alike for a ring and for a truck.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import filly
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from glossi_sync.studio.engines import EngineError, SourceModel
from glossi_sync.studio.engines.framing import Outline, Stand, axes, nudged
from glossi_sync.studio.engines.glb import BrokenGlb, Glb, caster, read_glb, rescaled
from glossi_sync.studio.engines.panorama import direction, disc
from glossi_sync.studio.engines.pictures import Accumulator, Pixels
from glossi_sync.studio.engines.sweep import PATCH, SweepMesh, border, grain, sweep_colors, sweep_mesh
from glossi_sync.studio.engines.tone import DECODED, radiance_for
from glossi_sync.studio.template import Light, Reflection, Template, ToneMapping

_EV = 15.0
_UNIT = 1.2 * 2**_EV
"""The environment intensity (lux) at which radiance 1 leaves the camera as 1, at ``_EV`` (Filament, "Exposure")."""
_LAMP_DISTANCE = 30.0
"""Where lamps other than the first stand: far enough to light like a distant source."""
_MEASURE = 400
"""Longer side, in pixels, of the drawings that outlines are measured in."""
_FLOOR_GAP = 0.0015
"""Height of the mirror image's sheet above the floor, so that the two do not flicker through each other."""
_WARM = 1.06
"""The backdrop's brightness varies a little from pass to pass (see ``Stage.draw``) and may not exceed 1."""

_TONE_MAPPINGS: dict[ToneMapping, str] = {"neutral": "pbr_neutral", "filmic": "filmic", "linear": "linear"}


@dataclass(frozen=True, slots=True)
class Product:
    """A model made ready: its file taken apart, its shape in black, and where it stands in its own units."""

    name: str
    glb: Glb
    shape: filly.Asset
    low: NDArray[np.float64]
    """The lowest corner of what can be seen of it, in the model's units (3)."""
    high: NDArray[np.float64]

    @property
    def radius(self) -> float:
        """Of the ball around its bounds, in the model's units."""
        return float(np.linalg.norm(self.high - self.low) / 2)


@dataclass(frozen=True, slots=True)
class Pass:
    """How one of a frame's passes differs from the others; all numbers are centred on 0."""

    pixel: tuple[float, float]
    lamp: int
    warmth: float


def passes(count: int) -> tuple[Pass, ...]:
    """``count`` passes that spread over pixel, lamps and brightness evenly (Roberts' R2 sequence)."""
    index = np.arange(count)
    x, y = (0.5 + index * 0.7548776662466927) % 1.0 - 0.5, (0.5 + index * 0.5698402909980532) % 1.0 - 0.5
    order = np.argsort(np.argsort((index * 0.618033988749895) % 1.0))
    warmth = (order + 0.5) / count - 0.5
    return tuple(Pass((float(x[i]), float(y[i])), int(i), float(warmth[i])) for i in range(count))


def load_asset(renderer: filly.Renderer, source: bytes, name: str) -> filly.Asset:
    """Load a GLB.

    Raises:
        EngineError: Filament cannot use it; the message names the model and says why.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", filly.AssetCompatibilityWarning)
        try:
            return renderer.load_asset(source)
        except (filly.AssetError, ValueError) as error:
            raise EngineError(
                f"the model '{name}' cannot be rendered: {error}. Export it again as GLB 2.0 with its buffers and "
                "textures embedded, and check it with the Khronos glTF validator"
            ) from error


class CasterScene:
    """Products in black on white: how they lie in a camera's frame, and which light they keep from the floor."""

    def __init__(self, renderer: filly.Renderer) -> None:
        self._renderer = renderer
        self._scene = renderer.create_scene()
        self._scene.background = (1.0, 1.0, 1.0, 1.0)
        self._scene.encoding = "linear"
        self._scene.output_path = "direct"
        self._camera = renderer.create_camera()
        self._scene.camera = self._camera
        self._targets: dict[tuple[int, int], filly.RenderTarget] = {}

    def product(self, source: SourceModel) -> Product:
        """Read a model and find out where it is.

        Raises:
            EngineError: the file is broken, or nothing in it can be seen.
        """
        try:
            glb = read_glb(source.path)
        except BrokenGlb as error:
            raise EngineError(f"the model '{source.name}' {error}. Upload the file again") from error
        try:
            black = caster(glb)
        except (AttributeError, TypeError, ValueError, LookupError) as error:
            raise EngineError(
                f"the model '{source.name}' does not follow glTF 2.0 ({error}). Check it with the Khronos validator"
            ) from error
        shape = load_asset(self._renderer, black, source.name)
        model = self._scene.add(shape)
        try:
            low, high = self._extent(model, source.name)
        finally:
            model.close()
        return Product(source.name, glb, shape, low, high)

    def outline(self, model: filly.Model, transforms: Iterable[NDArray[np.float64]], stand: Stand) -> Outline | None:
        """How a model lies in a frame, over all of the given transforms together."""
        width = _MEASURE if stand.aspect >= 1 else round(_MEASURE * stand.aspect)
        height = round(_MEASURE / stand.aspect) if stand.aspect >= 1 else _MEASURE
        self._camera.position = stand.position
        self._camera.look_at(stand.target)
        near = max(0.01, stand.distance - 4)
        self._camera.set_perspective(fov_y_deg=stand.field_of_view, near=near, far=stand.distance + 10)
        seen = np.zeros((height, width), bool)
        for transform in transforms:
            model.transform = transform
            seen |= self._drawn(width, height) < 250
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if not len(rows):
            return None
        return Outline(
            left=columns[0] / width * 2 - 1,
            right=(columns[-1] + 1) / width * 2 - 1,
            bottom=1 - (rows[-1] + 1) / height * 2,
            top=1 - rows[0] / height * 2,
        )

    def add(self, product: Product) -> filly.Model:
        """Put a product's shape into the scene."""
        return self._scene.add(product.shape)

    def shade(
        self,
        model: filly.Model,
        transform: NDArray[np.float64],
        directions: NDArray[np.float64],
        weights: NDArray[np.float64],
        size: int,
    ) -> NDArray[np.float32]:
        """The share of the light that reaches the floor's patch, shape (size, size, 3), 0 to 1.

        Seen from straight above, a shape sheared along a direction of light covers just the shadow that it casts.
        """
        self._camera.position = (0.0, 40.0, 0.0)
        self._camera.look_at((0.0, 0.0, 0.0), (0.0, 0.0, -1.0))
        self._camera.set_orthographic(left=-PATCH, right=PATCH, bottom=-PATCH, top=PATCH, near=1.0, far=60.0)
        planes = np.zeros((3, size, size), np.float32)
        share = weights.astype(np.float32) / np.float32(255)
        texel = 2 * PATCH / size
        for step, towards, weight in zip(passes(len(share)), directions, share, strict=True):
            shear = np.eye(4)
            shear[0, 1], shear[2, 1] = -towards[0] / towards[1], -towards[2] / towards[1]
            # Each shadow lies a fraction of a texel aside: together they are drawn with soft edges.
            shear[0, 3], shear[2, 3] = step.pixel[0] * texel, step.pixel[1] * texel
            model.transform = shear @ transform
            seen = self._drawn(size, size).astype(np.float32)
            for channel, factor in enumerate(weight):
                planes[channel] += seen * factor
        return np.ascontiguousarray(np.moveaxis(_smoothed(_smoothed(planes, 1), 2), 0, -1))

    def close(self) -> None:
        """Release the scene and its targets."""
        for target in self._targets.values():
            target.close()
        self._scene.close()
        self._camera.close()

    def _drawn(self, width: int, height: int) -> NDArray[np.uint8]:
        target = self._targets.get((width, height))
        if target is None:
            target = self._renderer.create_render_target(width=width, height=height)
            self._targets[width, height] = target
        self._renderer.render(self._scene, target)
        drawn: NDArray[np.uint8] = target.read()[..., 0]
        return drawn

    def _extent(self, model: filly.Model, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What can be seen of a model, in its own units: declared bounds may be far too wide (rotated nodes)."""
        low, high = (np.array(corner, np.float64) for corner in model.bounds)
        if not (np.isfinite(low).all() and np.isfinite(high).all()) or (low > high).any() or (low == high).all():
            raise EngineError(
                f"the model '{name}' holds no geometry: there is nothing to render. Export it again with its meshes"
            )
        found = False
        for right, up in ((0, 1), (2, 1), (0, 2)):
            box = self._orthographic_extent(model, low, high, right, up)
            if box is not None:
                found = True
                # A flat face seen from its edge leaves no pixels, so that an axis is only ever narrowed, and by
                # a view that shows it broadside.
                for axis, (a, b) in zip((right, up), box, strict=True):
                    low[axis], high[axis] = max(low[axis], a), min(high[axis], b)
        if not found:
            raise EngineError(
                f"the model '{name}' cannot be seen: its materials are fully transparent or its nodes are hidden"
            )
        low[1] = self._foot(model, low, high)
        return low, high

    def _orthographic_extent(
        self, model: filly.Model, low: NDArray[np.float64], high: NDArray[np.float64], right: int, up: int
    ) -> tuple[tuple[float, float], tuple[float, float]] | None:
        across, along = (low[right], high[right]), (low[up], high[up])
        for _ in range(2):  # Once roughly, once with what was found filling the drawing.
            seen = self._flat(model, low, high, right, up, across, along)
            columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
            if not len(rows):
                return None
            size = len(seen)
            across, along = (
                (
                    a + (b - a) * ((first / size) * (1 + 2 * _MARGIN) - _MARGIN),
                    a + (b - a) * ((last / size) * (1 + 2 * _MARGIN) - _MARGIN),
                )
                for (a, b), first, last in (
                    (across, columns[0], columns[-1] + 1),
                    (along, size - rows[-1] - 1, size - rows[0]),
                )
            )
        return across, along

    def _foot(self, model: filly.Model, low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
        """The lowest height, to a few thousandths of a pixel: what floats by a hair is seen by its shadow."""
        height = high[1] - low[1]
        reach = max(height * 0.02, 1e-9 * float(np.abs(high).max()))
        around = (low[1] - reach, low[1] + reach)
        lowest = [
            around[1] - (around[1] - around[0]) * ((rows[-1] + 1) / _MEASURE * (1 + 2 * _MARGIN) - _MARGIN)
            for right in (0, 2)
            if len(
                rows := np.flatnonzero(
                    self._flat(model, low, high, right, 1, (low[right], high[right]), around).any(axis=1)
                )
            )
        ]
        return float(min(lowest, default=low[1]))

    def _flat(
        self,
        model: filly.Model,
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        right: int,
        up: int,
        across: tuple[float, float],
        along: tuple[float, float],
    ) -> NDArray[np.bool_]:
        """Where a model is seen in a drawing without perspective of the rectangle, which has a margin around it."""
        depth = 3 - right - up
        size = max(float((high - low).max()), 1e-30)
        # Mapped by the model's transform to a square of side 2 around the origin: models come in all sizes.
        place = np.zeros((4, 4))
        for row, (axis, (a, b)) in enumerate(zip((right, up), (across, along), strict=True)):
            span = max(b - a, size * 1e-6)
            place[row, axis], place[row, 3] = 2 / span, -(a + b) / span
        sign = 1.0 if (right, up) == (0, 1) else -1.0
        place[2, depth], place[2, 3] = sign / size, -sign * (low[depth] + high[depth]) / 2 / size
        place[3, 3] = 1.0
        model.transform = place
        edge = 1 + 2 * _MARGIN
        self._camera.position = (0.0, 0.0, 5.0)
        self._camera.look_at((0.0, 0.0, 0.0))
        self._camera.set_orthographic(left=-edge, right=edge, bottom=-edge, top=edge, near=1.0, far=9.0)
        return self._drawn(_MEASURE, _MEASURE) < 250


_MARGIN = 0.02
"""Of the side, around what is measured in a drawing without perspective."""


@dataclass(frozen=True, slots=True)
class _Lamp:
    """One of the template's lights in the scene, and the directions that its passes take it from."""

    light: filly.Light
    distant: bool
    axis: NDArray[np.float64]
    size: float

    def spread(self, count: int) -> NDArray[np.float64]:
        return disc(self.axis, self.size, count)

    def aim(self, towards: NDArray[np.float64]) -> None:
        if not self.distant:
            self.light.position = tuple(float(v) for v in towards * _LAMP_DISTANCE + (0.0, 0.5, 0.0))
        self.light.direction = tuple(float(-v) for v in towards)


class BeautyScene:
    """What the pictures show: the lit product on the template's floor before its backdrop."""

    def __init__(self, renderer: filly.Renderer, template: Template, environment: filly.Environment) -> None:
        self._renderer = renderer
        self._template = template
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
        self._target: filly.RenderTarget | None = None
        self._accumulator: Accumulator | None = None
        self._mirror = _Mirror(renderer, scene, template.floor.reflection) if template.floor.reflection else None
        self._azimuth: float | None = None

    def add(self, product: Product, scale: float) -> tuple[filly.Asset, filly.Model]:
        """Put a product into the scene; both that come back must be closed when it leaves."""
        asset = load_asset(self._renderer, rescaled(product.glb, scale), product.name)
        model = self._scene.add(asset)
        for light in model.lights:  # The template lights the set; lamps inside a product would upset its exposure.
            light.close()
        return asset, model

    def light_floor(self, light: NDArray[np.float32]) -> None:
        """Lay the light that reaches the floor, (n, n, 3), and the floor's grain onto it."""
        floor = self._template.floor
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

    def draw(self, stand: Stand, azimuth: float, size: tuple[int, int], count: int) -> Pixels:
        """One picture in ``count`` passes, seen from a stand; the backdrop's glow lies opposite of ``azimuth``."""
        self._tint(azimuth)
        target, accumulator = self._canvas(size)
        camera = self._camera
        near = max(0.02, stand.distance - 5)
        camera.set_perspective(fov_y_deg=stand.field_of_view, aspect=stand.aspect, near=near, far=120.0)
        spreads = [lamp.spread(count) for lamp in self._lamps]
        if self._mirror is not None:
            for lamp in self._lamps:
                lamp.aim(lamp.axis)
            self._sweep.visible = False
            self._mirror.look(camera, stand, size)
            self._sweep.visible = True
        for index, step in enumerate(passes(count)):
            moved = nudged(stand, step.pixel, size[1])
            camera.position = moved.position
            camera.look_at(moved.target)
            # A backdrop that is the same in all passes would keep the steps of the 8 bits that each is read in.
            camera.exposure = _EV - self._template.exposure + 0.06 * step.warmth
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
        return accumulator.picture()

    def close(self) -> None:
        """Release the scene, its target and textures."""
        if self._mirror is not None:
            self._mirror.close()
        self._scene.close()
        if self._floor is not None:
            self._floor.close()
        if self._target is not None:
            self._target.close()
        self._camera.close()

    def _canvas(self, size: tuple[int, int]) -> tuple[filly.RenderTarget, Accumulator]:
        if self._target is None or self._accumulator is None or (self._target.width, self._target.height) != size:
            if self._target is not None:
                self._target.close()
            self._target = self._renderer.create_render_target(width=size[0], height=size[1])
            self._accumulator = Accumulator(*size)
        return self._target, self._accumulator

    def _lamp(self, index: int, light: Light) -> _Lamp:
        axis = direction(light.azimuth, light.elevation)
        towards = tuple(float(-v) for v in axis)
        if index == 0:  # Filament draws one directional light at most; the others are spots from afar.
            lamp = self._scene.add_directional_light(
                direction=towards, intensity=math.pi * _UNIT * light.illuminance, color=light.color
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
            lamp.shadow_map_size = 2048
        return _Lamp(lamp, index == 0, axis, light.size)

    def _tint(self, azimuth: float) -> None:
        if azimuth == self._azimuth:
            return
        self._azimuth = azimuth
        seen = sweep_colors(self._template.backdrop, self._mesh, azimuth)
        colors = np.ones((len(seen), 4), np.float32)
        colors[:, :3] = radiance_for(seen, self._template.tone_mapping) * _WARM
        self._sweep.update_mesh(colors=colors)

    def _grain(self, size: int) -> NDArray[np.float32]:
        key = (self._template.floor.grain, size)
        if key not in _GRAINS:
            _GRAINS.clear()
            _GRAINS[key] = grain(self._template.floor.grain, size)
        return _GRAINS[key]


_GRAINS: dict[object, NDArray[np.float32]] = {}
"""The last ground made in this process; a job asks for the same one again and again."""


class _Mirror:
    """The product's mirror image in the floor, drawn from below and laid onto the floor as a sheet."""

    _CELLS = (72, 48)

    def __init__(self, renderer: filly.Renderer, scene: filly.Scene, reflection: Reflection) -> None:
        self._renderer = renderer
        self._scene = scene
        self._reflection = reflection
        self._target: filly.RenderTarget | None = None
        self._texture: filly.Texture | None = None
        columns, rows = self._CELLS
        x, y = np.meshgrid(np.linspace(-1, 1, columns + 1), np.linspace(1, -1, rows + 1))
        self._grid = np.stack([x.ravel(), y.ravel()], axis=-1)
        corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
        below = corner + columns + 1
        indices = np.concatenate(
            [np.stack([corner, below, below + 1], -1), np.stack([corner, below + 1, corner + 1], -1)]
        )
        self._sheet = scene.create_mesh(
            positions=np.concatenate([self._grid, np.zeros((len(self._grid), 1))], axis=1).astype(np.float32),
            indices=indices.astype(np.uint32),
            normals=np.tile(np.array([0, 1, 0], np.float32), (len(self._grid), 1)),
            uvs=((self._grid * (1, -1) + 1) / 2).astype(np.float32),
            unlit=True,
            double_sided=True,
            alpha_mode="blend",
        )

    def look(self, camera: filly.Camera, stand: Stand, size: tuple[int, int]) -> None:
        """Draw the mirror image for a stand; the scene must not show its floor meanwhile."""
        scene = self._scene
        target, texture = self._canvas((max(2, size[0] // 2), max(2, size[1] // 2)))
        self._sheet.visible = False
        scene.transparent, background, scene.background = True, tuple(scene.background), (0.0, 0.0, 0.0, 0.0)
        mapping, scene.tone_mapping, scene.msaa = scene.tone_mapping, "linear", 4
        x, y, z = stand.position
        camera.position = (x, -y, z)
        camera.look_at((stand.target[0], -stand.target[1], stand.target[2]))
        self._renderer.render(scene, target)
        image = target.read()[::-1]
        scene.msaa, scene.tone_mapping = 1, mapping
        scene.transparent, scene.background = False, background
        self._place(stand)
        texture.update(self._image(image, stand))
        self._sheet.visible = True

    def close(self) -> None:
        if self._texture is not None and self._target is not None:
            self._texture.close()
            self._target.close()

    def _canvas(self, size: tuple[int, int]) -> tuple[filly.RenderTarget, filly.Texture]:
        if self._target is None or self._texture is None or (self._target.width, self._target.height) != size:
            width, height = size
            target = self._renderer.create_render_target(width=width, height=height)
            blank = np.zeros((height, width, 4), np.float32)
            texture = self._renderer.create_texture(blank, color_space="linear", wrap="clamp")
            self._sheet.material("mesh").base_color_texture = texture
            self.close()
            self._target, self._texture = target, texture
        return self._target, self._texture

    def _place(self, stand: Stand) -> None:
        """Lay the sheet onto the floor where the camera sees each of its corners in the frame."""
        right, up, back = axes(stand)
        half = math.tan(math.radians(stand.field_of_view / 2))
        rays = self._grid[:, :1] * half * stand.aspect * right + self._grid[:, 1:] * half * up - back
        origin = np.array(stand.position)
        down = np.minimum(rays[:, 1], -1e-3)
        reach = np.minimum((_FLOOR_GAP - origin[1]) / down, 40.0)
        points = origin + rays * reach[:, None]
        points[:, 1] = _FLOOR_GAP
        self._sheet.update_mesh(positions=points.astype(np.float32))

    def _image(self, image: Pixels, stand: Stand) -> NDArray[np.float32]:
        """The mirror image as straight RGBA in linear light: blurred, fading with height, weaker from above."""
        height, width = image.shape[:2]
        right_up_back = axes(stand)
        per_radius = height / 2 / math.tan(math.radians(stand.field_of_view / 2)) / stand.distance
        blur = self._reflection.blur * per_radius
        soft = np.asarray(Image.fromarray(np.ascontiguousarray(image)).filter(ImageFilter.GaussianBlur(blur)))
        alpha = soft[..., 3].astype(np.float32) / 255
        straight = np.minimum(soft[..., :3] / np.maximum(alpha, 1 / 255)[..., None], 255).astype(np.uint8)
        rows = [_row(stand, right_up_back, (0.0, y, 0.0), height) for y in (0.0, -self._reflection.fade)]
        depth = (np.arange(height) - rows[0]) / max(1.0, rows[1] - rows[0])
        fade = (1 - np.clip(depth, 0, 1)) ** 1.6
        steep = float(right_up_back[2][1])
        strength = self._reflection.strength + (1 - self._reflection.strength) * 0.6 * (1 - abs(steep)) ** 5
        result = np.empty((height, width, 4), np.float32)
        result[..., :3] = DECODED[straight] / np.float32(65535)
        result[..., 3] = alpha * (fade * strength).astype(np.float32)[:, None]
        return result


def _smoothed(planes: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """A blur of about a texel and a half along an axis: it melts the single shadows that soft ones are made of."""
    padded = np.pad(planes, [(2, 2) if a == axis else (0, 0) for a in range(planes.ndim)], mode="edge")
    size = planes.shape[axis]
    shifted = [np.take(padded, range(k, k + size), axis=axis) for k in range(5)]
    result: NDArray[np.float32] = (
        (shifted[0] + shifted[4]) * np.float32(0.11)
        + (shifted[1] + shifted[3]) * np.float32(0.24)
        + shifted[2] * np.float32(0.30)
    )
    return result


def _row(stand: Stand, view: Sequence[NDArray[np.float64]], point: tuple[float, float, float], height: int) -> float:
    """The row of a picture that shows a point."""
    away = np.subtract(point, stand.position)
    y = float(away @ view[1]) / max(1e-6, float(-away @ view[2])) / math.tan(math.radians(stand.field_of_view / 2))
    return (1 - y) / 2 * height


def placed(product: Product, scale: float, turn: float = 0.0) -> NDArray[np.float64]:
    """The transform (4, 4) that scales a product, stands it on the floor over the origin, and turns it by degrees."""
    middle = (product.low + product.high) / 2
    angle = math.radians(turn)
    spin = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
    transform = np.eye(4)
    transform[:3, :3] = spin * scale
    transform[:3, 3] = spin @ (-scale * np.array([middle[0], product.low[1], middle[2]]))
    return transform
