"""The example of a watched folder: what lies in a folder of a template's name is a product on that template."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from triangle import triangle

from glossi_sync.spec import SpecError, read_spec

EXAMPLE = Path(__file__).parents[2] / "examples" / "watched-folder"


def test_a_folders_name_chooses_the_template(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "example")
    spec_path = tmp_path / "example" / "glossi.yaml"
    with pytest.raises(SpecError, match="no file is like"):
        read_spec(spec_path, env={})
    for folder, name in (("studio", "Desk Lamp"), ("luxe", "Desk Lamp"), ("luxe", "chair")):
        (tmp_path / "example" / "incoming" / folder / f"{name}.glb").write_bytes(triangle(name))
    spec = read_spec(spec_path, env={})
    assert {key: project.template for key, project in spec.projects.items()} == {
        "studio-desk-lamp": "studio",
        "luxe-desk-lamp": "luxe",
        "luxe-chair": "luxe",
    }
    assert spec.models["studio-desk-lamp"].name == "Desk Lamp"
