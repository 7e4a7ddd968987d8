"""The product's mirror image in the floor: drawn from below, blurred, and laid onto the floor as a sheet. In filly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import filly
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from glossi_sync.studio.engines.framing import Stand, axes
from glossi_sync.studio.engines.pictures import Pixels
from glossi_sync.studio.engines.tone import DECODED
from glossi_sync.studio.template import Reflection

_FLOOR_GAP = 0.0015
"""Height of the sheet above the floor, so that the two do not flicker through each other."""
_CELLS = (36, 24)
_CLEAR = (0.0, 0.0, 0.0, 0.0)


class Mirror:
    """The product's mirror image in the floor, drawn from below and laid onto the floor as a sheet."""

    def __init__(self, renderer: filly.Renderer, scene: filly.Scene, reflection: Reflection) -> None:
        self._renderer = renderer
        self._scene = scene
        self._reflection = reflection
        self._canvases: dict[tuple[int, int], tuple[filly.RenderTarget, filly.Texture]] = {}
        columns, rows = _CELLS
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
        blur = self._reflection.blur * stand.pixels_per_radius(size[1])
        # What will be blurred needs no pixels: two and a half of them in the blur's radius are plenty.
        shrink = int(np.clip(blur / 2.5, 1, 4))
        target, texture = self._canvas((max(2, size[0] // shrink), max(2, size[1] // shrink)))
        self._sheet.visible = False
        before = scene.msaa, scene.tone_mapping, scene.ssao, scene.background
        scene.msaa, scene.tone_mapping, scene.ssao, scene.background = (
            (4 if shrink == 1 else 1),
            "linear",
            False,
            _CLEAR,
        )
        scene.transparent = True
        x, y, z = stand.position
        camera.position = (x, -y, z)
        camera.look_at((stand.target[0], -stand.target[1], stand.target[2]))
        self._renderer.render(scene, target)
        image = target.read()[::-1]
        scene.transparent = False
        scene.msaa, scene.tone_mapping, scene.ssao, scene.background = before
        self._place(stand)
        texture.update(self._image(image, stand))
        self._sheet.material("mesh").base_color_texture = texture
        self._sheet.visible = True

    def close(self) -> None:
        """Release the targets and textures; the sheet belongs to the scene."""
        for target, texture in self._canvases.values():
            target.close()
            texture.close()

    def _canvas(self, size: tuple[int, int]) -> tuple[filly.RenderTarget, filly.Texture]:
        if size not in self._canvases:
            width, height = size
            blank = np.zeros((height, width, 4), np.float32)
            self._canvases[size] = (
                self._renderer.create_render_target(width=width, height=height),
                self._renderer.create_texture(blank, color_space="linear", wrap="clamp"),
            )
        return self._canvases[size]

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
        blur = self._reflection.blur * stand.pixels_per_radius(height)
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


def _row(stand: Stand, view: Sequence[NDArray[np.float64]], point: tuple[float, float, float], height: int) -> float:
    """The row of a picture that shows a point."""
    away = np.subtract(point, stand.position)
    y = float(away @ view[1]) / max(1e-6, float(-away @ view[2])) / math.tan(math.radians(stand.field_of_view / 2))
    return (1 - y) / 2 * height
