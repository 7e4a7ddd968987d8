"""One running studio for all end-to-end tests, and a catalogue that is made there once, for tests that go on from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from counting_studio import Elsewhere, Studio, postgresql_and_s3, running_studio
from shop import Applied, Running, Shop


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Elsewhere | None]:
    """Where the studios keep their records and files; None: each in its data folder."""
    if os.environ.get("GLOSSI_TEST_STUDIO") != "postgres-s3":
        yield None
        return
    with postgresql_and_s3() as servers:
        yield servers


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, elsewhere: Elsewhere | None) -> Iterator[Studio]:
    """A studio in a process of its own."""
    with running_studio(tmp_path_factory.mktemp("studio"), elsewhere=elsewhere) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_goes_on_after_a_test() -> Iterator[None]:
    """Where a test fails in the middle of an apply, the next one does not meet it."""
    yield
    while Running.begun:
        Running.begun.pop().abandon()


@pytest.fixture
def new_shop(studio: Studio, tmp_path: Path) -> Callable[..., Shop]:
    """Makes a shop without any models: ``new_shop("name", retries=1)``."""

    def make(workspace: str, **sections: object) -> Shop:
        return Shop(tmp_path / workspace, studio, head(workspace, studio) | sections)

    return make


@pytest.fixture(scope="session")
def first(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Applied]:
    """A catalogue, made: three models, a project for each of two of them and one for all, renders, downloads."""
    shop = Shop(tmp_path_factory.mktemp("first") / "Möbel & Co", studio, head("moebel", studio))
    shop.model("lamp", "lamp", name="Lámpara de mesa 灯", file="models/lámpara 灯.glb")
    shop.model("oak", "oak", name="Oak Chair")
    shop.model("ash", "ash", name="Ash Chair")
    shop.spec |= {
        "templates": {"light": {"name": "Studio Light"}, "dark": {"name": "Dark Luxe"}},
        "renderSettings": {
            "web": {"renderShots": False, "imageQuality": 0},
            "film": {"renderBookmarks": False, "videoResolution": 0},
        },
        "projects": {
            "lamp": {"name": "La lámpara", "models": ["lamp"], "template": "light", "renders": ["web", "film"]},
            "chairs": {"models": ["oak", "ash"], "template": "dark", "createPerModel": True, "renders": ["web"]},
            "room": {"models": ["lamp", "oak"], "template": "light"},
        },
        "downloads": {"to": "pictures", "path": "{project}/{settings}/{name}.{ext}"},
    }
    shop.save()
    assert not (shop.folder / "state").exists()
    return shop, shop.applied()


@pytest.fixture
def made(first: tuple[Shop, Applied], tmp_path: Path) -> Shop:
    """A copy of the made catalogue, with its state, for one test to change."""
    return first[0].copy(tmp_path / "shop")


def head(workspace: str, studio: Studio) -> dict[str, object]:
    """The beginning of every spec."""
    service = {"endpoint": studio.url, "apiKey": "${env:GLOSSI_API_KEY}"}
    return {"version": 1, "workspace": workspace, "service": service}
