"""The first spec: whatever the files are called, it reads back as just those models, each with a key of its own."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from triangle import triangle

from glossi_sync.drafting import Choice, Draft, Found, NoModels, draft, draft_text, find_models
from glossi_sync.resources.model import file_type_of
from glossi_sync.spec import Spec, read_spec

TEMPLATES = ("Colour Pop", "Dark Luxe", "Studio Light")
CHOICE = Choice("Studio Light", TEMPLATES)
MODEL = triangle("")


def make(folder: Path, *files: str) -> None:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MODEL)


def begun(folder: Path, models: str = ".") -> tuple[Draft, Spec]:
    """A draft for a folder of models, and what its text is read back as."""
    drafted = draft(find_models(folder / models, folder), CHOICE, folder.name)
    (folder / "glossi.yaml").write_text(draft_text(drafted, TEMPLATES), encoding="utf-8")
    return drafted, read_spec(folder / "glossi.yaml", env={}, files=True)


def templates(spec: Spec) -> dict[str, str | None]:
    """The name of each model's template, by the model's file."""
    return {
        spec.models[key].file: spec.templates[project.template].name
        for project in spec.projects.values()
        for key in project.models
    }


def many(pattern: str, count: int = 40) -> list[str]:
    return [pattern.format(number) for number in range(count)]


# --- whatever they are called ----------------------------------------------------------------------------------------

NAMES = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1, max_size=12
).filter(lambda name: not name.startswith("."))
WORDS = NAMES | st.sampled_from(("${x}", "$${row.x}", "true", "1e3", "a: b", "- a", "# a"))
PATHS = st.tuples(st.lists(WORDS, max_size=2), WORDS, st.sampled_from((".glb", ".GLB", ".obj"))).map(
    lambda parts: "/".join((*parts[0], parts[1] + parts[2]))
)


@given(st.sets(PATHS.filter(file_type_of), min_size=1, max_size=8))
def test_every_file_is_a_model_with_a_key_and_a_project_of_its_own(files: set[str]) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "glossi.yaml").write_text(
            draft_text(draft(Found("", True, tuple(sorted(files))), CHOICE, "the shop"), TEMPLATES), encoding="utf-8"
        )
        spec = read_spec(folder / "glossi.yaml", env={}, files=False)
        assert {os.path.normpath(model.location) for model in spec.models.values()} == {
            os.path.normpath(folder / file) for file in files
        }
        assert len({key.casefold() for key in spec.models}) == len(files)
        assert sorted(key for project in spec.projects.values() for key in project.models) == sorted(spec.models)


FOLDERS = st.lists(st.sampled_from(("a", "b c", "state", "dark-luxe", "Studio Light", "luxe")), max_size=2)
TREES = st.sets(
    st.tuples(FOLDERS, st.sampled_from(("x", "X", "y-1", "ü", "x.y")), st.sampled_from((".glb", ".GLB", ".obj"))).map(
        lambda parts: "/".join((*parts[0], parts[1] + parts[2]))
    ),
    min_size=1,
    max_size=8,
)


@given(TREES, st.sampled_from((".", "a", "../models")))
@settings(max_examples=60)
def test_patterns_find_just_the_models_that_were_found(files: set[str], models: str) -> None:
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("glossi_sync.drafting.drafting.FEW", 0)
        home = Path(place) / "shop"
        make(home, "a/first.glb")
        make(home / models, *files)
        expected = find_models(home / models, home).files
        assert not any(file.startswith("state/") for file in expected)
        make(home, "state/studio/files/w/model.glb", "state/model.glb", "renders/p/w/model.glb")
        _, spec = begun(home, models)
        assert sorted(model.file for model in spec.models.values()) == sorted(expected)
        assert len({key.casefold() for key in spec.models}) == len(expected)


def test_names_and_keys_are_made_of_file_names(tmp_path: Path) -> None:
    make(tmp_path, "models/desk_lamp.glb", "models/Öl & Essig.glb", "models/SKU-01.v2.glb", "models/灯.glb")
    _, spec = begun(tmp_path, "models")
    assert {model.file: (key, model.name) for key, model in spec.models.items()} == {
        "models/desk_lamp.glb": ("desk_lamp", "Desk Lamp"),
        "models/Öl & Essig.glb": ("ol-essig", "Öl & Essig"),
        "models/SKU-01.v2.glb": ("SKU-01.v2", "SKU 01.v2"),
        "models/灯.glb": ("model", "灯"),
    }


def test_names_that_are_alike_are_told_apart_by_their_folders_and_then_by_a_number(tmp_path: Path) -> None:
    make(tmp_path, "chairs/oak.glb", "tables/oak.glb", "x/Lamp.glb", "x/lamp.glb", "pine.glb")
    _, spec = begun(tmp_path)
    assert {model.file: key for key, model in spec.models.items()} == {
        "chairs/oak.glb": "chairs-oak",
        "tables/oak.glb": "tables-oak",
        "x/Lamp.glb": "Lamp",
        "x/lamp.glb": "lamp-2",
        "pine.glb": "pine",
    }


# --- few and many ----------------------------------------------------------------------------------------------------


def test_many_models_are_a_pattern_that_finds_just_them(tmp_path: Path) -> None:
    files = many("models/{0}/Lamp No {0}.glb", 3000)
    make(tmp_path, *files, "models/readme.txt", "models/.hidden/x.glb")
    drafted, spec = begun(tmp_path)
    assert [one.pattern for one in drafted.catalogues] == ["models/**/{sku}.glb"]
    assert sorted(model.file for model in spec.models.values()) == sorted(files)
    assert "lamp-no-17" in spec.models


def test_the_state_and_the_renders_are_never_looked_through(tmp_path: Path) -> None:
    files = [*many("a/{0}/a{0}.glb"), *many("b/{0}/b{0}.glb"), "root.glb"]
    make(tmp_path, *files, "state/studio/files/x/model.glb", "renders/x/y.glb")
    drafted, spec = begun(tmp_path)
    assert [one.pattern for one in drafted.catalogues] == ["a/**/{sku}.glb", "b/**/{sku}.glb", "{sku}.glb"]
    assert sorted(model.file for model in spec.models.values()) == sorted(files)


def test_each_suffix_has_a_pattern(tmp_path: Path) -> None:
    make(tmp_path, *many("models/a{0}.glb"), *many("models/b{0}.GLB"), "models/c.obj")
    drafted, spec = begun(tmp_path, "models")
    assert [one.pattern for one in drafted.catalogues] == ["models/{sku}.GLB", "models/{sku}.glb", "models/{sku}.obj"]
    assert len(spec.models) == 81


def test_what_no_pattern_tells_apart_is_written_down(tmp_path: Path) -> None:
    make(tmp_path, *many("{0}/x{{1}}.glb"), *many("{0}/a b.glb"), *many("{0}/a-b.glb"))
    drafted, spec = begun(tmp_path)
    assert not drafted.catalogues
    assert len(spec.models) == 120


def test_a_folder_of_models_may_lie_elsewhere(tmp_path: Path) -> None:
    make(tmp_path, *many("shared/m{0}.glb"))
    (tmp_path / "shop").mkdir()
    _, spec = begun(tmp_path / "shop", "../shared")
    assert len(spec.models) == 40


# --- templates -------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_named_like_a_template_chooses_it(tmp_path: Path) -> None:
    make(tmp_path, "dark-luxe/lamp.glb", "Colour Pop/x/chair.glb", "models/cup.glb")
    _, spec = begun(tmp_path)
    assert templates(spec) == {
        "dark-luxe/lamp.glb": "Dark Luxe",
        "Colour Pop/x/chair.glb": "Colour Pop",
        "models/cup.glb": "Studio Light",
    }


@pytest.mark.parametrize("count", [1, 40])
def test_where_every_folder_is_named_like_one_a_word_will_do(tmp_path: Path, count: int) -> None:
    make(tmp_path, *many("models/luxe/a{0}.glb", count), *many("models/studio/b{0}.glb", count))
    drafted, spec = begun(tmp_path)
    assert {file.split("/")[1]: name for file, name in templates(spec).items()} == {
        "luxe": "Dark Luxe",
        "studio": "Studio Light",
    }
    if count > 1:
        assert [one.pattern for one in drafted.catalogues] == ["models/{template}/{sku}.glb"]


def test_a_chosen_template_is_that_of_all(tmp_path: Path) -> None:
    make(tmp_path, "dark-luxe/lamp.glb")
    drafted = draft(find_models(tmp_path, tmp_path), Choice("Colour Pop"), "shop")
    assert dict(drafted.templates) == {"colour-pop": "Colour Pop"}


# --- nothing to find -------------------------------------------------------------------------------------------------


def test_a_folder_without_models_is_told_of(tmp_path: Path) -> None:
    make(tmp_path, "readme.txt", ".git/x.glb")
    with pytest.raises(NoModels, match="There are no models in .* or below it: files named .glb, .gltf"):
        find_models(tmp_path, tmp_path)
    with pytest.raises(NoModels, match="There is no folder"):
        find_models(tmp_path / "none", tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_is_counted_and_left_out(tmp_path: Path) -> None:
    make(tmp_path, "good.glb")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.glb")).write_bytes(MODEL)
    found = find_models(tmp_path, tmp_path)
    assert (found.files, found.unnamed) == (("good.glb",), 1)


def test_links_do_not_lead_astray(tmp_path: Path) -> None:
    make(tmp_path, "models/a.glb")
    (tmp_path / "models" / "up").symlink_to(tmp_path)
    assert find_models(tmp_path, tmp_path).files == ("models/a.glb",)
    assert PurePosixPath(find_models(tmp_path / "models", tmp_path).root) == PurePosixPath("models")
