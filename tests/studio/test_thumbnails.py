"""Thumbnails and what else the studio makes of a model: pictures, a GLB of what is none, facts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_glb import box
from studio_client import WORKSPACE_TEMPLATE_ID, Api, InProcess, client_of_embedded, ok, refused

from glossi_sync.service import wire
from glossi_sync.studio import thumbnails
from glossi_sync.studio.embedded import EmbeddedStudio
from glossi_sync.studio.engines import EngineUnavailable
from glossi_sync.studio.engines.filament import FilamentEngine
from glossi_sync.studio.processing import CONVERTED, THUMBNAIL, process
from glossi_sync.studio.thumbnails import SIDE, draw_thumbnail

OBJ = b"v 0 0 0\nv 2 0 0\nv 2 1 0\nv 0 1 0\nv 1 0.5 1\nf 1 2 3 4\nf 1 2 5\nf 2 3 5\nf 3 4 5\nf 4 1 5\n"


def details(api: Api, model_id: str) -> dict[str, Any]:
    return ok(api.get(f"/models/{model_id}"))


@pytest.mark.renders
def test_a_thumbnail_shows_the_model(tmp_path: Path) -> None:
    (tmp_path / "box.glb").write_bytes(box())
    assert draw_thumbnail(tmp_path / "box.glb", tmp_path / "box.jpg")
    with Image.open(tmp_path / "box.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (SIDE, SIDE))
        pixels = np.asarray(picture).astype(int)
    # The box's blue against the grey of the set.
    blue = pixels[..., 2] - pixels[..., 0] > 40
    assert 0.2 < blue.mean() < 0.8
    assert blue[SIDE // 2, SIDE // 2] and not blue[8, 8]
    assert pixels[..., 1].std() > 15, "it is lit, not flat"
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_dir()] == [], "and leaves nothing behind"


@pytest.mark.renders
def test_a_model_that_cannot_be_drawn_has_none(tmp_path: Path) -> None:
    (tmp_path / "no.glb").write_bytes(b"no GLB")
    assert not draw_thumbnail(tmp_path / "no.glb", tmp_path / "no.jpg")
    assert not (tmp_path / "no.jpg").exists()


def test_without_an_engine_a_model_is_ready_and_has_no_thumbnail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_: FilamentEngine) -> None:
        raise EngineUnavailable("there is no OpenGL here")

    monkeypatch.setattr(FilamentEngine, "check", absent)
    thumbnails._engine.cache_clear()
    try:
        (tmp_path / "box.glb").write_bytes(box())
        processed = process(tmp_path / "box.glb", "glb", tmp_path, draw=draw_thumbnail)
    finally:
        thumbnails._engine.cache_clear()
    assert processed.facts.triangles == 12
    assert not processed.thumbnail and not (tmp_path / THUMBNAIL).exists()


@pytest.mark.renders
def test_the_studio_draws_converts_and_renders_what_it_converted(tmp_path: Path, workspace_templates: Path) -> None:
    with client_of_embedded(EmbeddedStudio(tmp_path / "data", workers=1, templates=workspace_templates)) as api:
        drawn = details(api, api.ready("box", box(["Oak"])))
        folder = drawn["filePath"].rpartition("/")[0]
        assert drawn["glbFilePath"] == drawn["filePath"], "a GLB is rendered as it is"
        assert drawn["thumbnailUrl"] == f"{api.url}/files/{folder}/{THUMBNAIL}"
        picture = api.http.get(drawn["thumbnailUrl"])
        assert picture.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(picture.content)) as opened:
            assert opened.size == (SIDE, SIDE)
        without_key = api.http.get(drawn["thumbnailUrl"], headers={wire.API_KEY_HEADER: "glsi_wrong"})
        assert without_key.status_code == 401

        (model,) = api.create("pyramid", file_type="obj")
        api.put(model["uploadUrl"], OBJ, wire.FILE_TYPES["obj"])
        ok(api.confirm(model["modelId"], "obj"))
        assert api.processed(model["modelId"])["ready"]
        made = details(api, model["modelId"])
        assert made["filePath"] == model["uploadKey"]
        assert made["glbFilePath"] == f"{model['uploadKey'].rpartition('/')[0]}/{CONVERTED}"
        assert "thumbnailUrl" in made
        assert api.get("/files/" + made["glbFilePath"]).content[:4] == b"glTF"
        assert (
            api.finished(api.start(api.project(model["modelId"], template_id=WORKSPACE_TEMPLATE_ID), imageQuality=0))[
                "status"
            ]
            == "COMPLETED"
        )


def test_everything_that_is_known_of_a_model(api: Api) -> None:
    model_id = api.ready("box", box(["Oak", "Walnut"]))
    assert details(api, model_id) == {
        "modelId": model_id,
        "name": "box",
        "status": "READY",
        "ready": True,
        "fileName": "box.glb",
        "fileType": "glb",
        "filePath": details(api, model_id)["filePath"],
        "glbFilePath": details(api, model_id)["filePath"],
        "facts": {
            "triangles": 12,
            "vertices": 8,
            "materials": 2,
            "textures": 0,
            "animations": 0,
            "variants": ["Oak", "Walnut"],
            "extensions": ["KHR_materials_variants"],
            "minimum": [-0.5, 0.0, -0.5],
            "maximum": [0.5, 1.0, 0.5],
        },
    }
    failed = api.upload("broken", b"no GLB")
    api.processed(failed)
    assert "not a GLB" in details(api, failed)["errorMessage"]
    assert details(api, failed).keys().isdisjoint({"facts", "glbFilePath", "thumbnailUrl"})
    refused(api.get("/models/nobody"), 404, "model_not_found")


def test_what_an_earlier_version_knew_of_a_model_is_shown(inside: InProcess) -> None:
    from sqlalchemy import update

    from glossi_sync.studio.records.tables import MODELS

    model_id = inside.api.ready()
    facts = {
        "triangles": 12,
        "materials": 1,
        "textures": 0,
        "animations": 0,
        "variants": [],
        "minimum": [0.0, 0.0, 0.0],
        "maximum": [1.0, 1.0, 1.0],
    }
    inside.studio.records.now(lambda connection: connection.execute(update(MODELS).values(facts=facts, glb_path=None)))
    assert details(inside.api, model_id)["facts"]["triangles"] == 12
