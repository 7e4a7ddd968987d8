"""What renders on this machine: tried, not guessed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from glossi_sync.diagnosing.finding import Finding, note, ok, problem

_FRAME_SECONDS = 120.0


def engines(*, needed: bool, render: bool) -> Iterator[Finding]:
    """Filament, which draws with OpenGL, and Blender; ``needed`` where the spec's service is this machine's studio.

    ``render`` draws one small picture, in a process of its own, since a broken driver may take a process along.
    """
    if find_spec("numpy") is None:
        return  # without the extra there is nothing to try; that it is missing has been said
    from glossi_sync.studio.equipment import equipment  # noqa: PLC0415 - it is of the extra

    for item in equipment():
        if item.kind != "engine":
            continue
        name = f"engine {item.name}"
        if item.available:
            yield ok(name, f"{item.message}, runs here")
        elif item.name == "filament" and needed:
            yield problem(name, "cannot run here, so the local studio does everything but rendering", item.message)
        else:
            yield note(name, "is not here; only templates that ask for it, and FBX models, need it", item.message)
        if item.name == "filament" and item.available and render:
            yield _one_frame()


def _one_frame() -> Finding:
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="glossi-doctor-") as folder,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        try:
            size = pool.submit(draw_one, folder).result(_FRAME_SECONDS)
        except BrokenProcessPool:
            return problem(
                "test render",
                "the process that drew a picture died, as one does of a broken OpenGL driver",
                "Try Mesa's software driver: apt-get install libgl1-mesa-dri, and LIBGL_ALWAYS_SOFTWARE=1.",
            )
        except Exception as error:
            return problem("test render", f"a picture could not be drawn: {error}", "See `glossi-sync studio engines`.")
    return ok("test render", f"a picture of {size:,} bytes in {time.monotonic() - began:.1f} s")


def draw_one(folder: str) -> int:
    """Render one small picture of a triangle in a folder, and answer its size in bytes."""
    import numpy as np  # noqa: PLC0415 - what follows is of the extra

    from glossi_sync.studio.engines import RenderRequest, Settings, SourceModel  # noqa: PLC0415
    from glossi_sync.studio.engines.filament import Draft, FilamentEngine  # noqa: PLC0415
    from glossi_sync.studio.processing.glb_writer import GlbWriter, Primitive  # noqa: PLC0415
    from glossi_sync.studio.template import bundled_templates  # noqa: PLC0415

    model, pictures = Path(folder, "triangle.glb"), Path(folder, "pictures")
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    writer = GlbWriter("nothing")
    writer.node(mesh=writer.mesh([Primitive(corners, np.array([0, 1, 2], np.uint32))]), root=True)
    writer.write(model)
    pictures.mkdir()
    whole = bundled_templates()[0]
    template = replace(whole, bookmarks=whole.bookmarks[:1])
    settings = Settings(render_shots=False, render_variants=False)
    request = RenderRequest((SourceModel("triangle", model),), template, settings, pictures)
    [file] = FilamentEngine(Draft((320, 180))).render(request)
    return (pictures / file.file_name).stat().st_size
