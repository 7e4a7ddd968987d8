"""Where finished files go: by the spec's pattern, and never out of the folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from worlds import Catalogue, converge

from glossi_sync.applying.downloads import MOST_BYTES, path_of, plan_downloads
from glossi_sync.spec import Downloads, ProjectEntry, RenderEntry
from glossi_sync.state import MemoryState, PutObject, RenderedFile

PATTERN = "{project}/{settings}/{name}.{ext}"


def file(name: str = "Front View - Oak", path: str = "workspaces/1/front.png") -> RenderedFile:
    return RenderedFile("r1", name, path, "PNG", is_video=False)


@pytest.mark.parametrize(
    ("pattern", "address", "expected"),
    [
        (PATTERN, "render.lamp/web", "lamp/web/Front View - Oak.png"),
        (PATTERN, "render.chairs/oak/web", "chairs/oak/web/Front View - Oak.png"),
        ("{model}-{variant}.{ext}", "render.lamp/web", "lamp+shade-Oak.png"),
    ],
)
def test_placeholders_are_filled(pattern: str, address: str, expected: str) -> None:
    assert path_of(pattern, address, ["model.lamp", "model.shade"], file()) == expected


@given(st.text(max_size=40), st.text(max_size=40))
@example("../../etc/passwd", "x/../../y.png")
@example("..", "..")
@example("", "")
@example("CON", "a.")
def test_no_name_that_the_service_gives_leads_out_of_the_folder(name: str, file_path: str) -> None:
    path = path_of(PATTERN, "render.lamp/web", ["model.lamp"], file(name, file_path))
    parts = PurePosixPath(path).parts
    assert parts[:2] == ("lamp", "web")
    assert len(parts) == 3
    assert not set(parts) & {"..", ".", ""}
    inside = Path("/home/renders")
    assert (inside / path).resolve().is_relative_to(inside)
    assert "\\" not in path
    assert "\0" not in path


@given(
    name=st.text(st.characters(exclude_categories=()), min_size=60, max_size=400),
    pattern=st.sampled_from([PATTERN, "{project}-{settings}-{name}.{ext}", "{name}.{ext}", "{ext}/{name}"]),
)
@example("é" * 300, PATTERN)
@example("灯" * 100 + ".x", PATTERN)
@example("a" * 199 + "🪔", PATTERN)
@example("com1." + "é" * 300, "{name}.{ext}")
@example("\ud800" * 60, PATTERN)
@settings(max_examples=60)
def test_a_long_name_is_cut_to_bytes_that_every_file_system_takes_and_between_two_characters(
    name: str, pattern: str
) -> None:
    path = path_of(pattern, "render.lamp/web", ["model.lamp"], file(name))
    parts = PurePosixPath(path).parts
    assert all(0 < len(part.encode()) <= MOST_BYTES for part in parts)
    assert "\ufffd" not in path or "\ufffd" in name
    assert not pattern.endswith(".{ext}") or path.endswith(".png")
    assert all(part == part.strip(" .") for part in parts)


def test_a_name_that_fits_is_not_cut(tmp_path: Path) -> None:
    name = "é" * 98
    path = path_of(PATTERN, "render.lamp/web", ["model.lamp"], file(name))
    assert path == f"lamp/web/{name}.png"
    target = tmp_path / path
    target.parent.mkdir(parents=True)
    target.write_bytes(b"")


@pytest.mark.parametrize("names", [("Front", "Front"), ("Front", "FRONT"), ("Caf\u00e9", "Cafe\u0301")])
def test_files_that_would_meet_lie_beside_one_another(tmp_path: Path, names: tuple[str, str]) -> None:
    """Also where it is the file system that takes two names for one."""
    state = MemoryState(service="local")
    world = Catalogue(
        models=(("a", "0", "A"), ("b", "1", "B")),
        projects=(
            ProjectEntry("v1.a", None, ("a",), "studio", renders=(RenderEntry("web"),)),
            ProjectEntry("v1.b", None, ("b",), "studio", renders=(RenderEntry("web"),)),
        ),
    )
    desired = world.desired()
    realised = converge(desired)
    renders = [realised.bound(f"render.{key}/web") for key in ("v1.a", "v1.b")]
    for one in realised.objects.values():
        found = [
            RenderedFile(f"r{one.oid}", name, "front.png", "PNG", False)
            for name, of in zip(names, renders, strict=True)
            if of == one
        ]
        state.write([PutObject(one, files=found)])
    downloads = Downloads(tmp_path, "v1.0/{name}.{ext}", "auto")
    first, second = plan_downloads(downloads, desired, realised, state).fetches
    assert first.path == f"v1.0/{names[0]}.png"
    assert second.path == f"v1.0/{names[1]} (2).png"
