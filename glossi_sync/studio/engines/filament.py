"""The ``filament`` engine: Google Filament through the package ``filly``; real-time PBR on any machine with OpenGL.

Half a second to two a picture on two processor cores, no graphics card needed. The order of a job:

    models -> shapes -> bounds -> stands (cameras) -> per model: floor light, then every look from every stand -> files
"""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.engines import EngineError, EngineUnavailable, RenderedFile, RenderRequest
from glossi_sync.studio.engines.framing import NothingInView, Outline, Stand, blend, frame
from glossi_sync.studio.engines.glb import Glb
from glossi_sync.studio.engines.light_probe import light_probe
from glossi_sync.studio.engines.naming import display_name, file_name, variant_labels
from glossi_sync.studio.engines.panorama import light_samples
from glossi_sync.studio.engines.pictures import write_png
from glossi_sync.studio.engines.video import CODECS, Codec, write_video
from glossi_sync.studio.template import Environment, Shot, View

if TYPE_CHECKING:  # At run time they are imported when a job is rendered: they need filly, which may be missing.
    import filly

    from glossi_sync.studio.engines.casters import CasterScene, Product
    from glossi_sync.studio.engines.stage import BeautyScene

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

    @property
    def effort(self) -> Effort:
        """The same for stills and frames."""
        return Effort(self.passes, self.shadows, patch=192)


class FilamentEngine:
    """Renders with Filament. It has no state of its own and is picklable; the renderer belongs to its thread."""

    name = "filament"

    def __init__(self, draft: Draft | None = None) -> None:
        self._draft = draft

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
            return _Job(bench, request, self._draft).run()


class _Job:
    """One request on its way; the loops, and what they share."""

    def __init__(self, bench: _Workbench, request: RenderRequest, draft: Draft | None) -> None:
        self._bench = bench
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
            with self._set() as beauty:
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
    def _set(self) -> Iterator[BeautyScene]:
        from glossi_sync.studio.engines.stage import BeautyScene

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

    def _still(self, beauty: BeautyScene, cast: _Cast, stand: Stand, view: View, name: str) -> None:
        effort = self._still_effort
        cast.turn(0.0, effort)
        picture = beauty.draw(stand, view.azimuth, self._still_size, effort.passes)
        write_png(picture, self._folder / name)

    def _video(self, beauty: BeautyScene, cast: _Cast, shot: Shot, stands: list[Stand], name: str) -> str:
        effort = self._frame_effort

        def draw(index: int) -> NDArray[np.uint8]:
            cast.turn(_turned(shot, index), effort)
            stand, azimuth = stands[index % len(stands)], shot_view(shot, index).azimuth
            return beauty.draw(stand, azimuth, self._frame_size, effort.passes)

        path = self._folder / name
        write_video(
            path, self._codec, self._frame_size, draw, frames_per_second=shot.frames_per_second, frames=shot.frames
        )
        return self._codec.file_type


class _Cast:
    """One product on the set: turned, dressed, and its shadow laid on the floor; each only when it changes."""

    def __init__(self, casters: CasterScene, beauty: BeautyScene, product: Product, scale: float) -> None:
        self._casters, self._beauty, self._product, self._scale = casters, beauty, product, scale
        self._shape = casters.add(product)
        self._asset, self._model = beauty.add(product, scale)
        self._lit: tuple[float, Effort] | None = None

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
def _loaded(casters: CasterScene, beauty: BeautyScene, product: Product, scale: float) -> Iterator[_Cast]:
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
        if shot.to is None:
            return [self._stand(shot.view, size, turns)]
        stands = [self._stand(shot_view(shot, index), size, (_turned(shot, index),)) for index in range(shot.frames)]
        # One reach for all of them: frames of one size are drawn on one canvas.
        reach = max(s.reach[0] for s in stands), max(s.reach[1] for s in stands)
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


def shot_view(shot: Shot, index: int) -> View:
    """A shot's view at one of its frames."""
    if shot.to is None:
        return shot.view
    return blend(shot.view, shot.to, index / max(1, shot.frames - 1))


def _turned(shot: Shot, index: int) -> float:
    # A whole turn ends one step before its beginning, so that the video loops without a stutter.
    return shot.turn * index / (shot.frames if shot.loops else max(1, shot.frames - 1))


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
