"""The default: no service named, so the embedded studio starts by itself, renders for real, and goes again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from shop import SCRIPT
from triangle import triangle

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.renders
def test_a_spec_without_a_service_is_rendered_by_the_studio_that_comes_along(tmp_path: Path) -> None:
    (tmp_path / "lamp.glb").write_bytes(triangle("a triangle for the local studio"))
    spec = {
        "version": 1,
        "workspace": "local",
        "models": {"lamp": {"name": "Lamp", "file": "lamp.glb"}},
        "templates": {"light": {"name": "Studio Light"}},
        "renderSettings": {"web": {"renderShots": False, "imageQuality": 0}},
        "projects": {"lamp": {"models": ["lamp"], "template": "light", "renders": ["web"]}},
        "downloads": {"to": "renders"},
    }
    (tmp_path / "glossi.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLOSSI_")}

    def run(*words: str) -> str:
        ran = subprocess.run(
            [SCRIPT, *words],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr + ran.stdout
        return ran.stdout

    applied = [json.loads(line) for line in run("apply", "--yes", "--format", "json").splitlines()]
    assert applied[0]["service"] == "the local studio"
    assert applied[-1]["steps"] == applied[0]["summary"]["steps"]
    assert applied[-1]["converged"]
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "renders/lamp/web").iterdir()}
    assert set(pictures) == {
        f"{camera} - Default.png" for camera in ("Front View", "Three Quarter", "Top View", "Detail")
    }
    for picture in pictures.values():
        assert picture.startswith(PNG)
        assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (1280, 720)
    assert (tmp_path / "state/local@local.db").is_file()
    assert not (tmp_path / "state/studio/address").exists(), "the studio went with the command"
