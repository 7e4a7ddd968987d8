"""Where finished files go: by the spec's pattern, and never out of the folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glossi_sync.applying.downloads import path_of
from glossi_sync.state import RenderedFile

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
