"""Running studios for the tests of the service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI
from studio_client import HERE, WORKSPACE_TEMPLATE, WORKSPACE_TEMPLATE_ID, Api, Clock, DelayWorkshop, client_of_embedded

from glossi_sync.studio import records as rows
from glossi_sync.studio import template as template_room
from glossi_sync.studio.api.context import Templates
from glossi_sync.studio.app import create_app
from glossi_sync.studio.embedded import EmbeddedStudio
from glossi_sync.studio.records import Records
from glossi_sync.studio.storage import Storage


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
    """A folder with one template of the workspace's own."""
    bundled = sorted((Path(template_room.__file__).parent / "templates").glob("*.yaml"))[0]
    document = yaml.safe_load(bundled.read_text(encoding="utf-8"))
    document |= {"templateId": WORKSPACE_TEMPLATE_ID, "name": WORKSPACE_TEMPLATE}
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


@pytest.fixture
def studio_app_with_clock(tmp_path: Path) -> tuple[FastAPI, Clock, str]:
    """A studio's application on a clock that a test turns, with a small limit for files; its clock; an API key."""
    clock = Clock()
    records = Records(f"sqlite:///{tmp_path / 'records.db'}")
    records.now(lambda c: rows.ensure_workspace(c, "default", "workspace", clock.now))
    records.now(lambda c: rows.set_key(c, "workspace", "folder", "glsi_test", clock.now))
    app = create_app(
        records=records,
        storage=Storage(tmp_path),
        workshop=DelayWorkshop(),
        templates_=Templates(template_room.bundled_templates(), {}),
        signing_secret=b"s" * 32,
        clock=clock,
        upload_limit=100_000,
    )
    return app, clock, "glsi_test"
