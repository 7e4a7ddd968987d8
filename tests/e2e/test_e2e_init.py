"""`init`: from a folder of models to a plan, with two commands, whatever the files are called."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from counting_studio import Studio
from shop import Shop
from triangle import triangle

FOLDERS = {
    "one": ["lamp.glb"],
    "odd": [
        "models/Möbel & Co/a.b c.glb",
        "models/b/Lamp.glb",
        "models/b/lamp.GLB",
        'models/b/${x}: #"q", no.glb',
        "models/b/灯 💡.glb",
        "models/b/- 1e3.glb",
        "models/true.glb",
        "models/dots...glb",
        " models/ lamp .glb",
        "models/new\nline\t\x7f.glb",
    ],
    "many": [f"models/{number % 9}/Product {number}.glb" for number in range(3000)],
}


@pytest.fixture
def folder(new_shop: Callable[..., Shop]) -> Shop:
    return new_shop("Neuer Laden")


@pytest.mark.parametrize("files", FOLDERS.values(), ids=FOLDERS)
def test_what_it_writes_is_valid_and_plans(folder: Shop, studio: Studio, files: list[str]) -> None:
    for number, file in enumerate(files):
        path = folder.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(triangle(str(number)))
    said = folder.run("init").out
    assert said.endswith("Next:\n  glossi-sync plan\n  glossi-sync apply\n")
    folder.run("validate")
    assert f"Plan: {3 * len(files)} to create." in folder.run("plan", GLOSSI_ENDPOINT=studio.url).out.replace(",", "")
    assert (folder.folder / ".gitignore").read_text().endswith("/state/\n/renders/\n")
