"""The cycles engine: the same cameras and framing as filament's; and what is said where there is no Blender."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_glb import box, box_document, pack

from glossi_sync.studio import blender
from glossi_sync.studio.blender import Blender, BlenderError, BlenderMissing
from glossi_sync.studio.engines import EngineError, EngineUnavailable, RenderRequest, Settings, SourceModel
from glossi_sync.studio.engines.cycles import CyclesEngine, dressed, films_of
from glossi_sync.studio.engines.filament import Draft
from glossi_sync.studio.engines.glb import read_glb
from glossi_sync.studio.template import Template, bundled_templates, load_template
from glossi_sync.studio.workshop import CYCLES, ENGINES, FILAMENT, loaded_engine, render_with


def blender_here() -> bool:
    try:
        blender.version()
    except BlenderMissing:
        return False
    return True


needs_blender = pytest.mark.skipif(
    not blender_here(), reason=f"no Blender: set {blender.PYTHON_VARIABLE} to a Python that has bpy"
)

TEMPLATE = bundled_templates()[0]


@pytest.fixture
def no_blender(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(blender.PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(blender, "find_spec", lambda _: None)
    blender.version.cache_clear()
    loaded_engine.cache_clear()
    yield
    blender.version.cache_clear()
    loaded_engine.cache_clear()


@needs_blender
@pytest.mark.renders
def test_a_product_has_the_same_silhouette_in_both_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a sloping one that is turned, seen from every bookmark of a template."""
    from glossi_sync.studio.engines import cycles, filament

    document, binary = box_document()
    document["nodes"] = [{"mesh": 0, "rotation": [0.3, 0.2, 0.1, 0.927], "scale": [0.04, 0.1, 0.02], "children": [1]},
                         {"mesh": 0, "translation": [0.9, 0.4, 0.2]}]  # fmt: skip
    (tmp_path / "parts.glb").write_bytes(pack(document, binary))
    seen: list[float] = []
    look = filament._Job._look

    def compare(job: Any, cast: Any, stand: Any, *rest: Any, **more: Any) -> Any:
        expected = cast.silhouette(stand)
        found = stages[-1].silhouette(stand, (expected.shape[1], expected.shape[0]))
        seen.append((expected & found).sum() / (expected | found).sum())
        return look(job, cast, stand, *rest, **more)

    stages: list[Any] = []
    monkeypatch.setattr(filament._Job, "_look", compare)
    begin = cycles.CyclesStage.__init__

    def remember(stage: Any, *parts: Any) -> None:
        stages.append(stage)
        begin(stage, *parts)

    monkeypatch.setattr(cycles.CyclesStage, "__init__", remember)
    engine = CyclesEngine(Draft((96, 64), passes=1, shadows=4, patch=32))
    request = RenderRequest((SourceModel("parts", tmp_path / "parts.glb"),), lenient(TEMPLATE), stills(), tmp_path)
    engine.render(request)
    assert len(seen) == len(TEMPLATE.bookmarks)
    assert min(seen) >= 0.97, seen


@needs_blender
@pytest.mark.renders
def test_a_job_by_cycles_has_the_same_files_and_shows_the_product(tmp_path: Path) -> None:
    (tmp_path / "box.glb").write_bytes(box(["Oak", "Walnut"]))
    template = replace(lenient(TEMPLATE), bookmarks=TEMPLATE.bookmarks[:1])
    folder = tmp_path / "drawn"
    folder.mkdir()
    request = RenderRequest((SourceModel("box", tmp_path / "box.glb"),), template, stills(), folder)
    files = CyclesEngine(Draft((96, 64), passes=1, shadows=4, patch=32)).render(request)
    camera = TEMPLATE.bookmarks[0].name
    assert [file.name for file in files] == [f"{camera} - Oak", f"{camera} - Walnut"]
    oak, walnut = (np.asarray(Image.open(folder / file.file_name)).astype(int) for file in files)
    assert oak.shape == (64, 96, 3)
    middle = (32, 48)
    assert oak[middle][2] > oak[middle][0] + 15, "a blue box"
    assert walnut[middle][0] > oak[middle][0] + 40, "and a red one"
    assert np.abs(oak[2, 2] - walnut[2, 2]).max() <= 2, "before the same backdrop"


@needs_blender
def test_what_blender_cannot_do_is_said_and_it_goes_on(tmp_path: Path) -> None:
    with Blender() as one:
        with pytest.raises(BlenderError, match="AttributeError"):
            one.ask(60, do="fly")
        with pytest.raises(BlenderError):
            one.ask(60, do="convert", source=str(tmp_path / "none.fbx"), target=str(tmp_path / "none.glb"))
        assert one.ask(60, do="version").startswith("5.")
        one._process.kill()
        with pytest.raises(BlenderError, match="ended with code"):
            one.ask(60, do="version")


@needs_blender
@pytest.mark.skipif(os.name != "posix", reason="looks at processes")
def test_it_ends_with_its_owner() -> None:
    one = Blender()
    assert one.ask(60, do="version")
    assert one._process.stdin is not None
    one._process.stdin.close()
    assert one._process.wait(timeout=20) == 0


@pytest.mark.renders
def test_without_blender_the_engine_says_how_to_install_it(no_blender: None) -> None:
    with pytest.raises(EngineUnavailable, match=r"pip install bpy.* and set GLOSSI_CYCLES_PYTHON"):
        CyclesEngine().check()


@pytest.mark.renders
def test_a_python_that_has_no_blender_is_found_out(no_blender: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(blender.PYTHON_VARIABLE, "/nowhere/python")
    with pytest.raises(EngineUnavailable, match="/nowhere/python does not start"):
        CyclesEngine().check()


def test_a_template_may_ask_for_its_engine(tmp_path: Path, no_blender: None) -> None:
    text = Path("glossi_sync/studio/templates/studio-light.yaml")
    source = (Path(__file__).parent.parent.parent / text).read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(source + "\nengine: cycles\n", encoding="utf-8")
    template = load_template(tmp_path / "own.yaml")
    assert template.engine == "cycles" and TEMPLATE.engine is None

    class Task:
        def __init__(self, template: Template) -> None:
            self.template = template

        def carry_out(self, render: Any) -> Any:
            return render

    with pytest.raises(EngineError, match=r"asks for an engine that is not here: .*(Blender|OpenGL)") as refused:
        render_with(FILAMENT, Task(template))  # type: ignore[arg-type]
    assert not isinstance(refused.value, EngineUnavailable), "the studio's own engine is as it was"
    assert ENGINES == {"filament": FILAMENT, "cycles": CYCLES}


def test_a_look_is_a_file_of_its_own(tmp_path: Path) -> None:
    document, binary = box_document(["Oak", "Walnut"])
    document["animations"] = [{}]
    document["materials"][1]["extensions"] = {
        "KHR_materials_iridescence": {"iridescenceFactor": 1, "iridescenceIor": 2, "iridescenceThicknessMaximum": 300}
    }
    (tmp_path / "box.glb").write_bytes(pack(document, binary))
    glb = read_glb(tmp_path / "box.glb")
    worn = [dressed(glb, index).document["meshes"][0]["primitives"][0]["material"] for index in (None, 0, 1)]
    assert worn == [0, 0, 1]
    assert "animations" not in dressed(glb, None).document and "animations" in glb.document
    assert films_of(dressed(glb, None)) == {"m1": (300.0, 2.0)}


def lenient(template: Template) -> Template:
    return replace(template, checks=replace(template.checks, highlights=1.0, shadows=1.0, magenta=1.0, fill=0.0))


def stills() -> Settings:
    return Settings(render_shots=False, image_quality=0)
