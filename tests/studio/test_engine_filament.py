"""The filament engine: what a job yields, and that its pictures look as product pictures must. Small and quick ones."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from small_glb import box, box_document, pack
from studio_client import SHARED_MODELS

from glossi_sync.studio.engines import (
    EngineError,
    EngineUnavailable,
    RenderedFile,
    RenderRequest,
    Settings,
    SourceModel,
    filament,
)
from glossi_sync.studio.engines.filament import Draft, FilamentEngine
from glossi_sync.studio.engines.pictures import Negative
from glossi_sync.studio.template import (
    Backdrop,
    Bookmark,
    Checks,
    Environment,
    EnvironmentPicture,
    Floor,
    GradientStop,
    Keyframe,
    Light,
    Shot,
    SweepStop,
    Template,
    View,
    bundled_templates,
)

renders = pytest.mark.renders

STUDIO = next(template for template in bundled_templates() if template.name == "Studio Light")
EXAMPLES = Path(__file__).parents[2] / "examples" / "storefront" / "models"
FRONT, SPIN = STUDIO.bookmarks[:1], STUDIO.shots[0]
WHITE = (1.0, 1.0, 1.0)

BEFORE_BLACK = replace(
    STUDIO,
    environment=Environment((GradientStop(0.0, WHITE),), (), intensity=1.0, rotation=0.0),
    lights=(),
    floor=Floor(shadow=0.0, reflection=None, grain=None),
    backdrop=Backdrop(7.0, 5.0, 16.0, sweep=(SweepStop(0.0, (0.0, 0.0, 0.0)),), glow=None, hills=None),
    bookmarks=FRONT,
    shots=(),
    checks=Checks(highlights=1.0, shadows=1.0),
)
"""Whatever is not black is the product, in a white room."""


SMALL = Draft((160, 90), passes=1, shadows=4)

Job = Callable[..., tuple[RenderedFile, ...]]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Renders GLB contents by name on a template; the files lie in ``tmp_path / folder``."""

    def run(
        models: dict[str, bytes],
        template: Template = STUDIO,
        draft: Draft | None = SMALL,
        folder: str = "out",
        **settings: Any,
    ) -> tuple[RenderedFile, ...]:
        sources = []
        for index, (name, content) in enumerate(models.items()):
            path = tmp_path / f"{index}.glb"
            path.write_bytes(content)
            sources.append(SourceModel(name, path))
        (tmp_path / folder).mkdir()
        request = RenderRequest(tuple(sources), template, Settings(**settings), tmp_path / folder)
        return FilamentEngine(draft).render(request)

    return run


def pixels(path: Path) -> NDArray[np.int64]:
    return np.asarray(Image.open(path)).astype(np.int64)


def moved_box(scale: float, offset: tuple[float, float, float]) -> bytes:
    document, binary = box_document()
    document["nodes"] = [{"mesh": 0, "scale": [scale, scale, scale], "translation": list(offset)}]
    return pack(document, binary)


def extent(seen: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is seen."""
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


# --- what a job yields ---


@renders
def test_one_picture_for_each_camera_and_look_named_as_in_the_guide(job: Job, tmp_path: Path) -> None:
    template = replace(STUDIO, shots=tuple(replace(shot, seconds=0.1) for shot in STUDIO.shots))
    files = job({"Chair": box(["Oak", "Walnut"])}, template)
    names = [file.name for file in files]
    assert names == [
        f"{camera} - {look}"
        for camera in ("Front View", "Three Quarter", "Top View", "Detail", "360 Spin", "Push In")
        for look in ("Oak", "Walnut")
    ]
    for file in files:
        assert (tmp_path / "out" / file.file_name).stat().st_size > 0
        assert (file.file_type, file.is_video) == (
            ("MP4", True) if "Spin" in file.name or "Push" in file.name else ("PNG", False)
        )
    assert len({file.file_name for file in files}) == len(files)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(file.file_name for file in files)


@renders
@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"render_shots": False}, ["Front View - Oak", "Front View - Walnut"]),
        ({"render_bookmarks": False}, ["360 Spin - Oak", "360 Spin - Walnut"]),
        ({"render_variants": False}, ["Front View - Default", "360 Spin - Default"]),
    ],
)
def test_settings_say_what_is_rendered(job: Job, settings: dict[str, bool], names: list[str]) -> None:
    template = replace(STUDIO, bookmarks=FRONT, shots=(replace(SPIN, seconds=0.1),))
    assert [file.name for file in job({"Chair": box(["Oak", "Walnut"])}, template, **settings)] == names


@renders
def test_several_models_are_variants_of_one_product(job: Job, tmp_path: Path) -> None:
    tall = box_document()
    tall[0]["nodes"] = [{"mesh": 0, "scale": [0.5, 2.0, 0.5]}]
    files = job({"Low": box(), "Tall": pack(*tall)}, BEFORE_BLACK)
    assert [file.name for file in files] == ["Front View - Low", "Front View - Tall"]
    low, high = (extent((pixels(tmp_path / "out" / file.file_name) > 16).any(axis=-1)) for file in files)
    assert high[3] - high[1] > 1.7 * (low[3] - low[1]), "all of one scale"
    assert abs(high[3] - low[3]) <= 4, "on one floor, before one camera; the broader one's front is nearer"
    (alone,) = job({"Low": box(), "Tall": pack(*tall)}, BEFORE_BLACK, folder="one", render_variants=False)
    assert alone.name == "Front View - Default"


class Blank:
    """In place of drawing: grey bars in a picture of the size asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from glossi_sync.studio.engines import stage

        bars = np.tile(np.repeat(np.array([9000, 30000], np.uint16), 20), 100)

        def draw(scene: object, stand: object, azimuth: float, size: tuple[int, int], count: int) -> Negative:
            return Negative(np.broadcast_to(bars[: size[0], None], (size[1], size[0], 3)), white=1.0)

        monkeypatch.setattr(stage.BeautyScene, "draw", draw)


@renders
@pytest.mark.parametrize(("quality", "size"), [(0, (1280, 720)), (1, (1920, 1080)), (2, (3840, 2160))])
def test_image_quality_is_the_size_of_images(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quality: int, size: tuple[int, int]
) -> None:
    Blank(monkeypatch)
    (file,) = job({"Box": box()}, replace(STUDIO, bookmarks=FRONT), None, render_shots=False, image_quality=quality)
    image = Image.open(tmp_path / "out" / file.file_name)
    assert (image.format, image.size) == ("PNG", size)


@renders
@pytest.mark.parametrize(("resolution", "size"), [(0, (1280, 720)), (1, (1920, 1080)), (2, (3840, 2160))])
@pytest.mark.parametrize(
    ("quality", "codec", "kind"), [(0, "h264", "MP4"), (1, "h264", "MP4"), (2, "prores", "PRORES")]
)
def test_video_quality_is_the_codec_and_video_resolution_the_size(
    job: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quality: int,
    codec: str,
    kind: str,
    resolution: int,
    size: tuple[int, int],
) -> None:
    Blank(monkeypatch)
    template = replace(STUDIO, shots=(replace(SPIN, seconds=0.125),))
    settings = {"render_bookmarks": False, "video_quality": quality, "video_resolution": resolution}
    (file,) = job({"Box": box()}, template, None, **settings)
    assert (file.file_type, file.is_video) == (kind, True)
    assert file.file_name == {"MP4": "360-spin-default.mp4", "PRORES": "360-spin-default.mov"}[kind]
    with av.open(str(tmp_path / "out" / file.file_name)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, (context.width, context.height)) == (codec, size)
        assert sum(1 for _ in container.decode(video=0)) == 3


@renders
@pytest.mark.parametrize("again", ["this process", "another process"])
def test_the_same_job_makes_the_same_bytes(job: Job, tmp_path: Path, again: str) -> None:
    template = replace(STUDIO, bookmarks=STUDIO.bookmarks[1:2], shots=(replace(SPIN, seconds=0.2),))
    models = {"Chair": (EXAMPLES / "chair.glb").read_bytes()}
    files = job(models, template, Draft((192, 108), passes=2, shadows=8), render_variants=False)
    (tmp_path / "again").mkdir()
    request = RenderRequest(
        (SourceModel("Chair", tmp_path / "0.glb"),), template, Settings(render_variants=False), tmp_path / "again"
    )
    engine = FilamentEngine(Draft((192, 108), passes=2, shadows=8))
    if again == "this process":
        engine.render(request)
    else:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            pool.submit(engine.render, request).result()
    for file in files:
        first, second = (tmp_path / folder / file.file_name for folder in ("out", "again"))
        assert first.read_bytes() == second.read_bytes(), file.name


@renders
@pytest.mark.parametrize("template", bundled_templates(), ids=lambda template: template.name)
def test_each_template_makes_the_same_bytes_again(template: Template, job: Job, tmp_path: Path) -> None:
    short = replace(
        template,
        bookmarks=template.bookmarks[1:2],
        shots=tuple(replace(shot, seconds=0.125) for shot in template.shots),
    )
    made = [job({"Box": box()}, short, Draft((96, 54), passes=2, shadows=4), folder=name) for name in ("a", "b")]
    assert made[0] == made[1]
    assert len(made[0]) == 3
    for file in made[0]:
        first, second = (tmp_path / folder / file.file_name for folder in ("a", "b"))
        assert first.read_bytes() == second.read_bytes(), file.name


# --- pictures are looked at ---


def shining_box() -> bytes:
    document, binary = box_document()
    document["materials"] = [{"emissiveFactor": [1, 1, 1], "extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": 9}}}]  # fmt: skip
    document["extensionsUsed"] = ["KHR_materials_emissive_strength"]
    return pack(document, binary)


LINEAR = replace(STUDIO, tone_mapping="linear", bookmarks=FRONT, shots=())


@renders
def test_a_picture_that_is_not_fit_to_be_seen_fails_the_job_and_says_why(job: Job) -> None:
    with pytest.raises(EngineError) as raised:
        job({"Sun": shining_box()}, LINEAR)
    message = str(raised.value)
    assert message.startswith("the picture 'front-view-default.png' did not come out well: ")
    assert "of the product are clipped to white, and no more than 25% may be (checks.highlights)" in message


@renders
def test_a_template_may_allow_it(job: Job) -> None:
    assert job({"Sun": shining_box()}, replace(LINEAR, checks=Checks(highlights=1.0)))


@renders
def test_of_a_video_the_first_frame_the_middle_one_and_the_last_are_looked_at(job: Job) -> None:
    away = Keyframe(1.0, replace(SPIN.view, fill=0.2), "linear")
    leaving = Shot("Leave", SPIN.view, (away,), turn=0.0, seconds=0.5, frames_per_second=12)
    assert job({"Box": box()}, replace(LINEAR, bookmarks=(), shots=(leaving,))), "its frames fill what they are to fill"
    with pytest.raises(EngineError, match=r"frame 1 of the video 'leave-default.mp4' did not come out well: .* white"):
        job({"Sun": shining_box()}, replace(LINEAR, bookmarks=(), shots=(leaving,)), folder="sun")


@renders
def test_a_product_that_is_magenta_itself_is_no_missing_texture(job: Job) -> None:
    document, binary = box_document()
    document["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 1, 1], "metallicFactor": 0}}]
    assert job({"Magenta": pack(document, binary)}, replace(STUDIO, bookmarks=FRONT, shots=()))


# --- what cannot be rendered ---


@renders
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (box()[:-100], "the model 'Box' is truncated: its header promises"),
        (b"", "the model 'Box' is"),
        (b"solid cube", "the model 'Box' is"),
        (pack({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{}]}), "the model 'Box' holds no geometry"),
        (pack({"asset": {"version": "2.0"}, "materials": 7}), "the model 'Box' does not follow glTF 2.0"),
    ],
)
def test_a_model_that_cannot_be_used_is_an_error_in_plain_words(job: Job, content: bytes, said: str) -> None:
    with pytest.raises(EngineError) as raised:
        job({"Box": content})
    message = str(raised.value)
    assert message.startswith(said)
    assert "\n" not in message


@renders
def test_a_model_that_cannot_be_seen_is_an_error(job: Job) -> None:
    document, binary = box_document()
    document["materials"] = [{"alphaMode": "BLEND", "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 0]}}]
    with pytest.raises(EngineError, match="the model 'Ghost' cannot be seen: its materials are fully transparent"):
        job({"Ghost": pack(document, binary)})


@renders
def test_after_a_broken_model_the_next_job_is_rendered(job: Job) -> None:
    with pytest.raises(EngineError):
        job({"Box": box()[:-100]})
    assert len(job({"Box": box()}, replace(STUDIO, shots=()), folder="next")) == 4


@pytest.mark.parametrize(
    ("template", "settings", "said"),
    [
        (STUDIO, {"render_bookmarks": False, "render_shots": False}, "renderBookmarks and renderShots are both off"),
        (replace(STUDIO, shots=()), {"render_bookmarks": False}, "the template 'Studio Light' has no shots"),
        (replace(STUDIO, bookmarks=()), {"render_shots": False}, "the template 'Studio Light' has no bookmarks"),
        (STUDIO, {"image_quality": 3}, "imageQuality is 3; it must be 0, 1 or 2"),
        (STUDIO, {"video_quality": -1}, "videoQuality is -1; it must be 0, 1 or 2"),
        (STUDIO, {"video_resolution": 9}, "videoResolution is 9; it must be 0, 1 or 2"),
    ],
)
def test_a_job_that_asks_for_nothing_is_refused(
    job: Job, template: Template, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(EngineError, match=said):
        job({"Box": box()}, template, **settings)


def test_a_project_without_models_is_refused(job: Job) -> None:
    with pytest.raises(EngineError, match="the project has no model"):
        job({})


# --- where the engine cannot run ---


@pytest.mark.parametrize(
    ("machine", "stderr", "said"),
    [
        (
            ("Linux", "x86_64"),
            "ImportError: libEGL.so.1: cannot open",
            "apt-get install libgl1 libegl1 libgl1-mesa-dri",
        ),
        (("Linux", "x86_64"), "ModuleNotFoundError: No module named 'filly'", r"pip install 'glossi-sync\[studio\]'"),
        (("Darwin", "arm64"), "ModuleNotFoundError: No module named 'filly'", "no wheel for this platform"),
        (("Windows", "AMD64"), "filly.BackendError: no context", "Install a current graphics driver"),
        (("Linux", "x86_64"), "", r"it ended with code -6.*apt-get install"),
    ],
)
def test_a_machine_without_it_is_told_the_line_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, machine: tuple[str, str], stderr: str, said: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: machine[0])
    monkeypatch.setattr("platform.machine", lambda: machine[1])
    died = subprocess.CompletedProcess([], -6 if not stderr else 1, "", stderr)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: died)
    filament._problem.cache_clear()
    try:
        with pytest.raises(EngineUnavailable, match=said):
            FilamentEngine().check()
    finally:
        filament._problem.cache_clear()


def test_rendering_without_filly_says_so_too(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setitem(sys.modules, "filly", None)
    with pytest.raises(EngineUnavailable):
        job({"Box": box()})


# --- framing ---


@renders
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
@pytest.mark.parametrize("away", [(0.0, 0.0, 0.0), (300.0, -40.0, 75.0)])
def test_a_product_of_any_size_anywhere_fills_the_frame(
    job: Job, tmp_path: Path, scale: float, away: tuple[float, float, float]
) -> None:
    model = moved_box(scale, (away[0] * scale, away[1] * scale, away[2] * scale))
    (file,) = job({"Box": model}, BEFORE_BLACK, Draft((320, 180), passes=1, shadows=1))
    left, top, right, bottom = extent((pixels(tmp_path / "out" / file.file_name) > 16).any(axis=-1))
    assert max((right - left) / 320, (bottom - top) / 180) == pytest.approx(FRONT[0].view.fill, abs=0.02)
    assert abs(left + right - 320) <= 4
    assert abs(top + bottom - 180) <= 4


@renders
@pytest.mark.parametrize("name", ["chair", "lamp", "teapot", "perfume"])
def test_the_examples_products_fill_their_pictures(job: Job, tmp_path: Path, name: str) -> None:
    template = replace(BEFORE_BLACK, bookmarks=STUDIO.bookmarks[:3])
    files = job({name: (EXAMPLES / f"{name}.glb").read_bytes()}, template, render_variants=False)
    for file in files:
        left, top, right, bottom = extent((pixels(tmp_path / "out" / file.file_name) > 16).any(axis=-1))
        assert 0.7 <= max((right - left) / 160, (bottom - top) / 90) <= 0.85, file.name
        assert 0 < left < right < 160, file.name
        assert 0 < top < bottom < 90, file.name


@renders
def test_a_turning_product_stays_in_the_frame(job: Job, tmp_path: Path) -> None:
    plank = box_document()
    plank[0]["nodes"] = [{"mesh": 0, "scale": [3.0, 0.2, 0.4]}]
    template = replace(BEFORE_BLACK, bookmarks=(), shots=(replace(SPIN, seconds=1.0, frames_per_second=12),))
    (file,) = job({"Plank": pack(*plank)}, template)
    widths = []
    with av.open(str(tmp_path / "out" / file.file_name)) as container:
        for frame in container.decode(video=0):
            left, top, right, bottom = extent((frame.to_ndarray(format="rgb24").astype(int) > 40).any(axis=-1))
            assert left > 0
            assert top > 0
            assert right < 160
            assert bottom < 90
            widths.append(right - left)
    assert max(widths) / 160 == pytest.approx(SPIN.view.fill, abs=0.05), "as wide as it ever gets, it fills the frame"
    assert min(widths) < 0.5 * max(widths), "it does turn"


@renders
def test_a_moving_camera_moves(job: Job, tmp_path: Path) -> None:
    there = Keyframe(1.0, View(40, 20, 24, 0.8, (0.0, 0.0)), "smooth")
    shot = Shot("Approach", View(0, 10, 24, 0.4, (0.0, 0.0)), (there,), 0.0, 0.5, 12)
    (file,) = job({"Box": box()}, replace(BEFORE_BLACK, bookmarks=(), shots=(shot,)))
    with av.open(str(tmp_path / "out" / file.file_name)) as container:
        seen = [extent((f.to_ndarray(format="rgb24").astype(int) > 40).any(axis=-1)) for f in container.decode(video=0)]
    heights = [(bottom - top) / 90 for _, top, _, bottom in seen]
    assert heights[0] == pytest.approx(0.4, abs=0.04)
    assert heights[-1] == pytest.approx(0.8, abs=0.04)


# --- the look ---


@renders
def test_variants_give_different_pictures(job: Job, tmp_path: Path) -> None:
    template = replace(STUDIO, bookmarks=FRONT, shots=())
    files = job({"Chair": (EXAMPLES / "chair.glb").read_bytes()}, template)
    assert [file.name for file in files] == ["Front View - Oak", "Front View - Walnut", "Front View - Ebony"]
    oak, walnut, ebony = (pixels(tmp_path / "out" / file.file_name) for file in files)
    for a, b in ((oak, walnut), (walnut, ebony), (oak, ebony)):
        changed = np.abs(a - b).max(axis=-1) > 20
        assert 0.005 < changed.mean() < 0.3, "the wood, and only the wood"


@renders
def test_a_product_stands_lit_on_a_seamless_ground_with_its_shadow(job: Job, tmp_path: Path) -> None:
    document, binary = box_document()
    document["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [0.5, 0.5, 0.5, 1], "metallicFactor": 0}}]
    template = replace(STUDIO, bookmarks=FRONT, shots=())
    (file,) = job({"Box": pack(document, binary)}, template, Draft((640, 360), passes=4, shadows=64))
    picture = pixels(tmp_path / "out" / file.file_name)
    floor, wall = picture[-10:, 40:80].mean(), picture[:10, 40:80].mean()
    assert 180 < floor <= 200, "about as the template's sweep gives it: #c3c4c6"
    assert 130 < wall < 215
    steps = np.abs(np.diff(picture[:, 40:80].mean(axis=(1, 2))))
    assert steps.max() < 1.0, "no seam between floor and wall"
    product = picture[150:250, 260:380].mean()
    assert 130 < product < 225, "a middle grey is neither lost in the dark nor burnt out"
    beside = picture[300:330, 460:490].mean()
    assert beside < floor - 12, "its shadow falls to the right, away from the key light"
    far = picture[300:330, 600:630].mean()
    assert far > beside + 6, "and fades"


@renders
def test_where_only_the_ground_is_seen_fewer_passes_look_the_same(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glossi_sync.studio.engines import stage

    for template in bundled_templates():
        looked_at = replace(template, bookmarks=FRONT, shots=())
        model = {"Chair": (EXAMPLES / "chair.glb").read_bytes()}
        draft = Draft((480, 270), passes=6, shadows=16)
        (cut,) = job(model, looked_at, draft, f"{template.name} cut", render_variants=False)
        with monkeypatch.context() as patched:
            patched.setattr(stage, "_inner", lambda stand, size: (stand, size))
            (whole,) = job(model, looked_at, draft, f"{template.name} whole", render_variants=False)
        difference = np.abs(
            pixels(tmp_path / f"{template.name} cut" / cut.file_name)
            - pixels(tmp_path / f"{template.name} whole" / whole.file_name)
        )
        assert difference.mean() < 0.35, f"{template.name}: the noise that both are dithered with"
        # Beside the product's mirror image, where edges are drawn with fewer samples.
        assert np.quantile(difference, 0.999) <= 8, template.name


def sphere() -> bytes:
    """Black, glossy, of radius 1."""
    rings, segments = 48, 96
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, segments + 1), indexing="ij")
    points = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi)], axis=-1).reshape(-1, 3)
    corner = (np.arange(rings)[:, None] * (segments + 1) + np.arange(segments)).ravel()
    below = corner + segments + 1
    faces = np.concatenate([np.stack([corner, below, below + 1], -1), np.stack([corner, below + 1, corner + 1], -1)])
    vertices, indices = points.astype("<f4").tobytes(), faces.astype("<u4").tobytes()
    black = {"baseColorFactor": [0.01, 0.01, 0.01, 1], "metallicFactor": 0, "roughnessFactor": 0.05}
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "NORMAL": 0}, "indices": 1, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": black}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": len(points),
                "type": "VEC3",
                "min": points.min(axis=0).tolist(),
                "max": points.max(axis=0).tolist(),
            },
            {"bufferView": 1, "componentType": 5125, "count": faces.size, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": len(vertices)},
            {"buffer": 0, "byteOffset": len(vertices), "byteLength": len(indices)},
        ],
        "buffers": [{"byteLength": len(vertices) + len(indices)}],
    }
    return pack(document, vertices + indices)


@renders
def test_a_soft_light_is_seen_as_one_light_in_a_glossy_surface(job: Job, tmp_path: Path) -> None:
    """Its shadows are made of many positions of the light, but a reflection must not show them as dots."""
    key = Light("key", azimuth=-40, elevation=35, size=24, illuminance=0.5, color=WHITE, shadows=True)
    dim = Environment((GradientStop(0.0, (0.1, 0.1, 0.1)),), (), intensity=1.0, rotation=0.0)
    template = replace(BEFORE_BLACK, environment=dim, lights=(key,))
    (file,) = job({"Ball": sphere()}, template, Draft((640, 360), passes=6, shadows=8))
    light = pixels(tmp_path / "out" / file.file_name).mean(axis=-1)
    bright = light > light.max() / 2
    left, top, right, bottom = extent(bright)
    assert right - left > 12, "it has a size"
    assert bright.sum() == pytest.approx(np.pi / 4 * (right - left) * (bottom - top), rel=0.12), "it is round"
    assert (light > 0.95 * light.max()).sum() > 0.35 * bright.sum(), "it is even"


@renders
def test_a_white_catalogue_is_white_but_for_the_product_and_its_shadow(job: Job, tmp_path: Path) -> None:
    template = next(template for template in bundled_templates() if template.name == "White Catalogue")
    files = job({"Box": box()}, replace(template, shots=()), Draft((320, 180), passes=3, shadows=32))
    for file in files:
        picture = pixels(tmp_path / "out" / file.file_name)
        if "Top" not in file.name and "Detail" not in file.name:
            assert (picture[:6] == 255).all(), file.name
    front = pixels(tmp_path / "out" / files[0].file_name)
    under = front[160:178, 60:260]
    assert under.min() < 235, "it stands on its shadow"


@renders
def test_a_photographed_environment_lights_the_product(job: Job, tmp_path: Path) -> None:
    """Red from the left, blue from the right."""
    light = np.full((256, 512, 3), 0.02, "<f2")
    light[64:128, 256:512] = (0.1, 0.1, 2.0)
    light[64:128, 0:256] = (2.0, 0.1, 0.1)
    around = Environment((), (), intensity=1.0, rotation=0.0, picture=EnvironmentPicture(256, light.tobytes()))
    cameras = tuple(Bookmark(f"{azimuth}", replace(FRONT[0].view, azimuth=azimuth)) for azimuth in (45, -45))
    document, binary = box_document()
    document["materials"] = [{"pbrMetallicRoughness": {"metallicFactor": 0}}]
    files = job({"Box": pack(document, binary)}, replace(BEFORE_BLACK, environment=around, bookmarks=cameras))
    from_right, from_left = (pixels(tmp_path / "out" / file.file_name) for file in files)
    red, _, dim = from_right[40:60, 88:103].mean(axis=(0, 1))
    assert red > dim + 100, "its side to the right, where the panorama's left half is"
    dim, _, blue = from_left[40:60, 60:75].mean(axis=(0, 1))
    assert blue > dim + 100
    red, _, blue = from_right[40:60, 60:75].mean(axis=(0, 1))
    assert red == pytest.approx(blue, abs=4), "its front has half of each"


# --- long runs ---


def many_materials(count: int) -> bytes:
    document, binary = box_document()
    primitive = document["meshes"][0]["primitives"][0]
    document["materials"] = [
        {"pbrMetallicRoughness": {"baseColorFactor": [index / count, 0.5, 0.5, 1]}} for index in range(count)
    ]
    document["meshes"] = [{"primitives": [{**primitive, "material": index}]} for index in range(count)]
    document["nodes"] = [{"mesh": index, "translation": [index % 7, index // 7, 0]} for index in range(count)]
    document["scenes"][0]["nodes"] = list(range(count))
    return pack(document, binary)


@renders
def test_one_worker_renders_job_after_job(tmp_path: Path) -> None:
    """What Filament remembers of one job's targets must not meet another's materials: it aborts the process then."""
    (tmp_path / "box.glb").write_bytes(box())
    (tmp_path / "many.glb").write_bytes(many_materials(49))
    engine = FilamentEngine(Draft((64, 36), passes=1, shadows=2))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        other_tones = (template for template in bundled_templates() if template.tone_mapping != STUDIO.tone_mapping)
        for number, template in enumerate((STUDIO, *other_tones, STUDIO)):
            for name in ("box", "many"):
                folder = tmp_path / f"{number} {name}"
                folder.mkdir()
                short = replace(template, bookmarks=FRONT, shots=())
                request = RenderRequest((SourceModel(name, tmp_path / f"{name}.glb"),), short, Settings(), folder)
                assert len(pool.submit(engine.render, request).result()) == 1


@renders
@pytest.mark.parametrize("template", bundled_templates(), ids=lambda template: template.name)
def test_models_that_others_made(template: Template, tmp_path: Path) -> None:
    """Textures, cut-outs, glass, clear coats, compressed meshes: whatever the studio accepts has its picture."""
    models = sorted(SHARED_MODELS.glob("*.glb"))
    if not models:
        pytest.skip(f"there are no models in {SHARED_MODELS} (GLOSSI_TEST_MODELS names another folder)")
    for path in models:
        folder = tmp_path / path.stem
        folder.mkdir()
        engine = FilamentEngine(Draft((160, 90), passes=1, shadows=4))
        shown = replace(template, bookmarks=template.bookmarks[1:2], shots=())
        request = RenderRequest((SourceModel(path.stem, path),), shown, Settings(render_variants=False), folder)
        if path.stem == "empty_nodes":
            with pytest.raises(EngineError, match="holds no geometry"):
                engine.render(request)
            continue
        assert len(engine.render(request)) == 1, "and it has passed the engine's own look at it"


@renders
@pytest.mark.parametrize("path", sorted(SHARED_MODELS.glob("*.glb")), ids=lambda path: path.stem)
def test_models_that_others_made_fill_the_frame(path: Path, job: Job, tmp_path: Path) -> None:
    if path.stem == "empty_nodes":
        pytest.skip("there is nothing to see in it")
    names = {camera.name: camera for template in bundled_templates() for camera in template.bookmarks}
    whole = tuple(camera for name, camera in names.items() if name != "Detail")
    for file in job({"It": path.read_bytes()}, replace(BEFORE_BLACK, bookmarks=whole), render_variants=False):
        left, top, right, bottom = extent((pixels(tmp_path / "out" / file.file_name) > 16).any(axis=-1))
        assert max((right - left) / 160, (bottom - top) / 90) <= 0.87, file.name
        assert min(left, top, 160 - right, 90 - bottom) > 0, file.name
