"""The ``cycles`` engine: Blender's path tracer, for finals. A 720p picture takes up to a minute on two processor cores.

A job is the ``filament`` engine's, with another stage: cameras, framing, the shadows on the floor, the names of files
and the checks of pictures are the same; what stands on the set is drawn by Cycles, in Blender's own process and Python
(``blender``). Light that bounces, and glass that shows what is behind it, are what it adds. Its floor mirrors nothing.

Samples follow the job's quality; what noise is left is taken away by Open Image Denoise. A graphics card is used where
there is one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.blender import Blender, BlenderError, BlenderMissing, version
from glossi_sync.studio.engines import EngineError, EngineUnavailable, RenderedFile, RenderRequest
from glossi_sync.studio.engines.filament import Draft, FilamentEngine
from glossi_sync.studio.engines.framing import Stand
from glossi_sync.studio.engines.glb import Glb, rescaled
from glossi_sync.studio.engines.panorama import direction, panorama
from glossi_sync.studio.engines.pictures import Negative
from glossi_sync.studio.engines.sweep import border, grain, sweep_colors, sweep_mesh
from glossi_sync.studio.engines.tone import radiance_for, tone_mapped
from glossi_sync.studio.template import Floor, Template

if TYPE_CHECKING:
    from glossi_sync.studio.engines.casters import Product

_SAMPLES_A_PASS = 4
"""For each pass that the filament engine would draw: 32 for a 720p still, 8 for a frame of the fastest video."""

_DRAW_SECONDS = 1800.0
_STEP_SECONDS = 300.0


class CyclesEngine:
    """Renders with Cycles. Picklable; Blender lives as long as a job."""

    name = "cycles"

    def __init__(self, draft: Draft | None = None) -> None:
        self._filament = FilamentEngine(draft, cycles_stage)

    def check(self) -> None:
        """See whether there is a Blender, and Filament, which frames the pictures.

        Raises:
            EngineUnavailable: one of them does not run here; the message says how to mend it.
        """
        self._filament.check()
        try:
            version()
        except BlenderMissing as error:
            raise EngineUnavailable(f"the cycles engine: {error}") from error

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        """Render a job: see ``FilamentEngine.render``."""
        try:
            return self._filament.render(request)
        except BlenderMissing as error:
            raise EngineUnavailable(f"the cycles engine: {error}") from error
        except BlenderError as error:
            raise EngineError(f"Cycles failed: {error}") from error


@contextmanager
def cycles_stage(template: Template) -> Iterator[CyclesStage]:
    """A template's set in a Blender of its own."""
    with Blender() as blender, TemporaryDirectory(prefix="cycles-") as folder:
        yield CyclesStage(blender, template, Path(folder))


class CyclesStage:
    """What the pictures show: the lit product on the template's floor before its backdrop (``filament.Stage``)."""

    def __init__(self, blender: Blender, template: Template, folder: Path) -> None:
        self._blender = blender
        self._folder = folder
        self.template = template
        self._mesh = sweep_mesh(template.backdrop)
        self._azimuth: float | None = None
        self._looks = 0
        np.savez(
            folder / "sweep.npz",
            positions=self._mesh.positions,
            indices=self._mesh.indices.reshape(-1, 3),
            uvs=self._mesh.uvs,
        )
        blender.ask(
            _STEP_SECONDS,
            do="set",
            environment=self._saved("environment", panorama(template.environment, 512)),
            lights=[
                {
                    "name": light.name,
                    "towards": direction(light.azimuth, light.elevation).tolist(),
                    "size": light.size,
                    "illuminance": light.illuminance,
                    "color": light.color,
                    "shadows": light.shadows,
                }
                for light in template.lights
            ],
            mesh=str(folder / "sweep.npz"),
        )

    def add(self, product: Product, scale: float) -> tuple[_Nothing, _Model]:
        """Put a product into the scene; both that come back must be closed when it leaves."""
        return _Nothing(), _Model(self, product.glb, scale)

    def light_floor(self, light: NDArray[np.float32]) -> None:
        """Lay the light that reaches the floor, (n, n, 3), onto it."""
        self._ask(do="floor", light=self._saved("floor", floor_shade(self.template.floor, light)))

    def draw(self, stand: Stand, azimuth: float, size: tuple[int, int], count: int) -> Negative:
        """One picture seen from a stand; the backdrop's glow lies opposite of ``azimuth``."""
        self._tint(azimuth)
        drawn = self._drawn(stand, size, count * _SAMPLES_A_PASS, alone=False)
        light = tone_mapped(drawn[..., :3] * 2.0**self.template.exposure, self.template.tone_mapping)
        return Negative(np.round(65535 * np.clip(light, 0.0, 1.0)).astype(np.uint16), self.template.white_point)

    def silhouette(self, stand: Stand, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Where the product covers most of a pixel (height, width)."""
        covered: NDArray[np.bool_] = self._drawn(stand, size, 8, alone=True)[..., 3] > 0.5
        return covered

    def load(self, glb: bytes, films: dict[str, tuple[float, float]]) -> str:
        """Bring one look of a product in, a GLB with its films (see ``films_of``); its name."""
        self._looks += 1
        name = f"look-{self._looks}"
        path = self._folder / f"{name}.glb"
        path.write_bytes(glb)
        self._ask(do="load", name=name, path=str(path), films=films)
        path.unlink()
        return name

    def show(self, name: str, transform: NDArray[np.float64]) -> None:
        """Show a look, and no other, under a transform (4, 4)."""
        self._ask(do="show", name=name, transform=transform.tolist())

    def drop(self, name: str) -> None:
        """Take a look out."""
        self._ask(do="drop", name=name)

    def _tint(self, azimuth: float) -> None:
        if azimuth != self._azimuth:
            self._azimuth = azimuth
            template = self.template
            seen = sweep_colors(template.backdrop, self._mesh, azimuth)
            shown = radiance_for(seen * template.white_point, template.tone_mapping) / 2.0**template.exposure
            self._ask(do="colors", colors=self._saved("colors", shown.astype(np.float32)))

    def _drawn(self, stand: Stand, size: tuple[int, int], samples: int, *, alone: bool) -> NDArray[np.float64]:
        path = self._blender.ask(
            _DRAW_SECONDS,
            do="draw",
            position=stand.position,
            target=stand.target,
            field_of_view=stand.field_of_view,
            size=size,
            samples=samples,
            alone=alone,
            folder=str(self._folder),
        )
        drawn: NDArray[np.float64] = np.load(path).astype(np.float64)
        return drawn

    def _ask(self, **what: Any) -> None:
        self._blender.ask(_STEP_SECONDS, **what)

    def _saved(self, name: str, array: NDArray[np.floating]) -> str:
        path = self._folder / f"{name}.npy"
        np.save(path, array)
        return str(path)


class _Nothing:
    def close(self) -> None:
        """There is nothing to release."""


class _Model:
    """A product in Blender: each of its looks is brought in when it is first worn."""

    def __init__(self, stage: CyclesStage, glb: Glb, scale: float) -> None:
        self._stage, self._glb, self._scale = stage, glb, scale
        self._looks: dict[int | None, str] = {}
        self._worn: int | None = None
        self._transform: NDArray[np.float64] = np.eye(4)

    @property
    def transform(self) -> NDArray[np.float64]:
        return self._transform

    @transform.setter
    def transform(self, transform: NDArray[np.float64]) -> None:
        self._transform = transform
        self._show()

    def apply_variant(self, index: int) -> None:
        """Put on a material variant by its index."""
        self._worn = index
        self._show()

    def close(self) -> None:
        """Take it out of the scene."""
        for name in self._looks.values():
            self._stage.drop(name)

    def _show(self) -> None:
        if self._worn not in self._looks:
            glb = dressed(self._glb, self._worn)
            self._looks[self._worn] = self._stage.load(rescaled(glb, self._scale), films_of(glb))
        self._stage.show(self._looks[self._worn], self._transform)


def floor_shade(floor: Floor, light: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of its colour the floor's patch shows (n, n, 3): shadows by the light that reaches it, and grain."""
    size = len(light)
    edge = border(size).astype(np.float32)[..., None]
    return (1 - np.float32(floor.shadow) * (1 - light) * edge) * grain(floor.grain, size)[..., None]


def dressed(glb: Glb, variant: int | None) -> Glb:
    """The file wearing one of its variants (KHR_materials_variants), without animations, its materials numbered."""
    document = copy.deepcopy(glb.document)
    document.pop("animations", None)
    for index, material in enumerate(document.get("materials", ())):
        material["name"] = f"m{index}"
    for mesh in document.get("meshes", ()) if variant is not None else ():
        for primitive in mesh.get("primitives", ()):
            mappings = primitive.get("extensions", {}).pop("KHR_materials_variants", {}).get("mappings", ())
            for mapping in mappings:
                if variant in mapping.get("variants", ()):
                    primitive["material"] = mapping["material"]
    return Glb(document, glb.rest)


def films_of(glb: Glb) -> dict[str, tuple[float, float]]:
    """By the name of a material that has a thin film (KHR_materials_iridescence): nanometres, index of refraction."""
    films: dict[str, tuple[float, float]] = {}
    for material in glb.document.get("materials", ()):
        film = material.get("extensions", {}).get("KHR_materials_iridescence", {})
        if film.get("iridescenceFactor", 0) > 0:
            thickness = float(film.get("iridescenceThicknessMaximum", 400.0))
            films[material["name"]] = thickness, float(film.get("iridescenceIor", 1.3))
    return films
