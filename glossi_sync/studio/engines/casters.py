"""Products in black on white, drawn in a millisecond: outlines for framing, and the shadows on the floor. In filly.

The product is scaled to a bounding radius of 1 and stands on height 0 (``Product.placed``), so that light, shadows and
ambient occlusion behave alike for a ring and for a truck.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import filly
import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.engines import EngineError, SourceModel
from glossi_sync.studio.engines.flat_normals import with_normals
from glossi_sync.studio.engines.framing import Outline, Stand
from glossi_sync.studio.engines.glb import BrokenGlb, Glb, caster, read_glb
from glossi_sync.studio.engines.pictures import passes
from glossi_sync.studio.engines.sweep import PATCH

_MEASURE = 400
"""Longer side, in pixels, of the drawings that outlines are measured in."""
_MARGIN = 0.02
"""Of the side, around what is measured in a drawing without perspective."""
_SHADOWS_AT_ONCE = 16


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

    def placed(self, scale: float, turn: float = 0.0) -> NDArray[np.float64]:
        """The transform (4, 4) that scales it, stands it on the floor over the origin, and turns it by degrees."""
        middle = (self.low + self.high) / 2
        angle = math.radians(turn)
        spin = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
        transform = np.eye(4)
        transform[:3, :3] = spin * scale
        transform[:3, 3] = spin @ (-scale * np.array([middle[0], self.low[1], middle[2]]))
        return transform


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
            glb = with_normals(glb)
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
        return outline_of(self.silhouette(model, transforms, stand))

    def silhouette(
        self, model: filly.Model, transforms: Iterable[NDArray[np.float64]], stand: Stand
    ) -> NDArray[np.bool_]:
        """Where a model is in a frame (rows, columns), over all of the given transforms together."""
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
        return seen

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
        planes = np.zeros((3, size * size), np.float32)
        share = weights.astype(np.float32) / np.float32(255)
        texel = 2 * PATCH / size
        steps = passes(len(share))
        for first in range(0, len(steps), _SHADOWS_AT_ONCE):
            some = range(first, min(first + _SHADOWS_AT_ONCE, len(steps)))
            seen = np.empty((len(some), size * size), np.float32)
            for row, index in zip(seen, some, strict=True):
                step, towards = steps[index], directions[index]
                shear = np.eye(4)
                shear[0, 1], shear[2, 1] = -towards[0] / towards[1], -towards[2] / towards[1]
                # Each shadow lies a fraction of a texel aside: together they are drawn with soft edges.
                shear[0, 3], shear[2, 3] = step.pixel[0] * texel, step.pixel[1] * texel
                model.transform = shear @ transform
                row[:] = self._drawn(size, size).ravel()
            planes += np.einsum("sc,st->ct", share[first : first + len(some)], seen)
        smooth = _smoothed(_smoothed(planes.reshape(3, size, size), 1), 2)
        return np.ascontiguousarray(np.moveaxis(smooth, 0, -1))

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


def outline_of(seen: NDArray[np.bool_]) -> Outline | None:
    """The extent of a silhouette; None where nothing is seen."""
    height, width = seen.shape
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return None
    return Outline(
        left=columns[0] / width * 2 - 1,
        right=(columns[-1] + 1) / width * 2 - 1,
        bottom=1 - (rows[-1] + 1) / height * 2,
        top=1 - rows[0] / height * 2,
    )


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
