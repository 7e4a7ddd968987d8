"""The ``filament`` engine: Google Filament through the package ``filly``; real-time PBR on any machine with OpenGL.

Half a second to two a picture on two processor cores, no graphics card needed. The order of a job:

    models -> shapes -> bounds -> stands (cameras) -> per model: floor light, then every look from every stand -> files
"""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.engines import EngineError, EngineUnavailable, RenderedFile, RenderRequest
from glossi_sync.studio.engines.darkroom import Darkroom
from glossi_sync.studio.engines.framing import (
    NothingInView,
    Outline,
    Stand,
    frame,
    moment,
    reach_of,
    shot_view,
    stands_along,
)
from glossi_sync.studio.engines.glb import Glb
from glossi_sync.studio.engines.inspection import Asked, faults, is_magenta
from glossi_sync.studio.engines.light_probe import light_probe
from glossi_sync.studio.engines.naming import display_name, file_name, variant_labels
from glossi_sync.studio.engines.panorama import light_samples
from glossi_sync.studio.engines.pictures import Negative, Pixels, write_png
from glossi_sync.studio.engines.video import CODECS, Codec, VideoWriter
from glossi_sync.studio.template import Environment, Shot, Template, View

if TYPE_CHECKING:  # At run time they are imported when a job is rendered: they need filly, which may be missing.
    import filly

    from glossi_sync.studio.engines.casters import CasterScene, Product


SIZES: tuple[tuple[int, int], ...] = ((1280, 720), (1920, 1080), (3840, 2160))
"""Width and height by imageQuality and videoResolution: 720p, 1080p, 4K (guide, "Render Settings Explained")."""

MENDING = "apt-get install libgl1 libegl1 libgl1-mesa-dri libx11-6"
"""The line that gives a Debian or Ubuntu machine what Filament needs."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What one picture or frame is made of."""

    passes: int
    """Drawings that are averaged: clean edges, soft shadows of the product on itself."""
    shadows: int
    """Directions of light that the shadows on the floor are made of."""
    patch: int
    """Texels along the side of the floor's patch, which carries those shadows."""


_STILLS = (Effort(8, 128, 576), Effort(6, 160, 576), Effort(6, 160, 768))
"""By imageQuality."""

_FRAMES = (Effort(2, 24, 320), Effort(3, 32, 320), Effort(6, 64, 448))
"""By videoQuality."""

_TURN_VIEWS = 24
"""Positions in which a turning product's outline is measured."""
_ENVIRONMENTS_KEPT = 8
_JOBS_A_RENDERER = 100
"""Filament keeps every material that it ever compiled; after this many jobs it begins anew."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Smaller and quicker than any setting of the service: for tests and previews of this package alone."""

    size: tuple[int, int]
    passes: int = 2
    shadows: int = 8
    patch: int = 192

    @property
    def effort(self) -> Effort:
        """The same for stills and frames."""
        return Effort(self.passes, self.shadows, self.patch)


class FilamentEngine:
    """Renders with Filament. It has no state of its own and is picklable; the renderer belongs to its thread."""

    name = "filament"

    def __init__(self, draft: Draft | None = None, stage: StageMaker | None = None) -> None:
        self._draft = draft
        self._stage = stage

    def check(self) -> None:
        """Try in a process of its own whether Filament finds OpenGL here: a missing driver may take a process along.

        Raises:
            EngineUnavailable: it does not; the message says what is missing and how to mend it.
        """
        problem = _problem()
        if problem:
            raise EngineUnavailable(problem)

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        """Render a job: stills by bookmark and look, then videos by shot and look.

        Raises:
            EngineError: there is nothing to render, or a model cannot be used.
            EngineUnavailable: Filament cannot run here.
        """
        settings, template = request.settings, request.template
        stills = template.bookmarks if settings.render_bookmarks else ()
        shots = template.shots if settings.render_shots else ()
        if not request.models:
            raise EngineError("there is nothing to render: the project has no model")
        if not stills and not shots:
            raise EngineError(_nothing(request))
        for kind, value in (
            ("imageQuality", settings.image_quality),
            ("videoQuality", settings.video_quality),
            ("videoResolution", settings.video_resolution),
        ):
            if value not in (0, 1, 2):
                raise EngineError(f"{kind} is {value}; it must be 0, 1 or 2")
        with _workbench() as bench:
            return _Job(bench, request, self._draft, self._stage).run()


class Placed(Protocol):
    """A product on a stage."""

    transform: NDArray[np.float64]
    """From its own units to the stage (4, 4)."""

    def apply_variant(self, index: int, /) -> None: ...

    def close(self) -> None: ...


class Stage(Protocol):
    """A template's set, where a job's pictures are taken: Filament's own (``stage``), or another renderer's."""

    template: Template

    def add(self, product: Product, scale: float) -> tuple[Closable, Placed]: ...

    def light_floor(self, light: NDArray[np.float32]) -> None: ...

    def draw(self, stand: Stand, azimuth: float, size: tuple[int, int], count: int) -> Negative: ...


class Closable(Protocol):
    def close(self) -> None: ...


StageMaker = Callable[[Template], AbstractContextManager[Stage]]

Look = Callable[[Pixels], None]
"""A look at a finished picture: it raises EngineError where that is not fit to be seen."""


class _Job:
    """One request on its way; the loops, and what they share."""

    def __init__(
        self, bench: _Workbench, request: RenderRequest, draft: Draft | None, stage: StageMaker | None
    ) -> None:
        self._bench = bench
        self._stage = stage
        self._template = request.template
        self._folder = request.folder
        settings = self._settings = request.settings
        self._bookmarks = request.template.bookmarks if settings.render_bookmarks else ()
        self._shots = request.template.shots if settings.render_shots else ()
        self._sources = request.models if settings.render_variants else request.models[:1]
        self._still_size = draft.size if draft else SIZES[settings.image_quality]
        self._frame_size = draft.size if draft else SIZES[settings.video_resolution]
        self._still_effort = draft.effort if draft else _STILLS[settings.image_quality]
        self._frame_effort = draft.effort if draft else _FRAMES[settings.video_quality]
        self._taken: set[str] = set()
        self._darkroom = Darkroom()

    def run(self) -> tuple[RenderedFile, ...]:
        """Every picture and video of the job, ordered by camera, then by look."""
        from glossi_sync.studio.engines.casters import CasterScene

        casters = CasterScene(self._bench.renderer)
        products: list[Product] = []
        files: dict[tuple[int, int], RenderedFile] = {}
        try:
            products.extend(casters.product(source) for source in self._sources)
            scale = 1 / max(product.radius for product in products)
            framed = _Framed(casters, products, scale)
            stills = [framed.still(bookmark.view, self._still_size) for bookmark in self._bookmarks]
            shots = [framed.shot(shot, self._frame_size) for shot in self._shots]
            framed.close()
            labels = variant_labels((product.name, self._variants(product)) for product in products)
            # Names in the order in which the files are listed, whatever the order in which they are made.
            cameras = [*(b.name for b in self._bookmarks), *(s.name for s in self._shots)]
            columns = [label for of_model in labels for label in of_model]
            names = {
                (row, column): file_name(display_name(camera, label), self._suffix(row), self._taken)
                for row, camera in enumerate(cameras)
                for column, label in enumerate(columns)
            }
            with self._darkroom, self._set() as beauty:
                column = 0
                for product, looks in zip(products, labels, strict=True):
                    with _loaded(casters, beauty, product, scale) as cast:
                        for look, label in enumerate(looks):
                            cast.wear(look if self._variants(product) else None)
                            for row, stand in enumerate(stills):
                                name = names[row, column]
                                self._still(beauty, cast, stand, self._bookmarks[row].view, name)
                                display = display_name(cameras[row], label)
                                files[row, column] = RenderedFile(display, name, "PNG", is_video=False)
                            for index, stands in enumerate(shots):
                                row = len(stills) + index
                                name = names[row, column]
                                kind = self._video(beauty, cast, self._shots[index], stands, name)
                                display = display_name(cameras[row], label)
                                files[row, column] = RenderedFile(display, name, kind, is_video=True)
                            column += 1
        finally:
            for product in products:
                product.shape.close()
            casters.close()
        return tuple(files[key] for key in sorted(files))

    def _variants(self, product: Product) -> tuple[str, ...]:
        return variant_names(product.glb) if self._settings.render_variants else ()

    def _suffix(self, row: int) -> str:
        return "png" if row < len(self._bookmarks) else self._codec.suffix

    @property
    def _codec(self) -> Codec:
        return CODECS[self._settings.video_quality]

    @contextmanager
    def _set(self) -> Iterator[Stage]:
        from glossi_sync.studio.engines.stage import BeautyScene

        if self._stage is not None:
            with self._stage(self._template) as stage:
                yield stage
            return
        beauty = BeautyScene(
            self._bench.renderer,
            self._template,
            self._bench.environment(self._template.environment),
            self._bench.rest,
        )
        try:
            yield beauty
        finally:
            beauty.close()

    def _still(self, beauty: Stage, cast: _Cast, stand: Stand, view: View, name: str) -> None:
        effort = self._still_effort
        cast.turn(0.0, effort)
        negative = beauty.draw(stand, view.azimuth, self._still_size, effort.passes)
        look = self._look(cast, stand, view, f"the picture '{name}'")

        def finish() -> None:
            picture = negative.developed()
            look(picture)
            write_png(picture, self._folder / name)

        self._darkroom.give(finish)

    def _video(self, beauty: Stage, cast: _Cast, shot: Shot, stands: list[Stand], name: str) -> str:
        effort = self._frame_effort
        if not shot.turn:  # Its shadow is made once, and may be as fine as a still's.
            effort = replace(effort, shadows=self._still_effort.shadows, patch=self._still_effort.patch)
        looked_at = {0, shot.frames // 2, shot.frames - 1}
        writer = VideoWriter(self._folder / name, self._codec, *self._frame_size, shot.frames_per_second)
        with writer as video, Darkroom() as darkroom:
            for index in range(shot.frames):
                cast.turn(_turned(shot, index), effort)
                stand, view = stands[index % len(stands)], shot_view(shot, index)
                negative = beauty.draw(stand, view.azimuth, self._frame_size, effort.passes)
                look = None
                if index in looked_at:
                    look = self._look(cast, stand, view, f"frame {index + 1} of the video '{name}'", moves=True)

                def finish(negative: Negative = negative, look: Look | None = look) -> None:
                    picture = negative.developed()
                    if look is not None:
                        look(picture)
                    video.add(picture)

                darkroom.give(finish)
        return self._codec.file_type

    def _look(self, cast: _Cast, stand: Stand, view: View, what: str, *, moves: bool = False) -> Look:
        """A look at a picture that was taken just now, for when it is developed.

        It raises EngineError, with the reason, where the picture is not fit to be seen.
        """
        # Of a product that turns and a camera that moves, the frame suits the widest moment alone.
        asked = Asked(view, alone=len(self._sources) == 1 and not moves, magenta=cast.magenta)
        silhouette, checks = cast.silhouette(stand), self._template.checks

        def look(picture: Pixels) -> None:
            found = list(faults(picture, silhouette, asked, checks))
            if found:
                raise EngineError(
                    f"{what} did not come out well: {'; '.join(found)}. Look at the model, use another template, or "
                    "let a template of your own allow it (its 'checks')"
                )

        return look


class _Cast:
    """One product on the set: turned, dressed, and its shadow laid on the floor; each only when it changes."""

    def __init__(self, casters: CasterScene, beauty: Stage, product: Product, scale: float) -> None:
        self._casters, self._beauty, self._product, self._scale = casters, beauty, product, scale
        self._shape = casters.add(product)
        self._asset, self._model = beauty.add(product, scale)
        self._lit: tuple[float, Effort] | None = None
        self.magenta = any(is_magenta(color).any() for color in base_colors(product.glb))

    def silhouette(self, stand: Stand) -> NDArray[np.bool_]:
        """Where the product is, as it was turned last, in the frame seen from a stand."""
        assert self._lit is not None
        placed = self._product.placed(self._scale, self._lit[0])
        return self._casters.silhouette(self._shape, (placed,), stand)

    def wear(self, variant: int | None) -> None:
        """Put on a material variant by its index; None leaves the file's own look."""
        if variant is not None:
            self._model.apply_variant(variant)

    def turn(self, degrees: float, effort: Effort) -> None:
        """Turn the product, and light the floor anew."""
        if (degrees, effort) == self._lit:
            return
        transform = self._product.placed(self._scale, degrees)
        self._model.transform = transform
        samples = light_samples(self._beauty.template, effort.shadows)
        light = self._casters.shade(self._shape, transform, samples.directions, samples.weights, effort.patch)
        self._beauty.light_floor(light)
        self._lit = degrees, effort

    def close(self) -> None:
        self._shape.close()
        self._model.close()
        self._asset.close()


@contextmanager
def _loaded(casters: CasterScene, beauty: Stage, product: Product, scale: float) -> Iterator[_Cast]:
    cast = _Cast(casters, beauty, product, scale)
    try:
        yield cast
    finally:
        cast.close()


class _Framed:
    """Cameras for all products of a job together: each stand must suit every one of them."""

    def __init__(self, casters: CasterScene, products: list[Product], scale: float) -> None:
        self._casters = casters
        self._products = products
        self._scale = scale
        self._models = [casters.add(product) for product in products]
        for model in self._models:
            model.visible = False
        self._centre = np.array((0.0, max(p.high[1] - p.low[1] for p in products) * scale / 2, 0.0))

    def still(self, view: View, size: tuple[int, int]) -> Stand:
        return self._stand(view, size, (0.0,))

    def shot(self, shot: Shot, size: tuple[int, int]) -> list[Stand]:
        """The stand of each frame; a single one where the camera stands still."""
        turns = tuple(shot.turn * k / _TURN_VIEWS for k in range(_TURN_VIEWS)) if shot.turn else (0.0,)
        stands = stands_along(shot, lambda view: self._stand(view, size, turns))
        if len(stands) == 1:
            return stands
        outlines = (self._outline(stand, (_turned(shot, index),)) for index, stand in enumerate(stands))
        reaches = [reach_of(outline) for outline in outlines if outline is not None]
        # One reach for all of them: frames of one size are drawn on one canvas.
        reach = max(across for across, _ in reaches), max(upwards for _, upwards in reaches)
        return [replace(stand, reach=reach) for stand in stands]

    def close(self) -> None:
        for model in self._models:
            model.close()

    def _stand(self, view: View, size: tuple[int, int], turns: tuple[float, ...]) -> Stand:
        try:
            return frame(view, size[0] / size[1], self._centre, lambda stand: self._outline(stand, turns))
        except NothingInView as error:
            names = ", ".join(f"'{product.name}'" for product in self._products)
            raise EngineError(
                f"nothing of {names} can be seen from azimuth {view.azimuth:g}, elevation "
                f"{view.elevation:g}: is it flat, and turned edge-on?"
            ) from error

    def _outline(self, stand: Stand, turns: tuple[float, ...]) -> Outline | None:
        found: list[Outline] = []
        for product, model in zip(self._products, self._models, strict=True):
            model.visible = True
            outline = self._casters.outline(model, (product.placed(self._scale, turn) for turn in turns), stand)
            model.visible = False
            if outline is not None:
                found.append(outline)
        if not found:
            return None
        return Outline(
            left=min(o.left for o in found),
            right=max(o.right for o in found),
            bottom=min(o.bottom for o in found),
            top=max(o.top for o in found),
        )


def variant_names(glb: Glb) -> tuple[str, ...]:
    """The names of a file's material variants, in order (KHR_materials_variants); empty where it has none."""
    extension = glb.document.get("extensions", {}).get("KHR_materials_variants", {})
    return tuple(str(variant.get("name", "")) for variant in extension.get("variants", ()))


def base_colors(glb: Glb) -> Iterator[NDArray[np.float64]]:
    """The colours (3), 0 to 255, that a file's materials name; what their textures hold is not among them."""
    for material in glb.document.get("materials", ()):
        surface = material.get("pbrMetallicRoughness", {})
        yield np.array(surface.get("baseColorFactor", (1, 1, 1, 1))[:3], np.float64) * 255


def _turned(shot: Shot, index: int) -> float:
    return shot.turn * moment(shot, index)


def _nothing(request: RenderRequest) -> str:
    settings, template = request.settings, request.template
    if not settings.render_bookmarks and not settings.render_shots:
        return "there is nothing to render: renderBookmarks and renderShots are both off. Turn one of them on"
    kind, other = ("bookmarks", "shots") if settings.render_bookmarks else ("shots", "bookmarks")
    return (
        f"there is nothing to render: the template '{template.name}' has no {kind}. "
        f"Turn {other} on too, or use another template"
    )


@dataclass(slots=True)
class _Workbench:
    """A thread's renderer, and what is kept from job to job: its objects belong to the thread that made it."""

    renderer: filly.Renderer
    rest: filly.RenderTarget
    """Never closed: what Filament's passes may look at while nothing is drawn (see ``BeautyScene.close``)."""
    environments: dict[Environment, filly.Environment]
    jobs: int = 0

    def environment(self, environment: Environment) -> filly.Environment:
        """The environment in the renderer; the last few are kept, since filtering one takes half a second."""
        kept = self.environments
        if environment in kept:
            kept[environment] = kept.pop(environment)
            return kept[environment]
        while len(kept) >= _ENVIRONMENTS_KEPT:
            kept.pop(next(iter(kept))).close()
        with TemporaryDirectory() as folder:  # Filament reads what is filtered already from a file alone.
            path = Path(folder) / "environment.ktx"
            path.write_bytes(light_probe(environment).ktx())
            kept[environment] = self.renderer.load_environment_ktx(path)
        return kept[environment]


_local = threading.local()


@contextmanager
def _workbench() -> Iterator[_Workbench]:
    """This thread's, made at its first job and again after many; dropped after a failure of its own."""
    try:
        import filly
    except ImportError as error:
        raise EngineUnavailable(_missing(str(error))) from error
    bench: _Workbench | None = getattr(_local, "bench", None)
    if bench is not None and bench.jobs >= _JOBS_A_RENDERER:
        bench.renderer.close()
        bench = None
    if bench is None:
        filly.set_log_level("error")
        try:
            renderer = filly.Renderer()
        except filly.FillyError as error:
            raise EngineUnavailable(_missing(str(error))) from error
        bench = _local.bench = _Workbench(renderer, renderer.create_render_target(width=16, height=16), {})
    bench.jobs += 1
    try:
        yield bench
    except EngineError:
        raise
    except filly.FillyError as error:
        _local.bench = None
        bench.renderer.close()
        raise EngineError(
            f"Filament failed: {error}. Retry; if it fails again, the model asks too much of it"
        ) from error


@cache
def _problem() -> str | None:
    """Why Filament cannot run here, or None; tried once."""
    trial = "import filly; filly.set_log_level('off'); filly.Renderer().close()"
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and a constant
            [sys.executable, "-c", trial], capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _missing(str(error))
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return _missing(lines[-1] if lines else f"it ended with code {done.returncode}")


def _missing(reason: str) -> str:
    system, machine = platform.system(), platform.machine()
    if (system not in {"Linux", "Windows"}) or machine.lower() not in {"x86_64", "amd64"}:
        return (
            f"the filament engine cannot run here: filly has no wheel for this platform ({system} on {machine}), only "
            "for Linux and Windows on x86-64. Everything but rendering works"
        )
    if "No module named" in reason:
        return f"the filament engine is not installed ({reason}). Install it: pip install 'glossi-sync[studio]'"
    if system == "Linux":
        return f"the filament engine finds no OpenGL on this machine ({reason}). Install it: {MENDING}"
    return f"the filament engine finds no OpenGL on this machine ({reason}). Install a current graphics driver"
