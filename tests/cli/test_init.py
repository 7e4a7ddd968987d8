"""`init`, in process: what it refuses, what it leaves alone, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from triangle import triangle

from glossi_sync.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["init", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def model(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(triangle(path.name))


def test_a_spec_that_is_there_is_left_alone(folder: Path) -> None:
    model(folder / "lamp.glb")
    spec = folder / "glossi.yaml"
    spec.write_text("mine")
    told = init(code=1)
    assert told == "glossi.yaml is there already: --force overwrites it, -f OTHER.yaml writes another.\n"
    assert spec.read_text() == "mine"
    init("-f", "other.yaml", "--template", "Dark Luxe")
    assert "{name: Dark Luxe}" in (folder / "other.yaml").read_text()
    init("--force")
    assert spec.read_text().startswith("# What should exist")


def test_a_folder_without_models_is_told_of_in_a_sentence(folder: Path) -> None:
    assert init(code=1).startswith("There are no models in . or below it: files named .glb,")
    assert init("nowhere", code=1) == "There is no folder nowhere to look for models in.\n"
    model(folder / "lamp.glb")
    wrong = init("--template", "Studio Ligth", code=1)
    assert wrong == "The studio has no template 'Studio Ligth'; did you mean 'Studio Light'?\n"
    assert {path.name for path in folder.iterdir()} == {"lamp.glb"}


def test_a_model_that_cannot_be_uploaded_is_told_with_its_line(folder: Path) -> None:
    model(folder / "lamp.glb")
    (folder / "broken.glb").write_bytes(b"glTF")
    [line] = [line for line in init(code=1).splitlines() if "is cut short" in line]
    number = int(line.split(":")[1])
    assert "broken.glb" in (folder / "glossi.yaml").read_text().splitlines()[number - 1]


def test_a_gitignore_keeps_what_it_has(folder: Path) -> None:
    model(folder / "lamp.glb")
    ignored = folder / ".gitignore"
    ignored.write_text("*.blend\nstate")
    assert "keeps renders out of git" in init()
    whole = ["*.blend", "state", "# glossi-sync: what a run leaves behind", "/renders/"]
    assert ignored.read_text().splitlines() == whole
    init("--force")
    assert ignored.read_text().splitlines() == whole


def test_the_models_may_lie_in_another_folder(folder: Path) -> None:
    model(folder / "models/lamp.glb")
    (folder / "specs").mkdir()
    assert "glossi-sync plan -f 'specs/my shop.yaml'" in init("models", "-f", "specs/my shop.yaml")
    assert '"../models/lamp.glb"' in (folder / "specs/my shop.yaml").read_text()
