"""Running studios for the tests of the service."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from remote_places import Bucket
from studio_client import (
    HERE,
    WORKSPACE_TEMPLATE,
    WORKSPACE_TEMPLATE_ID,
    Api,
    InProcess,
    client_of_embedded,
    inside_studio,
)
from studio_elsewhere import bucket_server
from studio_processes import client_at, drawing

from glossi_sync.studio import template as template_room
from glossi_sync.studio.embedded import EmbeddedStudio
from glossi_sync.studio.engines import EngineUnavailable
from glossi_sync.studio.engines.filament import FilamentEngine


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("renders"):
        try:
            FilamentEngine().check()
        except EngineUnavailable as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session", autouse=True)
def engines_importable() -> Iterator[None]:
    """A studio's processes find ``small_engines`` where these tests do."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), *([before] if before else [])])
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="session")
def workspace_templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one template of the workspace's own, which is quickly rendered."""
    bundled = sorted((Path(template_room.__file__).parent / "templates").glob("*.yaml"))[0]
    document = yaml.safe_load(bundled.read_text(encoding="utf-8"))
    document |= {"templateId": WORKSPACE_TEMPLATE_ID, "name": WORKSPACE_TEMPLATE}
    document["bookmarks"] = document["bookmarks"][:2]
    for shot in document["shots"]:
        shot["seconds"] = 0.5
    folder = tmp_path_factory.mktemp("templates")
    (folder / "own.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory, workspace_templates: Path) -> Iterator[Api]:
    """One embedded studio for all tests that leave it as it was: real processes, real HTTP, small pictures."""
    studio = EmbeddedStudio(
        tmp_path_factory.mktemp("studio") / "data",
        workers=2,
        templates=workspace_templates,
        engine="small_engines:DrawingEngine",
    )
    with client_of_embedded(studio) as client:
        yield client


@pytest.fixture(scope="session")
def new_bucket() -> Iterator[Callable[[], Bucket]]:
    """Makes a bucket in an S3 of its own."""
    with bucket_server() as new:
        yield new


@pytest.fixture(scope="session")
def api_elsewhere(
    tmp_path_factory: pytest.TempPathFactory,
    workspace_templates: Path,
    new_database: Callable[[], str],
    new_bucket: Callable[[], Bucket],
) -> Iterator[Api]:
    """The like of ``api``, which keeps its records in PostgreSQL and its files in a bucket."""
    bucket = new_bucket()
    data = tmp_path_factory.mktemp("elsewhere") / "data"
    options = ("--records", new_database(), "--storage", f"{bucket.url}/studio", "--workers", "2")
    with (
        drawing(data, *options, "--templates", str(workspace_templates), **bucket.environment) as studio,
        client_at(studio, data) as client,
    ):
        yield client


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[InProcess]:
    """A studio that the test can look into, and whose clock it turns."""
    with inside_studio(tmp_path) as studio:
        yield studio
